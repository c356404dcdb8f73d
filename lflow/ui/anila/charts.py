"""The charts of the page AniLA: curves with bands over a log axis, named where they end, and strips.

Knows numbers, names and colours, nothing of how the numbers were found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import pandas as pd

from lflow.ui.anila import style

HEIGHT = 380
_APART = 15  # pixels between two names
_FONT = 12


@dataclass(frozen=True)
class Curve:
    """A method's numbers over x: means with the lowest and the highest of its seeds; None where lost."""

    method: str
    x: Sequence[float]
    mean: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What can be drawn of it."""
        found = zip(self.x, self.mean, self.low, self.high, strict=True)
        return [{"x": x, "y": y, "low": low, "high": high} for x, y, low, high in found if y is not None]


@dataclass(frozen=True)
class Level:
    """A method whose number is the same for all x, drawn across; thin, as a floor or a closed form is."""

    method: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Axes:
    """What the axes say and span. The x axis is logarithmic; `falling` turns it round."""

    x: str
    y: str
    ticks: Sequence[float]
    falling: bool = False
    levels: Sequence[float] = ()
    cursor: float | None = None
    most: float | None = None
    height: int = HEIGHT
    names: dict[str, str] = field(default_factory=dict)


def curves(lines: Sequence[Curve], across: Sequence[Level], axes: Axes) -> alt.LayerChart:
    """Curves with bands, levels with bands, each named at its end; log scales both."""
    found = [value for line in lines for row in line.rows for value in (row["low"], row["high"])]
    found += [value for level in across for value in (level.low, level.high)]
    y_domain = (0.8 * min(found), min(1.25 * max(found), axes.most or math.inf))
    first, last = min(axes.ticks), max(axes.ticks)
    scale = alt.Scale(type="log", domain=[first, last], nice=False, reverse=axes.falling)
    x = alt.X("x:Q", scale=scale, title=axes.x, axis=_axis(axes.ticks))
    ticks = axes.levels or _decades(*y_domain)
    y_scale = alt.Scale(type="log", domain=list(y_domain), nice=False, clamp=True)
    y = alt.Y("y:Q", scale=y_scale, title=axes.y, axis=_axis(ticks))
    layers: list[Any] = []
    if axes.cursor is not None:
        layers.append(_at({"x": axes.cursor}).mark_rule(color=style.quiet(), strokeDash=[2, 3]).encode(x=x))
    edge = first if axes.falling else last
    for level in across:
        layers += _across(level, (first, last), x, y)
    for line in lines:
        layers += _curve(line, x, y)
    ends = [(line.method, line.rows[-1 if not axes.falling else 0]) for line in lines if line.rows]
    ends += [(level.method, {"x": edge, "y": level.mean}) for level in across]
    layers += _names(ends, y_domain, axes, x, y)
    return alt.layer(*layers).properties(height=axes.height).configure_view(strokeWidth=0)


def _axis(ticks: Sequence[float]) -> alt.Axis:
    return alt.Axis(values=list(ticks), format="~g", grid=False, tickCount=len(ticks), labelOverlap=True)


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [lead * 10.0**power for power in powers for lead in (1, 3) if low <= lead * 10.0**power <= high]


def _at(*rows: dict[str, Any]) -> alt.Chart:
    return alt.Chart(pd.DataFrame(list(rows)))


def _curve(line: Curve, x: alt.X, y: alt.Y) -> list[Any]:
    shade, dash = style.colour(line.method), style.DASHES.get(line.method, [1, 0])
    data = _at(*line.rows) if line.rows else None
    if data is None:
        return []
    return [
        data.mark_area(color=shade, opacity=0.13).encode(x=x, y=_like(y, "low"), y2="high:Q"),
        data.mark_line(color=shade, strokeDash=dash, strokeWidth=1.8).encode(x=x, y=y),
        data.mark_point(
            color=shade, filled="corrected" not in style.title(line.method).lower(), size=34
        ).encode(x=x, y=y, tooltip=[alt.Tooltip("x:Q", format=".4g"), alt.Tooltip("y:Q", format=".3g")]),
    ]


def _across(level: Level, ends: tuple[float, float], x: alt.X, y: alt.Y) -> list[Any]:
    shade = style.colour(level.method)
    rows = [{"x": at, "y": level.mean, "low": level.low, "high": level.high} for at in ends]
    dash = [4, 3] if level.method == "exact" else style.DASHES.get(level.method, [1, 0])
    width = 1.0 if level.method == "exact" else 1.6
    return [
        _at(*rows).mark_area(color=shade, opacity=0.09).encode(x=x, y=_like(y, "low"), y2="high:Q"),
        _at(*rows).mark_line(color=shade, strokeDash=dash, strokeWidth=width).encode(x=x, y=y),
    ]


def _like(y: alt.Y, name: str) -> alt.Y:
    found = y.copy()
    found.shorthand = f"{name}:Q"
    return found


def _names(
    ends: Sequence[tuple[str, dict[str, Any]]], domain: tuple[float, float], axes: Axes, x: alt.X, y: alt.Y
) -> list[Any]:
    """The name of each curve to the right of its end, moved apart where they crowd, and a thin line to it."""
    low, high = map(math.log, domain)
    kept = [min(max(end["y"], domain[0]), domain[1]) for _, end in ends]
    pixels = [(math.log(level) - low) / (high - low) * axes.height for level in kept]
    layers = []
    for (method, end), place in zip(ends, apart(pixels, _APART, axes.height), strict=True):
        shade, level = style.colour(method), math.exp(low + place / axes.height * (high - low))
        data = _at({**end, "level": level, "text": axes.names.get(method, style.title(method))})
        lead = data.mark_rule(color=shade, strokeWidth=0.7, opacity=0.7)
        layers.append(lead.encode(x=x, x2=alt.value(alt.expr("width + 18")), y=y, y2="level:Q"))
        name = data.mark_text(align="left", baseline="middle", color=shade, fontSize=_FONT)
        layers.append(name.encode(x=alt.value(alt.expr("width + 22")), y=_like(y, "level"), text="text:N"))
    return layers


def apart(places: Sequence[float], gap: float, most: float) -> list[float]:
    """The places moved apart to at least `gap`, as little as need be, in their order, within 0 and `most`."""
    order = sorted(range(len(places)), key=places.__getitem__)
    blocks: list[list[float]] = []  # lowest place and number of names that touch, from the bottom
    for rank, index in enumerate(order):
        blocks.append([places[index] - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (low, many), (high, more) = blocks[-2:]
            blocks[-2:] = [[(low * many + high * more) / (many + more), many + more]]
    bottoms = [bottom for bottom, count in blocks for _ in range(int(count))]
    top = most - gap * (len(places) - 1)
    found = [0.0] * len(places)
    for rank, (index, bottom) in enumerate(zip(order, bottoms, strict=True)):
        found[index] = min(max(bottom, 0.0), max(top, 0.0)) + rank * gap
    return found
