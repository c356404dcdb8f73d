"""What the player shows of images: grids of small images over time, and a number for each of their pixels.

An `ImageScene` is packed by `packing.pack`, as a scene of clouds is. Knows bytes, not what the images are of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lflow.ui.packing import Add, AnyPanel, AnyScene


@dataclass(frozen=True, kw_only=True)
class ImagePanel(AnyPanel):
    """A grid of images. Row 0 of an image is its top; the image number 0 is at the top left."""

    images: ArrayLike  # (frames, images, height, width) or (frames, images, height, width, 3): bytes
    overlay: ArrayLike | None = None  # (frames, images, height, width): bytes; height and width may be 1


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """What the panels' overlays measure: a switch shows them in place of the images, as colours."""

    label: str  # of the switch, such as "Step size"
    low: float  # what the byte 0 stands for
    high: float  # what the byte 255 stands for
    colour_light: str  # towards `low`, on a light page; towards `high` it fades into the paper
    colour_dark: str
    log: bool = False
    help: str = ""

    def as_bytes(self, values: ArrayLike) -> NDArray[np.uint8]:
        """Numbers as the nearest bytes; at the ends of the range what lies outside or is not a number."""
        numbers = np.asarray(values, dtype=np.float64)
        ends = np.array([self.low, self.high])
        if self.log:
            numbers, ends = np.log(np.maximum(numbers, self.low)), np.log(ends)
        share = np.nan_to_num((numbers - ends[0]) / (ends[1] - ends[0]))
        return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class ImageScene(AnyScene):
    """Grids of as many images of one size in every panel."""

    panels: Sequence[ImagePanel]
    overlay: Overlay | None = None
    many = "images"

    def least_size(self) -> int:
        return sum(np.size(panel.images) for panel in self.panels)

    def pack_panels(self, frames: int, add: Add) -> dict[str, Any]:
        shapes = {np.shape(panel.images) for panel in self.panels}
        if len(shapes) > 1:
            found = ", ".join(map(str, sorted(shapes)))
            raise ValueError(f"all panels must show as many images of one size; got the shapes {found}")
        measured = self.overlay is not None
        return {
            "overlay": _pack_overlay(self.overlay) if self.overlay is not None else None,
            "panels": [_pack_panel(panel, frames, measured, add) for panel in self.panels],
        }


def _pack_overlay(overlay: Overlay) -> dict[str, Any]:
    low, high = float(overlay.low), float(overlay.high)
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (overlay.log and low <= 0):
        positive = " and positive" if overlay.log else ""
        raise ValueError(f"the overlay's range must be increasing, finite{positive}; got {low:g} to {high:g}")
    return {
        "label": overlay.label,
        "low": low,
        "high": high,
        "log": overlay.log,
        "help": overlay.help,
        "colour_light": overlay.colour_light,
        "colour_dark": overlay.colour_dark,
    }


def _pack_panel(panel: ImagePanel, frames: int, measured: bool, add: Add) -> dict[str, Any]:
    name = f"panel {panel.label!r}"
    images = np.asarray(panel.images)
    grey, coloured = images.ndim == 4, images.ndim == 5 and images.shape[-1] == 3
    if not (grey or coloured) or len(images) != frames or images.size == 0 or images.dtype != np.uint8:
        raise ValueError(
            f"{name}: images must be bytes of the shape ({frames} frames, images, height, width) or with 3 "
            f"colours after that; got {images.dtype} of {images.shape}"
        )
    packed: dict[str, Any] = {**panel.words(frames), "images": add(images), "overlay": None}
    if panel.overlay is not None:
        overlay = np.asarray(panel.overlay)
        if not measured:
            raise ValueError(f"{name}: there is an overlay, and the scene does not say what it measures")
        if overlay.dtype != np.uint8 or overlay.shape not in (images.shape[:4], (*images.shape[:2], 1, 1)):
            raise ValueError(
                f"{name}: its overlay must be bytes of the shape {images.shape[:4]}, or one an image; got "
                f"{overlay.dtype} of {overlay.shape}"
            )
        packed["overlay"] = add(overlay)
    return packed
