"""From a request to a run and its continuous-time counterpart. Knows no widgets and no pictures."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lflow import fokker_planck
from lflow.energies.base import Energy
from lflow.loop import Result, simulate
from lflow.steps import StepRule
from lflow.ui.request import Parts, Request, Settings, starting_points
from lflow.ui.store import Store

FLOW_GRID = 96
_MOST_FRAMES = 250
_POSITIONS_SENT = 3_000_000  # particles × frames: 12 MB on the wire

# The steps are many and small: a second thread costs more than it brings, and serves a second reader.
torch.set_num_threads(1)


def record_every(settings: Settings) -> int:
    """Steps between frames: up to 250 frames, fewer for a large cloud."""
    frames = max(30, min(_MOST_FRAMES, _POSITIONS_SENT // settings.num_chains))
    return max(1, math.ceil(settings.num_steps / frames))


def run(request: Request, results: Store, progress: Callable[[int, int], None] | None = None) -> Result:
    """Simulate a request, or find it in the store. ValueError if it is refused or over the budget."""
    parts = request.parts()
    request.check_budget(parts)
    return results.get(request.key, lambda: _simulate(request, parts, results, progress))


def _simulate(
    request: Request, parts: Parts, results: Store, progress: Callable[[int, int], None] | None
) -> Result:
    settings = request.settings
    earlier = None
    if settings.more:
        earlier = run(request.before_continuing(), results, progress)
    return simulate(
        parts.energy,
        sampler=parts.sampler,
        step=parts.rule,
        num_steps=settings.num_steps,
        num_chains=settings.num_chains,
        temperature=settings.temperature,
        init=None if earlier else starting_points(parts.energy, settings),
        record_every=record_every(settings),
        seed=settings.seed,
        device="cpu",
        callback=progress,
        resume=earlier,
    )


def has_flow(parts: Parts, settings: Settings) -> bool:
    """Whether the run discretises the overdamped flow along a clock that is known beforehand."""
    return parts.sampler.follows_flow and parts.rule.kind == "time" and settings.temperature > 0


def flow_times(rule: StepRule, steps: Tensor) -> Tensor:
    """The time Σ h_t that has passed before each of the steps, of a rule that is a function of time."""
    t = torch.arange(int(steps[-1]), dtype=torch.float64)
    h = rule.step_size_at(rule.init(t), t, None).expand_as(t)
    passed = torch.cat([torch.zeros(1, dtype=torch.float64), h.cumsum(0)])
    return passed[steps]


def flow_density(parts: Parts, settings: Settings, steps: Tensor) -> Tensor:
    """The density of the continuous-time flow from the same start at each frame, (frames, row, column)."""
    times = flow_times(parts.rule, steps)
    wanted, where = torch.unique(times, return_inverse=True)
    initial = _initial_density(parts.energy, settings)
    solved = fokker_planck.solve(
        parts.energy, wanted.tolist(), initial, grid=FLOW_GRID, temperature=settings.temperature
    )
    return solved[where].mT.float()


def _initial_density(energy: Energy, settings: Settings) -> Tensor | tuple[tuple[float, ...], float]:
    if settings.start == "point":
        return (settings.x, settings.y), 0.0
    if settings.start == "default" and energy.start is not None:
        return energy.start
    return torch.ones(FLOW_GRID, FLOW_GRID, dtype=torch.float64)
