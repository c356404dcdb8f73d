"""A gradient better spent: overdamped schemes that look ahead before they step.

The schemes of the Langevin-Robbins-Monro family (Karimi, Hsieh & Krause 2023, arXiv 2210.13867), and the
one-gradient scheme of Leimkuhler and Matthews. The Brownian increment of a step is √h ξ, and a scheme that
looks at a time inside the step uses the same path there: that is what makes it better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import NORMAL, UNIFORM, Draw, StepNoise
from lflow.samplers.base import Info, Sampler, per_chain, registry, sqrt
from lflow.samplers.langevin import OverdampedState


def bridge(share: Tensor, h: Any, noise: StepNoise, between: Tensor) -> Tensor:
    """The Brownian path at the time share·h of a step whose whole increment is √h ξ.

    W_{αh} = α √h ξ + √(α(1-α)h) ζ, with ζ independent of ξ.
    """
    return share * sqrt(h) * noise.primary + sqrt(share * (1 - share) * h) * between


@registry.register("rmm")
@dataclass(frozen=True)
class RandomizedMidpoint(Sampler):
    """Randomized midpoint: the gradient is taken at a random time of the step, on the same Brownian path.

    α ~ U[0,1];  m = x - αh ∇U(x) + √(2T) W_{αh};  x' = x - h ∇U(m) + √(2T) W_h

    Its variance on N(0,1) is 1 + O(h³); second moments are stable below 1.596/L. With independent noises in
    the two lines it is worse than ULA.
    (Shen & Lee 2019, arXiv 1909.05503; Karimi, Hsieh & Krause 2023, arXiv 2210.13867)
    """

    title = "Randomized midpoint"
    formula = (
        r"m = x - \alpha h\,\nabla U(x) + \sqrt{2T}\,W_{\alpha h}, \quad "
        r"x' = x - h\,\nabla U(m) + \sqrt{2T}\,W_h, \quad \alpha \sim U[0,1]"
    )
    reference = "Karimi, Hsieh & Krause 2023, arXiv 2210.13867"
    family = "midpoint"
    edge_formula = "1.596/L"
    follows_flow = True

    @property
    def gradients_per_step(self) -> int:
        return 2

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (UNIFORM, NORMAL)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> OverdampedState:
        return OverdampedState(x, energy.grad(x))

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        uniform, between = noise.extra
        alpha = per_chain(uniform, state.x)
        path = bridge(alpha, h, noise, between)
        middle = state.x - alpha * h * state.grad + sqrt(2 * temperature) * path
        x = state.x - h * energy.grad(middle) + sqrt(2 * h * temperature) * noise.primary
        grad = energy.grad(x)
        return OverdampedState(x, grad), Info(gradient_evaluations=2, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 1.596 / curvature


@registry.register("ormm")
@dataclass(frozen=True)
class OptimisticRandomizedMidpoint(Sampler):
    """Optimistic randomized midpoint: the midpoint is guessed with the last midpoint's gradient.

    α ~ U[0,1];  m = x - αh ∇U(m₋) + √(2T) W_{αh};  x' = x - h ∇U(m) + √(2T) W_h

    One gradient a step, where the randomized midpoint takes two; second moments are stable below 0.949/L.
    (Karimi, Hsieh & Krause 2023, arXiv 2210.13867)
    """

    title = "Optimistic midpoint"
    formula = (
        r"m = x - \alpha h\,\nabla U(m_-) + \sqrt{2T}\,W_{\alpha h}, \quad "
        r"x' = x - h\,\nabla U(m) + \sqrt{2T}\,W_h"
    )
    reference = "Karimi, Hsieh & Krause 2023, arXiv 2210.13867"
    family = "midpoint"
    edge_formula = "0.949/L"
    start_gradients = 1
    follows_flow = True

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (UNIFORM, NORMAL)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> OverdampedState:
        return OverdampedState(x, energy.grad(x))

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        uniform, between = noise.extra
        alpha = per_chain(uniform, state.x)
        path = bridge(alpha, h, noise, between)
        middle = state.x - alpha * h * state.grad + sqrt(2 * temperature) * path
        grad = energy.grad(middle)
        x = state.x - h * grad + sqrt(2 * h * temperature) * noise.primary
        return OverdampedState(x, grad), Info(gradient_evaluations=1, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 0.949 / curvature


@registry.register("srk")
@dataclass(frozen=True)
class StochasticRungeKutta(Sampler):
    """Stochastic Runge-Kutta: two look-aheads on a Brownian path with its time integral, then their mean.

    a = x + √(2hT) [(½ + 1/√6) ξ + ξ'/√12]
    b = x - h ∇U(x) + √(2hT) [(½ - 1/√6) ξ + ξ'/√12]
    x' = x - (h/2) (∇U(a) + ∇U(b)) + √(2hT) ξ

    Three gradients a step; its variance on N(0,1) is 1 - h²/6 + ...; stable below 2/L.
    (Li, Wu, Mackey & Erdogdu 2019, arXiv 1906.07868)
    """

    title = "Stochastic Runge-Kutta"
    formula = (
        r"x' = x - \tfrac h2 \left(\nabla U(a) + \nabla U(b)\right) + \sqrt{2hT}\;\xi, \quad "
        r"a, b = x\,[-\,h\nabla U(x)] + \sqrt{2hT}\left[(\tfrac12 \pm \tfrac1{\sqrt6})\,\xi "
        r"+ \tfrac1{\sqrt{12}}\,\xi'\right]"
    )
    reference = "Li, Wu, Mackey & Erdogdu 2019, arXiv 1906.07868"
    family = "midpoint"
    edge_formula = "2/L"
    follows_flow = True

    @property
    def gradients_per_step(self) -> int:
        return 3

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (NORMAL,)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> OverdampedState:
        return OverdampedState(x, energy.grad(x))

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        scale, xi, other = sqrt(2 * h * temperature), noise.primary, noise.extra[0] / math.sqrt(12)
        a = state.x + scale * ((0.5 + 1 / math.sqrt(6)) * xi + other)
        b = state.x - h * state.grad + scale * ((0.5 - 1 / math.sqrt(6)) * xi + other)
        x = state.x - (h / 2) * (energy.grad(a) + energy.grad(b)) + scale * xi
        grad = energy.grad(x)
        return OverdampedState(x, grad), Info(gradient_evaluations=3, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature


class AveragedNoiseState(NamedTuple):
    """Positions, the gradient there, and the last step's normal, which the next step uses again."""

    x: Tensor
    grad: Tensor
    xi: Tensor


@registry.register("leimkuhler_matthews")
@dataclass(frozen=True)
class LeimkuhlerMatthews(Sampler):
    """Leimkuhler-Matthews: ULA with the noise of two neighbouring steps averaged. One gradient, order two.

    x' = x - h ∇U(x) + √(2hT) (ξ + ξ')/2

    On a Gaussian its variance is exact at every stable step, h < 2/L.
    (Leimkuhler & Matthews 2013, arXiv 1203.5428; Leimkuhler, Matthews & Tretyakov 2014)
    """

    title = "Leimkuhler-Matthews"
    formula = r"x' = x - h\,\nabla U(x) + \sqrt{2hT}\;\tfrac12\,(\xi + \xi')"
    reference = "Leimkuhler & Matthews 2013, arXiv 1203.5428"
    edge_formula = "2/L"
    follows_flow = True

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> AveragedNoiseState:
        return AveragedNoiseState(x, energy.grad(x), noise.primary)

    def step(
        self, state: AveragedNoiseState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[AveragedNoiseState, Info]:
        mean = (state.xi + noise.primary) / 2
        x = state.x - h * state.grad + sqrt(2 * h * temperature) * mean
        grad = energy.grad(x)
        return AveragedNoiseState(x, grad, noise.primary), Info(gradient_evaluations=1, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature
