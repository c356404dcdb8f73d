"""AniLA: each variant against its own law (densities, not moments only), its correction, and its accept step.

b is the threshold, γ = 1/max(1, |∇U|/b). Laws on a line are computed from the step itself (exact_laws.py), so
they have no sampling error, only the scheme's own of order h. The laws of the coded variants hold there only.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import cumulative_trapezoid
from torch import Tensor

from lflow import energies, samplers, simulate, steps
from lflow.energies import Energy
from lflow.noise import Noise, StepNoise
from lflow.samplers import Sampler
from tests.exact_laws import density, one_step, total_variation
from tests.statistics import (
    LIMIT,
    cell_counts,
    chi_square_z,
    largest,
    one_thread,  # noqa: F401  (for every test here)
    z_of_mean,
    z_of_two_samples,
    z_of_variance,
)

N_01 = energies.get("gaussian", dim=1)
B = 0.5
GRID = (np.arange(-700, 700) + 0.5) / 100  # ±b lie between two points: the laws have kinks there
UNCORRECTED = ("paper", "toy_code", "flowers_code", "corrected")
every_variant = pytest.mark.parametrize("variant", [*UNCORRECTED, "metropolis"])


def anila(variant: str, threshold: float = B, **more: Any) -> Sampler:
    return samplers.get("anila", variant=variant, threshold=threshold, **more)


def laws(U: Callable[[np.ndarray], np.ndarray], T: float = 1.0) -> dict[str, np.ndarray]:
    """The closed forms on the grid, not normalised."""
    slope = np.gradient(U(GRID), GRID, edge_order=2)
    steep = np.maximum(1, np.abs(slope) / B)

    def integral(f: np.ndarray) -> np.ndarray:
        found = cumulative_trapezoid(f, GRID, initial=0)
        return found - found.min()

    return {
        "paper": np.exp(-U(GRID) / T) * steep,
        "toy_code": steep**2 * np.exp(-integral(slope * steep) / T),
        "flowers_code": steep**2 * np.exp(-integral(slope * steep**2) / T),
        "corrected": np.exp(-U(GRID) / T),
        "smooth paper": np.exp(-U(GRID) / T) * np.sqrt(1 + (slope / B) ** 2),
        "smooth corrected": np.exp(-U(GRID) / T),
    }


def square(x: np.ndarray) -> np.ndarray:
    half: np.ndarray = x**2 / 2
    return half


def named(name: str) -> Sampler:
    return anila(name.split()[-1], smooth="smooth" in name)


def found_density(name: str, h: float, U: Energy = N_01, T: float = 1.0) -> np.ndarray:
    return density(one_step(named(name), U, h, T), GRID)


@pytest.mark.parametrize("name", laws(square))
def test_each_variant_has_its_own_law(name: str) -> None:
    """Its distance from the law is of order h, and no other law is near."""
    known = laws(square)
    bias = [total_variation(found_density(name, h), known[name]) for h in (0.02, 0.01)]
    assert bias[1] < 0.012
    assert bias[0] / bias[1] == pytest.approx(1.9, abs=0.2)
    for other, law in known.items():
        apart = total_variation(known[name], law)
        assert apart == 0 or apart > 0.03, other
        if apart:
            assert total_variation(found_density(name, 0.01), law) > 0.7 * apart


# papers.md, section 6: th = ½ and h = 0.02 there is h = 0.01 here; variance, P(|x| < ¼), each as h → 0.
TABLE = {
    "ula": (1.0, 0.197),
    "paper": (1.79, 0.109),
    "toy_code": (1.02, 0.109),
    "flowers_code": (0.59, 0.166),
    "corrected": (1.0, 0.197),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_variances_and_of_mass_near_the_mode(name: str) -> None:
    sampler = samplers.get("ula") if name == "ula" else named(name)
    p = density(one_step(sampler, N_01, 0.01), GRID)
    near = p[np.abs(GRID) < 0.25].sum()
    assert p @ GRID**2 == pytest.approx(TABLE[name][0], abs=0.016)
    assert near == pytest.approx(TABLE[name][1], abs=0.003)


def test_the_coded_variance_is_right_by_accident() -> None:
    p, normal = found_density("toy_code", 0.01), laws(square)["corrected"]
    assert p @ GRID**2 == pytest.approx(1, abs=0.03)
    assert total_variation(p, normal) > 0.25
    assert p[np.abs(GRID) < 0.25].sum() < 0.6 * 0.197


@pytest.mark.parametrize("T", [0.5, 2.0])
@pytest.mark.parametrize("name", laws(square))
def test_laws_at_another_temperature_on_a_mixture(name: str, T: float) -> None:
    """Two modes ±1.2 of width 0.6; with T left out of the law it is far off."""

    def mixture(x: Any) -> Any:
        log = torch.log if isinstance(x, Tensor) else np.log
        bumps = [(-((x - m) ** 2) / (2 * 0.36)) for m in (-1.2, 1.2)]
        exp = torch.exp if isinstance(x, Tensor) else np.exp
        return x**2 / 8 - log(exp(bumps[0] + x**2 / 8) + exp(bumps[1] + x**2 / 8))

    U = energies.from_callable(lambda x: mixture(x[:, 0]), dim=1)
    p = found_density(name, 0.004, U, T)
    right, wrong = (total_variation(p, laws(mixture, t)[name]) for t in (T, 1.0))
    assert right < 0.03
    assert wrong > 0.1


@pytest.mark.parametrize("variant", UNCORRECTED)
def test_runs_have_the_law_that_is_computed(variant: str) -> None:
    """20,000 chains at h = 0.1 in 60 cells, against the law at that step; e^-U lies far beyond."""
    sampler = anila(variant)
    p, x = density(one_step(sampler, N_01, 0.1), GRID), torch.from_numpy(GRID)
    random = torch.Generator().manual_seed(0)
    start = x[torch.multinomial(torch.from_numpy(p).clamp_min(0), 20_000, replacement=True, generator=random)]
    r = simulate(N_01, sampler, step_size=0.1, init=start[:, None], num_steps=60, record_every=60)
    counts = cell_counts(r.positions[-1], [(-7.0, 7.0)], 70)
    assert chi_square_z(counts, torch.from_numpy(p).reshape(70, 20).sum(1).clamp_min(0)) < LIMIT
    normal = torch.from_numpy(laws(square)["corrected"])
    assert chi_square_z(counts, (normal / normal.sum()).reshape(70, 20).sum(1)) > LIMIT


@pytest.mark.parametrize(("smooth", "h"), [(False, 2e-4), (True, 2e-4)])
def test_radial_law_on_rings(smooth: bool, h: float) -> None:
    """20,000 chains from the printed law, 300 steps, in 46 shells: e^-U max(1, |∇U|/b), and not e^-U."""
    U = energies.get("rings")
    generator = torch.Generator().manual_seed(0)
    radius = ((torch.arange(4600) + 0.5) / 1000).double()
    at = torch.stack([radius, 0 * radius], 1)
    steep = U.grad(at).norm(dim=1) / 2
    factor = (1 + steep**2).sqrt() if smooth else steep.clamp_min(1)
    plain = torch.exp(-U(at)) * radius
    chosen = torch.multinomial(plain * factor, 20_000, replacement=True, generator=generator)
    angle = 2 * math.pi * torch.rand(20_000, generator=generator)
    start = radius[chosen, None] * torch.stack([angle.cos(), angle.sin()], 1)
    sampler = anila("paper", 2.0, smooth=smooth)
    r = simulate(U, sampler, step_size=h, init=start.float(), num_steps=300, record_every=300)
    counts = cell_counts(r.positions[-1].norm(dim=1)[:, None], [(0.0, 4.6)], 46)
    right, wrong = ((law / law.sum()).reshape(46, 100).sum(1) for law in (plain * factor, plain))
    assert chi_square_z(counts, right) < LIMIT < 20 < chi_square_z(counts, wrong)
    moved = simulate(U, "ula", step_size=h, init=start.float(), num_steps=300, record_every=300).positions[-1]
    assert chi_square_z(cell_counts(moved.norm(dim=1)[:, None], [(0.0, 4.6)], 46), right) > 20, "long enough"


# What it reduces to


@every_variant
@pytest.mark.parametrize("elementwise", [False, True])
@pytest.mark.parametrize("smooth", [False, True])
def test_without_a_threshold_it_is_ula_or_mala(variant: str, elementwise: bool, smooth: bool) -> None:
    sampler = anila(variant, math.inf, elementwise=elementwise, smooth=smooth)
    other = "mala" if variant == "metropolis" else "ula"
    settings: dict[str, Any] = {"step_size": 0.03, "num_steps": 50, "num_chains": 200, "temperature": 0.7}
    for U in (energies.get("banana"), energies.get("rings")):
        a, b = (simulate(U, one, noise=Noise(3), **settings) for one in (sampler, other))
        if variant == "metropolis":  # another order of the same sums
            torch.testing.assert_close(a.acceptance, b.acceptance, rtol=1e-4, atol=1e-5, equal_nan=True)
            torch.testing.assert_close(a.positions, b.positions, rtol=1e-4, atol=1e-4)
        else:
            assert torch.equal(a.positions, b.positions)


@pytest.mark.parametrize("threshold", [0.3, 2.0])
def test_the_printed_algorithm_is_ula_under_the_anisotropic_rule(threshold: float) -> None:
    for name in ("banana", "rings"):
        U = energies.get(name)
        rule = steps.get("anisotropic", step_size=0.05, threshold=threshold)
        settings: dict[str, Any] = {"num_steps": 50, "num_chains": 200, "temperature": 0.7}
        by_rule = simulate(U, "ula", rule, **settings)
        itself = simulate(U, anila("paper", threshold), step_size=0.05, **settings)
        assert torch.equal(by_rule.positions, itself.positions)
        plain = simulate(U, "ula", step_size=0.05, **settings)
        assert not torch.equal(plain.positions, itself.positions)


@every_variant
@pytest.mark.parametrize("smooth", [False, True])
def test_elementwise_takes_each_coordinate_by_itself(variant: str, smooth: bool) -> None:
    """On a product target a step in the plane is two steps on a line, so its law is theirs."""
    plane, line = energies.get("quartic", dim=2), energies.get("quartic", dim=1)
    sampler = anila(variant, elementwise=True, smooth=smooth)
    x, xi = torch.randn(2, 400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # u = 1 accepts everything: one accept step for both coordinates is another than one for each.
    extra = (torch.ones(400).double(),) if variant == "metropolis" else (xi.flip(0),)
    together = sampler.step(
        sampler.init(x, plane, StepNoise(xi, extra)), plane, 0.05, 0.7, StepNoise(xi, extra)
    )
    for i in (0, 1):
        own = StepNoise(xi[:, [i]], tuple(e if e.ndim == 1 else e[:, [i]] for e in extra))
        alone = sampler.step(sampler.init(x[:, [i]], line, own), line, 0.05, 0.7, own)
        torch.testing.assert_close(together[0].x[:, [i]], alone[0].x)


# The correction


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("name", ["banana", "gaussian_mixture", "pinwheel", "from_callable"])
def test_the_correction_is_the_gradient_of_gamma(name: str, smooth: bool) -> None:
    """By autograd, in double precision; element-wise as the mean over both signs of each coordinate."""
    if name == "from_callable":
        U = energies.from_callable(lambda x: (x[:, 0] * x[:, 1]).sin() + (x**4).sum(1) / 4, dim=2)
    else:
        U = energies.get(name)
    x = U.initial(50, torch.Generator().manual_seed(0)).double()

    def gamma(sampler: Any, point: Tensor) -> Tensor:
        # U's own gradient hides a graph from autograd where it is automatic; torch.func does not.
        return sampler.scaling(torch.func.grad(lambda y: U(y).sum())(point))

    scalar, each = (anila("corrected", smooth=smooth, elementwise=e) for e in (False, True))
    expected = torch.func.grad(lambda y: gamma(scalar, y).sum())(x)
    found = scalar.correction(x, U.grad(x), U, StepNoise(x))  # type: ignore[attr-defined]
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    assert (expected.abs() > 1e-3).any(), "it is not all zero"
    rows = [torch.func.grad(lambda y, i=i: gamma(each, y)[:, i].sum())(x)[:, i] for i in (0, 1)]
    found = sum(
        each.correction(x, U.grad(x), U, StepNoise(x, (torch.tensor([[1.0, sign]]).expand_as(x).double(),)))  # type: ignore[attr-defined]
        for sign in (-1.0, 1.0)
    )
    torch.testing.assert_close(found / 2, torch.stack(rows, 1), rtol=1e-6, atol=1e-9)


# The accept step


class WithoutVolumes(Energy):
    """Makes AniLA's accept step wrong: its U(x) - U(y) takes the terms -(d/2) log γ away again."""

    dim, bounds = 2, ((-4.0, 4.0),) * 2

    def __init__(self, energy: Energy, sampler: Any) -> None:
        self.energy, self.sampler = energy, sampler

    def __call__(self, x: Tensor) -> Tensor:
        gamma = self.sampler.scaling(self.energy.grad(x))
        return self.energy(x) - gamma.log().expand_as(x).sum(1) / 2

    def grad(self, x: Tensor) -> Tensor:
        return self.energy.grad(x)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("elementwise", [False, True])
def test_detailed_balance(smooth: bool, elementwise: bool) -> None:
    """π(x) q(y|x) α(x, y) = π(y) q(x|y) α(y, x), with q by torch.distributions; not without -(d/2) log γ."""
    U, h = energies.get("banana"), 0.3
    sampler: Any = anila("metropolis", elementwise=elementwise, smooth=smooth)
    x, xi = torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = x + 0.5 * xi  # near enough that no acceptance underflows

    def flow(V: Energy, a: Tensor, b: Tensor) -> Tensor:
        gamma = sampler.scaling(U.grad(a))
        proposal = torch.distributions.Normal(a - h * gamma * U.grad(a), (2 * h * gamma).sqrt().expand_as(a))
        xi = (b - proposal.mean) / proposal.stddev
        noise = StepNoise(xi, (torch.ones(len(a)).double(),))
        new, info = sampler.step(sampler.init(a, V, noise), V, h, 1.0, noise)
        assert torch.isclose(new.x, b).all(), "u = 1 accepts everything"
        return -U(a) + proposal.log_prob(b).sum(1) + info.acceptance.log()

    torch.testing.assert_close(flow(U, x, y), flow(U, y, x))
    wrong = WithoutVolumes(U, sampler)
    assert ((flow(wrong, x, y) - flow(wrong, y, x)).abs() > 0.1).double().mean() > 0.5


@pytest.mark.parametrize("elementwise", [False, True])
def test_the_accept_step_reaches_the_law(elementwise: bool) -> None:
    """10,000 chains from a start twice too wide, on N(0, I) in the plane: a variance to 1.4 %."""
    U, sampler = energies.get("gaussian"), anila("metropolis", elementwise=elementwise)
    start = 2 * torch.randn(10_000, 2, generator=torch.Generator().manual_seed(0))
    settings: dict[str, Any] = {"step_size": 1.0, "init": start, "num_steps": 150, "record_every": 150}
    end = simulate(U, sampler, **settings).positions[-1]
    assert largest(z_of_variance(end, 1.0)) < LIMIT
    assert largest(z_of_mean(end, 0.0)) < LIMIT
    assert z_of_two_samples(end, start / 2) < LIMIT < z_of_two_samples(end, 1.1 * start / 2)
    wrong = simulate(WithoutVolumes(U, sampler), sampler, **settings).positions[-1]
    assert largest(z_of_variance(wrong, 1.0)) > 2 * LIMIT
