"""Where each scheme settles: its exact stationary law, computed from its own step, against the theory's.

Laws on a Gaussian and on a line are computed (exact_laws.py), so they have no sampling error; the wrong
schemes that stand beside the right ones are seen at once. The loop is tied to them by runs of 20,000 chains.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lflow import energies, samplers, simulate, steps
from lflow.energies import Energy
from lflow.noise import NORMAL, UNIFORM, Draw, StepNoise
from lflow.samplers import Sampler
from lflow.samplers.geometry import Mirror, PreconditionedSGLD
from lflow.samplers.midpoint import OptimisticRandomizedMidpoint, RandomizedMidpoint
from lflow.steps import SquaredGradient
from tests.exact_laws import density, law_by_quadrature, linear_map, one_step, total_variation, variance
from tests.statistics import (
    LIMIT,
    cell_counts,
    cell_probabilities,
    chi_square_z,
    largest,
    one_thread,  # noqa: F401  (for every test here)
    z_of_mean,
    z_of_variance,
)

N_01 = energies.get("gaussian", dim=1)
WELL = energies.get("double_well", dim=1, barrier=0.5)


class IndependentNoises:
    """Wrong: the noise of the midpoint is not of the path that the step takes."""

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (UNIFORM, NORMAL, NORMAL)

    def step(self, state: Any, energy: Energy, h: Any, temperature: Any, noise: StepNoise) -> Any:
        # The bridge is α √h ξ + √(α(1-α)h) ζ: with another ξ in it only, then the last line is put right.
        alpha, between, other = noise.extra
        there, info = super().step(  # type: ignore[misc]
            state, energy, h, temperature, StepNoise(other, (alpha, between))
        )
        x = there.x + (2 * h * temperature) ** 0.5 * (noise.primary - other)
        grad = energy.grad(x) if isinstance(self, RandomizedMidpoint) else there.grad
        return there._replace(x=x, grad=grad), info


@dataclass(frozen=True)
class WrongRMM(IndependentNoises, RandomizedMidpoint):
    """RMM with independent noises."""


@dataclass(frozen=True)
class WrongORMM(IndependentNoises, OptimisticRandomizedMidpoint):
    """ORMM with independent noises."""


# papers.md, section 1: at h = 0.1, 0.25, 0.5.
TABLE: dict[str, tuple[Sampler, tuple[float, float, float], float]] = {
    "ula": (samplers.get("ula"), (1.0526, 1.1429, 1.3333), 5e-5),
    "proximal": (samplers.get("proximal"), (0.9524, 0.8889, 0.8000), 5e-5),
    "rmm": (samplers.get("rmm"), (1.0002, 1.0033, 1.0345), 5e-5),
    "ormm": (samplers.get("ormm"), (0.9978, 0.9891, 0.9828), 5e-5),
    "srk": (samplers.get("srk"), (0.9983, 0.9891, 0.9573), 5e-5),
    "rmm with independent noises": (WrongRMM(), (1.11, 1.32, 1.86), 0.02),  # simulated there
    "ormm with independent noises": (WrongORMM(), (1.11, 1.27, 1.65), 0.02),
}


@pytest.mark.parametrize("name", TABLE)
def test_stationary_variances_are_those_of_the_table(name: str) -> None:
    sampler, expected, accuracy = TABLE[name]
    for h, value in zip((0.1, 0.25, 0.5), expected, strict=True):
        assert variance(sampler, N_01, h) == pytest.approx(value, abs=accuracy)
        assert variance(sampler, N_01, h, T=2.0) == pytest.approx(2 * variance(sampler, N_01, h))


@pytest.mark.parametrize("name", ["ula", "proximal", "rmm", "ormm", "srk"])
def test_the_loop_gives_them_too(name: str) -> None:
    """20,000 chains at h = ½, the mean square of each over 20 frames: standard error at most 0.006.

    Independent noises are then off by more than a hundred standard errors.
    """

    def squares(sampler: Sampler) -> Tensor:
        start = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
        r = simulate(N_01, sampler, step_size=0.5, init=start, num_steps=60, record_every=1)
        return r.positions[-40::2].double().square().mean(0)

    sampler, expected, _ = TABLE[name]
    assert largest(z_of_mean(squares(sampler), variance(sampler, N_01, 0.5))) < LIMIT
    if name in ("rmm", "ormm"):
        wrong = squares(TABLE[f"{name} with independent noises"][0])
        assert largest(z_of_mean(wrong, expected[2])) > 50


def gaussian(curvature: float, x: Tensor) -> Tensor:
    return curvature * x.square().sum(1) / 2


@pytest.mark.parametrize("h", [0.01, 0.1, 0.5, 1.0, 1.5, 1.99])
def test_leimkuhler_matthews_and_baoab_are_exact_on_a_gaussian(h: float) -> None:
    for curvature in (1.0, 4.0):
        U = energies.from_callable(partial(gaussian, curvature), dim=1)
        steps_of = {"leimkuhler_matthews": h / curvature, "baoab": h / curvature**0.5}
        for name, step in steps_of.items():
            assert variance(samplers.get(name), U, step, T=0.7) == pytest.approx(0.7 / curvature, rel=1e-6)
    for friction in (0.01, 30.0):
        assert variance(samplers.get("baoab", friction=friction), N_01, h) == pytest.approx(1, rel=1e-6)


def test_underdamped_variances_on_a_gaussian() -> None:
    for h, expected in ((0.1, 1.0008), (0.3, 1.0080), (0.6, 1.0385)):
        assert variance(samplers.get("quasi_symplectic"), N_01, h) == pytest.approx(expected, abs=5e-5)
    for h in (0.1, 0.5, 1.5):
        for friction in (0.1, 1.0, 10.0):
            # The leapfrog step keeps (1 - h²/4) x² + p², and refreshment leaves p alone: p is exact.
            assert variance(samplers.get("obabo", friction=friction), N_01, h) == pytest.approx(
                1 / (1 - h * h / 4)
            )


@pytest.mark.parametrize(("h", "friction"), [(0.5, 2.0), (3.0, 5.0), (1e-3, 0.1)])
def test_free_flight_of_ubu_is_exact(h: float, friction: float) -> None:
    """Without a force a step is the Ornstein-Uhlenbeck law over h, position and momentum, whatever h."""
    flat = energies.from_callable(lambda x: 0 * x.sum(1), dim=1)
    M, N = linear_map(samplers.get("ubu", friction=friction), flat, h, 0.7, alpha=0.5)
    kept, t = np.exp(-friction * h), friction * h
    assert M[:2, :2] == pytest.approx(np.array([[1, (1 - kept) / friction], [0, kept]]), rel=1e-9)
    of_x = (2 * t - 3 + 4 * kept - kept**2) / friction**2 if t > 0.01 else 2 / 3 * friction * h**3
    expected = 0.7 * np.array([[of_x, (1 - kept) ** 2 / friction], [(1 - kept) ** 2 / friction, 1 - kept**2]])
    assert (N @ N.T)[:2, :2] == pytest.approx(expected, rel=1e-3)


ORDERS = {
    **dict.fromkeys(("leimkuhler_matthews", "baoab"), np.inf),
    **dict.fromkeys(("ula", "annealed", "proximal"), 1),
    **dict.fromkeys(("srk", "ormm", "obabo", "ubu", "quasi_symplectic"), 2),
    "rmm": 3,
}


@pytest.mark.parametrize("name", ORDERS)
def test_order_of_the_variance_on_a_gaussian(name: str) -> None:
    sampler = samplers.get(name, heat=1.0) if name == "annealed" else samplers.get(name)
    coarse, fine = (variance(sampler, N_01, h) - 1 for h in (0.02, 0.01))
    if ORDERS[name] == np.inf:
        assert abs(fine) < 1e-9
    else:
        assert np.log2(coarse / fine) == pytest.approx(ORDERS[name], abs=0.05)


def bias_on_the_well(name: str, h: float) -> float:
    """E x² at step h, less the exact one, on the double well ½ (x² - 1)² in one dimension."""
    sampler = samplers.get(name, num_inner=40) if name == "proximal" else samplers.get(name)
    kinds = [draw.kind for draw in sampler.extra(WELL)]
    # Leimkuhler-Matthews is Markov before it adds its half of the new noise: x is that plus √(h/2) ξ.
    half = h / 2 if name == "leimkuhler_matthews" else 0.0

    def step(x: Tensor, *draws: Tensor) -> Tensor:
        primary, *others = (draw[:, None] for draw in draws)
        extra = (others[1][:, 0], others[0]) if "uniform" in kinds else tuple(others)
        state = sampler.init(x + half**0.5 * primary, WELL, StepNoise(primary, extra))
        noise = StepNoise(0 * primary if half else primary, extra)
        moved: Tensor = sampler.step(state, WELL, h, 1.0, noise)[0].x
        return moved

    grid = np.linspace(-3.6, 3.6, 361)
    weights = law_by_quadrature(step, grid, 1 + kinds.count("normal"), "uniform" in kinds)
    exact = np.exp(-0.5 * (grid**2 - 1) ** 2)
    return float(weights @ grid**2 + half - (exact * grid**2).sum() / exact.sum())


@pytest.mark.parametrize(
    ("name", "order"),
    [("ula", 1), ("proximal", 1), ("tamed_ula", 1), ("leimkuhler_matthews", 2), ("srk", 2), ("rmm", 2)],
)
def test_order_on_a_double_well(name: str, order: int) -> None:
    """By quadrature. Underdamped schemes and ORMM have a state of two dimensions, and are left out."""
    coarse, fine = (bias_on_the_well(name, h) for h in (0.04, 0.02))
    assert np.log2(abs(coarse / fine)) == pytest.approx(order, abs=0.4)


# Other geometries


class WithoutGamma(PreconditionedSGLD):
    """Wrong: a metric that depends on the state, without the term Γ."""

    def step(self, state: Any, energy: Energy, h: Any, temperature: Any, noise: StepNoise) -> Any:
        return super().step(state._replace(gamma=0 * state.gamma), energy, h, temperature, noise)


class WithoutMetric(Mirror):
    """Wrong: [∇²φ]^½ is replaced by the identity (on the box (-1, 1), and on the simplex)."""

    def step(self, state: Any, energy: Energy, h: Any, temperature: Any, noise: StepNoise) -> Any:
        x = state.x
        root = ((x + 1) * (1 - x) / 2).sqrt() if self.domain == "box" else x.sqrt()
        extra = tuple(0 * draw for draw in noise.extra)
        return super().step(state, energy, h, temperature, StepNoise(noise.primary * root, extra))


@pytest.mark.parametrize("T", [1.0, 0.5])
def test_the_term_gamma_makes_the_law_of_psgld_right(T: float) -> None:
    """Without memory its law on N(0, T) is right to O(h); without Γ, as by the rmsprop rule, it is e^-U/G."""
    x = (np.arange(-700, 700) + 0.5) / 100
    right = np.exp(-(x**2) / 2 / T)
    without = right * (0.5 + np.abs(x))

    def rule_size(grad: Tensor) -> Tensor:
        rule = steps.get("rmsprop", step_size=0.01, decay=0.0, floor=0.5)
        state = SquaredGradient(torch.tensor(0.01).double(), grad.square())
        return rule.step_size_at(state, torch.zeros(()), grad)

    psgld = samplers.get("psgld", decay=0.0, floor=0.5)
    bias = [total_variation(density(one_step(psgld, N_01, h, T), x), right) for h in (0.02, 0.01)]
    assert bias[0] < 0.018
    assert bias[0] / bias[1] == pytest.approx(2, abs=0.2)
    for wrong, h in ((WithoutGamma(decay=0.0, floor=0.5), 0.01), (samplers.get("ula"), rule_size)):
        found = density(one_step(wrong, N_01, h, T), x)
        assert total_variation(found, right) > 0.14
        assert total_variation(found, without) < 0.011


def test_the_mirror_map_of_a_box_keeps_the_law() -> None:
    """A Gaussian cut off at ±1, in the dual coordinate; the error falls more slowly than h near the walls."""
    U = energies.from_callable(lambda x: (2 * (x - 0.5) ** 2 + x).sum(1), dim=1, bounds=((-1, 1),))

    def dual(x: Tensor) -> Tensor:
        return torch.log((1 + x) / (1 - x))

    x = np.tanh(np.linspace(-13, 13, 1001) / 2)
    right = np.exp(-2 * (x - 0.5) ** 2 - x) * (1 + x) * (1 - x)  # times dx/dy
    found = [total_variation(density(one_step(Mirror(), U, h), x, dual), right) for h in (0.1, 0.01, 0.001)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.008
    assert total_variation(density(one_step(WithoutMetric(), U, 0.001), x, dual), right) > 0.15


def dirichlet(x: Tensor) -> Tensor:
    """-log of Dirichlet(2, 3, 4) over the first two shares."""
    return -x[:, 0].log() - 2 * x[:, 1].log() - 3 * (1 - x.sum(1)).log()


def test_the_mirror_map_of_a_simplex_keeps_the_law() -> None:
    """5,000 chains at h = 0.002, 300 steps from exact draws: a variance to 2 %, its bias to 3 %."""
    U = energies.from_callable(dirichlet, dim=2, bounds=((0, 0.5), (0, 0.5)))
    shares = torch.tensor([2.0, 3.0]).double() / 9
    variances = shares * (1 - shares) / 10
    random = np.random.default_rng(0).dirichlet([2.0, 3.0, 4.0], 5_000)
    start = torch.from_numpy(random[:, :2])
    for sampler, right in ((Mirror("simplex"), True), (WithoutMetric("simplex"), False)):
        r = simulate(U, sampler, step_size=0.002, init=start, num_steps=300, record_every=30)
        assert ((r.positions > 0).all() & (r.positions.sum(2) < 1).all()).item()
        end = r.positions[-1].double()
        assert bool(((end.var(0) / variances - 1).abs() < 0.1).all()) == right
        covariance = ((end - shares)[:, 0] * (end - shares)[:, 1]).mean() / -(shares.prod() / 10)
        assert (abs(float(covariance) - 1) < 0.15) == right
        if right:
            assert largest((end.mean(0) - shares) / (variances / 5_000).sqrt()) < LIMIT


# Several temperatures


def test_annealed_cools_by_its_formula() -> None:
    sampler = samplers.get("annealed", heat=16.0, cooling_steps=8)
    flat = energies.from_callable(lambda x: 0 * x.sum(1), dim=1)
    start, noise = torch.zeros(1, 1).double(), StepNoise(torch.ones(1, 1).double())
    state = sampler.init(start, flat, noise)
    for t in range(12):
        new, _ = sampler.step(state, flat, 0.1, 0.5, noise)
        warmth = (new.x - state.x).square() / (2 * 0.1)
        assert float(warmth) == pytest.approx(0.5 * 16 ** max(0, 1 - t / 8))
        state = new


def test_annealed_has_the_variance_of_its_history() -> None:
    """V' = (1 - h)² V + 2hT_t, on 20,000 chains (standard error 1 %), while it cools and after."""
    sampler, h = samplers.get("annealed", cooling_steps=60), 0.1
    start = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    r = simulate(N_01, sampler, step_size=h, init=start, num_steps=120, record_every=40)
    V, expected = 1.0, []
    for t in range(120):
        V = (1 - h) ** 2 * V + 2 * h * 10 ** max(0.0, 1 - t / 60)
        expected.append(V)
    for frame, steps_done in enumerate((40, 80, 120), 1):
        assert largest(z_of_variance(r.positions[frame], expected[steps_done - 1])) < LIMIT
    assert expected[39] > 2.5
    assert expected[-1] == pytest.approx(1 / (1 - h / 2), rel=1e-3)


@cache
def two_modes() -> Energy:
    return energies.get("gaussian_mixture", num_modes=2, radius=3.0, std=0.5)


def test_replica_exchange_crosses_where_mala_alone_does_not() -> None:
    """4,000 chains from one of two modes, 12 widths apart: half is 0.008 by its standard error."""
    start = torch.tensor([3.0, 0.0]) + 0.5 * torch.randn(4_000, 2, generator=torch.Generator().manual_seed(0))
    share = {}
    for name in ("replica_exchange", "mala"):
        end = simulate(two_modes(), name, step_size=0.1, init=start, num_steps=400).positions[-1]
        share[name] = float((end[:, 0] > 0).double().mean())
    assert abs(share["replica_exchange"] - 0.5) < LIMIT * 0.5 / 4_000**0.5
    assert share["mala"] > 0.99


@pytest.mark.parametrize("h", [0.02, 0.2, 1.0])
def test_replica_exchange_has_the_law_of_each_temperature(h: float) -> None:
    """10,000 chains, cell by cell, of a mixture's cold replica; variances of all replicas on a Gaussian."""
    U = two_modes()
    draws = U.sample(10_000, torch.Generator().manual_seed(0))
    end = simulate(U, "replica_exchange", step_size=h, init=draws, num_steps=40).positions[-1]
    bounds, cells = U.bounds, 16
    right, wrong = (cell_probabilities(U, bounds, cells, 16, T) for T in (1.0, 1.1))
    counts = cell_counts(end, bounds, cells)
    assert chi_square_z(counts, right) < LIMIT < chi_square_z(counts, wrong)
    start = torch.randn(10_000, 1, generator=torch.Generator().manual_seed(1))
    r = simulate(N_01, "replica_exchange", step_size=h, init=start, num_steps=int(30 / h**0.9) + 100)
    state = r.checkpoint.carry.state
    for k in range(3):
        assert largest(z_of_variance(state.hot_x[:, k], 2.5 ** (k + 1))) < LIMIT
    assert largest(z_of_variance(state.x, 1.0)) < LIMIT < largest(z_of_variance(state.x, 1.1))


def test_replicas_at_temperature_zero_descend_together() -> None:
    r = simulate(two_modes(), "replica_exchange", step_size=0.1, num_chains=20, num_steps=60, temperature=0)
    values = torch.stack([two_modes()(frame) for frame in r.positions])
    assert r.positions.isfinite().all()
    assert (values.diff(dim=0) <= 1e-5).all()
    state = r.checkpoint.carry.state
    assert torch.equal(state.hot_x, state.x[:, None].expand_as(state.hot_x))
