"""From the lanes' runs to what the player shows: grids in lockstep, numbers over the steps, words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lflow.exact import Floor
from lflow.training.pictures import as_bytes
from lflow.ui.image_grid import ImagePanel, ImageScene, Overlay
from lflow.ui.images import words
from lflow.ui.images.keys import Asked
from lflow.ui.images.runs import Known, Track
from lflow.ui.packing import Line, Metric, Series
from lflow.ui.theme import FAMILY_COLOURS, shades

REAL = "real digits"
_LEAST_SHARE = 1e-3  # of h, below which step sizes look alike


def make_scene(asked: Asked, tracks: Sequence[Track], known: Known) -> ImageScene:
    """The scene of the lanes' runs."""
    overlay = _overlay(asked, tracks)
    colours = shades([track.sampler.family for track in tracks])
    return ImageScene(
        steps=tracks[0].result.steps.numpy(),
        panels=[
            _panel(asked, track, known, colour, overlay)
            for track, colour in zip(tracks, colours, strict=True)
        ],
        metrics=_metrics(asked, tracks, known),
        alt=words.in_words(asked, tracks, known),
        overlay=overlay,
    )


def _panel(
    asked: Asked, track: Track, known: Known, colours: tuple[str, str], overlay: Overlay | None
) -> ImagePanel:
    said = words.trouble(asked, track)
    return ImagePanel(
        label=track.label,
        colour_light=colours[0],
        colour_dark=colours[1],
        images=_grey(track.result.positions),
        overlay=overlay.as_bytes(_step_sizes(asked, track)) if overlay else None,
        captions=words.captions(track, known),
        banner=said[0] if said else "",
        banner_frame=said[1] if said else None,
    )


def _grey(positions: Tensor) -> NDArray[np.uint8]:
    """(frames, images, 1, height, width) in [-1, 1] as (frames, images, height, width) bytes."""
    return as_bytes(positions.flatten(0, 1))[..., 0].reshape(*positions.shape[:2], *positions.shape[3:])


def _step_sizes(asked: Asked, track: Track) -> NDArray[np.float32]:
    """h·γ of each pixel, or of each image where that is all there is."""
    if track.scaling is None:
        return np.full((*track.result.positions.shape[:2], 1, 1), asked.h, np.float32)
    sizes: NDArray[np.float32] = (asked.h * track.scaling).numpy()
    return sizes


def _overlay(asked: Asked, tracks: Sequence[Track]) -> Overlay | None:
    """What the pixels' colours measure: nothing where every lane takes the whole step everywhere."""
    found = [float(track.scaling.min()) for track in tracks if track.scaling is not None]
    if not found or min(found) >= 1:
        return None
    light, dark = FAMILY_COLOURS["anisotropic"]
    of_what = "pixel" if asked.elementwise else "image"
    return Overlay(
        label="Step size",
        low=asked.h * max(_LEAST_SHARE, 10 ** math.floor(math.log10(max(min(found), 1e-30)))),
        high=asked.h,
        log=True,
        colour_light=light,
        colour_dark=dark,
        help=f"The step size h·γ of each {of_what}, in place of the images",
    )


def _metrics(asked: Asked, tracks: Sequence[Track], known: Known) -> list[Metric]:
    found = [
        _metric("Distance to the digits", "sliced W2", tracks, lambda t: t.away, known.away, _AWAY, log=True),
        _metric("Nearest training digit", "median", tracks, lambda t: t.nearest, known.nearest, _NEAREST),
        _metric("Mean energy", "U", tracks, lambda t: t.energy.mean(1), known.energy, _ENERGY),
        _step_metric(asked, tracks),
        _acceptance(tracks),
    ]
    return [metric for metric in found if metric is not None]


_AWAY = (
    "Sliced Wasserstein-2 distance of the images to the training digits, over 256 directions. The line is "
    "what as many real digits show that the model has not seen; the band holds 95 % of them."
)
_NEAREST = (
    "Half of the images have a training digit nearer than this. The line is what real digits show that the "
    "model has not seen: much below it the chain repeats what it has learned from."
)
_ENERGY = "Mean of U over the images. The line is that of real digits which the model has not seen."


def _metric(
    label: str,
    unit: str,
    tracks: Sequence[Track],
    values: Callable[[Track], Tensor],
    floor: Floor,
    help: str,
    log: bool = False,
) -> Metric:
    line = Line(REAL, floor.mean, floor.low, floor.high)
    return Metric(label, unit, _series(tracks, values), log=log, lines=(line,), help=help)


def _series(tracks: Sequence[Track], values: Callable[[Track], Tensor | None]) -> tuple[Series, ...]:
    """A curve of each lane that has one; dashed where an earlier lane has its hue."""
    curves = []
    for panel, track in enumerate(tracks):
        found = values(track)
        if found is not None:
            shaded = track.sampler.family in [earlier.sampler.family for earlier in tracks[:panel]]
            curves.append(Series(track.label, found.numpy(), panel, dash=shaded))
    return tuple(curves)


def _step_metric(asked: Asked, tracks: Sequence[Track]) -> Metric | None:
    def sizes(track: Track) -> Tensor | None:
        return None if track.scaling is None else asked.h * track.scaling.flatten(1).mean(1)

    series = _series(tracks, sizes)
    if not series:
        return None
    of_what = "pixels" if asked.elementwise else "images"
    help = f"Mean of h·γ over {of_what}; the line is h, the whole step, which the other samplers take."
    lines = (Line(f"h = {asked.h:g}", asked.h),)
    return Metric("Step size", "mean h·γ", series, log=True, lines=lines, help=help)


def _acceptance(tracks: Sequence[Track]) -> Metric | None:
    series = _series(tracks, lambda t: t.result.acceptance if t.sampler.has_accept_step else None)
    if not series:
        return None
    help = "Mean probability with which a proposal was accepted since the last frame."
    return Metric("Acceptance", "share", series, help=help)
