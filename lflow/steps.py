"""Step-size rules: how large the next step is.

A rule says of what it is a function. "time": of the step number alone. "adaptive": of the run so far, and
frozen after its warm-up. "state": of where the chain is or has just been, which changes the law unless the
step is recomputed at the proposal: samplers with an accept step refuse such a rule. This module knows
nothing of samplers beyond what a step tells of itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from lflow.registry import Registry
from lflow.samplers.base import Info, Sampler, per_chain
from lflow.spec import Declared, param


class StepRule(Declared):
    """Base of the rules. A subclass is a frozen dataclass with a `step_size` and a method `step_size_at`."""

    title: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    kind: ClassVar[str] = "time"
    needs_accept_step: ClassVar[bool] = False
    step_size: float

    def init(self, x: Tensor) -> Any:
        """The rule's state for chains at x: here the step size, on their device."""
        return torch.tensor(self.step_size, dtype=x.dtype, device=x.device)

    def step_size_at(self, state: Any, t: Tensor, grad: Tensor | None) -> Tensor:
        """h of step t (0-dimensional, on the device) at gradient ∇U: per run, per chain or per coordinate."""
        raise NotImplementedError

    def update(self, state: Any, info: Info) -> Any:
        """The rule's state after a step."""
        return state


registry: Registry[StepRule] = Registry("step rule", "steps")


def _step_size(default: float = 0.01) -> Any:
    return param(default, 1e-12, 100.0, log=True, shown=(1e-3, 3.0), help="h, the size of a step")


@registry.register("constant")
@dataclass(frozen=True)
class Constant(StepRule):
    """h_t = h."""

    title = "constant"
    formula = r"h_t = h"
    step_size: float = _step_size()

    def step_size_at(self, state: Tensor, t: Tensor, grad: Tensor | None) -> Tensor:
        return state


@registry.register("polynomial")
@dataclass(frozen=True)
class Polynomial(StepRule):
    """h_t = h (1 + t/b)^-c: with c in (½, 1] the steps add up to infinity and their squares do not.

    (Robbins & Monro 1951; Welling & Teh 2011)
    """

    title = "polynomial decay"
    formula = r"h_t = h\,(1 + t/b)^{-c}"
    step_size: float = _step_size()
    power: float = param(0.6, 0.0, 2.0, help="c, how fast the step falls")
    offset: float = param(100.0, 1.0, 1e6, log=True, shown=(1.0, 10000.0), advanced=True, help="b, in steps")

    def step_size_at(self, state: Tensor, t: Tensor, grad: Tensor | None) -> Tensor:
        return state * (1 + t / self.offset) ** -self.power


@registry.register("cyclical")
@dataclass(frozen=True)
class Cyclical(StepRule):
    """h_t = h/2 (1 + cos(π (t mod M)/M)): a large step explores, then a small one settles, again and again.

    (Zhang et al. 2020, arXiv 1902.03932, eq. 1)
    """

    title = "cyclical cosine"
    formula = r"h_t = \tfrac h2 \left(1 + \cos(\pi\,(t \bmod M)/M)\right)"
    step_size: float = _step_size()
    cycle_length: int = param(200, 2, 1_000_000, log=True, shown=(10, 2000), unit="steps", help="M")

    def step_size_at(self, state: Tensor, t: Tensor, grad: Tensor | None) -> Tensor:
        return state / 2 * (1 + torch.cos(math.pi * (t % self.cycle_length) / self.cycle_length))


@registry.register("anisotropic")
@dataclass(frozen=True)
class Anisotropic(StepRule):
    """AniLA's step as printed in the paper: h γ(x), γ = 1/max(1, |∇U(x)|/b), one for each chain.

    ULA with it is the printed AniLA, whose law is e^{-U/T}·max(1, |∇U|/b), not e^{-U/T}: the step depends
    on the state, and the term T∇γ that would correct the law is missing. Steep places are over-weighted.
    (Karimi, Xie & Li, arXiv 2310.12667, eq. 2-3; printed with h = ½, T = 1)
    """

    title = "anisotropic"
    formula = r"h_t = h / \max\left(1, |\nabla U(x)|/b\right)"
    reference = "Karimi, Xie & Li, arXiv 2310.12667"
    kind = "state"
    step_size: float = _step_size()
    threshold: float = param(
        1.0, 1e-4, 1e6, log=True, shown=(0.01, 100.0), help="b, gradients above it are tamed"
    )

    def step_size_at(self, state: Tensor, t: Tensor, grad: Tensor | None) -> Tensor:
        assert grad is not None, "the loop lets only samplers with gradients use this rule"
        norm = torch.linalg.vector_norm(grad.flatten(1), dim=1)
        gamma = 1 / per_chain((norm / self.threshold).clamp_min(1.0), grad)
        return state * gamma  # as AniLA multiplies, so that the two agree bit for bit


class DualAveraging(NamedTuple):
    """Log of the step now, log of its running average, mean shortfall of acceptance, and steps taken."""

    log_step: Tensor
    log_average: Tensor
    shortfall: Tensor
    taken: Tensor


@registry.register("target_acceptance")
@dataclass(frozen=True)
class TargetAcceptance(StepRule):
    """Dual averaging: during warm-up the step moves until the mean acceptance is `target`, then it is frozen.

    With H the running mean of target - acceptance: log h = log(10 h₀) - √t/0.05·H, and the step that is
    kept is the average of log h with weights t^-0.75. One step for all chains.
    (Nesterov 2009; Hoffman & Gelman 2014, arXiv 1111.4246, eq. 6)
    """

    title = "target acceptance"
    formula = r"\log h_t = \log(10 h_0) - \tfrac{\sqrt t}{0.05}\, \overline{(\alpha^* - \alpha)}_t"
    reference = "Hoffman & Gelman 2014, arXiv 1111.4246"
    kind = "adaptive"
    needs_accept_step = True
    step_size: float = _step_size(0.1)
    target: float = param(
        0.6, 0.05, 0.99, help="wanted acceptance: 0.574 suits MALA, 0.65 to 0.9 HMC, 0.234 the random walk"
    )
    warmup: int = param(
        200, 10, 1_000_000, log=True, shown=(10, 2000), unit="steps", help="steps of adaptation"
    )

    def init(self, x: Tensor) -> DualAveraging:
        zero = torch.zeros((), dtype=x.dtype, device=x.device)
        start = zero + math.log(self.step_size)
        return DualAveraging(start, start, zero, zero)

    def step_size_at(self, state: DualAveraging, t: Tensor, grad: Tensor | None) -> Tensor:
        return torch.where(state.taken < self.warmup, state.log_step, state.log_average).exp()

    def update(self, state: DualAveraging, info: Info) -> DualAveraging:
        assert info.acceptance is not None, "the loop lets only samplers with an accept step use this rule"
        taken = state.taken + 1
        weight = 1 / (taken + 10)
        shortfall = (1 - weight) * state.shortfall + weight * (self.target - info.acceptance.mean())
        log_step = math.log(10 * self.step_size) - taken.sqrt() / 0.05 * shortfall
        share = taken**-0.75
        log_average = share * log_step + (1 - share) * state.log_average
        adapted = DualAveraging(log_step, log_average, shortfall, taken)
        warming = state.taken < self.warmup
        return DualAveraging(
            *(torch.where(warming, new, old) for new, old in zip(adapted, state, strict=True))
        )


class SquaredGradient(NamedTuple):
    """The step size and the running mean of the squared gradient, for each coordinate."""

    step_size: Tensor
    mean_square: Tensor


@registry.register("rmsprop")
@dataclass(frozen=True)
class RMSprop(StepRule):
    """h_i = h / (λ + √v_i), v a running mean of the squared gradient: steep coordinates take small steps.

    v' = a v + (1 - a) (∇U)², from v = 1. It leaves out the term Γ = Σ_j ∂_j G_ij that a state-dependent
    preconditioner G needs, so its law is not e^{-U/T}, unless v moves slowly beside the chain. A smaller step
    makes that worse: at a = 0.99 the variance on N(0,1) is 1.09, 1.34, 1.76 at h = 0.1, 0.01, 0.001.
    (Li et al. 2016, arXiv 1512.07666, eq. 4-5 without Γ)
    """

    title = "gradient-scaled (RMSprop)"
    formula = r"h_i = h / (\lambda + \sqrt{v_i}), \quad v' = a\,v + (1 - a)\,(\nabla U)^2"
    reference = "Li et al. 2016, arXiv 1512.07666"
    kind = "state"
    step_size: float = _step_size()
    decay: float = param(0.99, 0.0, 0.99999, shown=(0.5, 0.999), help="a, memory of the squared gradient")
    floor: float = param(1e-2, 1e-8, 10.0, log=True, advanced=True, help="λ, keeps the step finite")

    def init(self, x: Tensor) -> SquaredGradient:
        return SquaredGradient(super().init(x), torch.ones_like(x))

    def step_size_at(self, state: SquaredGradient, t: Tensor, grad: Tensor | None) -> Tensor:
        return state.step_size / (self.floor + state.mean_square.sqrt())

    def update(self, state: SquaredGradient, info: Info) -> SquaredGradient:
        assert info.grad is not None, "the loop lets only samplers with gradients use this rule"
        mean_square = self.decay * state.mean_square + (1 - self.decay) * info.grad.square()
        return SquaredGradient(state.step_size, mean_square)


def check_pair(sampler: Sampler, rule: StepRule) -> None:
    """Refuse a rule that would falsify a sampler. ValueError names both and says what to use instead."""
    if rule.kind == "state" and sampler.has_accept_step:
        instead = "" if sampler.name == "anila" else ", or the sampler anila with variant='metropolis'"
        raise ValueError(
            f"the {rule.name} rule makes the step depend on the state, which breaks the detailed balance of "
            f"{sampler.name}: use a constant step{instead}"
        )
    if rule.needs_accept_step and not sampler.has_accept_step:
        raise ValueError(
            f"the {rule.name} rule adapts to an acceptance rate, and {sampler.name} has no accept step: "
            "use it with mala, hmc or random_walk, or take another rule"
        )


names = registry.names
get = registry.get
get_class = registry.get_class
