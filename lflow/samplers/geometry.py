"""Langevin in another geometry: on a bounded domain through a mirror map, and with a diagonal metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import NORMAL, Draw, StepNoise
from lflow.samplers.base import Info, Sampler, per_chain, registry, sqrt
from lflow.samplers.langevin import OverdampedState, gradient_draws, noisy_gradient
from lflow.spec import param

_INSIDE = 1e-6  # share of the domain that is kept away from its walls, where the mirror map is infinite


@registry.register("mirror")
@dataclass(frozen=True)
class Mirror(Sampler):
    """Mirror Langevin: a step in the dual coordinates of an entropy, so that chains never leave the domain.

    ∇φ(x') = ∇φ(x) - h ∇U(x) + √(2hT) [∇²φ(x)]^½ ξ

    box: the energy's bounds (or (-reach, reach) where it has none), ∇φ = log((x-a)/(b-x)).
    simplex: x > 0 with Σ x < 1, the rest being the last share, ∇φ_i = log(x_i/(1 - Σ x)).
    Its law is e^{-U/T} on the domain as h → 0. A start outside is moved inside.
    (Hsieh, Kavis, Rolland & Cevher 2018, arXiv 1802.10174; Zhang, Peyré, Fadili & Pereyra 2020)
    """

    title = "Mirror Langevin"
    formula = (
        r"\nabla\varphi(x') = \nabla\varphi(x) - h\,\nabla U(x) "
        r"+ \sqrt{2hT}\,[\nabla^2\varphi(x)]^{1/2}\,\xi"
    )
    reference = "Hsieh, Kavis, Rolland & Cevher 2018, arXiv 1802.10174"
    always_stable = True

    domain: str = param("box", choices=("box", "simplex"), help="where the chains live")
    reach: float = param(
        4.0, 1e-3, 1e6, log=True, advanced=True, help="half the box of an energy without bounds of its own"
    )

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (NORMAL,) if self.domain == "simplex" else ()

    @property
    def restricts_to(self) -> str:  # type: ignore[override]
        return "the simplex" if self.domain == "simplex" else ""

    def _walls(self, x: Tensor, energy: Energy) -> tuple[Any, Any]:
        if not energy.bounds:
            return -self.reach, self.reach
        low, high = energy.constant("walls", x, lambda: torch.tensor(energy.bounds).T)
        return low, high

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> OverdampedState:
        if self.domain == "simplex":
            x = x.clamp_min(_INSIDE)
            total = per_chain(x.flatten(1).sum(1), x)
            x = torch.where(total < 1 - _INSIDE, x, x / (total * (1 + 1 / x[0].numel())))
        else:
            low, high = self._walls(x, energy)
            margin = (high - low) * _INSIDE
            x = torch.maximum(torch.minimum(x, x * 0 + high - margin), x * 0 + low + margin)
        return OverdampedState(x, energy.grad(x))

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        scale = sqrt(2 * h * temperature)
        if self.domain == "simplex":
            x = self._simplex_step(state, h, scale, noise)
        else:
            low, high = self._walls(state.x, energy)
            left, right = state.x - low, high - state.x
            # ∇²φ = 1/(x-a) + 1/(b-x) = (b-a)/((x-a)(b-x)).
            spread = ((high - low) / (left * right)).sqrt()
            dual = torch.log(left / right) - h * state.grad + scale * spread * noise.primary
            # Clamped, not shrunk: a map that is not the inverse of ∇φ would pull every step to the centre.
            x = low + (high - low) * torch.sigmoid(dual).clamp(_INSIDE, 1 - _INSIDE)
        grad = energy.grad(x)
        return OverdampedState(x, grad), Info(gradient_evaluations=1, grad=grad)

    def _simplex_step(self, state: OverdampedState, h: Any, scale: Any, noise: StepNoise) -> Tensor:
        x = state.x.flatten(1)
        rest = 1 - x.sum(1, keepdim=True)
        # ∇²φ = diag(1/x) + 11ᵀ/rest, of which [diag(x^-½), rest^-½ 1] is a square root.
        shared = noise.extra[0].flatten(1)[:, :1] / rest.sqrt()
        spread = noise.primary.flatten(1) / x.sqrt() + shared
        dual = torch.log(x / rest) - h * state.grad.flatten(1) + scale * spread
        shares = torch.cat([dual, torch.zeros_like(rest)], 1).softmax(1).clamp_min(_INSIDE)
        return (shares / shares.sum(1, keepdim=True))[:, :-1].reshape(state.x.shape)


class PreconditionedState(NamedTuple):
    """Positions, the gradient there, the running mean of its square, and Γ, what the next step adds."""

    x: Tensor
    grad: Tensor
    mean_square: Tensor
    gamma: Tensor


@registry.register("psgld")
@dataclass(frozen=True)
class PreconditionedSGLD(Sampler):
    """Preconditioned SGLD: RMSprop's diagonal metric, with the term Γ of a metric that depends on the place.

    x' = x - h (G ∇U(x) - TΓ) + √(2hTG) ξ,  G = 1/(λ + √v),  v = a v₋ + (1 - a)(∇U)²,  Γ_i = ∂G_i/∂x_i

    Γ_i = -(1 - a) G_i² ∂_i U ∂²_i U/√v_i, with the Hessian's diagonal estimated without bias from random
    signs (one Hessian-vector product, counted as a gradient). The rmsprop rule is the same without Γ. The
    law is exact as h → 0 for a = 0. With memory Γ sees only the share 1 - a of how v depends on the place: at
    a = 0.99 the variance on N(0,1) is 1.09, 1.30, 1.75 at h = 0.1, 0.01, 0.001, as far off as without Γ.
    On an energy with data the gradient is a minibatch's, as in SGLD.
    (Li, Chen, Carlson & Carin 2016, arXiv 1512.07666, eq. 4-6)
    """

    title = "Preconditioned SGLD"
    formula = (
        r"x' = x - h\,(G\,\nabla U(x) - T\,\Gamma) + \sqrt{2hTG}\;\xi, \quad "
        r"G = \mathrm{diag}\left(1/(\lambda + \sqrt v)\right), \;\Gamma_i = \partial_i G_i"
    )
    reference = "Li, Chen, Carlson & Carin 2016, arXiv 1512.07666"

    decay: float = param(0.99, 0.0, 0.99999, shown=(0.5, 0.999), help="a, memory of the squared gradient")
    floor: float = param(1e-2, 1e-8, 10.0, log=True, advanced=True, help="λ, keeps the metric finite")
    batch_size: int = param(32, 1, 512, log=True, help="observations in a minibatch, on energies with data")

    @property
    def gradients_per_step(self) -> int:
        return 2

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (NORMAL, *gradient_draws(energy, self.batch_size, gradient_noise=0.0))

    def _at(self, x: Tensor, mean_square: Tensor, energy: Energy, noise: StepNoise) -> PreconditionedState:
        signs = torch.where(noise.extra[0] < 0, -1.0, 1.0).to(x)

        def gradient(point: Tensor) -> Tensor:
            return noisy_gradient(point, energy, noise.extra[1:], gradient_noise=0.0)

        grad = gradient(x)
        curved = energy.hessian_vector(x, signs, gradient if energy.has_data else None)
        mean_square = self.decay * mean_square + (1 - self.decay) * grad.square()
        root = mean_square.sqrt().clamp_min(torch.finfo(x.dtype).tiny)
        metric = 1 / (self.floor + root)
        gamma = -(1 - self.decay) * metric.square() * grad * signs * curved / root
        return PreconditionedState(x, grad, mean_square, gamma)

    def init(
        self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0
    ) -> PreconditionedState:
        return self._at(x, torch.ones_like(x), energy, noise)

    def step(
        self, state: PreconditionedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[PreconditionedState, Info]:
        metric = 1 / (self.floor + state.mean_square.sqrt())
        drift = metric * state.grad - temperature * state.gamma
        x = state.x - h * drift + sqrt(2 * h * temperature * metric) * noise.primary
        new = self._at(x, state.mean_square, energy, noise)
        return new, Info(gradient_evaluations=2, grad=new.grad)
