"""Densities on a grid in one and two dimensions, and exact draws from them.

Knows an energy only as a function on points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_CHUNK = 1 << 16
# The outer ring of the box, an eighth of its width on each side, may hold this share of the mass.
_COARSE, _RING, _RING_MASS = 192, 24, 1e-4
_MOST_DOUBLINGS = 4


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


class GridSampler:
    """Exact draws from exp(-U/T) by the inverse distribution function on a fine grid of `size` cells an axis.

    The box is the bounds, doubled until its outer ring holds next to nothing, so that tails beyond the
    picture are drawn too. The density is constant in a cell: its relative error is of order
    (cell / feature)² / 24. `log_z` is log ∫ exp(-U/T) over the box.

    Raises:
        ValueError: the mass reaches too far for a grid.
    """

    def __init__(
        self,
        energy: Callable[[Tensor], Tensor],
        bounds: Sequence[tuple[float, float]],
        size: int,
        temperature: float = 1.0,
    ) -> None:
        self.box = _box_of_the_mass(energy, bounds, temperature)
        grown = (self.box[0][1] - self.box[0][0]) / (bounds[0][1] - bounds[0][0])
        self.size = size * min(4 if len(bounds) == 1 else 2, round(grown / 2))
        weight, self.log_z = _weights(energy, self.box, self.size, temperature)
        self.cumulative = weight.flatten().cumsum(0)

    def __call__(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws, (n, dim), float64."""
        level = torch.rand(n, generator=generator, dtype=torch.float64) * self.cumulative[-1]
        cell = torch.searchsorted(self.cumulative, level, right=True).clamp_max(len(self.cumulative) - 1)
        within = torch.rand(n, len(self.box), generator=generator, dtype=torch.float64)
        index = torch.stack([cell // self.size, cell % self.size] if len(self.box) == 2 else [cell], dim=1)
        low, high = torch.tensor(self.box, dtype=torch.float64).T
        return low + (high - low) * (index + within) / self.size


def _weights(
    energy: Callable[[Tensor], Tensor],
    box: Sequence[tuple[float, float]],
    size: int,
    temperature: float,
) -> tuple[Tensor, float]:
    """exp(-U/T) at the cell centres, one at its peak; and log of its integral over the box."""
    exponent = -energy_on_grid(energy, box, size) / temperature
    exponent = torch.where(exponent.isnan(), -torch.inf, exponent)
    weight = torch.exp(exponent - exponent.max())
    volume = math.prod((high - low) / size for low, high in box)
    return weight, float(exponent.max() + torch.log(weight.sum() * volume))


def _box_of_the_mass(
    energy: Callable[[Tensor], Tensor], bounds: Sequence[tuple[float, float]], temperature: float
) -> list[tuple[float, float]]:
    for doublings in range(1, _MOST_DOUBLINGS + 1):
        reach = 2 ** (doublings - 1)
        box = [(m - reach * w, m + reach * w) for m, w in (((a + b) / 2, b - a) for a, b in bounds)]
        weight, _ = _weights(energy, box, _COARSE, temperature)
        inner = weight[(slice(_RING, -_RING),) * len(box)]
        if float(1 - inner.sum() / weight.sum()) < _RING_MASS:
            return box
    raise ValueError(
        f"at temperature {temperature:g} the mass reaches beyond {2**_MOST_DOUBLINGS} times the bounds, "
        "too far for exact draws on a grid"
    )
