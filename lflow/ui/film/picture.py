"""A whole scene as one picture a frame: panels side by side, words, a clock, and the charts.

One panel has its charts beside it, several have them beneath. What never changes is drawn once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from lflow.ui.film import images as image_views
from lflow.ui.film import panel as cloud_views
from lflow.ui.film.charts import ChartPicture
from lflow.ui.film.ink import Ink, Stencil, Type
from lflow.ui.image_grid import ImageScene
from lflow.ui.packing import AnyScene

# CSS pixels
WIDTHS = {1: 960, 2: 960, 3: 1240, 4: 1480}  # of a picture of so many panels, at a ratio of 1
_ALONE = 596  # one panel without charts
_PAD, _GAP, _SIDE_GAP = 20, 16, 36
_TITLE, _LINE, _CLOCK = 26, 19, 30
_VIEW = 480  # the width of a single panel's view
_CHART, _LEAST_CHART, _MOST_CHART = 128, 92, 200


class _Layout(NamedTuple):
    """Where things are, in CSS pixels."""

    width: float
    height: float
    views: list[tuple[float, float]]  # left and top of each view
    view_width: float
    captions: list[tuple[float, float, float]]  # left, top, width
    clock: tuple[float, float, float]  # left, middle, right
    charts: list[tuple[float, float, float, float]]  # left, top, width, height
    chart_rows_last: int  # the first chart of the last row


class Picture:
    """The frames of a scene as images of one size. ValueError where the width is too small to read."""

    def __init__(self, scene: AnyScene, width: int | None = None, dark: bool = False) -> None:
        self.scene, self.ink, self.view = scene, Ink(dark), _view(scene)
        self.steps = np.asarray(scene.steps)
        base = default_width(scene)
        if width is not None and width < base / 4:
            raise ValueError(f"this picture needs a width of {base // 4} pixels or more, not {width}")
        self.ratio = (width or base) / base
        self.lines = self._caption_lines(base)
        layout = _layout(scene, base, self.lines)
        self.layout = layout
        even = [2 * round(side * self.ratio / 2) for side in (layout.width, layout.height)]
        self.size = (even[0], even[1])
        self.panels = [
            self.view.PanelPicture(
                scene, panel, self.ink, self._px(left), self._px(top),
                self._px(layout.view_width), self.ratio,
            )
            for panel, (left, top) in zip(scene.panels, layout.views, strict=True)
        ]  # fmt: skip
        self.charts = [
            ChartPicture(
                metric,
                self.steps,
                [self.panels[series.panel].colour for series in metric.series],
                self.ink,
                (self._px(left), self._px(top), self._px(width), self._px(height)),
                self.ratio,
                with_steps=number >= layout.chart_rows_last,
            )
            for number, (metric, (left, top, width, height)) in enumerate(
                zip(scene.metrics, layout.charts, strict=True)
            )
        ]
        self.still = self._draw_still()

    def __len__(self) -> int:
        return len(self.steps)

    def _px(self, length: float) -> int:
        return round(length * self.ratio)

    def _caption_lines(self, base: float) -> int:
        """Lines that the longest caption needs, so that nothing moves."""
        type, width = Type(13.0), _view_width(self.scene, base)
        longest = [max(panel.captions, key=len, default="") for panel in self.scene.panels]
        return max(len(type.wrap(text, width)) for text in longest)

    def _draw_still(self) -> Image.Image:
        picture = Image.new("RGB", self.size, self.ink.paper)
        bold, ratio = Type(15 * self.ratio, 600), self.ratio
        for panel in self.panels:
            panel.draw_still(picture)
            if not panel.panel.label:
                continue
            captions = 0 if len(self.panels) == 1 else self.lines * _LINE
            middle = panel.top - (self.view.STRIP + captions + _TITLE / 2) * ratio
            x, radius = panel.left + 5 * ratio, 5 * ratio
            swatch = Stencil(math.ceil(2 * radius) + 2, math.ceil(2 * radius) + 2)
            left, top = math.floor(x - radius), math.floor(middle - radius)
            swatch.dot(x - left, middle - top, radius)
            swatch.lay(picture, (left, top), panel.colour)
            room = panel.width + (self.view.STRIP - 20) * ratio
            text = bold.shorten(panel.panel.label, room)
            bold.write(picture, (x + 13 * ratio, middle), text, self.ink.ink, "lm")
        for chart in self.charts:
            chart.draw_still(picture)
        return picture

    def frame(self, number: int) -> Image.Image:
        """The picture of a frame; below zero, counted from the last."""
        number = range(len(self))[number]
        picture = self.still.copy()
        type, ratio = Type(13 * self.ratio), self.ratio
        for panel, (left, top, width) in zip(self.panels, self.layout.captions, strict=True):
            panel.draw_frame(picture, number)
            for line, text in enumerate(type.wrap(panel.panel.captions[number], width * ratio)):
                at = (self._px(left), (top + (line + 0.5) * _LINE) * ratio)
                type.write(picture, at, text, self.ink.quiet, "lm")
        for chart in self.charts:
            chart.draw_frame(picture, number)
        self._draw_clock(picture, number)
        return picture

    def _draw_clock(self, picture: Image.Image, number: int) -> None:
        """How far the run has come, as a bar and as a number."""
        left, middle, right = (part * self.ratio for part in self.layout.clock)
        ratio, type = self.ratio, Type(13 * self.ratio)
        last = f"{int(self.steps[-1]):,}"
        text = f"{self.scene.step_word} {int(self.steps[number]):,} / {last}"
        type.write(picture, (right, middle), text, self.ink.ink, "rm")
        end = right - type.length(f"{self.scene.step_word} {last} / {last}") - 14 * ratio
        done = number / max(1, len(self) - 1)
        half = 2 * ratio
        for reach, colour in ((1.0, self.ink.border), (done, self.ink.quiet)):
            box = (left, middle - half, left + (end - left) * reach, middle + half)
            if box[2] - box[0] >= 2 * half:
                ImageDraw.Draw(picture).rounded_rectangle(box, half, colour)


def _view(scene: AnyScene) -> Any:
    """The module that draws a panel of the scene."""
    return image_views if isinstance(scene, ImageScene) else cloud_views


def default_width(scene: AnyScene) -> int:
    """The width in pixels at which type has the size that it has on a page."""
    alone = len(scene.panels) == 1 and not scene.metrics
    return _ALONE if alone else WIDTHS[len(scene.panels)]


def _view_width(scene: AnyScene, base: float) -> float:
    count, view = len(scene.panels), _view(scene)
    if count == 1:
        return _VIEW
    return (base - 2 * _PAD - _GAP * (count - 1)) / count - view.LEFT - view.STRIP


def _layout(scene: AnyScene, base: float, lines: int) -> _Layout:
    count, width, view = len(scene.panels), _view_width(scene, base), _view(scene)
    title = _TITLE if any(panel.label for panel in scene.panels) else 0
    words = lines * _LINE
    top = _PAD + title + (words if count > 1 else 0) + view.STRIP
    bottom = top + width * view.aspect(scene) + view.BOTTOM
    lefts = [_PAD + view.LEFT + k * (view.LEFT + width + view.STRIP + _GAP) for k in range(count)]
    if count == 1:
        captions = [(lefts[0], bottom + 8, width)]
        bottom += 8 + words
    else:
        captions = [(left, _PAD + title - 2, width) for left in lefts]
    clock = (lefts[0], bottom + _CLOCK / 2, lefts[-1] + width)
    bottom += _CLOCK
    charts, last_row = [], 0
    if count == 1 and scene.metrics:
        left = lefts[0] + width + view.STRIP + _SIDE_GAP
        number = len(scene.metrics)
        room = max(bottom - _PAD, number * _LEAST_CHART)
        each = min(_MOST_CHART, room / number)
        charts = [(left, _PAD + k * each, base - _PAD - left, each - 6) for k in range(number)]
        bottom, last_row = max(bottom, _PAD + number * each), number - 1
    elif scene.metrics:
        rows = -(-len(scene.metrics) // (3 if base < WIDTHS[3] else 4))
        columns = -(-len(scene.metrics) // rows)
        each = (base - 2 * _PAD - _GAP * 2 * (columns - 1)) / columns
        for k in range(len(scene.metrics)):
            row, column = divmod(k, columns)
            at = (_PAD + column * (each + 2 * _GAP), bottom + 10 + row * (_CHART + 8))
            charts.append((*at, each, _CHART))
        bottom += 10 + (len(charts) - 1) // columns * (_CHART + 8) + _CHART
        last_row = len(charts) - columns
    return _Layout(
        base, bottom + _PAD - 4, [(left, top) for left in lefts], width, captions, clock, charts, last_row
    )
