"""Densities on a grid in one and two dimensions, and exact draws from them.

Knows an energy only as a function on points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_CHUNK = 1 << 16


def cell_centres(bounds: Sequence[tuple[float, float]], size: int) -> list[Tensor]:
    """The centres of `size` equal cells along each axis, float64."""
    offsets = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    return [low + (high - low) * offsets for low, high in bounds]


def energy_on_grid(
    energy: Callable[[Tensor], Tensor], bounds: Sequence[tuple[float, float]], size: int
) -> Tensor:
    """U at the cell centres, (size,) or (size, size) with index [x, y], float64."""
    axes = cell_centres(bounds, size)
    points = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    with torch.no_grad():
        values = torch.cat([energy(chunk) for chunk in points.split(_CHUNK)])
    return values.reshape([size] * len(axes))


def density_on_grid(
    energy: Callable[[Tensor], Tensor],
    bounds: Sequence[tuple[float, float]],
    size: int,
    temperature: float = 1.0,
) -> Tensor:
    """exp(-U/T) at the cell centres, normalised to mass one in the bounds. Index [x, y]."""
    exponent = -energy_on_grid(energy, bounds, size) / temperature
    exponent = torch.where(exponent.isnan(), -torch.inf, exponent)
    weight = torch.exp(exponent - exponent.max())
    volume = math.prod((high - low) / size for low, high in bounds)
    return weight / (weight.sum() * volume)


class GridSampler:
    """Exact draws from exp(-U/T) by the inverse distribution function on a fine grid of `size` cells an axis.

    The box is the bounds grown by half on every side, so that tails beyond the picture are drawn too.
    The density is constant in a cell: its relative error is of order (cell / feature)² / 24.
    """

    def __init__(
        self,
        energy: Callable[[Tensor], Tensor],
        bounds: Sequence[tuple[float, float]],
        size: int,
        temperature: float = 1.0,
    ) -> None:
        self.box = [(low - (high - low) / 2, high + (high - low) / 2) for low, high in bounds]
        self.size = size
        self.cumulative = density_on_grid(energy, self.box, size, temperature).flatten().cumsum(0)

    def __call__(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws, (n, dim), float64."""
        level = torch.rand(n, generator=generator, dtype=torch.float64) * self.cumulative[-1]
        cell = torch.searchsorted(self.cumulative, level, right=True).clamp_max(len(self.cumulative) - 1)
        within = torch.rand(n, len(self.box), generator=generator, dtype=torch.float64)
        index = torch.stack([cell // self.size, cell % self.size] if len(self.box) == 2 else [cell], dim=1)
        low, high = torch.tensor(self.box, dtype=torch.float64).T
        return low + (high - low) * (index + within) / self.size
