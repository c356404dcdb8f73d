"""Overdamped Langevin without an accept step: ULA, and SGLD where the gradient is itself an estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import NORMAL, Draw, StepNoise
from lflow.samplers.base import Info, Sampler, registry, sqrt
from lflow.spec import param


class OverdampedState(NamedTuple):
    """Positions, and the gradient there that the next step uses."""

    x: Tensor
    grad: Tensor


@registry.register("ula")
@dataclass(frozen=True)
class ULA(Sampler):
    """Unadjusted Langevin: gradient descent with noise.

    x' = x - h ∇U(x) + √(2hT) ξ

    On N(0,1) its stationary variance is 1/(1 - h/2), and it is unstable above h = 2/L.
    (Roberts & Tweedie 1996, Bernoulli 2, 341)
    """

    title = "ULA"
    formula = r"x' = x - h\,\nabla U(x) + \sqrt{2hT}\;\xi"
    reference = "Roberts & Tweedie 1996, Bernoulli 2, 341"
    gaussian_proposal = True
    edge_formula = "2/L"
    follows_flow = True

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> OverdampedState:
        return OverdampedState(x, energy.grad(x))

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        x = state.x - h * state.grad + sqrt(2 * h * temperature) * noise.primary
        grad = energy.grad(x)
        return OverdampedState(x, grad), Info(gradient_evaluations=1, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature


def gradient_draws(energy: Energy, batch_size: int, gradient_noise: float) -> tuple[Draw, ...]:
    """What an estimate of the gradient draws: a minibatch where there is data, else its Gaussian noise."""
    if energy.has_data:
        return (Draw("uniform", (batch_size,)),)
    return (NORMAL,) if gradient_noise else ()


def noisy_gradient(x: Tensor, energy: Energy, draws: tuple[Tensor, ...], gradient_noise: float) -> Tensor:
    """An unbiased estimate of ∇U(x): of a minibatch, or with Gaussian noise added."""
    if energy.has_data:
        return energy.stochastic_grad(x, uniform=draws[0])  # type: ignore[attr-defined]
    grad = energy.grad(x)
    return grad + gradient_noise * draws[0] if gradient_noise else grad


@registry.register("sgld")
@dataclass(frozen=True)
class SGLD(Sampler):
    """Stochastic gradient Langevin: ULA with an unbiased estimate G of the gradient.

    x' = x - h G(x) + √(2hT) ξ,   E G(x) = ∇U(x)

    On an energy with data, G is the gradient of a minibatch of each chain's own; elsewhere it is ∇U(x)
    with Gaussian noise of standard deviation `gradient_noise` added. Noise of deviation σ heats the chain
    to T + hσ²/2 (to first order), which vanishes with the step size.
    (Welling & Teh 2011, ICML; their ε is 2h)
    """

    title = "SGLD"
    formula = r"x' = x - h\,G(x) + \sqrt{2hT}\;\xi, \qquad \mathbb{E}\,G = \nabla U"
    reference = "Welling & Teh 2011, ICML"
    gaussian_proposal = True
    edge_formula = "2/L"
    follows_flow = True

    batch_size: int = param(32, 1, 512, log=True, help="observations in a minibatch, on energies with data")
    gradient_noise: float = param(
        2.0, 0.0, 100.0, shown=(0.0, 10.0), help="σ of the gradient's noise, on energies without data"
    )

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return gradient_draws(energy, self.batch_size, self.gradient_noise)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> OverdampedState:
        return OverdampedState(x, noisy_gradient(x, energy, noise.extra, self.gradient_noise))

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        x = state.x - h * state.grad + sqrt(2 * h * temperature) * noise.primary
        grad = noisy_gradient(x, energy, noise.extra, self.gradient_noise)
        return OverdampedState(x, grad), Info(gradient_evaluations=1, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature

    def implied_temperature(self, energy: Energy, step_size: float, temperature: float) -> float | None:
        variance = self.gradient_noise**2
        if energy.has_data:
            variance = energy.minibatch_variance(self.batch_size)  # type: ignore[attr-defined]
        return float(temperature + step_size * variance / 2)

    def unused(self, energy: Energy) -> tuple[str, ...]:
        return ("gradient_noise",) if energy.has_data else ("batch_size",)
