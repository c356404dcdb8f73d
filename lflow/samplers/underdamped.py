"""Underdamped Langevin: positions with a momentum that friction and noise keep at temperature T."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import StepNoise
from lflow.samplers.base import Info, Sampler, registry, sqrt
from lflow.spec import param


class UnderdampedState(NamedTuple):
    """Positions, momenta (of unit mass), and the gradient at the positions."""

    x: Tensor
    momentum: Tensor
    grad: Tensor


def exp(value: Any) -> Any:
    """Exponential of a number or a tensor."""
    return torch.exp(value) if isinstance(value, Tensor) else math.exp(value)


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
    start_gradients = 1

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
        p = kept * p + sqrt(temperature * (1 - kept * kept)) * noise.primary
        x = x + (h / 2) * p
        grad = energy.grad(x)
        p = p - (h / 2) * grad
        return UnderdampedState(x, p, grad), Info(gradient_evaluations=1, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature**0.5
