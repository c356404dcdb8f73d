"""What a run begins with: arguments made into objects, a start, or an earlier run to continue.

Everything that a caller may get wrong is refused here, in a sentence, before anything runs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow import samplers, steps
from lflow.energies.base import Energy
from lflow.energies.custom import FromCallable
from lflow.noise import Noise, Stream, generator
from lflow.samplers.base import Sampler
from lflow.steps import StepRule, check_pair

MAX_BYTES = 8 << 30
"""The most that the frames of a run, or its chains, may take."""


class Carry(NamedTuple):
    """What a step hands to the next: the sampler's state, the rule's, which chains live, the step number."""

    state: Any
    rule_state: Any
    alive: Tensor
    t: Tensor


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on exactly: its parts, its state and its random numbers."""

    energy: Energy
    sampler: Sampler
    rule: StepRule
    temperature: float
    noise: Noise
    carry: Carry
    stream: tuple[Tensor, Tensor]
    step: int
    gradient_evaluations: int
    escaped: Tensor


def fresh(
    energy: Energy, x: Tensor, sampler: Sampler, rule: StepRule, temperature: float, noise: Noise
) -> Checkpoint:
    """The state before the first step. ValueError if the rule would falsify the sampler."""
    check_pair(sampler, rule)
    if noise.primary is not None and tuple(noise.primary.shape[1:]) != tuple(x.shape):
        given, wanted = tuple(noise.primary.shape[1:]), tuple(x.shape)
        raise ValueError(f"the given noise has shape {given} a step, and the chains have shape {wanted}")
    stream = Stream(noise, x.device)
    with torch.no_grad():
        first = stream.draw(x, sampler.extra(energy), None)
        state = sampler.init(x, energy, first, temperature)
        alive = x.flatten(1).sum(1).isfinite()
        carry = Carry(state, rule.init(x), alive, torch.zeros((), device=x.device))
    parts = energy, sampler, rule, temperature, noise, carry
    return Checkpoint(*parts, stream.get_state(), 0, sampler.start_gradients, torch.zeros_like(alive))


def continued(
    checkpoint: Checkpoint,
    energy: Any,
    sampler: Any,
    step: Any,
    step_size: Any,
    temperature: Any,
    init: Any,
    noise: Noise | None,
) -> Checkpoint:
    """The checkpoint, after making sure that what the caller repeats is what the run was made of."""
    # A name alone repeats the class, whatever its parameters were.
    rule = checkpoint.rule if step in (None, checkpoint.rule.name) else make_rule(step, None)
    if step_size is not None:
        rule = _with_step_size(rule, step_size)
    if sampler in (None, checkpoint.sampler.name):
        sampler = checkpoint.sampler
    repeated = {
        "sampler": (make_sampler(sampler), checkpoint.sampler),
        "step rule": (rule, checkpoint.rule),
        "temperature": (
            checkpoint.temperature if temperature is None else temperature,
            checkpoint.temperature,
        ),
    }
    for what, (asked, had) in repeated.items():
        if asked != had:
            raise ValueError(f"resume continues a run exactly: its {what} is {had}, not {asked}")
    if init is not None:
        raise ValueError("resume starts where the earlier run ended: leave init out")
    if noise is not None and not noise.same_as(checkpoint.noise):
        raise ValueError("resume continues the earlier run's noise: leave noise out")
    energy = as_energy(energy, checkpoint.carry.state.x)
    # A function written anew is another object, though it may well compute the same.
    functions = isinstance(energy, FromCallable) and isinstance(checkpoint.energy, FromCallable)
    if energy != checkpoint.energy and not (functions and energy.bounds == checkpoint.energy.bounds):
        raise ValueError(f"resume continues a run exactly: its energy is {checkpoint.energy}, not {energy}")
    return dataclasses.replace(checkpoint, energy=energy)


def make_sampler(sampler: str | Sampler | None) -> Sampler:
    """A sampler by name, or as it is."""
    if sampler is None or isinstance(sampler, str):
        return samplers.get(sampler or "ula")
    return sampler


def make_rule(step: str | StepRule | None, step_size: float | None) -> StepRule:
    """A rule by name, or as it is, with its step size set."""
    if step is None or isinstance(step, str):
        return steps.get(step or "constant", **({} if step_size is None else {"step_size": step_size}))
    return step if step_size is None else _with_step_size(step, step_size)


def _with_step_size(rule: StepRule, step_size: float) -> StepRule:
    values = rule.config() | {"step_size": step_size}
    values.pop("name")
    return type(rule)(**values)


def checked_temperature(temperature: float | None) -> float:
    """A finite temperature of at least 0."""
    value = 1.0 if temperature is None else float(temperature)
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"temperature must be finite and at least 0, got {value:g}")
    return value


def whole(value: int, name: str) -> int:
    """A whole number of at least 1."""
    is_whole = isinstance(value, int | float) and math.isfinite(value) and value == int(value)
    if isinstance(value, bool) or not is_whole or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


def starting_points(
    energy: Any, init: Tensor | None, num_chains: int, seed: int, device: torch.device
) -> Tensor:
    if init is not None:
        x = torch.as_tensor(init)
        if x.ndim < 2 or len(x) == 0 or not x.is_floating_point():
            raise ValueError(
                f"init must be floating-point of shape (num_chains, *shape), got {x.dtype} {tuple(x.shape)}"
            )
        if isinstance(energy, Energy) and tuple(x.shape[1:]) != (energy.dim,):
            raise ValueError(f"init must have shape (num_chains, {energy.dim}), got {tuple(x.shape)}")
        if not bool(x.isfinite().all()):
            raise ValueError("init must be finite")
        return x.detach().to(device, copy=True)
    if not isinstance(energy, Energy):
        raise ValueError("a plain function has no default start: give init, or use energies.from_callable")
    num_chains = whole(num_chains, "num_chains")
    if num_chains * energy.dim * 8 > MAX_BYTES:
        raise ValueError(f"{num_chains:,} chains in {energy.dim} dimensions do not fit into memory")
    return energy.initial(num_chains, generator(seed, "start")).to(device)


def as_energy(energy: Energy | Callable[[Tensor], Tensor], x: Tensor) -> Energy:
    """An energy, or a function that maps chains to one number each, as one."""
    if isinstance(energy, Energy):
        return energy
    if not callable(energy):
        raise ValueError(f"an energy is needed, got {energy!r}: energies.get(name) makes one")
    with torch.no_grad():
        found = tuple(energy(x[:3]).shape)
    if found != (len(x[:3]),):
        raise ValueError(f"the energy must map {tuple(x[:3].shape)} to ({len(x[:3])},); it gives {found}")
    return FromCallable(energy, x[0].numel(), ())
