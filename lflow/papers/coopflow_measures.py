"""What `coopflow` measures: laws in the plane by a grid, and distances of samples to data.

Knows energies, densities and samples, and nothing of how a model learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lflow import energies
from lflow.energies.grid import cell_centres, energy_on_grid
from lflow.metrics import mmd, sliced_wasserstein2

BANDWIDTH = 0.3
"""σ of the MMD's kernel in the plane, near the width of what the data are made of."""
CELLS = 480
"""Along an axis of the grids on which densities are normalised."""
SHOWN = 80
"""Along an axis of the densities that the figure shows; divides CELLS."""
Box = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class GridLaw:
    """A density in a box of the plane, by the mass of its cells: log of shares that add up to one, (n, n)."""

    box: Box
    log_share: Tensor

    @classmethod
    def of(cls, energy: Callable[[Tensor], Tensor], box: Box) -> GridLaw:
        """The law of density exp(-U)/Z in the box."""
        exponent = -energy_on_grid(energy, box, CELLS)
        return cls(box, exponent - exponent.flatten().logsumexp(0))

    def divergence_from(self, other: GridLaw) -> float:
        """KL(other ‖ this), in nats."""
        return float((other.log_share.exp() * (other.log_share - self.log_share)).sum())

    def draw(self, n: int, seed: int) -> Tensor:
        """n exact draws, (n, 2): a cell by its share, and a place in it."""
        generator = torch.Generator().manual_seed(seed)
        cumulative = self.log_share.exp().flatten().cumsum(0)
        level = torch.rand(n, generator=generator, dtype=torch.float64) * cumulative[-1]
        cell = torch.searchsorted(cumulative, level, right=True).clamp_max(len(cumulative) - 1)
        place = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        index = torch.stack([cell // CELLS, cell % CELLS], 1)
        low, high = torch.tensor(self.box, dtype=torch.float64).T
        return (low + (high - low) * (index + place) / CELLS).float()

    def coarse(self) -> list[float]:
        """Shares of the cells that the figure shows, row by row."""
        fine = CELLS // SHOWN
        shares = self.log_share.exp().reshape(SHOWN, fine, SHOWN, fine).sum((1, 3))
        return [float(f"{share:.3g}") for share in shares.flatten().tolist()]


def histogram(points: Tensor, box: Box) -> list[float]:
    """Shares of points (n, 2) in the cells that the figure shows, row by row."""
    low, high = torch.tensor(box).T
    index = ((points - low) / (high - low) * SHOWN).floor().long()
    index = index[((index >= 0) & (index < SHOWN)).all(1)]
    counts = torch.bincount(index[:, 0] * SHOWN + index[:, 1], minlength=SHOWN**2)
    return (counts / len(points)).tolist()


def box_of(data: str) -> Box:
    """The box in which the law of a data set of points is looked at: the bounds of its energy."""
    return energies.get(data).bounds


def law_of_data(data: str) -> GridLaw:
    """The data's own law."""
    return GridLaw.of(energies.get(data), box_of(data))


def draw_data(data: str, n: int, seed: int) -> Tensor:
    """n points of the data's law that no run has learned from."""
    return energies.get(data).sample(n, torch.Generator().manual_seed(1_000_000 + seed))


def distances(points: Tensor, data: Tensor) -> dict[str, float | None]:
    """MMD and sliced W2 of points to data; None where a point was lost."""
    if not points.isfinite().all():
        return {"mmd": None, "w2": None}
    return {
        "mmd": float(mmd(points, data, BANDWIDTH)),
        "w2": float(sliced_wasserstein2(points, data)),
    }


def centres(box: Box) -> list[list[float]]:
    """The centres of the cells that the figure shows, along each axis."""
    return [axis.tolist() for axis in cell_centres(box, SHOWN)]
