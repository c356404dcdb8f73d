"""What `coopflow` measures in the plane: draws of a density on a grid, and distances of samples to data.

Knows energies and samples, and nothing of how a model learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lflow import energies
from lflow.energies.base import Bounds
from lflow.energies.grid import energy_on_grid
from lflow.metrics import mmd, sliced_wasserstein2

BANDWIDTH = 0.2
"""σ of the MMD's kernel, near the width of what the data are made of."""
SHOWN = 80
"""Cells along an axis of the densities that the figure shows, in the data's bounds."""
_FINE = 3
_CELLS = 2 * SHOWN * _FINE  # along an axis of the grid, which is twice as wide


@dataclass(frozen=True)
class GridLaw:
    """exp(-U)/Z in a box twice as wide as the data's bounds, by the shares of its cells."""

    box: Bounds
    shares: Tensor

    @classmethod
    def of(cls, energy: Callable[[Tensor], Tensor], data: str) -> GridLaw:
        """The law of an energy, (n, 2) -> (n,), in float32."""
        box = tuple((1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low) for low, high in box_of(data))
        exponent = -energy_on_grid(lambda x: energy(x.float()).double(), box, _CELLS)
        return cls(box, torch.softmax(exponent.flatten(), 0))

    def draw(self, n: int, seed: int) -> Tensor:
        """n exact draws, (n, 2): a cell by its share, and a place in it."""
        generator = torch.Generator().manual_seed(seed)
        cumulative = self.shares.cumsum(0)
        level = torch.rand(n, generator=generator, dtype=torch.float64) * cumulative[-1]
        cell = torch.searchsorted(cumulative, level, right=True).clamp_max(len(cumulative) - 1)
        place = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        index = torch.stack([cell // _CELLS, cell % _CELLS], 1)
        low, high = torch.tensor(self.box, dtype=torch.float64).T
        return (low + (high - low) * (index + place) / _CELLS).float()

    def shown(self) -> list[float]:
        """Shares of the cells that the figure shows, row by row."""
        edge = _CELLS // 4
        inner = self.shares.reshape(_CELLS, _CELLS)[edge:-edge, edge:-edge]
        cells = inner.reshape(SHOWN, _FINE, SHOWN, _FINE).sum((1, 3)).flatten()
        return [float(f"{share:.3g}") for share in cells.tolist()]


def shares_shown(points: Tensor, data: str) -> list[float]:
    """Shares of points, (n, 2), in the cells that the figure shows, row by row."""
    low, high = torch.tensor(box_of(data)).T
    index = ((points - low) / (high - low) * SHOWN).floor().long()
    index = index[((index >= 0) & (index < SHOWN)).all(1)]
    counts = torch.bincount(index[:, 0] * SHOWN + index[:, 1], minlength=SHOWN**2).double()
    return [round(share, 6) for share in (counts / len(points)).tolist()]


def box_of(data: str) -> Bounds:
    """What a picture of the data shows: the bounds of their energy."""
    return energies.get(data).bounds


def draw_data(data: str, n: int, seed: int) -> Tensor:
    """n points of the data's law that no run has learned from."""
    return energies.get(data).sample(n, torch.Generator().manual_seed(1_000_000 + seed))


def distances(points: Tensor, data: Tensor) -> dict[str, float | None]:
    """MMD and sliced W2 of points to data; None where a point was lost."""
    if not points.isfinite().all():
        return {"mmd": None, "w2": None}
    return {"mmd": float(mmd(points, data, BANDWIDTH)), "w2": float(sliced_wasserstein2(points, data))}
