"""A short chain to learn from: a few steps of any sampler, with nothing recorded.

`lflow.simulate` is for looking at chains; this is for models that learn from where a chain ends, or through
it. It knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lflow.draws import Draws
from lflow.energies.base import Energy
from lflow.energies.custom import FromCallable
from lflow.samplers.base import Sampler
from lflow.steps import StepRule, check_pair


class ShortRun(NamedTuple):
    """Where the chains ended.

    x: (n, *shape) the last positions.
    acceptance: mean over chains and steps, 0-dimensional; None without an accept step.
    gradient_evaluations: gradients a chain.
    starts: (num_steps, n, *shape) the positions where each step began; None where they are not kept.
    """

    x: Tensor
    acceptance: Tensor | None
    gradient_evaluations: int
    starts: Tensor | None = None


def short_run(
    energy: Energy | Callable[[Tensor], Tensor],
    x: Tensor,
    sampler: Sampler,
    rule: StepRule,
    num_steps: int,
    draws: Draws,
    temperature: float = 1.0,
    keep: bool = False,
) -> ShortRun:
    """Take `num_steps` steps from x, (n, *shape), on U: (n, *shape) -> (n,).

    The result carries no gradient, and the chains ask for none with respect to parameters, unless x requires
    one: then everything stays differentiable, through every step. States keep their own precision whatever
    autocast does to the energy. keep: whether to keep where each step began. ValueError if the rule would
    falsify the sampler.

    Example:
        >>> ula, rule = samplers.get("ula"), steps.get("constant", step_size=0.01)
        >>> short_run(lambda x: x.square().sum(1) / 2, torch.zeros(5, 3), ula, rule, 10, Draws(0, 0)).x.shape
        torch.Size([5, 3])
    """
    check_pair(sampler, rule)
    potential = energy if isinstance(energy, Energy) else FromCallable(_whole(energy), x[0].numel(), ())
    with _own_autocast(x.device.type):
        extra = sampler.extra(potential)
        state: Any = sampler.init(x, potential, draws.step_noise(x, extra), temperature)
        rule_state, accepted, taken = rule.init(x), [], sampler.start_gradients
        starts = []
        for t in torch.arange(num_steps, dtype=x.dtype, device=x.device):
            if keep:
                starts.append(state.x)
            h = rule.step_size_at(rule_state, t, getattr(state, "grad", None))
            state, info = sampler.step(state, potential, h, temperature, draws.step_noise(x, extra))
            rule_state, taken = rule.update(rule_state, info), taken + info.gradient_evaluations
            if info.acceptance is not None:
                accepted.append(info.acceptance.mean())
    acceptance = torch.stack(accepted).mean() if accepted else None
    return ShortRun(state.x, acceptance, taken, torch.stack(starts) if starts else None)


def _whole(energy: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The energy in the precision of the chains."""
    return lambda x: energy(x).to(x.dtype)


@contextmanager
def _own_autocast(device: str) -> Iterator[None]:
    # Weights that autocast has cast while they were frozen must not be found again by the loss.
    wanted, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    with torch.autocast(device, dtype=dtype, enabled=wanted, cache_enabled=False):
        yield


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Within, the parameters ask for no gradient: a chain is to be learned from, not to learn."""
    asked = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)
