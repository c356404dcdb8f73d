"""From one run, or several, to what the player shows: panels, metrics over time, the words of each frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lflow.metrics import mode_mass
from lflow.samplers.proposal import proposal_grid
from lflow.ui import explain
from lflow.ui.packing import Line, Metric, Panel, Scene, Series
from lflow.ui.request import Parts
from lflow.ui.theme import shades
from lflow.ui.track import Track
from lflow.ui.truth import Truth

_TRACED = 3
_PROPOSALS = 128  # cells along an axis, between which the player interpolates
_ENERGIES = 2_000_000  # evaluations of U for the chart of a run
_MODES_DRAWN = 3


def make_scene(track: Track, flow: Tensor | None = None, interactive: bool = True) -> Scene:
    """The scene of one run; `flow` is the continuous-time density at each frame.

    interactive: a start may be placed and a target drawn, since the page then runs anew.
    """
    parts = track.parts
    scene = make_race_scene([track], track.result.steps, "step", interactive)
    label = f"{parts.sampler.title} on {parts.energy.title.lower()}"
    panel = replace(scene.panels[0], label=label, flow=None if flow is None else flow.numpy())
    return replace(scene, panels=[panel])


def make_race_scene(
    tracks: Sequence[Track], clock: Tensor, clock_word: str, interactive: bool = False
) -> Scene:
    """The scene of several runs of equal clouds; `clock` counts what has passed by each frame, for instance
    gradients.
    """
    colours = shades([track.family for track in tracks])
    return Scene(
        bounds=_bounds(tracks[0]),
        steps=clock.numpy(),
        panels=[
            _panel(track, colour, len(tracks) > 1) for track, colour in zip(tracks, colours, strict=True)
        ],
        metrics=_metrics(tracks),
        alt=_in_words(tracks[0].result.positions.shape[1], tracks),
        can_place=interactive,
        can_draw=interactive,
        step_word=clock_word,
    )


def _bounds(track: Track) -> tuple[tuple[float, float], tuple[float, float]]:
    (x0, x1), (y0, y1) = track.parts.energy.bounds
    return (x0, x1), (y0, y1)


def _panel(track: Track, colours: tuple[str, str], among_others: bool) -> Panel:
    parts, result, truth, shown = track.parts, track.result, track.truth, track.frames.tolist()
    say = explain.short_captions if among_others else explain.captions
    captions = say(result, track.away, truth.floor)
    trouble = explain.trouble(parts, result)
    return Panel(
        label=track.label,
        colour_light=colours[0],
        colour_dark=colours[1],
        positions=result.positions[track.frames].numpy(),
        captions=[captions[frame] for frame in shown],
        density=_array(truth.density),
        energy=truth.energy_grid.numpy(),
        proposal=proposal_grid(*parts[1:], parts.energy, result.checkpoint.temperature, _PROPOSALS),
        proposal_name=_proposal_name(parts),
        marginal_x=_array(truth.marginal_x),
        marginal_y=_array(truth.marginal_y),
        banner=trouble[0] if trouble else "",
        banner_frame=next((k for k, frame in enumerate(shown) if trouble and frame >= trouble[1]), None),
    )


def _proposal_name(parts: Parts) -> str:
    """What the ellipse is of: where the step size changes with time, of the first step."""
    step = "proposal" if parts.sampler.has_accept_step else "step"
    lasting = parts.rule.name in ("constant", "anisotropic")
    return f"the next {step}" if lasting else f"a first {step} from here"


def _array(values: Tensor | None) -> NDArray[Any] | None:
    return None if values is None else values.numpy()


def _in_words(num_chains: int, tracks: Sequence[Track]) -> str:
    first = tracks[0]
    target = "the target's density and the energy's contours"
    if first.truth.density is None:
        target = "the energy's contours"
    said = [f"{track.label}: {_summary(track)}" if track.label else _summary(track) for track in tracks]
    names = ", ".join(track.label or track.parts.sampler.title for track in tracks)
    return (
        f"{num_chains:,} particles of {names} moving over {target} ({first.parts.energy.title}), with "
        f"histograms along both axes. {' '.join(said)}"
    )


def _summary(track: Track) -> str:
    last = None if track.away is None else track.away[-1]
    return explain.summary(track.parts, track.result, last, track.truth)


def _metrics(tracks: Sequence[Track]) -> list[Metric]:
    found = [
        _distance(tracks),
        _energy(tracks),
        _acceptance(tracks),
        _mode_mass(tracks),
        _step_sizes(tracks),
        _traces(tracks[0]) if len(tracks) == 1 else None,
    ]
    return [metric for metric in found if metric is not None]


def _series(tracks: Sequence[Track], values: Callable[[Track], ArrayLike | None]) -> tuple[Series, ...]:
    """A curve for each track that has one, of values at each frame of its run; dashed if it shares a hue."""
    found = []
    for panel, track in enumerate(tracks):
        of_run = values(track)
        if of_run is not None:
            shaded = track.family in [earlier.family for earlier in tracks[:panel]]
            found.append(Series(track.label, np.asarray(of_run)[track.frames.numpy()], panel, dash=shaded))
    return tuple(found)


def _known(tracks: Sequence[Track]) -> Truth:
    """The truth of the first run that has one: a sampler that restricts the target has none."""
    return next((track.truth for track in tracks if not track.truth.unknown), tracks[0].truth)


def _distance(tracks: Sequence[Track]) -> Metric | None:
    series = _series(tracks, lambda track: track.away)
    floor = _known(tracks).floor
    if not series or floor is None:
        return None
    line = Line("exact samples", floor.mean, floor.low, floor.high)
    help = "Sliced Wasserstein-2 distance to exact draws of the same number, over 16 directions."
    return Metric("Distance to the target", "sliced W2", series, log=True, lines=(line,), help=help)


def _energy(tracks: Sequence[Track]) -> Metric:
    frames = sum(len(track.result.positions) for track in tracks)
    most = max(100, int(_ENERGIES / tracks[0].parts.energy.cost / frames))

    def mean(track: Track) -> NDArray[Any]:
        some = track.result.positions[:, :most]
        with torch.no_grad():
            return track.parts.energy(some.reshape(-1, 2)).reshape(len(some), -1).mean(1).numpy()

    truth = _known(tracks)
    lines = () if truth.mean_energy is None else (Line("target", truth.mean_energy),)
    count = min(most, tracks[0].result.positions.shape[1])
    help = f"Mean of U over {count:,} of the particles, and over exact draws."
    return Metric("Mean energy", "U", _series(tracks, mean), lines=lines, help=help)


def _acceptance(tracks: Sequence[Track]) -> Metric | None:
    accepting = [track for track in tracks if track.parts.sampler.has_accept_step]
    if not accepting:
        return None
    rule = accepting[0].parts.rule
    lines = (Line("wanted", rule.target),) if len(tracks) == 1 and hasattr(rule, "target") else ()

    def accepted(track: Track) -> NDArray[Any] | None:
        return track.result.acceptance.numpy() if track.parts.sampler.has_accept_step else None

    help = "Mean probability with which a proposal was accepted since the last frame."
    return Metric("Acceptance", "share", _series(tracks, accepted), lines=lines, help=help)


def _mode_mass(tracks: Sequence[Track]) -> Metric | None:
    modes, shares = tracks[0].parts.energy.modes, _known(tracks).mode_shares
    if modes is None or shares is None or len(modes) < 2:
        return None
    if len(modes) <= _MODES_DRAWN and len(tracks) == 1:
        return _mass_of_each_mode(tracks[0], modes, shares)

    def misplaced(track: Track) -> NDArray[Any]:
        return ((mode_mass(track.result.positions, modes) - shares).abs().sum(1) / 2).numpy()

    # The mean of |p̂ - p| over n draws is √(2p(1-p)/πn) where np is large.
    count = tracks[0].result.positions.shape[1]
    floor = (2 * shares * (1 - shares) / (math.pi * count)).sqrt().sum() / 2
    help = "Half the sum over modes of |share - exact share|: the mass that would have to change its mode."
    lines = (Line("exact samples", float(floor)),)
    return Metric("Mass in the wrong mode", "share", _series(tracks, misplaced), lines=lines, help=help)


def _mass_of_each_mode(track: Track, modes: Tensor, shares: Tensor) -> Metric:
    mass = mode_mass(track.result.positions, modes)
    series = tuple(Series(f"mode {k + 1}", mass[:, k].numpy(), 0) for k in range(len(modes)))
    lines = tuple(Line(f"exact {k + 1}", float(share)) for k, share in enumerate(shares))
    return Metric("Mode mass", "share", series, lines=lines, help="Share of particles nearest to each mode.")


def _step_sizes(tracks: Sequence[Track]) -> Metric | None:
    def sizes(track: Track) -> NDArray[Any] | None:
        return None if track.parts.rule.name == "constant" else track.result.step_sizes.numpy()

    series = _series(tracks, sizes)
    if not series:
        return None
    help = "Mean over particles of the step size h of the last step."
    return Metric("Step size", "h", series, log=True, help=help)


def _traces(track: Track) -> Metric:
    positions = track.result.positions[track.frames]
    chosen = range(min(_TRACED, positions.shape[1]))
    series = tuple(Series("", positions[:, k, 0].numpy(), 0, dash=k > 0) for k in chosen)
    return Metric("Traces", "x", series, help=f"The x of {len(chosen)} of the particles.")
