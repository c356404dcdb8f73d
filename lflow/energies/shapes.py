"""Pictures as energies: rings, moons, a pinwheel, a checkerboard, a spiral. All in the plane."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lflow.energies.base import Bounds, Energy, registry
from lflow.energies.gaussian import IsotropicMixture
from lflow.spec import param


@registry.register("rings")
@dataclass(frozen=True)
class Rings(Energy):
    """Concentric rings of equal mass, each a Gaussian ridge of the same width.

    U(x) = -log Σ_k w_k exp(-(|x| - r_k)²/(2 width²)), normalised (log_z = 0), r_k = k·spacing, with w_k
    such that every ring holds the same mass: ∫ w_k exp(..) dx = 2π w_k ∫ r exp(..) dr = 1/num_rings.
    """

    title = "Rings"
    formula = r"U = -\log \sum_k w_k\, e^{-(|x| - r_k)^2 / 2\sigma^2}"
    dim = 2
    log_z = 0.0

    width: float = param(0.15, 0.02, 1.0, log=True, shown=(0.05, 0.5), help="σ, the width of a ring")
    num_rings: int = param(4, 1, 12, shown=(1, 6), help="number of rings")
    spacing: float = param(1.0, 0.2, 5.0, shown=(0.5, 2.0), advanced=True, help="distance between rings")

    @property
    def radii(self) -> Tensor:
        """r_k, (num_rings,), float64."""
        return self.spacing * torch.arange(1, self.num_rings + 1, dtype=torch.float64)

    @property
    def bounds(self) -> Bounds:
        reach = self.spacing * self.num_rings + 4 * self.width + 0.2
        return ((-reach, reach), (-reach, reach))

    def _log_weights(self) -> Tensor:
        radii, s = self.radii, self.width
        # ∫₀^∞ r exp(-(r - R)²/2s²) dr in closed form.
        tail = s * s * torch.exp(-radii.square() / (2 * s * s))
        body = radii * s * math.sqrt(math.pi / 2) * (1 + torch.erf(radii / (s * math.sqrt(2))))
        return -torch.log(2 * math.pi * self.num_rings * (tail + body))

    def _tables(self) -> tuple[Tensor, ...]:
        return self.radii[:, None], self._log_weights()[:, None]

    def _logits(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # (num_rings, n): over a short last axis torch's softmax is thirty times slower than over the first.
        radii, log_weights = self.tables(x)
        radius = torch.linalg.vector_norm(x, dim=1)
        offset = radius - radii
        return log_weights - offset.square() / (2 * self.width**2), offset, radius

    def __call__(self, x: Tensor) -> Tensor:
        return -self._logits(x)[0].logsumexp(0)

    def grad(self, x: Tensor) -> Tensor:
        logits, offset, radius = self._logits(x)
        slope = (logits.softmax(0) * offset).sum(0) / self.width**2
        # At the centre the direction is undefined and the slope is given to none.
        return slope[:, None] * x / radius.clamp_min(torch.finfo(x.dtype).tiny)[:, None]

    def _draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        radius = torch.linspace(0, float(self.radii[-1]) + 10 * self.width, 200_001, dtype=torch.float64)
        offset = radius[:, None] - self.radii
        weight = radius * (self._log_weights() - offset.square() / (2 * self.width**2)).exp().sum(1)
        cumulative = weight.cumsum(0)
        level = torch.rand(n, generator=generator, dtype=torch.float64) * cumulative[-1]
        drawn = radius[torch.searchsorted(cumulative, level).clamp_max(len(radius) - 1)]
        angle = 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.float64)
        return drawn[:, None] * torch.stack([angle.cos(), angle.sin()], 1)


@registry.register("two_moons")
@dataclass(frozen=True)
class TwoMoons(Energy):
    """Two crescents of one circle. (Rezende & Mohamed 2015, arXiv 1505.05770, table 1, potential 1)

    U = ½ ((|x| - 2)/0.4)² - log(exp(-½ ((x₁-2)/0.6)²) + exp(-½ ((x₁+2)/0.6)²)).
    """

    title = "Two moons"
    formula = (
        r"U = \tfrac12 \left(\tfrac{|x| - 2}{0.4}\right)^2 - "
        r"\log \left( e^{-\frac12 (\frac{x_1 - 2}{0.6})^2} + e^{-\frac12 (\frac{x_1 + 2}{0.6})^2} \right)"
    )
    dim = 2

    @property
    def bounds(self) -> Bounds:
        return ((-4.0, 4.0), (-4.0, 4.0))

    @property
    def modes(self) -> Tensor:
        return torch.tensor([[-2.0, 0.0], [2.0, 0.0]])

    def __call__(self, x: Tensor) -> Tensor:
        ring = ((torch.linalg.vector_norm(x, dim=1) - 2) / 0.4).square() / 2
        left, right = ((x[:, 0] + 2) / 0.6).square() / 2, ((x[:, 0] - 2) / 0.6).square() / 2
        return ring - torch.logaddexp(-left, -right)

    def grad(self, x: Tensor) -> Tensor:
        radius = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        around = (radius - 2) / 0.16 * x / radius.clamp_min(torch.finfo(x.dtype).tiny)
        # d/dx of -log(e^-l + e^-r): the mean offset is x - 2·tanh(2·x·2/0.36 / 2).
        first = (x[:, 0] - 2 * torch.tanh(2 * x[:, 0] / 0.36)) / 0.36
        return torch.stack([around[:, 0] + first, around[:, 1]], 1)


@registry.register("pinwheel")
@dataclass(frozen=True)
class Pinwheel(Energy):
    """Gaussian arms, twisted by an angle that grows with the radius. The twist keeps volume: log_z = 0.

    p(x) = 1/K Σ_k N(R(-θ_k - twist·|x|) x; (2, 0), diag(0.6², 0.12²)).
    """

    title = "Pinwheel"
    formula = r"p = \tfrac1K \sum_k \mathcal{N}\left(R(-\theta_k - \tau |x|)\, x;\; m, D\right)"
    dim = 2
    log_z = 0.0

    num_arms: int = param(5, 2, 12, shown=(2, 8), help="number of arms")
    twist: float = param(0.6, -3.0, 3.0, shown=(-1.0, 1.0), help="τ, turn of an arm per unit of radius")

    _centre, _along, _across = 2.0, 0.6, 0.12

    @property
    def bounds(self) -> Bounds:
        return ((-4.5, 4.5), (-4.5, 4.5))

    def _angles(self) -> Tensor:
        return 2 * math.pi * torch.arange(self.num_arms, dtype=torch.float64) / self.num_arms

    @property
    def modes(self) -> Tensor:
        angle = self._angles() + self.twist * self._centre
        return (self._centre * torch.stack([angle.cos(), angle.sin()], 1)).float()

    def _tables(self) -> tuple[Tensor, ...]:
        return (self._angles(),)

    def __call__(self, x: Tensor) -> Tensor:
        angle = self.tables(x)[0] + self.twist * torch.linalg.vector_norm(x, dim=1, keepdim=True)
        cos, sin = angle.cos(), angle.sin()
        u, v = cos * x[:, :1] + sin * x[:, 1:], -sin * x[:, :1] + cos * x[:, 1:]
        exponent = ((u - self._centre) / self._along).square() / 2 + (v / self._across).square() / 2
        constant = math.log(self.num_arms * 2 * math.pi * self._along * self._across)
        return constant - (-exponent).logsumexp(1)

    def _draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        u, v = torch.randn(2, n, generator=generator, dtype=torch.float64)
        u, v = self._centre + self._along * u, self._across * v
        arm = torch.randint(self.num_arms, (n,), generator=generator)
        angle = self._angles()[arm] + self.twist * torch.hypot(u, v)
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([cos * u - sin * v, sin * u + cos * v], 1)


@registry.register("checkerboard")
@dataclass(frozen=True)
class Checkerboard(Energy):
    """Eight squares of a board of side 8, with soft edges and soft walls.

    U = softplus(-k·sin(πx/2)·sin(πy/2)) + 10 Σ max(|x_i| - 4, 0)².
    """

    title = "Checkerboard"
    formula = r"U = \log\left(1 + e^{-k \sin(\pi x/2) \sin(\pi y/2)}\right) + 10 \sum_i (|x_i| - 4)_+^2"
    dim = 2

    sharpness: float = param(8.0, 0.5, 100.0, log=True, shown=(1.0, 50.0), help="k, how hard the edges are")

    @property
    def bounds(self) -> Bounds:
        return ((-4.6, 4.6), (-4.6, 4.6))

    @property
    def modes(self) -> Tensor:
        ticks = (-3.0, -1.0, 1.0, 3.0)
        board = [(x, y) for x in ticks for y in ticks]
        return torch.tensor(
            [p for p in board if math.sin(math.pi * p[0] / 2) * math.sin(math.pi * p[1] / 2) > 0]
        )

    def __call__(self, x: Tensor) -> Tensor:
        board = torch.sin(math.pi / 2 * x).prod(1)
        walls = 10 * (x.abs() - 4).clamp_min(0).square().sum(1)
        return torch.nn.functional.softplus(-self.sharpness * board) + walls

    def grad(self, x: Tensor) -> Tensor:
        sin, cos = torch.sin(math.pi / 2 * x), torch.cos(math.pi / 2 * x)
        slope = -self.sharpness * torch.sigmoid(-self.sharpness * sin.prod(1, keepdim=True))
        walls = 20 * (x.abs() - 4).clamp_min(0) * x.sign()
        return slope * (math.pi / 2) * cos * sin.flip(1) + walls


@registry.register("spiral")
@dataclass(frozen=True)
class Spiral(IsotropicMixture):
    """A spiral of overlapping round Gaussians, equally spaced along its length; normalised.

    U(x) = -log (1/m) Σ_k N(x; c(t_k), width² I), c(t) = 0.3 t (cos t, sin t), t from 1 to 2π·turns.
    """

    title = "Spiral"
    formula = r"U = -\log \tfrac1m \sum_k \mathcal{N}(x;\, c(t_k), \sigma^2 I)"

    width: float = param(0.2, 0.1, 1.0, log=True, shown=(0.1, 0.5), help="σ, the width of the arm")
    turns: float = param(2.0, 0.5, 4.0, shown=(1.0, 3.0), help="number of turns")

    dim = 2

    @property
    def means(self) -> Tensor:
        t = torch.linspace(1.0, 2 * math.pi * self.turns, 4096, dtype=torch.float64)
        curve = 0.3 * t[:, None] * torch.stack([t.cos(), t.sin()], 1)
        length = torch.cat([torch.zeros(1), curve.diff(dim=0).norm(dim=1).cumsum(0)])
        count = max(8, math.ceil(float(length[-1]) / (1.25 * self.width)))
        wanted = torch.linspace(0, float(length[-1]), count, dtype=torch.float64)
        return curve[torch.searchsorted(length, wanted).clamp_max(4095)]

    @cached_property
    def cost(self) -> float:  # type: ignore[override]
        return max(1.0, len(self.means) / 10)

    @property
    def weights(self) -> Tensor:
        count = len(self.means)
        return torch.full((count,), 1 / count, dtype=torch.float64)

    @property
    def component_std(self) -> float:
        return self.width

    @property
    def bounds(self) -> Bounds:
        reach = 0.3 * 2 * math.pi * self.turns + 4 * self.width
        return ((-reach, reach), (-reach, reach))
