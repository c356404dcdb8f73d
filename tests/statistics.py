"""Tests of samples against laws: each gives z, the distance from the law in its own standard errors.

A test that uses one says how many samples it has, and shows that a law known to be wrong lies beyond `LIMIT`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor

from lflow.energies.grid import energy_on_grid

# One right sample in 150,000 lies beyond it. The seeds are fixed, so a test that passes keeps passing.
LIMIT = 4.5

Function = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine torch waits milliseconds for its threads at each step, and here steps are small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def z_of_mean(values: Tensor, expected: float | Tensor) -> Tensor:
    """How far the mean of independent values (n, ...) lies from the expected one, for each column."""
    values = values.double()
    return (values.mean(0) - expected) / (values.std(0) / len(values) ** 0.5)


def z_of_variance(values: Tensor, expected: float | Tensor, mean: float | Tensor = 0.0) -> Tensor:
    """How far the variance of independent values about a known mean lies from the expected one."""
    return z_of_mean((values.double() - mean).square(), expected)


def largest(z: Tensor) -> float:
    """The largest |z|; infinite where one is not a number."""
    return float(z.abs().nan_to_num(torch.inf).max())


def z_of_two_samples(a: Tensor, b: Tensor, directions: int = 20) -> float:
    """The largest difference of mean, square and |·| between independent samples (n, d), over directions.

    The axes come first, then random directions. Of 3 (d + `directions`) comparisons the largest.
    """
    dim = a.shape[1]
    random = torch.randn(dim, directions, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    along = torch.cat([torch.eye(dim, dtype=torch.float64), random / random.norm(dim=0)], 1)
    projected = [sample.double() @ along for sample in (a, b)]
    features = [torch.cat([p, p.square(), p.abs()], 1) for p in projected]
    difference = features[0].mean(0) - features[1].mean(0)
    error = sum(f.var(0) / len(f) for f in features)
    return largest(difference / torch.as_tensor(error).sqrt())


def cell_probabilities(
    energy: Function, bounds: Sequence[tuple[float, float]], cells: int, fine: int, temperature: float = 1.0
) -> Tensor:
    """Mass of exp(-U/T) in each of `cells` equal cells along an axis, given that it is in the bounds."""
    values = energy_on_grid(energy, bounds, cells * fine) / temperature
    weight = torch.exp(values.min() - values)
    if len(bounds) == 1:
        mass = weight.reshape(cells, fine).sum(1)
    else:
        mass = weight.reshape(cells, fine, cells, fine).sum((1, 3))
    return (mass / mass.sum()).flatten()


def cell_counts(draws: Tensor, bounds: Sequence[tuple[float, float]], cells: int) -> Tensor:
    """How many draws fall in each cell, as `cell_probabilities` orders them; those outside are left out."""
    low, high = torch.tensor(bounds, dtype=torch.float64).T
    index = ((draws.double() - low) / (high - low) * cells).floor().long()
    index = index[((index >= 0) & (index < cells)).all(1)]
    flat = index[:, 0] if len(bounds) == 1 else index[:, 0] * cells + index[:, 1]
    return torch.bincount(flat, minlength=cells ** len(bounds)).double()


def chi_square_z(counts: Tensor, probabilities: Tensor) -> float:
    """Pearson's χ² in standard errors; cells in which fewer than 8 draws are expected count as one.

    Var χ² = 2(k-1) + (Σ 1/p - k² - 2k + 2)/n for k cells, exactly, whatever the counts.
    """
    total = counts.sum()
    small = probabilities * total < 8
    p = torch.cat([probabilities[~small], probabilities[small].sum()[None]])
    found = torch.cat([counts[~small], counts[small].sum()[None]])
    p, found = p[p > 0], found[p > 0]
    k = len(p)
    statistic = ((found - total * p).square() / (total * p)).sum()
    variance = 2 * (k - 1) + ((1 / p).sum() - k * k - 2 * k + 2) / total
    return float((statistic - (k - 1)) / variance.sqrt())
