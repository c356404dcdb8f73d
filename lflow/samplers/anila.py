"""AniLA (STANLEY): Langevin with a step that shrinks where the gradient is steep. As printed, as its
authors coded it, and corrected, each under its own name.

(Karimi, Xie & Li, arXiv 2310.12667; the code is BelhalK/baiduresearch)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import NORMAL, UNIFORM, Draw, StepNoise
from lflow.samplers.base import Info, Sampler, metropolis, per_chain, registry, sqrt, where_accepted
from lflow.spec import param

VARIANTS = ("paper", "toy_code", "flowers_code", "corrected", "metropolis")


class AniLAState(NamedTuple):
    """Positions, the gradient there, and the energy, which only the variant `metropolis` needs."""

    x: Tensor
    grad: Tensor
    energy: Tensor | None


@registry.register("anila")
@dataclass(frozen=True)
class AniLA(Sampler):
    """Anisotropic Langevin: the step is scaled by γ(x) = 1/max(1, |∇U(x)|/b), b the threshold.

    paper         x' = x - hγ∇U + √(2hγT) ξ             law e^{-U/T}·max(1, |∇U|/b): a hole at every mode
    toy_code      x' = x - hγ∇U + γ√(2hT) ξ             the noise is scaled by γ, not √γ
    flowers_code  x' = x - h∇U + γ√(2hT) ξ              only the noise shrinks: colder than T
    corrected     x' = x - hγ∇U + hT∇γ + √(2hγT) ξ      law e^{-U/T} as h → 0
    metropolis    the paper's step as a proposal, accepted with its densities, -(d/2) log γ included

    `elementwise` takes one γ for each coordinate, from |∂_i U|; `smooth` takes γ = 1/√(1 + |∇U|²/b²), which
    has no kink (the authors' norm of a pixel over its three channels is not offered). With b infinite every
    uncorrected variant is ULA. The closed-form law holds for one γ a chain. The printed algorithm is h = ½,
    T = 1; the authors' code is h = 1, T = ε²/2. The correction takes one Hessian-vector product, counted as a
    gradient: exact for one γ a chain, an unbiased estimate of the Hessian's diagonal (from random signs) for
    element-wise γ. Where h·|∇²U| is not small beside b it jumps at the kink, and the law is worse for it.
    """

    title = "AniLA"
    formula = (
        r"x' = x - h\gamma\,\nabla U(x) + \sqrt{2h\gamma T}\;\xi, \quad "
        r"\gamma = 1/\max\left(1, |\nabla U(x)|/b\right)"
    )
    reference = "Karimi, Xie & Li, arXiv 2310.12667"
    family = "anisotropic"

    variant: str = param(
        "paper", choices=VARIANTS, help="as published, as coded, or corrected"
    )
    threshold: float = param(
        1.0, 1e-6, float("inf"), log=True, shown=(0.01, 100.0), help="b: gradients above it are tamed"
    )
    elementwise: bool = param(False, advanced=True, help="one γ for each coordinate instead of each chain")
    smooth: bool = param(False, advanced=True, help="γ without a kink")

    @property
    def has_accept_step(self) -> bool:  # type: ignore[override]
        return self.variant == "metropolis"

    @property
    def gaussian_proposal(self) -> bool:  # type: ignore[override]
        return not (self.variant == "corrected" and self.elementwise)  # whose random signs move the step too

    @property
    def start_gradients(self) -> int:  # type: ignore[override]
        return int(self.has_accept_step)

    @property
    def gradients_per_step(self) -> int:
        return 2 if self.variant == "corrected" else 1

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        if self.variant == "metropolis":
            return (UNIFORM,)
        return (NORMAL,) if self.variant == "corrected" and self.elementwise else ()

    def scaling(self, grad: Tensor) -> Tensor:
        """γ at a gradient: (n, 1, ...), or of the gradient's shape where it is element-wise."""
        size = grad.abs() if self.elementwise else _norm(grad)
        ratio = size / self.threshold
        return (1 + ratio.square()).rsqrt() if self.smooth else 1 / ratio.clamp_min(1.0)

    def correction(self, x: Tensor, grad: Tensor, energy: Energy, noise: StepNoise) -> Tensor:
        """∇γ(x) (element-wise: ∂_i γ_i), of the shape of x; zero where γ = 1."""
        gamma = self.scaling(grad)
        if self.elementwise:
            signs = torch.where(noise.extra[0] < 0, -1.0, 1.0).to(x)
            turned = grad * signs * energy.hessian_vector(x, signs)
        else:
            turned = energy.hessian_vector(x, grad)
        # d(1/√(1 + s/b²))/ds = -γ³/2b² and d(b/√s)/ds = -γ³/2b², with s = |∇U|²; ∇s = 2 ∇²U ∇U.
        active = 1.0 if self.smooth else (gamma < 1).to(x)
        return -active * gamma**3 / self.threshold**2 * turned

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> AniLAState:
        if self.variant != "metropolis":
            return AniLAState(x, energy.grad(x), None)
        value, grad = energy.value_and_grad(x)
        return AniLAState(x, grad, value)

    def step(
        self, state: AniLAState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[AniLAState, Info]:
        gamma = self.scaling(state.grad)
        if self.variant == "metropolis":
            return self._accept_step(state, gamma, energy, h, temperature, noise)
        drift = h * state.grad if self.variant == "flowers_code" else h * gamma * state.grad
        if self.variant in ("toy_code", "flowers_code"):
            spread = gamma * sqrt(2 * h * temperature)
        else:
            spread = sqrt(2 * h * gamma * temperature)
        x = state.x - drift + spread * noise.primary
        if self.variant == "corrected":
            x = x + h * temperature * self.correction(state.x, state.grad, energy, noise)
        grad = energy.grad(x)
        return AniLAState(x, grad, None), Info(self.gradients_per_step, grad=grad)

    def _accept_step(
        self, state: AniLAState, gamma: Tensor, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[AniLAState, Info]:
        x, grad_x = state.x, state.grad
        y = x - h * gamma * grad_x + sqrt(2 * h * gamma * temperature) * noise.primary
        energy_y, grad_y = energy.value_and_grad(y)
        gamma_y = self.scaling(grad_y)
        forward = noise.primary.square() * temperature / 2
        backward = (x - y + h * gamma_y * grad_y).square() / (4 * h * gamma_y)
        # -(d/2) log γ of both proposals: one γ a chain counts once for each coordinate.
        volumes = (gamma.log() - gamma_y.log()).expand_as(x) * temperature / 2
        assert state.energy is not None
        log_ratio = state.energy - energy_y + (forward - backward + volumes).flatten(1).sum(1)
        accept, probability = metropolis(log_ratio, temperature, noise.extra[0])
        grad = where_accepted(accept, grad_y, grad_x)
        new = AniLAState(where_accepted(accept, y, x), grad, where_accepted(accept, energy_y, state.energy))
        return new, Info(1, probability, grad)


def _norm(grad: Tensor) -> Tensor:
    return per_chain(torch.linalg.vector_norm(grad.flatten(1), dim=1), grad)
