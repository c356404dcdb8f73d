"""Exact draws and starts of every energy, and the measures of tests/statistics.py themselves.

Draws are compared with exp(-U/T) cell by cell: 40,000 of them, a few hundred cells. Draws 5 % too wide or
moved by a twentieth of the bounds fail the same comparison.
"""

import math
from collections.abc import Callable

import pytest
import torch

from lflow import energies
from lflow.energies import Energy
from lflow.energies.base import registry
from lflow.energies.gaussian import Gaussian
from tests.statistics import (
    LIMIT,
    cell_counts,
    cell_probabilities,
    chi_square_z,
    largest,
    one_thread,  # noqa: F401  (for every test here)
    z_of_mean,
    z_of_two_samples,
    z_of_variance,
)
from tests.test_energies import PLANAR, VARIANTS, every_energy, generator

NAMES = energies.names()
LINES = ["gaussian", "student_t", "double_well", "quartic", "logistic_regression"]


def compare_with_density(U: Energy, temperature: float, fine: int = 16) -> tuple[float, float, float]:
    """z of the draws, of draws 5 % too wide (10 % for the heaviest tails), and of draws moved to the side."""
    cells = 20 if U.dim == 2 else 200
    p = cell_probabilities(U, U.bounds, cells, fine, temperature)
    draws = U.sample(40_000, generator(1), temperature)
    low, high = torch.tensor(U.bounds).T
    # Student's t is then of half a degree of freedom: it has no mean, and its width is hard to see.
    factor = 1.1 if U.name == "student_t" and temperature == 2 else 1.05
    wider, moved = draws.median(0).values.lerp(draws, factor), draws + 0.05 * (high - low)
    z = [chi_square_z(cell_counts(x, U.bounds, cells), p) for x in (draws, wider, moved)]
    return z[0], z[1], z[2]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", [*NAMES, *PLANAR])
def test_draws_in_the_plane(name: str, temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # A quarter of the cells: quicker, and still far below what 40,000 draws can see.
    monkeypatch.setattr(registry.get_class("rings").__bases__[0], "grid_size", 384)
    right, wider, moved = compare_with_density(VARIANTS[name](), temperature)
    assert abs(right) < LIMIT < min(wider, moved)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("name", LINES)
def test_draws_on_a_line(name: str, temperature: float) -> None:
    right, wider, moved = compare_with_density(energies.get(name, dim=1), temperature)
    assert abs(right) < LIMIT < min(wider, moved)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_draws_in_many_dimensions(temperature: float) -> None:
    """10,000 draws; variances to 1.4 %, so that 10 % off is seen."""
    T, n = temperature, 10_000
    U = Gaussian(dim=10, condition_number=100.0, angle=30.0)
    draws = U.sample(n, generator(), T).double()
    turned = draws @ torch.linalg.eigh(U.covariance).eigenvectors
    expected = T * torch.linalg.eigvalsh(U.covariance)
    assert largest(z_of_variance(turned, expected)) < LIMIT < largest(z_of_variance(turned, 1.1 * expected))
    student = energies.get("student_t", dim=4, dof=21.0)
    dof = (21 + 4) / T - 4
    draws = student.sample(n, generator(), T)
    expected = 21 / (dof - 2)
    assert largest(z_of_variance(draws, expected)) < LIMIT < largest(z_of_variance(draws, 1.1 * expected))
    funnel = energies.get("funnel", dim=3, scale=1.0).sample(n, generator(), T).double()
    v = funnel[:, 2]
    assert abs(float(z_of_mean(v, T - 1))) < LIMIT < abs(float(z_of_mean(v, T - 0.9)))
    assert largest(z_of_variance(funnel[:, :2] * torch.exp(-v / 2)[:, None], T)) < LIMIT
    quartic = energies.get("quartic", dim=3, scale=2.0).sample(n, generator(), T)
    assert largest(z_of_mean(2 * quartic**4, T / 4)) < LIMIT < largest(z_of_mean(2 * quartic**4, 1.1 * T / 4))
    well = energies.get("double_well", dim=3).sample(n, generator(), T)
    assert largest(z_of_variance(well[:, 1:], T)) < LIMIT < largest(z_of_variance(well[:, 1:], 1.1 * T))


def test_draws_are_refused_where_there_are_none() -> None:
    with pytest.raises(ValueError, match="no exact sampler in 3 dimensions"):
        energies.from_callable(lambda x: x.square().sum(1), dim=3).sample(5)
    assert not energies.get("logistic_regression", dim=3).has_exact_sampler
    for name in NAMES:
        for temperature in (0.0, -1.0, math.nan):
            with pytest.raises(ValueError, match="temperature above 0"):
                energies.get(name).sample(5, temperature=temperature)
    with pytest.raises(ValueError, match="no finite mass at temperature 2"):
        energies.get("student_t", dof=1.0).sample(5, temperature=2.0)


@every_energy
def test_draws_and_starts_follow_the_generator(make: Callable[[], Energy]) -> None:
    U = make()
    draw = [U.initial, U.sample] if U.has_exact_sampler else [U.initial]
    for function in draw:
        first, again, other = (function(50, generator(seed)) for seed in (1, 1, 2))
        assert (first.shape, first.dtype) == ((50, U.dim), torch.float32)
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert function(1, generator()).shape == (1, U.dim)
    start = U.initial(5_000, generator())
    if U.start is None:
        low, high = torch.tensor(U.bounds).T
        assert ((start >= low) & (start <= high)).all()
        assert largest(z_of_mean(start, (low + high).double() / 2)) < LIMIT
    else:
        mean, std = U.start
        assert largest(z_of_mean(start, torch.tensor(mean).double())) < LIMIT
        assert largest(z_of_variance(start, std**2, torch.tensor(mean))) < LIMIT


def test_the_measures_themselves() -> None:
    """10,000 normal draws against their own law, and against one 5 % wider or 0.06 to the side."""
    x = torch.randn(10_000, 2, generator=generator(3), dtype=torch.float64)
    y = torch.randn(10_000, 2, generator=generator(4), dtype=torch.float64)
    assert largest(z_of_mean(x, 0.0)) < LIMIT < largest(z_of_mean(x, 0.06))
    assert largest(z_of_variance(x, 1.0)) < LIMIT < largest(z_of_variance(x, 1.05**2))
    assert z_of_two_samples(x, y) < LIMIT < z_of_two_samples(x, 1.1 * y)
