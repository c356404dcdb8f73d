"""A metric as a small line chart, as the player draws it: what lies ahead of the frame is faint."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lflow.ui.film.ink import Ink, Stencil, Tick, Type, dashed, format_number, mix, nice_ticks
from lflow.ui.packing import Metric

HEAD = 22  # CSS pixels
_LEFT, _TOP, _BOTTOM, _STEPS, _RIGHT = 40, 8, 6, 18, 10
Colour = tuple[int, int, int]


class ChartPicture:
    """A chart in a box of the picture, in pixels; `colours` are those of the series."""

    def __init__(
        self,
        metric: Metric,
        steps: np.ndarray,
        colours: Sequence[Colour],
        ink: Ink,
        box: tuple[int, int, int, int],
        ratio: float,
        with_steps: bool,
    ) -> None:
        self.metric, self.steps, self.colours, self.ink, self.ratio = metric, steps, colours, ink, ratio
        self.x, self.y, self.width, self.height = box
        self.with_steps = with_steps
        self.values = [np.asarray(series.values, dtype=np.float64) for series in metric.series]
        self.low, self.high = value_range(metric)
        self.type = Type(11 * ratio)
        self.left = round(_LEFT * ratio)
        self.top = round((HEAD + _TOP) * ratio)
        self.across = self.width - self.left - round(self._room_for_names())
        self.down = self.height - self.top - round((_STEPS if with_steps else _BOTTOM) * ratio)

    def _room_for_names(self) -> float:
        """Names stand right of the curves, in at most a third of the chart."""
        if len(self.values) < 2:
            return _RIGHT * self.ratio
        longest = max(self.type.length(series.label) for series in self.metric.series)
        return min(longest + 10 * self.ratio, self.width * 0.3)

    def to_x(self, step: float) -> float:
        """The pixel of a step, within the box."""
        first, last = float(self.steps[0]), float(self.steps[-1])
        return self.left + (step - first) / ((last - first) or 1) * self.across

    def to_y(self, value: float) -> float:
        """The pixel of a value, within the box; far out where the value is."""
        low, high, at = self.low, self.high, value
        if self.metric.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        share = (at - low) / (high - low)
        return self.top + (1 - min(5.0, max(-4.0, share))) * self.down

    def _drawn(self, value: float) -> bool:
        return math.isfinite(value) and (not self.metric.log or value > 0)

    def draw_still(self, picture: Image.Image) -> None:
        """Draw the head and the scale, and keep the curves, faint and strong, for the frames."""
        self.back = Image.new("RGB", (self.width, self.height), self.ink.paper)
        self._draw_head()
        self._draw_scale()
        self._draw_curves(self.back, 0.3)
        self._draw_lines()
        if len(self.values) > 1:
            self._draw_names()
        self.front = self.back.copy()
        self._draw_curves(self.front, 1.0)
        picture.paste(self.back, (self.x, self.y))

    def _draw_head(self) -> None:
        bold, ratio = Type(13 * self.ratio, 600), self.ratio
        base = 15 * ratio
        name = bold.shorten(self.metric.label, self.width * 0.62)
        bold.write(self.back, (0, base), name, self.ink.ink)
        unit = " ".join(part for part in (self.metric.unit, "(log)" if self.metric.log else "") if part)
        room = self.width - bold.length(name) - 6 * ratio - 58 * ratio * len(self.values)
        if self.type.length(unit) <= room:
            self.type.write(self.back, (bold.length(name) + 6 * ratio, base), unit, self.ink.quiet)

    def _draw_scale(self) -> None:
        draw, ratio, line = ImageDraw.Draw(self.back), self.ratio, max(1, round(self.ratio))
        bottom, border = self.top + self.down, self.ink.border
        draw.rectangle((self.left - line, self.top, self.left - 1, bottom + line - 1), border)
        draw.rectangle((self.left - line, bottom, self.left + self.across, bottom + line - 1), border)
        for value, text in value_ticks(self.low, self.high, self.metric.log):
            y = round(self.to_y(value))
            draw.rectangle((self.left - line - round(3 * ratio), y, self.left - line, y + line - 1), border)
            self.type.write(self.back, (self.left - 7 * ratio, y), text, self.ink.quiet, "rm")
        if self.with_steps:
            for step, anchor in ((self.steps[0], "lt"), (self.steps[-1], "rt")):
                at = (self.to_x(float(step)), bottom + 6 * ratio)
                self.type.write(self.back, at, f"{int(step):,}", self.ink.quiet, anchor)

    def _draw_curves(self, layer: Image.Image, strength: float) -> None:
        top, edge = self.top - round(2 * self.ratio), round(4 * self.ratio)
        for series, values, colour in zip(self.metric.series, self.values, self.colours, strict=True):
            stencil = Stencil(self.width, self.down + edge)
            for piece in self._pieces(values):
                points = [(x, y - top) for x, y in piece]
                if len(points) == 1:
                    stencil.dot(*points[0], 0.8 * self.ratio)
                elif series.dash:
                    for dash in dashed(points, 2 * self.ratio, 3 * self.ratio):
                        stencil.line(dash, 1.6 * self.ratio)
                else:
                    stencil.line(points, 1.6 * self.ratio)
            stencil.lay(layer, (0, top), mix(self.ink.paper, colour, strength))

    def _pieces(self, values: np.ndarray) -> list[list[tuple[float, float]]]:
        """The curve, parted where it is undefined."""
        pieces: list[list[tuple[float, float]]] = [[]]
        for step, value in zip(self.steps.tolist(), values.tolist(), strict=True):
            if self._drawn(value):
                pieces[-1].append((self.to_x(step), self.to_y(value)))
            elif pieces[-1]:
                pieces.append([])
        return [piece for piece in pieces if piece]

    def _draw_lines(self) -> None:
        """Floors, closed forms and bands, with their names on a halo of paper."""
        ratio, ink, bottom = self.ratio, self.ink, self.top + self.down
        for level in self.metric.lines:
            if not self._drawn(level.value):
                continue
            y = round(self.to_y(level.value))
            if level.low is not None and level.high is not None:
                low = round(self.to_y(level.low)) if self._drawn(level.low) else bottom
                high = max(self.top, round(self.to_y(level.high)))
                band = Image.new("L", (self.across, max(1, low - high)), round(255 * 0.09))
                self.back.paste(ink.ink, (self.left, high), band)
            line = Image.new("L", (self.across, max(1, round(ratio))), round(255 * 0.6))
            self.back.paste(ink.ink, (self.left, y), line)
            above = self._freer_above(y, level.label)
            at = (self.left + 5 * ratio, y + (-3 if above else 4) * ratio)
            self.type.write(self.back, at, level.label, ink.quiet, "ls" if above else "lt", ink.paper)

    def _freer_above(self, y: float, label: str) -> bool:
        """Whether the name of a level covers less of the curves above its line than below."""
        end, high = self.left + 8 * self.ratio + self.type.length(label), 16 * self.ratio
        beside = [
            at for values in self.values for piece in self._pieces(values) for x, at in piece if x < end
        ]
        above = sum(y - high < at <= y for at in beside)
        below = sum(y < at < y + high for at in beside)
        fits_above, fits_below = y - high > self.top, y + high < self.top + self.down
        return fits_above and (above <= below or not fits_below)

    def _draw_names(self) -> None:
        """Names at the ends of the curves, pushed apart where they would overlap."""
        bottom, gap = self.top + self.down, 12 * self.ratio
        ends: list[tuple[float, str, Colour]] = []
        for series, values, colour in zip(self.metric.series, self.values, self.colours, strict=True):
            last = next((value for value in values[::-1].tolist() if self._drawn(value)), None)
            y = self.top if last is None else min(bottom, max(self.top, self.to_y(last)))
            ends.append((y, series.label, mix(colour, self.ink.ink, 0.15)))
        ends.sort()
        places: list[float] = []
        for y, _, _ in ends:
            places.append(max(y, places[-1] + gap) if places else y)
        over = max(0.0, places[-1] - bottom)
        x = self.left + self.across + 7 * self.ratio
        for index, (place, (_, text, colour)) in enumerate(zip(places, ends, strict=True)):
            at = (x, max(self.top + index * gap, place - over))
            self.type.write(self.back, at, self.type.shorten(text, self.width - x), colour, "lm")

    def draw_frame(self, picture: Image.Image, frame: int) -> None:
        """Draw the curves up to a frame, a cursor, and the numbers at it."""
        ratio, image = self.ratio, self.back.copy()
        x = self.to_x(float(self.steps[frame]))
        image.paste(self.front.crop((0, self.top, max(1, round(x)), self.height)), (0, self.top))
        line = max(1, round(ratio))
        image.paste(
            self.ink.ink,
            (round(x - line / 2), self.top),
            Image.new("L", (line, self.down), round(255 * 0.55)),
        )
        draw, size = ImageDraw.Draw(image), Type(13 * ratio)
        right = float(self.width)
        for values, colour in list(zip(self.values, self.colours, strict=True))[::-1]:
            value = float(values[frame])
            text = format_number(value)
            wide = max(size.length(text), 34 * ratio)
            size.write(image, (right, 15 * ratio), text, self.ink.ink, "rs")
            draw.rectangle((right - wide, 19 * ratio, right - 1, 19 * ratio + 2 * ratio - 1), colour)
            right -= wide + 8 * ratio
            if self._drawn(value) and self.low <= value <= self.high:
                self._draw_dot(image, x, self.to_y(value), colour)
        picture.paste(image, (self.x, self.y))

    def _draw_dot(self, image: Image.Image, x: float, y: float, colour: Colour) -> None:
        reach = math.ceil(5 * self.ratio)
        left, top = math.floor(x) - reach, math.floor(y) - reach
        for radius, fill in ((4.2, self.ink.paper), (3.2, colour)):
            stencil = Stencil(2 * reach + 1, 2 * reach + 1, finer=4)
            stencil.dot(x - left, y - top, radius * self.ratio)
            stencil.lay(image, (left, top), fill)


def value_range(metric: Metric) -> tuple[float, float]:
    """What the chart shows: a run that blows up would flatten all before it, so it may leave at the top."""
    edges = [(line.value, line.low, line.high) for line in metric.lines]
    levels = [level for each in edges for level in each if level is not None]
    curves = [np.asarray(series.values, dtype=np.float64) for series in metric.series]
    usable = [curve[np.isfinite(curve) & ((curve > 0) | (not metric.log))] for curve in curves]
    found = np.concatenate(usable)
    middle = float(np.sort(np.abs(found))[len(found) // 2]) if len(found) else 1.0
    firsts = [float(curve[0]) for curve in usable if len(curve)]
    limit = max(middle, *(abs(value) for value in (*firsts, *levels, 0.0))) * (1000 if metric.log else 8)
    levels = [level for level in levels if not metric.log or level > 0]
    shown = [*found[np.abs(found) <= limit].tolist(), *levels]
    if not shown:
        return (0.1, 1.0) if metric.log else (0.0, 1.0)
    low, high = min(shown), max(shown)
    if metric.log:
        return low / 1.25, max(high, low * 2) * 1.25
    room = ((high - low) or abs(high) or 1) * 0.08
    return (0.0 if 0 <= low < room * 4 else low - room), high + room


def value_ticks(low: float, high: float, log: bool) -> list[Tick]:
    """Few round numbers; powers of ten on a log axis that holds one."""
    if not log:
        return nice_ticks(low, high, 2.5)
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if last < first:
        return nice_ticks(low, high, 2)
    every = max(1, math.ceil((last - first) / 2))
    return [Tick(10.0**power, format_number(10.0**power, 1)) for power in range(first, last + 1, every)]
