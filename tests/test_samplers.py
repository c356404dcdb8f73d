"""What every sampler owes: its law, its temperature, its gradients, its seeds, and any shape of state.

Laws are tested on 20,000 chains: a variance to 1 %, so that 5 % off is seen. Beside the exact samplers stand
two that lack a part of their accept step, and fail the same tests.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from lflow import energies, samplers, simulate
from lflow.energies import Energy
from lflow.noise import NORMAL, Noise, StepNoise, Stream
from lflow.samplers import Info, Sampler
from lflow.samplers.base import metropolis, registry, sqrt, where_accepted
from lflow.samplers.metropolis import HMC, MALA, GradientState
from tests.statistics import (
    LIMIT,
    largest,
    one_thread,  # noqa: F401  (for every test here)
    z_of_mean,
    z_of_two_samples,
    z_of_variance,
)

NAMES = samplers.names()
every_sampler = pytest.mark.parametrize("name", NAMES)
EXACT = {"random_walk": 1.0, "mala": 0.7, "hmc": 0.5, "baoab": 1.2}  # steps at which N(0, T) is left exactly
OTHERWISE = {"anila": {"variant": "metropolis"}}  # what gives a sampler its accept step
ACCEPTING = [name for name in NAMES if samplers.get(name, **OTHERWISE.get(name, {})).has_accept_step]
ALWAYS_STABLE = ("proximal", "tamed_ula", "mirror")
NO_KNOWN_EDGE = ("random_walk", "mala", "replica_exchange", "anila", "psgld", "svgd", "ubu")
LOOK_AHEAD = ("ormm", "ubu", "quasi_symplectic")  # the gradient that they keep is of the middle of their step


@dataclass(frozen=True)
class MALAWithoutProposals(MALA):
    """Wrong: accepts by the energies alone, as if its proposal were symmetric."""

    def step(
        self, state: Any, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[Any, Info]:
        y = state.x - h * state.grad + sqrt(2 * h * temperature) * noise.primary
        value, grad = energy.value_and_grad(y)
        accept, chance = metropolis(state.energy - value, temperature, noise.extra[0])
        parts = [(y, state.x), (value, state.energy), (grad, state.grad)]
        return GradientState(*(where_accepted(accept, *part) for part in parts)), Info(1, chance)


@dataclass(frozen=True)
class HMCThatAcceptsAll(HMC):
    """Wrong: accepts whatever the leapfrog gives."""

    def step(
        self, state: Any, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[Any, Info]:
        uniform, shortening = noise.extra
        always = noise._replace(extra=(torch.ones_like(uniform), shortening))
        return super().step(state, energy, h, temperature, always)


class CountingEnergy(Energy):
    """½|x|², which counts the values, and the gradients of a chain, that are asked of it."""

    dim, bounds = 2, ((-4.0, 4.0),) * 2

    def __init__(self) -> None:
        self.values = self.gradients = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.values += 1
        return x.square().sum(1) / 2

    def grad(self, x: Tensor) -> Tensor:
        self.gradients += len(x)
        return x.clone()


def accepting(name: str, **more: Any) -> Sampler:
    """A sampler with an accept step."""
    return samplers.get(name, **OTHERWISE.get(name, {}), **more)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def last(sampler: str | Sampler, init: Tensor, h: float, num_steps: int = 100, **more: Any) -> Tensor:
    """Where chains on N(0, I) end."""
    U = energies.get("gaussian", dim=init.shape[1])
    result = simulate(U, sampler, step_size=h, init=init, num_steps=num_steps, record_every=10**6, **more)
    assert not result.diverged.any()
    return result.positions[-1]


# Laws


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", EXACT)
def test_exact_samplers_have_the_variance_of_the_target(name: str, temperature: float) -> None:
    x = last(name, 1.5 * normal(20_000, 1), EXACT[name], temperature=temperature)
    assert largest(z_of_variance(x, temperature)) < LIMIT < largest(z_of_variance(x, 1.07 * temperature))
    assert largest(z_of_mean(x, 0.0)) < LIMIT


def test_samplers_without_a_part_of_their_accept_step_do_not() -> None:
    for wrong, h in ((MALAWithoutProposals(), EXACT["mala"]), (HMCThatAcceptsAll(), 1.0)):
        assert largest(z_of_variance(last(wrong, normal(20_000, 1), h), 1.0)) > LIMIT


@pytest.mark.parametrize("h", [0.1, 0.5, 1.0, 1.5])
def test_ula_has_its_own_variance(h: float) -> None:
    x = last("ula", normal(20_000, 1), h, temperature=2.0)
    assert largest(z_of_variance(x, 2 / (1 - h / 2))) < LIMIT
    if h > 0.1:
        assert largest(z_of_variance(x, 2.0)) > LIMIT


@pytest.mark.parametrize(("h", "sigma"), [(0.1, 2.0), (0.4, 1.0), (0.4, 0.0)])
def test_sgld_has_the_variance_that_its_noise_implies(h: float, sigma: float) -> None:
    """x' = (1 - h) x - hσζ + √(2hT) ξ, so V (2h - h²) = 2hT + h²σ²."""
    sampler = samplers.get("sgld", gradient_noise=sigma)
    x = last(sampler, normal(20_000, 1), h)
    expected = (2 * h + h * h * sigma**2) / (2 * h - h * h)
    assert largest(z_of_variance(x, expected)) < LIMIT
    implied = sampler.implied_temperature(energies.get("gaussian"), h, 1.0)
    assert implied == pytest.approx(expected * (1 - h / 2))
    if sigma:
        assert largest(z_of_variance(x, 1 / (1 - h / 2))) > LIMIT


def test_minibatches_heat_sgld_by_their_variance() -> None:
    """Mean of U above its minimum is the temperature, on a posterior near a Gaussian in the plane."""
    U, sampler = energies.get("logistic_regression"), samplers.get("sgld", batch_size=8)
    r = simulate(U, sampler, step_size=0.002, num_steps=400, num_chains=2000, record_every=400, seed=3)
    lowest = U(U._laplace[0].float()[None])
    measured = U(r.positions[-1]) - lowest
    implied = sampler.implied_temperature(U, 0.002, 1.0)
    assert implied is not None
    # To first order in h, and the posterior is not quite Gaussian: within a tenth.
    assert float(measured.mean()) == pytest.approx(implied, rel=0.1)
    assert implied > 2.5


TARGETS = {
    "banana": (energies.get("banana"), (0.02, 0.3, 3.0)),
    "gaussian_mixture": (energies.get("gaussian_mixture", radius=1.5), (0.02, 0.3, 3.0)),
    "narrow gaussian": (energies.get("gaussian", dim=10, condition_number=100.0), (0.001, 0.01, 0.1)),
}


@pytest.mark.parametrize("size", [0, 1, 2], ids=["small", "good", "too large"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ACCEPTING)
def test_an_accept_step_leaves_exact_draws_alone(name: str, target: str, size: int) -> None:
    """20,000 exact draws after 20 steps against 20,000 others: mean, square and |·| in 20 directions."""
    U, steps = TARGETS[target]
    start, other = (U.sample(20_000, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    sampler = accepting(name, num_leapfrog=5) if name == "hmc" else accepting(name)
    h = steps[size] if name != "hmc" else steps[size] ** 0.5
    result = simulate(U, sampler, step_size=h, init=start, num_steps=20, record_every=20)
    assert z_of_two_samples(result.positions[-1], other) < LIMIT


@pytest.mark.parametrize("target", TARGETS)
def test_half_an_accept_step_does_not(target: str) -> None:
    U, (_, h, _) = TARGETS[target]
    start, other = (U.sample(20_000, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    for wrong, step in ((MALAWithoutProposals(), h), (HMCThatAcceptsAll(num_leapfrog=5), 1.5 * h**0.5)):
        end = simulate(U, wrong, step_size=step, init=start, num_steps=20, record_every=20).positions[-1]
        assert z_of_two_samples(end, other) > LIMIT


# Temperature zero, shapes, seeds, noise


@every_sampler
def test_temperature_zero_descends(name: str) -> None:
    U = energies.get("gaussian", condition_number=4.0)
    start = normal(50, 2)
    runs = [simulate(U, name, step_size=0.1, temperature=0, init=start, num_steps=50, seed=s) for s in (1, 2)]
    assert runs[0].positions.isfinite().all()
    if name in ("ula", "mala", "hmc", "baoab"):  # the others have noise of their own
        assert torch.equal(runs[0].positions, runs[1].positions) == (name != "hmc"), (
            "only HMC's jitter is left"
        )
        assert (U(runs[0].positions[-1]) < 0.1 * U(start) + 1e-3).all()
    if samplers.get(name).has_accept_step:
        values = torch.stack([U(frame) for frame in runs[0].positions])
        assert (values.diff(dim=0) <= 1e-6).all()


@every_sampler
@pytest.mark.parametrize("shape", [(7,), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_shape_and_type(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    def U(x: Tensor) -> Tensor:
        return (x.flatten(1) ** 4).sum(1) / 4

    init = normal(5, *shape, dtype=dtype)
    result = simulate(U, name, step_size=0.01, init=init, num_steps=4, record_every=2)
    assert result.positions.shape == (3, 5, *shape)
    assert result.positions.dtype == torch.float32
    assert result.checkpoint.carry.state.x.dtype == dtype
    assert result.checkpoint.carry.state.x.shape == init.shape
    assert torch.equal(result.positions[0], init.float())


@every_sampler
def test_the_seed_decides_everything(name: str) -> None:
    U = energies.get("rings")
    a, b, c = (simulate(U, name, num_steps=20, num_chains=30, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(a.positions, b.positions)
    assert not torch.isclose(a.positions, c.positions).any(2).all(1).any()
    d = simulate(U, name, num_steps=20, num_chains=30, seed=1, noise=Noise(9))
    assert torch.equal(a.positions[0], d.positions[0])
    assert torch.equal(a.positions[-1], d.positions[-1]) == (name == "svgd"), "only SVGD takes no noise"


@pytest.fixture
def registered() -> Iterator[type[Sampler]]:
    """A sampler of one's own, as its reader would write it: Leimkuhler-Matthews, exact on Gaussians."""

    class Memory(NamedTuple):
        x: Tensor
        noise: Tensor

    @registry.register("leimkuhler_matthews_of_a_test")
    @dataclass(frozen=True)
    class Own(Sampler):
        """x' = x - h ∇U(x) + √(2hT) (ξ + ξ')/2."""

        def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> Memory:
            return Memory(x, noise.primary)

        def step(self, state: Any, energy: Energy, h: Any, temperature: Any, noise: StepNoise) -> Any:
            mean = (state.noise + noise.primary) / 2
            x = state.x - h * energy.grad(state.x) + sqrt(2 * h * temperature) * mean
            return Memory(x, noise.primary), Info(gradient_evaluations=1)

    yield Own
    del registry._classes["leimkuhler_matthews_of_a_test"]


def test_a_sampler_of_ones_own(registered: type[Sampler]) -> None:
    x = last("leimkuhler_matthews_of_a_test", normal(20_000, 1), 0.5, temperature=2.0)
    assert largest(z_of_variance(x, 2.0)) < LIMIT < largest(z_of_variance(x, 2 / (1 - 0.5 / 2)))


def test_samplers_share_their_primary_noise_and_nothing_else_disturbs_it() -> None:
    """What each draws beside it differs: nothing, uniforms, normals."""
    x = normal(6, 2)
    seen = []
    for name in NAMES:
        stream = Stream(Noise(seed=5), x.device)
        extra = samplers.get(name).extra(energies.get("gaussian"))
        stream.draw(x, extra, None)
        seen.append(torch.stack([stream.draw(x, extra, step).primary for step in range(4)]))
        assert len(stream.draw(x, extra, 4).extra) == len(extra)
    assert all(torch.equal(a, b) for a, b in itertools.pairwise(seen))
    first = Stream(Noise(seed=5), x.device).draw(x, (NORMAL,), 0)
    assert torch.equal(first.primary, seen[0][0]), "the draw before the first step takes nothing from it"
    assert not torch.isclose(first.primary, first.extra[0]).any()
    init = normal(40, 2)
    plain, adjusted = last("ula", init, 1e-5, 20), last("mala", init, 1e-5, 20)
    assert torch.equal(plain, adjusted), "MALA accepts everything at such a step"
    assert not torch.equal(plain, last("mala", init, 1e-5, 20, seed=1))


# Gradients, stability


@every_sampler
def test_gradients_are_counted_as_they_are_taken(name: str) -> None:
    U, sampler = CountingEnergy(), samplers.get(name)
    noise = Stream(Noise(), torch.device("cpu"))
    x, extra = normal(3, 2), sampler.extra(U)
    state = sampler.init(x, U, noise.draw(x, extra, None), 1.0)
    for step in range(3):
        U.gradients = 0
        state, info = sampler.step(state, U, 0.1, 1.0, noise.draw(x, extra, step))
        assert U.gradients == 3 * info.gradient_evaluations == 3 * sampler.gradients_per_step
        assert (info.acceptance is not None) == sampler.has_accept_step
        assert (info.grad is None) == (sampler.gradients_per_step == 0)
        if name not in ("sgld", "random_walk", *LOOK_AHEAD):
            assert torch.equal(state.grad, state.x)
    result = simulate(U, sampler, num_steps=7, init=x, record_every=3)
    expected = sampler.start_gradients + sampler.gradients_per_step * torch.tensor([3, 6, 7])
    assert result.gradient_evaluations.tolist() == [0, *expected.tolist()]


@pytest.mark.parametrize("name", ["ula", "sgld", "baoab"])
def test_samplers_without_an_accept_step_never_evaluate_the_energy(name: str) -> None:
    U = CountingEnergy()
    simulate(U, name, num_steps=5, num_chains=4)
    assert U.values == 0
    assert U.gradients > 0


@every_sampler
def test_the_stability_edge_is_where_it_is_said_to_be(name: str) -> None:
    U = energies.get("gaussian", condition_number=25.0)
    sampler = HMCThatAcceptsAll(jitter=0.0) if name == "hmc" else samplers.get(name)
    edge = sampler.stability_edge(U.curvature)
    if edge is None:
        assert name in ALWAYS_STABLE + NO_KNOWN_EDGE
        assert sampler.always_stable == (name in ALWAYS_STABLE)
        return
    if name in ("rmm", "ormm"):
        return  # their edge is that of the second moment: a single chain need not leave (test_schemes.py)
    for share, stable in ((0.97, True), (1.03, False)):
        result = simulate(U, sampler, step_size=share * edge, init=normal(100, 2), num_steps=600)
        assert bool((result.positions[-1].abs() < 1e3).all()) == stable
        assert bool((result.escaped | result.diverged).all()) != stable


@pytest.mark.parametrize("energy", ["pinwheel", "gaussian_mixture"])
@pytest.mark.parametrize("name", ["ula", "sgld", "baoab"])
def test_steps_differentiate(name: str, energy: str) -> None:
    """Two steps by finite differences, on an energy with a gradient in closed form and on one without."""
    U, sampler = energies.get(energy), samplers.get(name)
    x = U.sample(3, torch.Generator().manual_seed(0)).double().requires_grad_()
    stream = Stream(Noise(), x.device)
    noise = [stream.draw(x.detach(), sampler.extra(U), step) for step in (None, 0, 1)]

    def chain(start: Tensor, h: Tensor) -> Tensor:
        state = sampler.init(start, U, noise[0], 0.5)
        for step in (1, 2):
            state, _ = sampler.step(state, U, h, 0.5, noise[step])
        return state.x

    h = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(chain, (x, h))
    with torch.no_grad():
        assert not chain(x, h).requires_grad


@pytest.mark.parametrize("name", ACCEPTING)
def test_steps_of_a_size_for_each_chain(name: str) -> None:
    """A rule may give (n, 1) step sizes: each chain then moves as it would alone."""
    U, sampler = energies.get("banana"), accepting(name)
    x, stream = normal(4, 2, dtype=torch.float64), Stream(Noise(), torch.device("cpu"))
    noise = stream.draw(x, sampler.extra(U), 0)
    h = torch.tensor([[0.01], [0.1], [0.3], [2.0]], dtype=torch.float64)
    together, info = sampler.step(sampler.init(x, U, noise), U, h, 1.0, noise)
    for chain in range(4):
        one = slice(chain, chain + 1)
        alone = StepNoise(noise.primary[one], tuple(extra[one] for extra in noise.extra))
        state, told = sampler.step(sampler.init(x[one], U, alone), U, float(h[chain]), 1.0, alone)
        torch.testing.assert_close(together.x[one], state.x)
        assert info.acceptance is not None
        torch.testing.assert_close(info.acceptance[one], told.acceptance)


def test_steps_for_counts_the_first_gradient() -> None:
    assert samplers.get("ula").steps_for(10) == 10
    assert samplers.get("mala").steps_for(10) == 9
    assert samplers.get("hmc", num_leapfrog=4).steps_for(10) == 2
    assert samplers.get("random_walk").steps_for(10) == 10
