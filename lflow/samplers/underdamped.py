"""Underdamped Langevin: positions with a momentum that friction and noise keep at temperature T.

dx = p dt, dp = -∇U(x) dt - γ p dt + √(2γT) dW, split in four ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import NORMAL, Draw, StepNoise
from lflow.samplers.base import Info, Sampler, registry, sqrt
from lflow.spec import param


class UnderdampedState(NamedTuple):
    """Positions, momenta (of unit mass), and the last gradient: there, or in the middle of the step."""

    x: Tensor
    momentum: Tensor
    grad: Tensor


def exp(value: Any) -> Any:
    """Exponential of a number or a tensor."""
    return torch.exp(value) if isinstance(value, Tensor) else math.exp(value)


def leap(x: Tensor, p: Tensor, grad: Tensor, h: Any) -> tuple[Tensor, Tensor]:
    """Half a kick and a drift, a leapfrog step but for its last half kick: p - (h/2)∇U(x), then x + h p."""
    p = p - (h / 2) * grad
    return x + h * p, p


def leapfrog(
    x: Tensor, p: Tensor, grad: Tensor, h: Any, gradient: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """A leapfrog step from (x, p) with ∇U(x): (x', p', ∇U(x')), so that K steps take K + 1 gradients."""
    x, p = leap(x, p, grad, h)
    grad = gradient(x)
    return x, p - (h / 2) * grad, grad


def refreshed(p: Tensor, kept: Any, spread: Any, xi: Tensor) -> Tensor:
    """Friction and noise: kept p + spread ξ. With spread² = T(1 - kept²) it is reversible under N(0, T)."""
    refreshment: Tensor = kept * p + spread * xi
    return refreshment


def quasi_symplectic(
    x: Tensor, p: Tensor, gradient: Callable[[Tensor], Tensor], h: Any, friction: Any, push: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """A quasi-symplectic step from (x, p), whose noise is `push`: (x', p', the gradient in its middle)."""
    kept = exp(-friction * h / 2)
    p = kept * p
    x = x + (h / 2) * p
    grad = gradient(x)
    p = p - h * grad + push
    return x + (h / 2) * p, kept * p, grad


@registry.register("baoab")
@dataclass(frozen=True)
class BAOAB(Sampler):
    """Underdamped Langevin by the splitting BAOAB: kick, drift, friction with noise, drift, kick.

    p ← p - (h/2)∇U(x);  x ← x + (h/2)p;  p ← e^{-γh} p + √(T(1 - e^{-2γh})) ξ;  x ← x + (h/2)p;
    p ← p - (h/2)∇U(x)

    On a Gaussian the variance of the position is exact at every stable step, h < 2/√L.
    (Leimkuhler & Matthews 2013, arXiv 1203.5428)
    """

    title = "BAOAB"
    formula = (
        r"\text{B: } p - \tfrac h2 \nabla U(x) \quad \text{A: } x + \tfrac h2 p \quad "
        r"\text{O: } e^{-\gamma h} p + \sqrt{T(1 - e^{-2\gamma h})}\;\xi"
    )
    reference = "Leimkuhler & Matthews 2013, arXiv 1203.5428"
    family = "underdamped"
    edge_formula = "2/√L"

    friction: float = param(
        1.0, 0.001, 1000.0, log=True, shown=(0.03, 30.0), help="γ, how fast momentum fades"
    )

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> UnderdampedState:
        return UnderdampedState(x, sqrt(temperature) * noise.primary, energy.grad(x))

    def step(
        self, state: UnderdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[UnderdampedState, Info]:
        kept = exp(-self.friction * h)
        p = state.momentum - (h / 2) * state.grad
        x = state.x + (h / 2) * p
        p = refreshed(p, kept, sqrt(temperature * (1 - kept * kept)), noise.primary)
        x = x + (h / 2) * p
        grad = energy.grad(x)
        p = p - (h / 2) * grad
        return UnderdampedState(x, p, grad), Info(gradient_evaluations=1, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature**0.5


@registry.register("obabo")
@dataclass(frozen=True)
class OBABO(Sampler):
    """Underdamped Langevin by the splitting OBABO: half a refreshment, a leapfrog step, half a refreshment.

    p ← e^{-γh/2} p + √(T(1 - e^{-γh})) ξ;  p ← p - (h/2)∇U(x);  x ← x + h p;  p ← p - (h/2)∇U(x);
    p ← e^{-γh/2} p + √(T(1 - e^{-γh})) ξ'

    The leapfrog in the middle is reversible and the refreshment exact, so the chain has a reverse kernel.
    (Bussi & Parrinello 2007, arXiv 0803.4083)
    """

    title = "OBABO"
    formula = (
        r"\text{O: } e^{-\gamma h/2} p + \sqrt{T(1 - e^{-\gamma h})}\;\xi \quad "
        r"\text{B: } p - \tfrac h2 \nabla U(x) \quad \text{A: } x + h p"
    )
    reference = "Bussi & Parrinello 2007, arXiv 0803.4083"
    family = "underdamped"
    edge_formula = "2/√L"

    friction: float = param(
        1.0, 0.001, 1000.0, log=True, shown=(0.03, 30.0), help="γ, how fast momentum fades"
    )

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (NORMAL,)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> UnderdampedState:
        return UnderdampedState(x, sqrt(temperature) * noise.primary, energy.grad(x))

    def step(
        self, state: UnderdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[UnderdampedState, Info]:
        kept = exp(-self.friction * h / 2)
        spread = sqrt(temperature * (1 - kept * kept))
        p = refreshed(state.momentum, kept, spread, noise.primary)
        x, p, grad = leapfrog(state.x, p, state.grad, h, energy.grad)
        p = refreshed(p, kept, spread, noise.extra[0])
        return UnderdampedState(x, p, grad), Info(gradient_evaluations=1, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature**0.5


@registry.register("ubu")
@dataclass(frozen=True)
class UBU(Sampler):
    """Underdamped Langevin by the splitting UBU: free flight with friction and noise, solved exactly, around
    one kick.

    U: half a step of dx = p dt, dp = -γp dt + √(2γT) dW;  B: p ← p - h∇U(x);  U again

    One gradient a step, taken in the middle; strong order two.
    (Sanz-Serna & Zygalakis 2021, arXiv 2104.12384)
    """

    title = "UBU"
    formula = (
        r"\text{U: } \mathrm{d}x = p\,\mathrm{d}t,\; \mathrm{d}p = -\gamma p\,\mathrm{d}t "
        r"+ \sqrt{2\gamma T}\,\mathrm{d}W \;(h/2) \quad \text{B: } p - h\,\nabla U(x)"
    )
    reference = "Sanz-Serna & Zygalakis 2021, arXiv 2104.12384"
    family = "underdamped"

    friction: float = param(
        2.0, 0.001, 1000.0, log=True, shown=(0.03, 30.0), help="γ, how fast momentum fades"
    )

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (NORMAL, NORMAL, NORMAL)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> UnderdampedState:
        return UnderdampedState(x, sqrt(temperature) * noise.primary, energy.grad(x))

    def step(
        self, state: UnderdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[UnderdampedState, Info]:
        first, second, third = noise.extra
        flight = self._flight(h / 2, sqrt(temperature), state.x)
        x, p = fly(state.x, state.momentum, flight, noise.primary, first)
        grad = energy.grad(x)
        p = p - h * grad
        x, p = fly(x, p, flight, second, third)
        return UnderdampedState(x, p, grad), Info(gradient_evaluations=1, grad=grad)

    def _flight(self, t: Any, scale: Any, like: Tensor) -> tuple[Tensor, ...]:
        """What a free flight over a time t keeps of the momentum, how far it goes, and its two noises."""
        friction = self.friction
        # In double precision: the variance of the position is a small difference, of order (γt)³.
        t = torch.as_tensor(t, dtype=torch.float64)
        once, twice = -torch.expm1(-friction * t), -torch.expm1(-2 * friction * t)
        share = (2 * once - twice) / friction / twice.sqrt()
        variance = (2 * friction * t - 4 * once + twice) / friction**2
        rest = (variance - share.square()).clamp_min(0.0).sqrt()
        numbers = (1 - once, once / friction, twice.sqrt() * scale, share * scale, rest * scale)
        return tuple(number.to(like) for number in numbers)


def fly(x: Tensor, p: Tensor, flight: tuple[Tensor, ...], xi: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """The exact law of free flight: two correlated normals, for momentum and position."""
    kept, reach, spread, share, rest = flight
    return x + reach * p + share * xi + rest * other, kept * p + spread * xi


@registry.register("quasi_symplectic")
@dataclass(frozen=True)
class QuasiSymplectic(Sampler):
    """Quasi-symplectic Langevin: a symplectic step as the friction goes to zero; its volume shrinks exactly.

    p₁ = e^{-νh/2} p;  x₁ = x + (h/2) p₁;  p₂ = p₁ - h∇U(x₁) + √(2νTh) ξ;  x' = x₁ + (h/2) p₂;
    p' = e^{-νh/2} p₂

    One gradient a step. log|det ∂(x',p')/∂(x,p)| = -νdh. On N(0,1) with ν = 1 its variance is 1.0008, 1.0080,
    1.0385 at h = 0.1, 0.3, 0.6.
    (Milstein & Tretyakov 2003, IMA J. Numer. Anal. 23, 593; used by Wang & Delingette, arXiv 2009.01675)
    """

    title = "Quasi-symplectic"
    formula = (
        r"p_2 = e^{-\nu h/2} p - h\,\nabla U(x_1) + \sqrt{2\nu T h}\;\xi, \quad "
        r"x' = x_1 + \tfrac h2 p_2, \quad x_1 = x + \tfrac h2 e^{-\nu h/2} p"
    )
    reference = "Milstein & Tretyakov 2003, IMA J. Numer. Anal. 23, 593"
    family = "underdamped"
    edge_formula = "2/√L"

    friction: float = param(1.0, 0.0, 1000.0, shown=(0.0, 10.0), help="ν, how fast momentum fades")

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> UnderdampedState:
        return UnderdampedState(x, sqrt(temperature) * noise.primary, energy.grad(x))

    def step(
        self, state: UnderdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[UnderdampedState, Info]:
        push = sqrt(2 * self.friction * temperature * h) * noise.primary
        x, p, grad = quasi_symplectic(state.x, state.momentum, energy.grad, h, self.friction, push)
        return UnderdampedState(x, p, grad), Info(gradient_evaluations=1, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature**0.5
