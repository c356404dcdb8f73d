"""Laws on a line, known by their density on a fine grid: quantiles, masses, and the distance of a sample.

Knows nothing of samplers or papers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class LineLaw:
    """A density at the centres of equal cells, normalised; both float64."""

    points: Tensor
    density: Tensor

    @classmethod
    def from_log(cls, points: Tensor, log_density: Tensor) -> LineLaw:
        """The law whose log density, up to a constant, is given at equally spaced points."""
        weight = torch.exp(log_density - log_density.max())
        return cls(points, weight / (weight.sum() * (points[1] - points[0])))

    @property
    def width(self) -> float:
        """The width of a cell."""
        return float(self.points[1] - self.points[0])

    def at(self, x: Tensor) -> Tensor:
        """The density at x, interpolated; zero outside the grid."""
        found = np.interp(x.double().numpy(), self.points.numpy(), self.density.numpy(), 0.0, 0.0)
        return torch.from_numpy(np.asarray(found))

    def energy(self, x: Tensor) -> Tensor:
        """-log density at (n, 1) points: the law as an energy."""
        return -self.at(x[:, 0]).log()

    def quantile(self, level: Tensor) -> Tensor:
        """The points below which these shares of the mass lie."""
        edges = np.append(self.points.numpy() - self.width / 2, float(self.points[-1]) + self.width / 2)
        cumulative = np.append(0.0, (self.density.cumsum(0) * self.width).numpy())
        return torch.from_numpy(np.interp(level.numpy(), cumulative, edges))

    def w2(self, values: Tensor) -> float:
        """The 2-Wasserstein distance of a sample (n,) to the law: sorted values against its quantiles."""
        level = (torch.arange(len(values), dtype=torch.float64) + 0.5) / len(values)
        return float((values.double().sort().values - self.quantile(level)).square().mean().sqrt())

    def mass(self, inside: Callable[[Tensor], Tensor]) -> float:
        """The mass where a condition on the points holds."""
        return float(self.density[inside(self.points)].sum()) * self.width

    def variance(self) -> float:
        """The variance."""
        mean = (self.points * self.density).sum() * self.width
        return float(((self.points - mean).square() * self.density).sum()) * self.width

    def draw(self, n: int, seed: int) -> Tensor:
        """n exact draws, (n,), float64."""
        generator = torch.Generator().manual_seed(seed)
        return self.quantile(torch.rand(n, generator=generator, dtype=torch.float64))
