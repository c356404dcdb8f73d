"""Schemes that survive steep energies: the implicit (proximal) step, and the tamed explicit one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import StepNoise
from lflow.samplers.base import Info, Sampler, per_chain, registry, sqrt
from lflow.samplers.langevin import OverdampedState
from lflow.spec import param


class ProximalState(NamedTuple):
    """Positions, the gradient there, and each chain's last inner step, a share of h: the next one's first."""

    x: Tensor
    grad: Tensor
    inner_step: Tensor


@registry.register("proximal")
@dataclass(frozen=True)
class Proximal(Sampler):
    """Proximal Langevin: the gradient is taken where the step ends.

    x' = x - h ∇U(x') + √(2hT) ξ = prox_{hU}(y),  y = x + √(2hT) ξ

    x' minimises U(z) + |z - y|²/2h, solved by `num_inner` gradient steps of Barzilai and Borwein's length,
    each chain with its own; the gradients are counted. Its variance on N(0,1) is 1/(1 + h/2). On a convex U
    every h is stable; on another, keep h below 1/L.
    (Bernton 2018, arXiv 1802.08671; Wibisono 2019)
    """

    title = "Proximal"
    formula = r"x' = x - h\,\nabla U(x') + \sqrt{2hT}\;\xi"
    reference = "Bernton 2018, arXiv 1802.08671"
    always_stable = True
    start_gradients = 1
    follows_flow = True

    num_inner: int = param(10, 1, 200, shown=(1, 50), help="gradient steps of the inner solver")

    @property
    def gradients_per_step(self) -> int:
        return self.num_inner

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> ProximalState:
        return ProximalState(x, energy.grad(x), per_chain(torch.full_like(x.flatten(1)[:, 0], 1e-3), x))

    def step(
        self, state: ProximalState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[ProximalState, Info]:
        y = state.x + sqrt(2 * h * temperature) * noise.primary
        z, grad = state.x, state.grad
        slope = grad + (z - y) / h
        share = state.inner_step
        for _ in range(self.num_inner):
            moved = -share * h * slope
            z = z + moved
            grad = energy.grad(z)
            new_slope = grad + (z - y) / h
            share = barzilai_borwein(moved, new_slope - slope, share, h)
            slope = new_slope
        return ProximalState(z, grad, share), Info(gradient_evaluations=self.num_inner, grad=grad)


def barzilai_borwein(moved: Tensor, turned: Tensor, last: Tensor, h: Any) -> Tensor:
    """The share s·y/(y·hy) ≤ 1 of each chain, s the last move, y how the slope turned; the last one at rest.

    Measured by h, so that coordinates may have steps of their own.
    """
    along = per_chain((moved * turned).flatten(1).sum(1), moved)
    square = per_chain((h * turned.square()).flatten(1).sum(1), moved)
    tiny = torch.finfo(moved.dtype).tiny
    share = torch.where((along > tiny) & (square > tiny), along / square.clamp_min(tiny), last)
    return share.clamp_max(1.0)


@registry.register("tamed_ula")
@dataclass(frozen=True)
class TamedULA(Sampler):
    """Tamed ULA: the drift of a step never exceeds length 1, however steep the energy; the noise is ULA's.

    x' = x - h ∇U(x)/(1 + h|∇U(x)|) + √(2hT) ξ

    Stable at every step; the law is right in the limit h → 0.
    (Brosse, Durmus, Moulines & Sabanis 2019, arXiv 1710.05559)
    """

    title = "Tamed ULA"
    formula = r"x' = x - \frac{h\,\nabla U(x)}{1 + h\,|\nabla U(x)|} + \sqrt{2hT}\;\xi"
    reference = "Brosse, Durmus, Moulines & Sabanis 2019, arXiv 1710.05559"
    gaussian_proposal = True
    always_stable = True
    follows_flow = True

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> OverdampedState:
        return OverdampedState(x, energy.grad(x))

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        norm = per_chain(torch.linalg.vector_norm(state.grad.flatten(1), dim=1), state.x)
        drift = h * state.grad / (1 + h * norm)
        x = state.x - drift + sqrt(2 * h * temperature) * noise.primary
        grad = energy.grad(x)
        return OverdampedState(x, grad), Info(gradient_evaluations=1, grad=grad)
