"""The dynamical-system view itself: a discretised cloud beside the continuous-time flow, window by window.

For each start t of a window the flow begins with the cloud's law at t and runs on without an error of steps;
the distance of the window is sup over s in [0, T] of W2(cloud at t + s, flow after s). A cloud whose distance
goes to 0 as t grows, whatever T, is an asymptotic pseudotrajectory of the flow in Wasserstein space (Karimi,
Hsieh & Krause 2023, arXiv 2210.13867). Knows nothing of figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from lflow import energies, fokker_planck, simulate, steps
from lflow.energies.base import Bounds, Energy
from lflow.loop import Callback
from lflow.papers.dynamical_system import make_sampler, mirrored
from lflow.papers.dynamical_system_laws import target
from lflow.papers.experiment import Config, Findings
from lflow.papers.line import LineLaw
from lflow.steps import StepRule

GRID = 480
WINDOWS = 8
STEPS = 1500
"""Steps of a run whose steps fall; one of constant steps goes on until the same time."""
_MOMENTS = 8  # at which a window is looked at
_PICTURE = 6  # cells of the grid that make one of a picture


class Target(NamedTuple):
    """An even energy on the line and where its chains start, N(0, spread²)."""

    title: str
    energy: Energy
    reach: float
    spread: float
    step_size: float
    window: float
    """A first step and a length T that suit its curvature."""


@cache
def targets() -> dict[str, Target]:
    """The targets by name."""
    pair, _ = target()
    well = energies.get("double_well", dim=1)
    return {
        "pair": Target("Two modes", pair, 6.0, 1.0, 0.2, 1.0),
        "double_well": Target("Double well", well, 4.0, 0.5, 0.03, 0.2),
        "gaussian": Target("Gaussian N(0, 1)", energies.get("gaussian", dim=1), 9.0, 2.0, 0.8, 3.0),
    }


class Line:
    """A 1-D energy within wider bounds, as the solver of the flow takes it."""

    dim = 1

    def __init__(self, energy: Energy, reach: float) -> None:
        self.energy = energy
        self.bounds: Bounds = ((-reach, reach),)

    def __call__(self, x: Tensor) -> Tensor:
        return self.energy(x)


def work(config: Config, progress: Callback | None = None) -> Findings:
    """The distance of each window and what exact draws of the flow show; {"lost": True} if a chain was lost.

    config: target, sampler, rule (of falling steps: it sets how long the run is), constant (take its first
    step throughout), window (T), chains (and as many mirror images), seed.

    starts: times t of the windows. distances: theirs. floor: what exact draws of the flow's own densities
    would show. binning: the largest distance of the cloud to its own histogram, which the flow starts from.
    pictures: cloud and flow at the end of the first and the last window, as densities. Raises ValueError for
    a window longer than the run.
    """
    on = targets()[config["target"]]
    rule, times = clock(config)
    starts = window_starts(times, config["window"])
    moments = [_moments(times, start, config["window"]) for start in starts]
    wanted = sorted({step for found in moments for step in found} - {0})
    generator = torch.Generator().manual_seed(config["seed"])

    def tell(part: int, parts: int) -> bool | None:
        return progress(part, parts) if progress else None

    result = simulate(
        on.energy,
        make_sampler(config["sampler"]),
        rule,
        num_steps=wanted[-1],
        init=on.spread * torch.randn(config["chains"], 1, generator=generator),
        record_every=wanted,
        seed=config["seed"],
        device="cpu",
        callback=lambda step, of: tell(step, 2 * of),  # the windows take about as long again
    )
    if (result.diverged | result.escaped).any() or float(result.positions.abs().max()) > on.reach:
        return {"lost": True}
    clouds = {step: mirrored(x).double() for step, x in zip([0, *wanted], result.positions, strict=True)}
    found = []
    for count, window in enumerate(moments):
        tell(WINDOWS + count, 2 * WINDOWS)
        found.append(_window(on, times, clouds, window, generator))
    return {
        "starts": [round(float(times[window[0]]), 5) for window in moments],
        "distances": [round(each.distance, 6) for each in found],
        "floor": [round(each.floor, 6) for each in found],
        "binning": round(max(each.binning for each in found), 6),
        "pictures": [found[0].picture, found[-1].picture],
    }


def clock(config: Config) -> tuple[StepRule, Tensor]:
    """The rule of a run, and the time that has passed before each of its steps and after the last."""
    falling = steps.get("polynomial", **config["rule"])
    times = _passed(falling, STEPS)
    if not config["constant"]:
        return falling, times
    first = config["rule"]["step_size"]
    constant = steps.get("constant", step_size=first)
    return constant, _passed(constant, math.ceil(float(times[-1]) / first))


def _passed(rule: StepRule, count: int) -> Tensor:
    t = torch.arange(count, dtype=torch.float64)
    h = rule.step_size_at(rule.init(t), t, None).expand_as(t)
    return torch.cat([torch.zeros(1, dtype=torch.float64), h.cumsum(0)])


def window_starts(times: Tensor, window: float) -> list[float]:
    """Times from which windows of that length start, evenly on a log scale; the last ends with the run.

    None is earlier than the first step, so that each has a logarithm.
    """
    last = float(times[-1]) - window
    if last < window:
        raise ValueError(
            f"the run lasts {float(times[-1]):.3g} units of time, and a window {window:g}: take larger "
            "steps, steps that fall more slowly, or a shorter window"
        )
    first = max(last / 100, float(times[1]))
    return torch.logspace(math.log10(first), math.log10(last), WINDOWS, dtype=torch.float64).tolist()


def _moments(times: Tensor, start: float, window: float) -> list[int]:
    """The steps of a window that are looked at: the first, and up to eight more, evenly in time."""
    first = int((times - start).abs().argmin())
    wanted = times[first] + window * torch.arange(1, _MOMENTS + 1, dtype=torch.float64) / _MOMENTS
    after = {int((times - moment).abs().argmin()) for moment in wanted}
    return [first, *sorted(step for step in after if step > first)]


class _Window(NamedTuple):
    distance: float
    floor: float
    binning: float
    picture: dict[str, list[float]]


def _window(
    on: Target, times: Tensor, clouds: dict[int, Tensor], moments: Sequence[int], generator: torch.Generator
) -> _Window:
    first, later = moments[0], moments[1:]
    line = Line(on.energy, on.reach)
    (points,) = fokker_planck.axes(line, GRID)
    start = histogram(clouds[first], on.reach)
    after = (times[list(later)] - times[first]).tolist()
    laws = [LineLaw(points, density) for density in fokker_planck.solve(line, after, start, GRID)]
    # Half of the draws and their mirror images, as the cloud has them; the same levels at every moment.
    levels = torch.rand(len(clouds[first]) // 2, generator=generator, dtype=torch.float64)
    return _Window(
        max(law.w2(clouds[step]) for law, step in zip(laws, later, strict=True)),
        max(law.w2(mirrored(law.quantile(levels))) for law in laws),
        LineLaw(points, start).w2(clouds[first]),
        {
            "points": _coarse(points),
            "cloud": _coarse(histogram(clouds[later[-1]], on.reach)),
            "flow": _coarse(laws[-1].density),
        },
    )


def histogram(values: Tensor, reach: float) -> Tensor:
    """The density of values in the cells of the grid, (GRID,), float64."""
    width = 2 * reach / GRID
    return torch.histc(values, GRID, -reach, reach).double() / (len(values) * width)


def _coarse(values: Tensor) -> list[float]:
    return [round(float(each), 4) for each in values.reshape(-1, _PICTURE).mean(1)]
