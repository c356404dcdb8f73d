"""The Kullback-Leibler divergence on a grid: closed forms, its floor, and what it refuses."""

import math

import pytest
import torch
from torch import Tensor

import lflow
from lflow.metrics import kl_floor, kl_on_grid

LINE = [(-6.0, 6.0)]
PLANE = [(-5.0, 5.0), (-5.0, 5.0)]


def bowl(x: Tensor) -> Tensor:
    """The energy of a standard normal."""
    return x.square().sum(1) / 2


def normals(n: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shift", [0.5, 1.0])
def test_of_a_shifted_normal(shift: float) -> None:
    found = kl_on_grid(normals(400_000, 1) + shift, bowl, LINE, cells=120)
    # KL(N(m, 1), N(0, 1)) = m²/2; 1e-4 is the plug-in floor, and the standard error is m/√n.
    assert float(found) == pytest.approx(shift**2 / 2, abs=4.5 * shift / 400_000**0.5 + 4e-4)


def test_of_a_wide_normal_in_the_plane() -> None:
    scale = 1.2
    found = kl_on_grid(scale * normals(400_000, 2), bowl, PLANE, cells=50)
    # Two coordinates of ½(s² - 1) - log s; the cells are fine enough for the second digit.
    assert float(found) == pytest.approx(scale**2 - 1 - 2 * math.log(scale), rel=0.03)


@pytest.mark.parametrize(("dim", "bounds", "cells"), [(1, LINE, 64), (2, PLANE, 24)])
def test_exact_samples_lie_on_the_floor(dim: int, bounds: list[tuple[float, float]], cells: int) -> None:
    n = 5000
    floor, spread = kl_floor(bowl, n, bounds, cells)
    found = torch.stack([kl_on_grid(normals(n, dim, seed), bowl, bounds, cells) for seed in range(10)])
    assert abs(float(found.mean() - floor)) < 4.5 * float(spread) * (1 / 10 + 1 / 20) ** 0.5
    assert 0 < float(spread) < float(floor) < (cells**dim - 1) / (2 * n)


def test_of_an_energy_with_exact_draws() -> None:
    rings = lflow.energies.get("rings")
    generator = torch.Generator().manual_seed(1)
    right, wrong = rings.sample(20_000, generator), rings.sample(20_000, generator) * 1.05
    floor, spread = kl_floor(rings, 20_000, rings.bounds, 48)
    assert abs(float(kl_on_grid(right, rings, rings.bounds, 48) - floor)) < 4.5 * float(spread)
    assert float(kl_on_grid(wrong, rings, rings.bounds, 48)) > 5 * float(floor)


def test_points_outside_are_left_out_and_empty_cells_are_infinitely_wrong() -> None:
    inside = normals(1000, 1).clamp(-5.9, 5.9)
    with_stray = torch.cat([inside, torch.full((50, 1), 99.0)])
    assert torch.equal(kl_on_grid(with_stray, bowl, LINE), kl_on_grid(inside, bowl, LINE))
    assert kl_on_grid(inside[:, 0], bowl, LINE) == kl_on_grid(inside, bowl, LINE)
    half = kl_on_grid(inside, lambda x: torch.where(x[:, 0] > 0, 0.0, torch.inf), LINE)
    assert half == math.inf


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="as many dimensions"):
        kl_on_grid(normals(10, 3), bowl, [(-1.0, 1.0)] * 3)
    with pytest.raises(ValueError, match="as many dimensions"):
        kl_on_grid(normals(10, 1), bowl, PLANE)
    with pytest.raises(ValueError, match="1 samples are not finite"):
        kl_on_grid(torch.tensor([0.0, math.nan]), bowl, LINE)
    with pytest.raises(ValueError, match="none of the samples"):
        kl_on_grid(torch.full((3, 1), 50.0), bowl, LINE)
    with pytest.raises(ValueError, match="at least 2 repeats"):
        kl_floor(bowl, 10, LINE, repeats=1)
