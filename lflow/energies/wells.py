"""Wells and barriers, and the quartic on which an explicit step diverges."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lflow.energies.base import Bounds, Energy, registry
from lflow.spec import param


@registry.register("double_well")
@dataclass(frozen=True)
class DoubleWell(Energy):
    """Two wells at x = ±1 with a barrier between them; the other coordinates are standard normal.

    U = barrier·(x² - 1)² + tilt·x + ½ Σ y².
    """

    title = "Double well"
    formula = r"U = a\,(x^2 - 1)^2 + c\,x + \tfrac12 |y|^2"

    barrier: float = param(3.0, 0.1, 100.0, log=True, shown=(0.5, 20.0), help="a, the height of the barrier")
    tilt: float = param(0.0, -5.0, 5.0, shown=(-2.0, 2.0), help="c, makes one well deeper")
    dim: int = param(2, 1, 1000, shown=(1, 2), advanced=True, help="number of dimensions")

    @property
    def start(self) -> tuple[tuple[float, ...], float]:  # type: ignore[override]
        return (-1.0,) + (0.0,) * (self.dim - 1), 0.2

    @property
    def bounds(self) -> Bounds:
        return ((-2.2, 2.2),) + ((-3.5, 3.5),) * (self.dim - 1)

    @property
    def modes(self) -> Tensor:
        # Minima: the outer real roots of dU/dx = 4a x³ - 4a x + c.
        roots = np.roots([4 * self.barrier, 0.0, -4 * self.barrier, self.tilt])
        real = sorted(float(root.real) for root in roots if abs(root.imag) < 1e-9)
        minima = [root for root in real if 3 * root * root > 1]
        return torch.tensor([[x] + [0.0] * (self.dim - 1) for x in minima])

    def __call__(self, x: Tensor) -> Tensor:
        first = x[:, 0]
        well = self.barrier * (first.square() - 1).square() + self.tilt * first
        return well + 0.5 * x[:, 1:].square().sum(1)

    def grad(self, x: Tensor) -> Tensor:
        first = x[:, :1]
        slope = 4 * self.barrier * first * (first.square() - 1) + self.tilt
        return torch.cat([slope, x[:, 1:]], 1)

    def _draw_at(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        reach = 4 * max(1.0, temperature) ** 0.25
        grid = torch.linspace(-reach, reach, 200_001, dtype=torch.float64)
        exponent = -(self.barrier * (grid.square() - 1).square() + self.tilt * grid) / temperature
        cumulative = torch.exp(exponent - exponent.max()).cumsum(0)
        level = torch.rand(n, generator=generator, dtype=torch.float64) * cumulative[-1]
        first = grid[torch.searchsorted(cumulative, level).clamp_max(len(grid) - 1)]
        others = temperature**0.5 * torch.randn(n, self.dim - 1, generator=generator, dtype=torch.float64)
        return torch.cat([first[:, None], others], 1)


@registry.register("muller_brown")
@dataclass(frozen=True)
class MullerBrown(Energy):
    """The Müller-Brown surface of chemistry: three minima, two saddles, a winding path between them.

    U = scale · Σ_k A_k exp(a_k (x-x_k)² + b_k (x-x_k)(y-y_k) + c_k (y-y_k)²).
    (Müller & Brown 1979, Theoretica Chimica Acta 53, 75)
    """

    title = "Müller-Brown"
    formula = r"U = s \sum_k A_k\, e^{a_k (x-x_k)^2 + b_k (x-x_k)(y-y_k) + c_k (y-y_k)^2}"
    dim = 2
    start = ((-0.55, 1.45), 0.05)

    scale: float = param(0.05, 0.001, 1.0, log=True, shown=(0.01, 0.2), help="s, the height of the barriers")

    @property
    def bounds(self) -> Bounds:
        return ((-1.6, 1.3), (-0.6, 2.1))

    @property
    def modes(self) -> Tensor:
        return torch.tensor([[-0.5582, 1.4417], [-0.0500, 0.4667], [0.6235, 0.0280]])

    def _tables(self) -> tuple[Tensor, ...]:
        # Rows: A, a, b, c, x0, y0.
        table = [
            [-200.0, -100.0, -170.0, 15.0],
            [-1.0, -1.0, -6.5, 0.7],
            [0.0, 0.0, 11.0, 0.6],
            [-10.0, -10.0, -6.5, 0.7],
            [1.0, 0.0, -0.5, -1.0],
            [0.0, 0.5, 1.5, 1.0],
        ]
        return torch.tensor(table, dtype=torch.float64).unbind(0)

    def _terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, a, b, c, x0, y0 = self.tables(x)
        dx, dy = x[:, :1] - x0, x[:, 1:] - y0
        return height * torch.exp(a * dx.square() + b * dx * dy + c * dy.square()), dx, dy

    def __call__(self, x: Tensor) -> Tensor:
        return self.scale * self._terms(x)[0].sum(1)

    def grad(self, x: Tensor) -> Tensor:
        _, a, b, c, _, _ = self.tables(x)
        term, dx, dy = self._terms(x)
        along_x = (term * (2 * a * dx + b * dy)).sum(1)
        along_y = (term * (b * dx + 2 * c * dy)).sum(1)
        return self.scale * torch.stack([along_x, along_y], 1)


@registry.register("quartic")
@dataclass(frozen=True)
class Quartic(Energy):
    """U = scale · Σ x⁴: the gradient grows faster than any line, and a far explicit step diverges."""

    title = "Quartic"
    formula = r"U = a \sum_i x_i^4"

    scale: float = param(1.0, 0.01, 100.0, log=True, shown=(0.1, 10.0), help="a, steepness")
    dim: int = param(2, 1, 1000, shown=(1, 2), advanced=True, help="number of dimensions")

    @property
    def log_z(self) -> float:  # type: ignore[override]
        return self.dim * (math.log(2) + math.lgamma(1.25) - 0.25 * math.log(self.scale))

    @property
    def bounds(self) -> Bounds:
        reach = 2.0 * self.scale**-0.25
        return ((-reach, reach),) * self.dim

    def __call__(self, x: Tensor) -> Tensor:
        return self.scale * x.square().square().sum(1)

    def grad(self, x: Tensor) -> Tensor:
        return 4 * self.scale * x * x.square()

    def _draw_at(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        # scale·x⁴/T ~ Gamma(¼, 1). PyTorch's Gamma takes no generator, NumPy's does.
        random = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        size = (random.gamma(0.25, 1.0, (n, self.dim)) * temperature / self.scale) ** 0.25
        return torch.from_numpy(size * random.choice([-1.0, 1.0], (n, self.dim)))
