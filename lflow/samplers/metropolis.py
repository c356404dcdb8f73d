"""Samplers with an accept step: random-walk Metropolis, MALA and HMC. Their law is exact at any step size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import UNIFORM, Draw, StepNoise
from lflow.samplers.base import (
    Info,
    Sampler,
    metropolis,
    per_chain,
    registry,
    sqrt,
    squared_norm,
    where_accepted,
)
from lflow.samplers.underdamped import leap
from lflow.spec import param


class WalkState(NamedTuple):
    """Positions and their energy."""

    x: Tensor
    energy: Tensor


class GradientState(NamedTuple):
    """Positions, their energy and their gradient: what an accept step compares with."""

    x: Tensor
    energy: Tensor
    grad: Tensor


@registry.register("random_walk")
@dataclass(frozen=True)
class RandomWalk(Sampler):
    """Random-walk Metropolis, the baseline without gradients: ULA's noise without its drift, then accept.

    y = x + √(2hT) ξ, accepted with probability min(1, exp(-(U(y) - U(x))/T)).
    (Metropolis et al. 1953; an acceptance near 0.234 is best in many dimensions)
    """

    title = "Random walk"
    formula = r"y = x + \sqrt{2hT}\;\xi, \quad \alpha = \min\left(1, e^{-(U(y) - U(x))/T}\right)"
    reference = "Metropolis et al. 1953, J. Chem. Phys. 21, 1087"
    gaussian_proposal = True
    family = "accept"
    has_accept_step = True

    @property
    def gradients_per_step(self) -> int:
        return 0

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (UNIFORM,)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> WalkState:
        return WalkState(x, energy(x))

    def step(
        self, state: WalkState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[WalkState, Info]:
        y = state.x + sqrt(2 * h * temperature) * noise.primary
        energy_y = energy(y)
        accept, probability = metropolis(state.energy - energy_y, temperature, noise.extra[0])
        new = WalkState(where_accepted(accept, y, state.x), where_accepted(accept, energy_y, state.energy))
        return new, Info(gradient_evaluations=0, acceptance=probability)


@registry.register("mala")
@dataclass(frozen=True)
class MALA(Sampler):
    """Metropolis-adjusted Langevin: ULA's step as a proposal, so that the law is exact.

    y = x - h ∇U(x) + √(2hT) ξ, accepted with probability min(1, e^{a/T}),
    a = U(x) - U(y) + (|y - x + h∇U(x)|² - |x - y + h∇U(y)|²) / 4h; the first square is 2hT|ξ|².
    (Besag 1994; Roberts & Tweedie 1996; an acceptance near 0.574 is best in many dimensions)
    """

    title = "MALA"
    formula = (
        r"y = x - h\,\nabla U(x) + \sqrt{2hT}\;\xi, \quad "
        r"\alpha = \min\left(1, \tfrac{e^{-U(y)/T}\, q(x|y)}{e^{-U(x)/T}\, q(y|x)}\right)"
    )
    reference = "Roberts & Tweedie 1996, Bernoulli 2, 341"
    gaussian_proposal = True
    follows_flow = True
    family = "accept"
    has_accept_step = True
    start_gradients = 1

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (UNIFORM,)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> GradientState:
        return GradientState(x, *energy.value_and_grad(x))

    def step(
        self, state: GradientState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[GradientState, Info]:
        x, energy_x, grad_x = state
        y = x - h * grad_x + sqrt(2 * h * temperature) * noise.primary
        energy_y, grad_y = energy.value_and_grad(y)
        forward = temperature * squared_norm(noise.primary) / 2
        backward = squared_norm((x - y + h * grad_y) / (2 * sqrt(h)))
        log_ratio = energy_x - energy_y + forward - backward
        accept, probability = metropolis(log_ratio, temperature, noise.extra[0])
        grad = where_accepted(accept, grad_y, grad_x)
        new = GradientState(where_accepted(accept, y, x), where_accepted(accept, energy_y, energy_x), grad)
        return new, Info(gradient_evaluations=1, acceptance=probability, grad=grad)


@registry.register("hmc")
@dataclass(frozen=True)
class HMC(Sampler):
    """Hamiltonian Monte Carlo: fresh momentum, `num_leapfrog` leapfrog steps, then accept.

    p ~ N(0, T); repeat p ← p - (h/2)∇U(x), x ← x + h p, p ← p - (h/2)∇U(x);
    accepted with probability min(1, exp(-(H' - H)/T)), H = U(x) + |p|²/2.

    Each chain shortens its step at random by up to `jitter`, so that no trajectory length resonates with
    the target. h is the leapfrog's step, of the order of the square root of an overdamped one.
    (Duane et al. 1987; Neal 2011, arXiv 1206.1901)
    """

    title = "HMC"
    formula = (
        r"(x', p') = \text{leapfrog}^{L}_h(x, p),\; p \sim \mathcal{N}(0, T), \quad "
        r"\alpha = \min\left(1, e^{-(H' - H)/T}\right)"
    )
    reference = "Neal 2011, arXiv 1206.1901"
    edge_formula = "2/√L"
    family = "accept"
    has_accept_step = True
    start_gradients = 1

    num_leapfrog: int = param(10, 1, 200, shown=(1, 50), help="leapfrog steps in a trajectory")
    jitter: float = param(
        0.2, 0.0, 1.0, advanced=True, help="largest share by which a chain shortens its step at random"
    )

    @property
    def gradients_per_step(self) -> int:
        return self.num_leapfrog

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (UNIFORM, UNIFORM)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> GradientState:
        return GradientState(x, *energy.value_and_grad(x))

    def step(
        self, state: GradientState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[GradientState, Info]:
        uniform, shortening = noise.extra
        h = h * per_chain(1 - self.jitter * shortening, state.x)
        p = sqrt(temperature) * noise.primary
        x, energy_x, grad = state.x, state.energy, state.grad
        kinetic = squared_norm(p) / 2
        for taken in range(self.num_leapfrog):
            x, p = leap(x, p, grad, h)
            last = taken == self.num_leapfrog - 1
            energy_x, grad = energy.value_and_grad(x) if last else (energy_x, energy.grad(x))
            p = p - (h / 2) * grad
        log_ratio = state.energy + kinetic - energy_x - squared_norm(p) / 2
        accept, probability = metropolis(log_ratio, temperature, uniform)
        grad = where_accepted(accept, grad, state.grad)
        new = GradientState(
            where_accepted(accept, x, state.x), where_accepted(accept, energy_x, state.energy), grad
        )
        return new, Info(gradient_evaluations=self.num_leapfrog, acceptance=probability, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature**0.5
