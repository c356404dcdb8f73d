"""How each scheme is built: volumes, stability edges, shapes, compiled code, gradients, refusals."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from lflow import energies, samplers, simulate, steps
from lflow.energies import Energy
from lflow.noise import Noise, StepNoise, Stream
from lflow.samplers import Sampler
from lflow.samplers.underdamped import UnderdampedState
from tests.exact_laws import growth
from tests.statistics import (
    LIMIT,
    one_thread,  # noqa: F401  (for every test here)
    z_of_two_samples,
)

ANILA = {
    f"anila {variant}{' elementwise' * each}{' smooth' * smooth}": {
        "variant": variant,
        "elementwise": each,
        "smooth": smooth,
    }
    for variant in ("paper", "toy_code", "flowers_code", "corrected", "metropolis")
    for each in (False, True)
    for smooth in (False, True)
}
KINDS: dict[str, Sampler] = {
    **{name: samplers.get(name) for name in samplers.names() if name != "anila"},
    **{name: samplers.get("anila", threshold=0.5, **parameters) for name, parameters in ANILA.items()},
    "mirror on a simplex": samplers.get("mirror", domain="simplex"),
}
ACCEPTING = (
    "random_walk",
    "mala",
    "hmc",
    "anila metropolis",
    "anila metropolis elementwise",
    "replica_exchange",
)
every_kind = pytest.mark.parametrize("kind", KINDS)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gaussian(curvature: float) -> Energy:
    return energies.from_callable(lambda x: curvature * x.square().sum(1) / 2, dim=1)


# Quasi-symplectic


def quasi_symplectic(U: Any, state: Tensor, h: float, friction: float, T: float, xi: Tensor) -> Tensor:
    """(x, p) -> (x', p'), each (2 dim,)."""
    x, p = state[None].chunk(2, 1)
    sampler = samplers.get("quasi_symplectic", friction=friction)
    new, _ = sampler.step(UnderdampedState(x, p, x), U, h, T, StepNoise(xi))
    return torch.cat([new.x, new.momentum], 1)[0]


@pytest.mark.parametrize(("friction", "h", "dim"), [(0.7, 0.3, 8), (0.0, 0.3, 8), (2.0, 0.1, 3)])
def test_the_volume_shrinks_by_the_friction_times_the_dimension(friction: float, h: float, dim: int) -> None:
    """log|det| = -νdh (papers.md: -1.680 for d = 8, ν = .7, h = .3), wherever it starts and whatever ξ."""
    U = energies.get("double_well", dim=dim)
    for seed in range(3):
        state, xi = normal(2 * dim, seed=seed), normal(1, dim, seed=9 + seed)
        jacobian = torch.func.jacrev(lambda s, xi=xi: quasi_symplectic(U, s, h, friction, 1.0, xi))(state)
        found = float(torch.linalg.slogdet(jacobian).logabsdet)
        assert found == pytest.approx(-friction * dim * h, abs=1e-10)
        assert friction == 0 or abs(found + friction * h) > 0.1, "the dimension counts"


def test_without_friction_the_energy_error_is_of_second_order() -> None:
    U, start, still = energies.get("double_well"), normal(4, seed=3), torch.zeros(1, 2).double()

    def error(h: float, friction: float = 1e-9) -> float:
        def total(state: Tensor) -> float:
            return float(U(state[None, :2])) + float(state[2:].square().sum()) / 2

        state = start
        for _ in range(round(1 / h)):
            state = quasi_symplectic(U, state, h, friction, 0.0, still)
        return total(state) - total(start)

    assert math.log2(abs(error(0.01) / error(0.005))) == pytest.approx(2, abs=0.1)
    assert error(0.005, friction=1.0) < -0.1, "friction takes energy away"


# Stability


@pytest.mark.parametrize("curvature", [1.0, 25.0])
@pytest.mark.parametrize(
    "kind", [k for k in KINDS if k != "hmc" and KINDS[k].stability_edge(1.0) is not None]
)
def test_second_moments_stay_below_the_edge_and_grow_above_it(kind: str, curvature: float) -> None:
    """Of the linear map that a step is on a Gaussian; HMC's edge is tested in test_samplers.py."""
    edge = KINDS[kind].stability_edge(curvature)
    assert edge is not None
    assert (
        growth(KINDS[kind], gaussian(curvature), 0.998 * edge)
        < 1
        < growth(KINDS[kind], gaussian(curvature), 1.002 * edge)
    )


@pytest.mark.parametrize("friction", [0.01, 1.0, 30.0])
def test_friction_moves_no_edge_but_that_of_ubu(friction: float) -> None:
    """UBU is stable where h tanh(γh/2) < 2γ/L, which is never less than 2/√L."""
    for name in ("baoab", "obabo", "quasi_symplectic"):
        sampler = samplers.get(name, friction=friction)
        assert growth(sampler, gaussian(4.0), 0.999) < 1 < growth(sampler, gaussian(4.0), 1.001)
    low, high = 0.0, 1e3
    for _ in range(60):
        h = (low + high) / 2
        low, high = (h, high) if h * math.tanh(friction * h / 2) < 2 * friction / 4.0 else (low, h)
    ubu = samplers.get("ubu", friction=friction)
    assert low >= 1.0
    assert growth(ubu, gaussian(4.0), 0.999 * low) < 1 < growth(ubu, gaussian(4.0), 1.001 * low)


@pytest.mark.parametrize("name", ["proximal", "tamed_ula"])
def test_implicit_and_tamed_steps_survive_any_size(name: str) -> None:
    for U in (
        energies.get("gaussian"),
        energies.get("gaussian", dim=10, condition_number=100.0),
        energies.get("quartic"),
    ):
        start = 10 * normal(500, U.dim)
        r = simulate(U, name, step_size=100.0, init=start, num_steps=200)
        assert not (r.diverged | r.escaped).any()
        assert simulate(U, "ula", step_size=100.0, init=start, num_steps=200).diverged.any()
        if name == "proximal":
            assert (r.positions[-1].square().mean() < 0.1 * start.square().mean()).item()


def test_rmm_is_unstable_above_its_edge_though_few_chains_show_it() -> None:
    """10 % above: the mean square over 20,000 chains grows, its median over chains does not."""
    start = normal(20_000, 1)
    r = simulate(gaussian(1.0), "rmm", step_size=1.1 * 1.597, init=start, num_steps=60, record_every=20)
    squares = r.positions.double().square()
    assert squares[-1].mean() > 10 * squares[1].mean() / 2
    assert squares[-1].median() < 10


# SVGD, domains, refusals


def test_svgd_is_deterministic_and_capped() -> None:
    U, start = energies.get("banana"), normal(100, 2)
    a, b = (simulate(U, "svgd", step_size=0.1, init=start, num_steps=50, seed=seed) for seed in (1, 2))
    assert torch.equal(a.positions, b.positions)
    with pytest.raises(ValueError, match="svgd compares every pair: take at most 4,000 particles, not 4,001"):
        simulate(U, "svgd", num_steps=1, num_chains=4_001)
    cold = simulate(U, "svgd", step_size=0.1, init=start, num_steps=300, temperature=0).positions[-1]
    warm = simulate(U, "svgd", step_size=0.1, init=start, num_steps=300).positions[-1]
    assert (cold.var(0) < 0.7 * warm.var(0)).all()
    # Σ_j k(x_j, x_i) ∇U(x_j) and Σ_j ∇_{x_j} k(x_j, x_i), pair by pair, by autograd.
    x = normal(7, 2)
    width = torch.cdist(x, x).square().median() / math.log(8)
    y = x.clone().requires_grad_()
    kernel = torch.exp(-(y[:, None] - x[None]).square().sum(2) / width)
    apart = torch.stack(
        [torch.autograd.grad(kernel[:, i].sum(), y, retain_graph=True)[0].sum(0) for i in range(7)]
    )
    expected = x + 0.1 * (0.7 * apart - kernel.detach().T @ U.grad(x)) / 7
    state, _ = samplers.get("svgd").step(
        samplers.get("svgd").init(x, U, StepNoise(x)), U, 0.1, 0.7, StepNoise(x)
    )
    torch.testing.assert_close(state.x, expected)


@pytest.mark.parametrize("h", [0.01, 1.0, 100.0])
def test_mirror_never_leaves_its_domain(h: float) -> None:
    U = energies.get("quartic")
    low, high = torch.tensor(U.bounds).T
    r = simulate(U, "mirror", step_size=h, init=20 * normal(200, 2).float(), num_steps=50, record_every=1)
    assert ((r.positions > low) & (r.positions < high)).all()
    r = simulate(
        U, samplers.get("mirror", domain="simplex"), step_size=h, init=normal(200, 2).float(), num_steps=50
    )
    assert ((r.positions > 0).all(2) & (r.positions.sum(2) < 1)).all()
    flat = energies.from_callable(lambda x: 0 * x.sum(1), bounds=U.bounds)
    start = 0.5 * normal(50, 2)
    still = simulate(flat, "mirror", step_size=h, init=start, num_steps=1000, temperature=0).positions[-1]
    assert (still - start).abs().max() < 1e-5, "walls do not pull"


@pytest.mark.parametrize("kind", ACCEPTING)
def test_an_accept_step_refuses_rules_of_the_state_by_name(kind: str) -> None:
    sampler = KINDS[kind]
    for rule in ("anisotropic", "rmsprop"):
        with pytest.raises(ValueError, match=rf"the {rule} rule .* {sampler.name}: use"):
            simulate(energies.get("rings"), sampler, rule, num_steps=1, num_chains=1)


@pytest.mark.parametrize("kind", ACCEPTING)
@pytest.mark.parametrize("target", ["banana", "gaussian_mixture", "narrow gaussian"])
def test_an_accept_step_reaches_its_law_from_afar(kind: str, target: str) -> None:
    """4,000 chains against 4,000 exact draws: a mean to 0.02; after two steps they are far from it."""
    U, h, num_steps = {
        "banana": (energies.get("banana", bend=0.2), 0.3, 900),
        "gaussian_mixture": (energies.get("gaussian_mixture", radius=1.0, std=0.7), 0.3, 300),
        "narrow gaussian": (energies.get("gaussian", dim=10, condition_number=10.0), 0.1, 500),
    }[target]
    sampler = samplers.get("hmc", num_leapfrog=4) if kind == "hmc" else KINDS[kind]
    if "anila" in kind:
        sampler = dataclasses.replace(sampler, threshold=4.0)  # type: ignore[type-var]
    start = 3 + 0.1 * normal(4_000, U.dim, dtype=torch.float32)
    h = h if kind != "hmc" else 0.7 * h**0.5
    r = simulate(U, sampler, step_size=h, init=start, num_steps=num_steps, record_every=2)
    exact = U.sample(4_000, torch.Generator().manual_seed(1))
    assert z_of_two_samples(r.positions[-1], exact) < LIMIT < z_of_two_samples(r.positions[1], exact)


# Shapes, types, noise


@every_kind
@pytest.mark.parametrize("shape", [(2,), (10,), (3, 4, 4)], ids=["points", "vectors", "images"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_types(kind: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    def U(x: Tensor) -> Tensor:
        return (x.flatten(1) ** 4).sum(1) / 4 + x.flatten(1).prod(1)

    start = normal(6, *shape, dtype=dtype).abs() / 50
    a, b = (simulate(U, KINDS[kind], step_size=0.01, init=start, num_steps=5, noise=Noise(2)) for _ in (0, 1))
    state = a.checkpoint.carry.state
    assert (state.x.dtype, state.x.shape) == (dtype, start.shape)
    assert all(part.dtype == dtype for part in state if part is not None)
    assert a.positions.isfinite().all()
    assert not torch.equal(a.positions[-1], a.positions[0])
    assert torch.equal(a.positions, b.positions)


@every_kind
def test_a_step_differentiates_and_descends_without_temperature(kind: str) -> None:
    """On an energy whose gradient is automatic: derivatives by position and step against differences."""
    U, sampler, stream = energies.get("pinwheel"), KINDS[kind], Stream(Noise(), torch.device("cpu"))
    x = U.sample(2, torch.Generator().manual_seed(0)).double()
    x = x.abs() / 20 + 0.01 if "simplex" in kind else x
    noise = [stream.draw(x, sampler.extra(U), step) for step in (None, 0)]

    def chain(start: Tensor, h: Tensor) -> Tensor:
        moved: Tensor = sampler.step(sampler.init(start, U, noise[0], 0.5), U, h, 0.5, noise[1])[0].x
        return moved

    h = torch.tensor(0.003, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(chain, (x.requires_grad_(), h), atol=1e-5)
    r = simulate(U, sampler, step_size=0.003, temperature=0, num_chains=50, num_steps=60)
    assert all(part.isfinite().all() for part in r.checkpoint.carry.state if part is not None)
    assert U(r.positions[-1]).mean() < U(r.positions[0]).mean() or kind == "random_walk"


def test_samplers_that_share_noise_stay_together() -> None:
    """At a small step all explicit overdamped schemes follow one path; another seed is another path."""
    U, start = energies.get("gaussian"), normal(200, 2)
    shared: dict[str, Any] = {"step_size": 1e-3, "init": start, "num_steps": 300, "noise": Noise(5)}
    ula = simulate(U, "ula", **shared).positions[-1]
    for name in ("tamed_ula", "proximal", "rmm", "ormm", "srk", "leimkuhler_matthews", "mala"):
        assert (simulate(U, name, **shared).positions[-1] - ula).abs().max() < 0.12, name
    assert (simulate(U, "ula", **{**shared, "noise": Noise(6)}).positions[-1] - ula).abs().max() > 1


# Gradients


class Counted(Energy):
    """Σ x⁴/4 with an automatic gradient: counts the gradients of a chain that are asked for."""

    dim, bounds = 2, ((-4.0, 4.0),) * 2

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, x: Tensor) -> Tensor:
        return (x**4).sum(1) / 4

    def grad(self, x: Tensor) -> Tensor:
        self.count += len(x)
        return x**3


@every_kind
def test_gradients_are_counted(kind: str) -> None:
    """A Hessian-vector product counts as one; after k steps what the positions depend on was counted."""
    U, sampler, x = Counted(), KINDS[kind], normal(5, 2).abs() / 5
    stream = Stream(Noise(), x.device)
    state = sampler.init(x, U, stream.draw(x, sampler.extra(U), None))
    for step in range(3):
        U.count = 0
        state, info = sampler.step(state, U, 0.01, 1.0, stream.draw(x, sampler.extra(U), step))
        assert U.count == 5 * info.gradient_evaluations == 5 * sampler.gradients_per_step
    r = simulate(U, sampler, init=x, num_steps=4, record_every=2)
    expected = [0, *(sampler.start_gradients + sampler.gradients_per_step * k for k in (2, 4))]
    assert r.gradient_evaluations.tolist() == expected


def test_hessian_vector_products_see_automatic_gradients() -> None:
    """A gradient by autograd hides its tangent from jvp, which would then be zero without an error."""
    x, v = normal(20, 2), normal(20, 2, seed=1)

    def U(x: Tensor) -> Tensor:
        return (x**4).sum(1) / 4 + (x[:, 0] * x[:, 1]).sin()

    hessian = torch.func.vmap(torch.func.hessian(lambda point: U(point[None])[0]))(x)
    expected = torch.einsum("nij,nj->ni", hessian, v)
    V = energies.from_callable(U)
    with torch.no_grad():
        torch.testing.assert_close(V.hessian_vector(x, v), expected)
        torch.testing.assert_close(V.hessian_vector(x, v, lambda point: 2 * V.grad(point)), 2 * expected)
    data = energies.get("logistic_regression")
    uniform = torch.rand(20, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = data.hessian_vector(x, v, lambda point: data.stochastic_grad(point, uniform=uniform))  # type: ignore[attr-defined]
    ends = [data.stochastic_grad(x + e * v, uniform=uniform) for e in (1e-5, -1e-5)]  # type: ignore[attr-defined]
    torch.testing.assert_close(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-6)


# Compiled


@pytest.fixture
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trace and differentiate as `torch.compile` does, but generate no code, which takes minutes."""
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **options: real(f, **{**options, "backend": "aot_eager"}))
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in samplers.names()])
@pytest.mark.parametrize("automatic", [False, True])
@pytest.mark.usefixtures("quick_compiler")
def test_compiled_variants_equal_eager_ones(kind: str, automatic: bool) -> None:
    """The defaults are compared in test_compile.py; an automatic gradient has a jvp of its own."""
    U = energies.get("gaussian_mixture")
    if automatic:
        U = energies.from_callable(U.__call__, dim=2, bounds=U.bounds)
    settings: dict[str, Any] = {"num_steps": 8, "num_chains": 20, "step_size": 0.01, "temperature": 0.7}
    compiled, eager = (simulate(U, KINDS[kind], compile=c, **settings) for c in (True, False))
    torch.testing.assert_close(compiled.positions, eager.positions, rtol=1e-4, atol=1e-5)


def test_rules_of_the_state_work_where_they_are_allowed() -> None:
    for kind, sampler in KINDS.items():
        if sampler.gradients_per_step and not sampler.has_accept_step:
            for rule in ("anisotropic", "rmsprop"):
                own = steps.get(rule, step_size=0.01)
                r = simulate(energies.get("gaussian"), sampler, own, num_chains=20, num_steps=20)
                assert r.positions.isfinite().all(), kind
