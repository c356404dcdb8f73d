"""Gaussians, mixtures of them, and their heavy-tailed cousin: all about them is known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lflow.energies.base import Bounds, Energy, registry
from lflow.spec import param


@registry.register("gaussian")
@dataclass(frozen=True)
class Gaussian(Energy):
    """A Gaussian with variances spread geometrically from 1 down to 1/condition_number.

    U(x) = ½ xᵀ Σ⁻¹ x, so L = condition_number; `angle` turns the plane of the first two axes.

    Example:
        >>> lflow.energies.get("gaussian", dim=10, condition_number=100.0)
    """

    title = "Gaussian"
    formula = r"U(x) = \tfrac12\, x^\top \Sigma^{-1} x"

    dim: int = param(2, 1, 1000, shown=(1, 2), advanced=True, help="number of dimensions")
    condition_number: float = param(
        1.0, 1.0, 1e6, log=True, shown=(1.0, 1000.0), help="largest over smallest variance: a narrow valley"
    )
    angle: float = param(0.0, -180.0, 180.0, unit="°", advanced=True, help="turn of the first two axes")

    @property
    def variances(self) -> Tensor:
        """The variances along the unturned axes, (dim,), float64."""
        exponent = torch.linspace(0, 1, self.dim, dtype=torch.float64) if self.dim > 1 else torch.zeros(1)
        return self.condition_number ** -exponent.double()

    @property
    def covariance(self) -> Tensor:
        """Σ, (dim, dim), float64."""
        turn = self._turn()
        return turn @ torch.diag(self.variances) @ turn.T

    def _turn(self) -> Tensor:
        turn = torch.eye(self.dim, dtype=torch.float64)
        if self.dim > 1 and self.angle:
            c, s = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
            turn[:2, :2] = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
        return turn

    @property
    def log_z(self) -> float:  # type: ignore[override]
        return self.dim / 2 * math.log(2 * math.pi) + 0.5 * float(self.variances.log().sum())

    @property
    def bounds(self) -> Bounds:
        return ((-4.0, 4.0),) * self.dim

    @property
    def curvature(self) -> float:
        return self.condition_number if self.dim > 1 else 1.0

    def _tables(self) -> tuple[Tensor, ...]:
        if self.angle:
            return (torch.linalg.inv(self.covariance),)
        return (1 / self.variances,)

    def grad(self, x: Tensor) -> Tensor:
        (precision,) = self.tables(x)
        return x @ precision if precision.ndim == 2 else x * precision

    def __call__(self, x: Tensor) -> Tensor:
        return 0.5 * (x * self.grad(x)).sum(-1)

    def _draw_at(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        draws = torch.randn(n, self.dim, generator=generator, dtype=torch.float64)
        return draws * (temperature * self.variances).sqrt() @ self._turn().T


class IsotropicMixture(Energy):
    """U(x) = -log Σ_k w_k N(x; μ_k, σ² I), normalised. A subclass gives `means`, `weights` and `std`."""

    log_z = 0.0

    @property
    def means(self) -> Tensor:
        """μ, (m, dim), float64."""
        raise NotImplementedError

    @property
    def weights(self) -> Tensor:
        """w, (m,), float64, summing to one."""
        raise NotImplementedError

    @property
    def component_std(self) -> float:
        """σ of each component."""
        raise NotImplementedError

    def _tables(self) -> tuple[Tensor, ...]:
        means, variance = self.means, self.component_std**2
        constant = self.weights.log() - means.shape[1] / 2 * math.log(2 * math.pi * variance)
        return means, means / variance, (constant - means.square().sum(1) / (2 * variance))[:, None]

    def _logits(self, x: Tensor) -> Tensor:
        # log w_k N(x; μ_k, σ²) up to -|x|²/2σ², which all components share. (m, n): over a short last axis
        # torch's softmax is thirty times slower than over the first.
        _, scaled_means, constant = self.tables(x)
        return torch.addmm(constant, scaled_means, x.T)

    def __call__(self, x: Tensor) -> Tensor:
        return x.square().sum(-1) / (2 * self.component_std**2) - self._logits(x).logsumexp(0)

    def grad(self, x: Tensor) -> Tensor:
        means, *_ = self.tables(x)
        expected_mean = self._logits(x).softmax(0).T @ means
        return (x - expected_mean) / self.component_std**2

    def value_and_grad(self, x: Tensor) -> tuple[Tensor, Tensor]:
        means, *_ = self.tables(x)
        logits = self._logits(x)
        shares = logits.softmax(0)
        # log Σ exp(logits), from the share of the largest: a logsumexp takes longer than all of this.
        total = logits.amax(0) - shares.amax(0).log()
        value = x.square().sum(-1) / (2 * self.component_std**2) - total
        return value, (x - shares.T @ means) / self.component_std**2

    def _draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        component = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.dim, generator=generator, dtype=torch.float64)
        return self.means[component] + self.component_std * noise


@registry.register("gaussian_mixture")
@dataclass(frozen=True)
class GaussianMixture(IsotropicMixture):
    """Equal round Gaussians on a ring, a grid or at random; the weights may fall geometrically.

    U(x) = -log Σ_k w_k N(x; μ_k, σ² I), normalised: log_z = 0.

    Example:
        >>> lflow.energies.get("gaussian_mixture", num_modes=8, std=0.5)
    """

    title = "Gaussian mixture"
    formula = r"U(x) = -\log \sum_k w_k\, \mathcal{N}(x;\, \mu_k, \sigma^2 I)"
    dim = 2
    start = ((0.0, 0.0), 0.5)

    num_modes: int = param(8, 1, 64, shown=(1, 16), help="number of modes")
    std: float = param(0.5, 0.05, 5.0, log=True, shown=(0.1, 2.0), help="σ, the width of each mode")
    layout: str = param("ring", choices=("ring", "grid", "random"), help="where the modes lie")
    radius: float = param(4.0, 0.5, 20.0, shown=(1.0, 8.0), advanced=True, help="distance of the outer modes")
    weight_ratio: float = param(
        1.0, 1.0, 1000.0, log=True, advanced=True, help="weight of the heaviest mode over the lightest"
    )

    @property
    def means(self) -> Tensor:
        if self.layout == "grid":
            return self._grid_means()
        if self.layout == "random":
            generator = torch.Generator().manual_seed(7)
            box = 2 * torch.rand(self.num_modes, 2, generator=generator, dtype=torch.float64) - 1
            return self.radius * box
        if self.num_modes == 1:
            return torch.zeros(1, 2, dtype=torch.float64)
        angle = 2 * math.pi * torch.arange(self.num_modes, dtype=torch.float64) / self.num_modes
        return self.radius * torch.stack([angle.cos(), angle.sin()], 1)

    def _grid_means(self) -> Tensor:
        side = math.ceil(math.sqrt(self.num_modes))
        ticks = self.radius * torch.linspace(-1, 1, side, dtype=torch.float64) if side > 1 else torch.zeros(1)
        return torch.cartesian_prod(ticks.double(), ticks.double())[: self.num_modes]

    @property
    def weights(self) -> Tensor:
        steps = torch.linspace(0, 1, self.num_modes, dtype=torch.float64)
        weights = self.weight_ratio**-steps
        return weights / weights.sum()

    @property
    def component_std(self) -> float:
        return self.std

    @property
    def modes(self) -> Tensor:
        return self.means.float()

    @property
    def bounds(self) -> Bounds:
        reach = self.radius + 3 * self.std
        return ((-reach, reach), (-reach, reach))


@registry.register("student_t")
@dataclass(frozen=True)
class StudentT(Energy):
    """Student's t in `dim` dimensions: heavy tails, where the gradient dies out.

    U(x) = (ν + d)/2 · log(1 + |x|²/ν).
    """

    title = "Student t"
    formula = r"U(x) = \tfrac{\nu + d}{2} \log\left(1 + |x|^2/\nu\right)"

    dof: float = param(
        3.0, 0.5, 100.0, log=True, shown=(1.0, 30.0), help="ν, degrees of freedom: fewer, heavier"
    )
    dim: int = param(2, 1, 1000, shown=(1, 2), advanced=True, help="number of dimensions")

    @property
    def log_z(self) -> float:  # type: ignore[override]
        nu, d = self.dof, self.dim
        return math.lgamma(nu / 2) - math.lgamma((nu + d) / 2) + d / 2 * math.log(nu * math.pi)

    @property
    def bounds(self) -> Bounds:
        return ((-8.0, 8.0),) * self.dim

    @property
    def curvature(self) -> float:
        return (self.dof + self.dim) / self.dof

    def __call__(self, x: Tensor) -> Tensor:
        return (self.dof + self.dim) / 2 * torch.log1p(x.square().sum(-1) / self.dof)

    def grad(self, x: Tensor) -> Tensor:
        return (self.dof + self.dim) * x / (self.dof + x.square().sum(-1, keepdim=True))

    def _draw_at(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        # exp(-U/T) is a t distribution again, of fewer or more degrees of freedom.
        dof = (self.dof + self.dim) / temperature - self.dim
        if dof <= 0:
            raise ValueError(
                f"exp(-U/T) has no finite mass at temperature {temperature:g}: its tails are too heavy"
            )
        normal = torch.randn(n, self.dim, generator=generator, dtype=torch.float64)
        # PyTorch's Gamma takes no generator, NumPy's does.
        import numpy as np

        seed = int(torch.randint(2**62, (1,), generator=generator))
        chi_square = torch.from_numpy(np.random.default_rng(seed).chisquare(dof, (n, 1)))
        return normal * (self.dof / chi_square).sqrt()
