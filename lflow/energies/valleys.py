"""Bent and narrowing valleys: Gaussians seen through a map of unit determinant or known Jacobian."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lflow.energies.base import Bounds, Energy, registry
from lflow.spec import param


@registry.register("banana")
@dataclass(frozen=True)
class Banana(Energy):
    """A bent Gaussian: x ~ N(0, scale²), y ~ N(bend·(x² - scale²), 1).

    U = x²/(2 scale²) + ½ (y - bend·(x² - scale²))²; the bend keeps volume, so log_z is the Gaussian's.
    """

    title = "Banana"
    formula = r"U = \tfrac{x^2}{2 s^2} + \tfrac12 \left(y - b\,(x^2 - s^2)\right)^2"
    dim = 2

    bend: float = param(0.5, 0.0, 5.0, shown=(0.0, 1.0), help="b, how much the valley bends")
    scale: float = param(2.0, 0.1, 10.0, log=True, shown=(0.5, 3.0), help="s, half the length of the valley")

    @property
    def log_z(self) -> float:  # type: ignore[override]
        return math.log(2 * math.pi * self.scale)

    @property
    def bounds(self) -> Bounds:
        s, b = self.scale, self.bend
        return ((-3.2 * s, 3.2 * s), (-b * s * s - 4.0, b * (2.6**2 - 1) * s * s + 4.0))

    def _offset(self, x: Tensor) -> Tensor:
        return x[:, 1] - self.bend * (x[:, 0].square() - self.scale**2)

    def __call__(self, x: Tensor) -> Tensor:
        return x[:, 0].square() / (2 * self.scale**2) + 0.5 * self._offset(x).square()

    def grad(self, x: Tensor) -> Tensor:
        offset = self._offset(x)
        along = x[:, 0] / self.scale**2 - 2 * self.bend * x[:, 0] * offset
        return torch.stack([along, offset], 1)

    def _draw_at(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        x, y = temperature**0.5 * torch.randn(2, n, generator=generator, dtype=torch.float64)
        x = self.scale * x
        return torch.stack([x, y + self.bend * (x.square() - self.scale**2)], 1)


@registry.register("funnel")
@dataclass(frozen=True)
class Funnel(Energy):
    """Neal's funnel: v ~ N(0, scale²) and the other coordinates ~ N(0, eᵛ). v is the last axis.

    U = v²/(2 scale²) + |x|²e⁻ᵛ/2 + (dim - 1) v/2. (Neal 2003, Annals of Statistics 31, 705)
    """

    title = "Neal's funnel"
    formula = r"U = \tfrac{v^2}{2 s^2} + \tfrac12 |x|^2 e^{-v} + \tfrac{d-1}{2}\, v"

    scale: float = param(2.0, 0.1, 5.0, shown=(0.5, 3.0), help="s, the spread of v: wider, narrower neck")
    dim: int = param(2, 2, 1000, shown=(2, 3), advanced=True, help="number of dimensions")

    @property
    def start(self) -> tuple[tuple[float, ...], float]:  # type: ignore[override]
        return (0.0,) * self.dim, 0.5

    @property
    def log_z(self) -> float:  # type: ignore[override]
        return self.dim / 2 * math.log(2 * math.pi) + math.log(self.scale)

    @property
    def bounds(self) -> Bounds:
        return (((-10.0, 10.0),) * (self.dim - 1)) + ((-3.5 * self.scale, 3.0 * self.scale),)

    def __call__(self, x: Tensor) -> Tensor:
        v = x[:, -1]
        width = x[:, :-1].square().sum(1) * torch.exp(-v) / 2
        return v.square() / (2 * self.scale**2) + width + (self.dim - 1) / 2 * v

    def grad(self, x: Tensor) -> Tensor:
        v, others = x[:, -1:], x[:, :-1]
        scaled = others * torch.exp(-v)
        along = v / self.scale**2 - (others * scaled).sum(1, keepdim=True) / 2 + (self.dim - 1) / 2
        return torch.cat([scaled, along], 1)

    def _draw_at(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        # The other coordinates integrate to a power of T eᵛ, and T shifts v by what exp(-U/T) lacks of it.
        normal = temperature**0.5 * torch.randn(n, self.dim, generator=generator, dtype=torch.float64)
        v = self.scale * normal[:, -1:] + self.scale**2 * (self.dim - 1) * (temperature - 1) / 2
        return torch.cat([normal[:, :-1] * torch.exp(v / 2), v], 1)


@registry.register("squiggle")
@dataclass(frozen=True)
class Squiggle(Energy):
    """A Gaussian on a wavy line: (x, y + sin(frequency·x)) ~ N(0, [[2, ¼], [¼, ½]]).

    The shear keeps volume, so log_z is the Gaussian's.
    """

    title = "Squiggle"
    formula = r"U = \tfrac12\, u^\top \Sigma^{-1} u, \quad u = (x,\; y + \sin(\omega x))"
    dim = 2
    frequency: float = param(5.0, 0.0, 20.0, shown=(0.0, 10.0), help="ω, waves along the valley")

    _covariance = ((2.0, 0.25), (0.25, 0.5))

    @property
    def log_z(self) -> float:  # type: ignore[override]
        (a, b), (_, c) = self._covariance
        return math.log(2 * math.pi) + 0.5 * math.log(a * c - b * b)

    @property
    def bounds(self) -> Bounds:
        return ((-5.0, 5.0), (-4.0, 4.0))

    def _tables(self) -> tuple[Tensor, ...]:
        return (torch.linalg.inv(torch.tensor(self._covariance, dtype=torch.float64)),)

    def _unbent(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, 0], x[:, 1] + torch.sin(self.frequency * x[:, 0])], 1)

    def __call__(self, x: Tensor) -> Tensor:
        u = self._unbent(x)
        return 0.5 * (u * (u @ self.tables(x)[0])).sum(1)

    def grad(self, x: Tensor) -> Tensor:
        along, across = (self._unbent(x) @ self.tables(x)[0]).unbind(1)
        slope = self.frequency * torch.cos(self.frequency * x[:, 0])
        return torch.stack([along + across * slope, across], 1)

    def _draw_at(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        factor = torch.linalg.cholesky(temperature * torch.tensor(self._covariance, dtype=torch.float64))
        u = torch.randn(n, 2, generator=generator, dtype=torch.float64) @ factor.T
        return torch.stack([u[:, 0], u[:, 1] - torch.sin(self.frequency * u[:, 0])], 1)
