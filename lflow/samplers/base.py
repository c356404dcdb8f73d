"""What every sampler is: a frozen set of parameters with a pure `init` and `step`.

A sampler of your own takes twenty lines: a frozen dataclass under `@registry.register("name")` with an
`init` that makes its state from positions and a `step` that makes the next state from this one. Chains
lie along dimension 0, whatever shape follows; nothing loops over chains and nothing waits for the device.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import Draw, StepNoise
from lflow.registry import Registry
from lflow.spec import Declared


class State(Protocol):
    """What a sampler carries from step to step: a NamedTuple of tensors, with at least the positions."""

    @property
    def x(self) -> Tensor: ...


class Info(NamedTuple):
    """What a step tells of itself.

    gradient_evaluations: gradients (of a chain) that the step took.
    acceptance: (n,) acceptance probability of each chain; None without an accept step.
    grad: the gradient that the next step begins with, for rules that remember it: ∇U at the new positions, or
        at the middle of the step where that is what the sampler keeps (ormm, ubu, quasi_symplectic); None for
        a sampler without gradients.
    """

    gradient_evaluations: int
    acceptance: Tensor | None = None
    grad: Tensor | None = None


class Sampler(Declared):
    """Base of the samplers. A subclass is a frozen dataclass with `init` and `step`."""

    title: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    family: ClassVar[str] = "overdamped"
    """Colour and kinship: overdamped, accept, anisotropic, midpoint, underdamped."""
    has_accept_step: bool = False
    follows_flow: ClassVar[bool] = False
    """Whether it discretises the overdamped flow dX = -∇U dt + √(2T) dW with step h."""
    gaussian_proposal: bool = False
    """Whether a step from x draws one Gaussian with independent coordinates, before any accept step."""
    edge_formula: ClassVar[str] = ""
    """The stability edge as a formula in L, such as 2/L; empty where none is known."""
    always_stable: ClassVar[bool] = False
    """Whether every step is stable (the proximal one: on a convex energy)."""
    restricts_to: str = ""
    """The domain to which it restricts the target, where that is not the energy's own picture."""
    start_gradients: ClassVar[int] = 0
    """Gradients at the start that the first position depends on, beyond those that the step counts."""

    @property
    def gradients_per_step(self) -> int:
        """Gradients (of a chain) that one step takes."""
        return 1

    def steps_for(self, gradients: int) -> int:
        """The steps that so many gradients a chain pay for; one without gradients counts its steps."""
        return max(0, (gradients - self.start_gradients) // max(1, self.gradients_per_step))

    def work(self, num_chains: int) -> float:
        """Time that a step takes beside its gradients, in units of a simple gradient of all chains."""
        return 1.0

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        """The random numbers that a step takes beside ξ, in order."""
        return ()

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> Any:
        """The state at positions x; what needs a first draw or gradient takes it here."""
        raise NotImplementedError

    def step(
        self, state: Any, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[Any, Info]:
        """The next state. Pure; h is a number, a tensor per chain or per coordinate; T may be zero."""
        raise NotImplementedError

    def stability_edge(self, curvature: float) -> float | None:
        """The largest stable step on a quadratic of curvature L; None where none is known, or all are."""
        return None

    def unused(self, energy: Energy) -> tuple[str, ...]:
        """Names of the parameters that change nothing on this energy."""
        return ()

    def implied_temperature(self, energy: Energy, step_size: float, temperature: float) -> float | None:
        """The temperature that the step really has, to first order, where it differs; None where it is T."""
        return None


registry: Registry[Sampler] = Registry("sampler", "samplers")


def sqrt(value: Any) -> Any:
    """Square root of a number or a tensor."""
    return torch.sqrt(value) if isinstance(value, Tensor) else value**0.5


def per_chain(values: Tensor, like: Tensor) -> Tensor:
    """(n,) values shaped to broadcast over states like (n, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def squared_norm(x: Tensor) -> Tensor:
    """|x|² of each chain, (n,)."""
    return x.square().flatten(1).sum(1)


def metropolis(log_ratio: Tensor, temperature: Any, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Accept where T·log u ≤ T·log(ratio); returns the mask and the probability min(1, ratio), both (n,).

    `log_ratio` is T·log(ratio), so that nothing is divided by a temperature that may be zero; a proposal
    whose ratio is not a number is refused.
    """
    temperature = torch.as_tensor(temperature, dtype=log_ratio.dtype, device=log_ratio.device)
    accept = temperature * torch.log1p(-uniform) <= log_ratio
    positive = torch.where(temperature > 0, temperature, 1.0)
    warm = torch.exp((log_ratio / positive).clamp(max=0.0))
    probability = torch.where(temperature > 0, warm, (log_ratio >= 0).to(warm.dtype))
    return accept, probability.nan_to_num(0.0)


def where_accepted(accept: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """The new value of the chains that accepted, the old one of the others."""
    return torch.where(per_chain(accept, new), new, old)
