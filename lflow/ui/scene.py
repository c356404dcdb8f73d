"""From a run to what the player shows: the panel, the metrics over time, and the words of each frame."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lflow.loop import Result
from lflow.metrics import mode_mass
from lflow.metrics.distances import sliced_wasserstein2_frames
from lflow.ui import explain
from lflow.ui.packing import Line, Metric, Panel, Scene, Series
from lflow.ui.request import Parts, Settings
from lflow.ui.theme import FAMILY_COLOURS, family_of
from lflow.ui.truth import PROJECTIONS, Truth

_TRACED = 3
_ENERGIES = 2_000_000  # evaluations of U for the chart of a run
_MODES_DRAWN = 3


def distances(result: Result, truth: Truth) -> list[float] | None:
    """Sliced W2 of every frame to exact draws; None where there are none."""
    if truth.draws is None:
        return None
    return sliced_wasserstein2_frames(result.positions, truth.draws, num_projections=PROJECTIONS).tolist()


def make_scene(
    parts: Parts,
    settings: Settings,
    result: Result,
    truth: Truth,
    away: list[float] | None,
    flow: Tensor | None = None,
    can_place: bool = True,
) -> Scene:
    """The scene of one run. `away` are its `distances`, `flow` the continuous-time density at each frame."""
    light, dark = FAMILY_COLOURS[family_of(parts.sampler.family, parts.rule.name)]
    trouble = explain.trouble(parts, result)
    panel = Panel(
        label=f"{parts.sampler.title} on {parts.energy.title.lower()}",
        colour_light=light,
        colour_dark=dark,
        positions=result.positions.numpy(),
        captions=explain.captions(result, away, truth.floor),
        density=None if truth.density is None else truth.density.numpy(),
        energy=truth.energy_grid.numpy(),
        flow=None if flow is None else flow.numpy(),
        marginal_x=None if truth.marginal_x is None else truth.marginal_x.numpy(),
        marginal_y=None if truth.marginal_y is None else truth.marginal_y.numpy(),
        banner=trouble[0] if trouble else "",
        banner_frame=trouble[1] if trouble else None,
    )
    (x0, x1), (y0, y1) = parts.energy.bounds
    metrics = [
        _distance(away, truth),
        _energy(parts, result, truth),
        _acceptance(parts, result),
        _mode_mass(parts, result, truth),
        _step_sizes(parts, result),
        _traces(result),
    ]
    return Scene(
        bounds=((x0, x1), (y0, y1)),
        steps=result.steps.numpy(),
        panels=[panel],
        metrics=[metric for metric in metrics if metric is not None],
        alt=_in_words(parts, settings, result, away, truth),
        can_place=can_place,
    )


def _in_words(
    parts: Parts, settings: Settings, result: Result, away: list[float] | None, truth: Truth
) -> str:
    target = (
        "the energy's contours" if truth.density is None else "the target's density and the energy's contours"
    )
    summary = explain.summary(parts, result, None if away is None else away[-1], truth)
    return (
        f"{settings.num_chains:,} particles of {parts.sampler.title} moving over {target} "
        f"({parts.energy.title}), with histograms along both axes. {summary}"
    )


def _distance(away: list[float] | None, truth: Truth) -> Metric | None:
    if away is None or truth.floor is None:
        return None
    floor = Line("exact samples", truth.floor.mean, truth.floor.low, truth.floor.high)
    help = "Sliced Wasserstein-2 distance to exact draws of the same number, over 16 directions."
    return Metric(
        "Distance to the target", "sliced W2", (Series("", away, 0),), log=True, lines=(floor,), help=help
    )


def _energy(parts: Parts, result: Result, truth: Truth) -> Metric:
    frames = len(result.positions)
    most = max(100, int(_ENERGIES / parts.energy.cost / frames))
    some = result.positions[:, :most]
    with torch.no_grad():
        values = parts.energy(some.reshape(-1, 2)).reshape(frames, -1).mean(1)
    lines = () if truth.mean_energy is None else (Line("target", truth.mean_energy),)
    help = f"Mean of U over {some.shape[1]:,} of the particles, and over exact draws."
    return Metric("Mean energy", "U", (Series("", values.numpy(), 0),), lines=lines, help=help)


def _acceptance(parts: Parts, result: Result) -> Metric | None:
    if not parts.sampler.has_accept_step:
        return None
    lines = (Line("wanted", parts.rule.target),) if hasattr(parts.rule, "target") else ()
    help = "Mean probability with which a proposal was accepted since the last frame."
    return Metric("Acceptance", "share", (Series("", result.acceptance.numpy(), 0),), lines=lines, help=help)


def _mode_mass(parts: Parts, result: Result, truth: Truth) -> Metric | None:
    modes = parts.energy.modes
    if modes is None or truth.mode_shares is None or len(modes) < 2:
        return None
    mass = mode_mass(result.positions, modes)
    if len(modes) <= _MODES_DRAWN:
        series = tuple(Series(f"mode {k + 1}", mass[:, k].numpy(), 0) for k in range(len(modes)))
        lines = tuple(Line(f"exact {k + 1}", float(share)) for k, share in enumerate(truth.mode_shares))
        help = "Share of particles nearest to each mode."
        return Metric("Mode mass", "share", series, lines=lines, help=help)
    misplaced = (mass - truth.mode_shares).abs().sum(1) / 2
    # The mean of |p̂ - p| over n draws is √(2p(1-p)/πn) where np is large.
    share = truth.mode_shares
    floor = (2 * share * (1 - share) / (math.pi * result.positions.shape[1])).sqrt().sum() / 2
    help = "Half the sum over modes of |share - exact share|: the mass that would have to change its mode."
    series = (Series("", misplaced.numpy(), 0),)
    lines = (Line("exact samples", float(floor)),)
    return Metric("Mass in the wrong mode", "share", series, lines=lines, help=help)


def _step_sizes(parts: Parts, result: Result) -> Metric | None:
    if parts.rule.name == "constant":
        return None
    help = "Mean over particles of the step size h of the last step."
    return Metric("Step size", "h", (Series("", result.step_sizes.numpy(), 0),), log=True, help=help)


def _traces(result: Result) -> Metric:
    chosen = range(min(_TRACED, result.positions.shape[1]))
    series = tuple(Series("", result.positions[:, k, 0].numpy(), 0, dash=k > 0) for k in chosen)
    return Metric("Traces", "x", series, help=f"The x of {len(chosen)} of the particles.")
