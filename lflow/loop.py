"""THE loop: every cloud, page, model, test and benchmark samples through `simulate`.

It owns what is not a sampler's business: the start, the noise, recording, the freezing of chains that
overflow, progress, cancelling, continuing. It never waits for the device between frames.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from lflow.beginning import (
    MAX_BYTES,
    Carry,
    Checkpoint,
    as_energy,
    checked_temperature,
    continued,
    fresh,
    make_rule,
    make_sampler,
    starting_points,
    whole,
)
from lflow.device import find_device
from lflow.energies.base import Energy
from lflow.noise import Noise, StepNoise, Stream
from lflow.samplers.base import Sampler, per_chain
from lflow.steps import StepRule

ESCAPE_WIDTHS = 1000.0

Callback = Callable[[int, int], bool | None]


@dataclass(frozen=True)
class Result:
    """What `simulate` returns; all tensors are on the CPU. `frames` counts the start and each record.

    positions: (frames, num_chains, *shape) float32; frame 0 is the start, the last frame the last step.
    steps: (frames,) step number of each frame.
    gradient_evaluations: (frames,) gradients taken so far, a chain.
    acceptance: (frames,) mean since the last frame; NaN at frame 0 and where there is no accept step.
    step_sizes: (frames,) mean step size of the step that led to the frame; NaN at frame 0.
    num_diverged, num_escaped: (frames,) chains that were frozen, or had left for good, by then.
    diverged: (num_chains,) chains that overflowed; they stay at their last finite position.
    escaped: (num_chains,) chains that were seen beyond 1,000 widths of the bounds.
    cancelled: the callback stopped the run; the frames until then are kept.
    checkpoint: pass the result as `resume` to go on from here exactly.
    """

    positions: Tensor
    steps: Tensor
    gradient_evaluations: Tensor
    acceptance: Tensor
    step_sizes: Tensor
    num_diverged: Tensor
    num_escaped: Tensor
    diverged: Tensor
    escaped: Tensor
    cancelled: bool
    checkpoint: Checkpoint


def simulate(
    energy: Energy | Callable[[Tensor], Tensor],
    sampler: str | Sampler | None = None,
    step: str | StepRule | None = None,
    step_size: float | None = None,
    num_steps: int = 1000,
    num_chains: int = 2000,
    temperature: float | None = None,
    init: Tensor | None = None,
    record_every: int | Sequence[int] = 10,
    seed: int = 0,
    device: str | torch.device = "auto",
    compile: bool = False,
    noise: Noise | None = None,
    callback: Callback | None = None,
    resume: Result | None = None,
) -> Result:
    """Run a cloud of chains on an energy and record it.

    Args:
        energy: an energy, or any torch function (n, *shape) -> (n,) if `init` is given.
        sampler: a name or an instance, such as `samplers.get("hmc", num_leapfrog=8)`; "ula" if not given.
        step: a step-size rule by name or an instance; "constant" if not given.
        step_size: h > 0, sets the rule's own: the overdamped step, or the integrator's for HMC and BAOAB.
        num_steps: steps to take, at least 1; the chains go on from `resume` by that many.
        num_chains: size of the cloud; `init` decides it where it is given.
        temperature: T ≥ 0 of the target exp(-U/T); 1 if not given; at 0 there is no noise: gradient
            descent, where there is no accept step.
        init: (num_chains, *shape) positions to start from; None starts as the energy says.
        record_every: steps between frames, or the steps to record, increasing and at least 1; the start and
            the last step are always frames.
        seed: seeds the start and both noise streams.
        device: "auto" takes CUDA, then the CPU.
        compile: compile the step, for long runs; falls back with a warning where there is no compiler.
        noise: noise to share with another run, instead of the seed's.
        callback: called as callback(step, num_steps) at each frame; returning False stops the run there.
        resume: an earlier result to continue exactly: same energy, sampler, rule, temperature and random
            numbers. `num_chains`, `seed` and `device` are then the earlier run's.

    Raises:
        ValueError: a bad argument, or a rule that would falsify the sampler; the sentence says which.

    Example:
        >>> U = lflow.energies.get("rings")
        >>> r = lflow.simulate(U, sampler="mala", step_size=0.01, num_steps=500)
        >>> r.positions[-1].shape
        torch.Size([2000, 2])
    """
    num_steps = whole(num_steps, "num_steps")
    frame_steps = _frame_steps(record_every, num_steps)
    if isinstance(seed, bool) or seed != int(seed) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
    where = find_device(device)
    if resume is not None:
        start = continued(resume.checkpoint, energy, sampler, step, step_size, temperature, init, noise)
    else:
        x = starting_points(energy, init, num_chains, seed, where)
        potential = as_energy(energy, x)
        parts = make_sampler(sampler), make_rule(step, step_size), checked_temperature(temperature)
        start = fresh(potential, x, *parts, noise or Noise(seed))
    with torch.no_grad():
        return _Run(start, frame_steps, compile).go(callback)


def _frame_steps(record_every: int | Sequence[int], num_steps: int) -> list[int]:
    """The steps whose positions are kept, from 0 to the last."""
    if not isinstance(record_every, Sequence):
        return [*range(0, num_steps, whole(record_every, "record_every")), num_steps]
    chosen = [whole(step, "record_every") for step in record_every]
    if any(later <= earlier for earlier, later in pairwise(chosen)) or (chosen and chosen[-1] > num_steps):
        raise ValueError(f"record_every must list increasing steps of at most num_steps = {num_steps}")
    return [0, *chosen, *([] if chosen and chosen[-1] == num_steps else [num_steps])]


class _Run:
    """One call of `simulate` in progress: its preallocated record and the function that takes one step."""

    def __init__(self, start: Checkpoint, frame_steps: list[int], compile: bool):
        self.energy, self.start, self.frame_steps = start.energy, start, frame_steps
        self.num_steps = num_steps = frame_steps[-1]
        x = start.carry.state.x
        size = len(self.frame_steps) * x.numel() * 4
        if size > MAX_BYTES:
            raise ValueError(
                f"recording {len(self.frame_steps)} frames of {len(x)} chains needs {size / 2**30:.0f} GiB: "
                "raise record_every"
            )
        given = start.noise.primary
        if given is not None and len(given) < start.step + num_steps:
            raise ValueError(f"the given noise holds {len(given)} steps; {start.step + num_steps} are needed")
        frames = len(self.frame_steps)
        self.positions = torch.empty((frames, *x.shape), dtype=torch.float32, device=x.device)
        self.scalars = torch.full((4, frames), torch.nan, dtype=torch.float32, device=x.device)
        self.gradients = [0 if start.step == 0 else start.gradient_evaluations]
        self.stream = Stream(start.noise, x.device)
        self.stream.set_state(start.stream)
        self.temperature = torch.tensor(start.temperature, dtype=x.dtype, device=x.device)
        self.advance = self._compiled() if compile else self._advance

    def _advance(self, carry: Carry, noise: StepNoise, temperature: Tensor) -> tuple[Carry, Any, Tensor]:
        sampler, rule = self.start.sampler, self.start.rule
        grad = getattr(carry.state, "grad", None)
        h = rule.step_size_at(carry.rule_state, carry.t, grad)
        state, info = sampler.step(carry.state, self.energy, h, temperature, noise)
        # A sum is not finite where a coordinate is not. Only the position needs freezing: whatever else the
        # state holds, a dead chain never moves again.
        alive = carry.alive & state.x.flatten(1).sum(1).isfinite()
        state = state._replace(x=torch.where(per_chain(alive, state.x), state.x, carry.state.x))
        return Carry(state, rule.update(carry.rule_state, info), alive, carry.t + 1), info, h

    def _compiled(self) -> Callable[..., Any]:
        # The step is one code object for all samplers: the default of 8 versions is soon used up.
        torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
        compiled = torch.compile(self._advance, dynamic=False, fullgraph=True)

        def advance(*arguments: Any) -> Any:
            try:
                return compiled(*arguments)
            except torch._dynamo.exc.FailOnRecompileLimitHit:
                # Even those are used up in a session that is long enough.
                torch.compiler.reset()
                return compiled(*arguments)
            except torch._dynamo.exc.BackendCompilerFailed as error:
                reason = str(error).strip().splitlines()[0]
                warnings.warn(f"compile=True runs eagerly here, without a compiler: {reason}", stacklevel=4)
                self.advance = self._advance
                return self._advance(*arguments)

        return advance

    def go(self, callback: Callback | None) -> Result:
        start, sampler = self.start, self.start.sampler
        extra = sampler.extra(self.energy)
        carry, escaped = start.carry, start.escaped
        box = _escape_box(self.energy, carry.state.x)
        acceptance, since, taken = torch.zeros((), device=carry.alive.device), 0, start.gradient_evaluations
        escaped = self._record(0, carry, escaped, box)
        frame, info, h = 1, None, None
        for done in range(1, self.num_steps + 1):
            noise = self.stream.draw(carry.state.x, extra, start.step + done - 1)
            carry, info, h = self.advance(carry, noise, self.temperature)
            taken, since = taken + info.gradient_evaluations, since + 1
            if info.acceptance is not None:
                acceptance = acceptance + info.acceptance.mean()
            if done != self.frame_steps[frame]:
                continue
            escaped = self._record(frame, carry, escaped, box)
            self.scalars[1, frame] = h.nanmean()  # a chain that overflowed has no step size
            if info.acceptance is not None:
                self.scalars[0, frame] = acceptance / since
            self.gradients.append(taken)
            acceptance, since, frame = torch.zeros_like(acceptance), 0, frame + 1
            if callback is not None and callback(done, self.num_steps) is False:
                break
        return self._result(frame, carry, escaped, taken)

    def _record(self, frame: int, carry: Carry, escaped: Tensor, box: tuple[Tensor, Tensor]) -> Tensor:
        x, (centre, reach) = carry.state.x, box
        self.positions[frame].copy_(x)
        escaped = escaped | ((x - centre).abs() > reach).flatten(1).any(1)
        self.scalars[2, frame] = (~carry.alive).sum()
        self.scalars[3, frame] = escaped.sum()
        return escaped

    def _result(self, frames: int, carry: Carry, escaped: Tensor, taken: int) -> Result:
        scalars, start = self.scalars[:, :frames].cpu(), self.start
        done = self.frame_steps[frames - 1]
        # A cancelled run must not hold on to the frames that were never made.
        positions = self.positions if done == self.num_steps else self.positions[:frames].clone()
        return Result(
            positions=positions.cpu(),
            steps=torch.tensor(self.frame_steps[:frames]) + start.step,
            gradient_evaluations=torch.tensor(self.gradients),
            acceptance=scalars[0],
            step_sizes=scalars[1],
            num_diverged=scalars[2].long(),
            num_escaped=scalars[3].long(),
            diverged=(~carry.alive).cpu(),
            escaped=escaped.cpu(),
            cancelled=done < self.num_steps,
            checkpoint=dataclasses.replace(
                start,
                carry=carry,
                stream=self.stream.get_state(),
                step=start.step + done,
                gradient_evaluations=taken,
                escaped=escaped,
            ),
        )


def _escape_box(energy: Energy, x: Tensor) -> tuple[Tensor, Tensor]:
    """Centre and reach beyond which a chain has left for good; of the start where there are no bounds."""
    if energy.bounds:
        low, high = torch.tensor(energy.bounds, dtype=x.dtype, device=x.device).T
    else:
        low, high = x.amin() - 0.5, x.amax() + 0.5
    return (low + high) / 2, ESCAPE_WIDTHS * (high - low)
