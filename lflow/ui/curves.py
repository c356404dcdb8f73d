"""Curves with bands on log axes, named where they end, over a floor: the charts of every page that has some.

Knows curves, colours and the theme, and nothing of what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import pandas as pd
import streamlit as st

from lflow.papers.figure import moved_apart

DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3))
"""Of the first of a family, and of those that share its hue."""
INK = "currentColor"
"""The colour of the page's text: the charts are SVG, and follow a change of theme without a new run."""

BAND = 2.0
"""Standard errors: half the width of a band of errors."""


class Look(NamedTuple):
    """How a curve is drawn."""

    colour: str
    dash: tuple[int, ...] = (1, 0)


class Curve(NamedTuple):
    """A line and its band; nan where there is nothing. Of faint points nothing is claimed."""

    name: str
    look: Look
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    faint: Sequence[bool] = ()


def with_errors(
    name: str,
    look: Look,
    x: Sequence[float],
    y: Sequence[float],
    error: Sequence[float],
    faint: Sequence[bool] = (),
) -> Curve:
    """The curve whose band is ± BAND standard errors."""
    low, high = ([level + side * BAND * e for level, e in zip(y, error, strict=True)] for side in (-1, 1))
    return Curve(name, look, x, y, low, high, faint)


def theme_index() -> int:
    """0 on a light page, 1 on a dark one."""
    return int(st.context.theme.type == "dark")


def decades(domain: tuple[float, float]) -> list[float]:
    """1, 2 and 5 of each decade that lie within a domain."""
    powers = range(math.floor(math.log10(domain[0])), math.ceil(math.log10(domain[1])) + 1)
    found = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [float(f"{tick:.6g}") for tick in found if domain[0] <= tick <= domain[1]]


class Axes(NamedTuple):
    """Titles, domains and ticks of two log axes; `room` of the width, to the right, is for names.

    x goes from left to right: it falls where its first end is the larger one.
    """

    x_title: str
    y_title: str
    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    y_format: str = "~g"
    room: float = 0.2
    height: int = 400

    def encoding(self) -> tuple[alt.X, alt.Y]:
        """Both axes, as every layer shares them."""
        low, high = self.x
        wide = low * (high / low) ** (1 / (1 - self.room))
        x_axis = alt.Axis(values=list(self.x_ticks), format=",~g", grid=False, labelFlush=False)
        y_axis = alt.Axis(values=list(self.y_ticks), format=self.y_format, grid=False)
        return (
            alt.X("x:Q", title=self.x_title, axis=x_axis).scale(type="log", domain=[low, wide], nice=False),
            alt.Y("y:Q", title=self.y_title, axis=y_axis).scale(type="log", domain=list(self.y), nice=False),
        )


def draw(
    axes: Axes, curves: Sequence[Curve], floor: tuple[Sequence[float], Sequence[float], str], thin: Any = ()
) -> Any:
    """The chart. floor: its x, its y and its name; thin: (x, y) of lines in ink, such as closed forms."""
    x, y = axes.encoding()
    colour = alt.Color("name:N", legend=None).scale(
        domain=[each.name for each in curves], range=[each.look.colour for each in curves]
    )
    rows = pd.DataFrame([row for each in curves for row in _rows(each, axes.y)], columns=_COLUMNS)
    strong = rows[~rows["faint"]]
    band = alt.Chart(strong).mark_area(opacity=0.16, clip=True).encode(x, y, alt.Y2("high"), color=colour)
    band = band.encode(y=y.copy(deep=True)).transform_calculate(y="datum.low")
    layers: list[Any] = [band.encode(detail=["name", "part"])]
    layers += [_dashed(strong[strong["name"] == each.name], each.look, x, y) for each in curves]
    hover = [
        alt.Tooltip("name", title="curve"),
        alt.Tooltip("x", title=axes.x_title, format=",.4~g"),
        alt.Tooltip("y", title=axes.y_title, format=".3~g"),
    ]
    dots = alt.Chart(rows).mark_point(filled=True, clip=True).encode(x, y, color=colour, tooltip=hover)
    layers.append(
        dots.encode(
            size=alt.Size("faint:N", legend=None).scale(domain=[False, True], range=[26, 16]),
            opacity=alt.Opacity("faint:N", legend=None).scale(domain=[False, True], range=[1.0, 0.4]),
        )
    )
    layers += [_line(xs, ys, x, y, 0.8) for xs, ys in thin]
    layers.append(_line(*floor[:2], x, y, 1.0, (4, 3)))
    ends = [(*_end(each, axes.y), each.name, each.look.colour) for each in curves]
    ends.append((axes.x[1], floor[1][-1], floor[2], INK))
    layers.append(_names(ends, axes, x, y))
    return (
        alt.layer(*layers)
        .properties(height=axes.height)
        .resolve_scale(color="independent", opacity="independent")
    )


_COLUMNS = ["name", "x", "y", "low", "high", "faint", "part"]


def _rows(curve: Curve, domain: tuple[float, float]) -> list[tuple[Any, ...]]:
    """Points to draw, their bands cut off at the domain; `part` counts the stretches that belong together."""
    rows, part = [], 0
    least, most = domain
    faints = curve.faint or [False] * len(curve.x)
    for x, y, below, above, faint in zip(curve.x, curve.y, curve.low, curve.high, faints, strict=True):
        if math.isnan(y) or faint:
            part += 1
        if least <= y <= most:
            low, high = max(below, least), min(above, most)
            rows.append((curve.name, x, y, low, high, faint, part))
    return rows


def _dashed(rows: pd.DataFrame, look: Look, x: alt.X, y: alt.Y) -> alt.Chart:
    line = alt.Chart(rows).mark_line(
        color=look.colour, strokeDash=list(look.dash), strokeWidth=1.8, clip=True
    )
    return line.encode(x, y, detail="part:N")


def _line(
    xs: Sequence[float],
    ys: Sequence[float],
    x: alt.X,
    y: alt.Y,
    width: float,
    dash: tuple[int, ...] = (1, 0),
) -> alt.Chart:
    rows = pd.DataFrame({"x": xs, "y": ys})
    line = alt.Chart(rows).mark_line(
        color=INK, opacity=0.75, strokeWidth=width, strokeDash=list(dash), clip=True
    )
    return line.encode(x, y)


def _end(curve: Curve, domain: tuple[float, float]) -> tuple[float, float]:
    drawn = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if not math.isnan(y)]
    x, y = drawn[-1] if drawn else (curve.x[-1], math.nan)
    return x, min(max(y, domain[0]), domain[1])


def _names(ends: Sequence[tuple[float, float, str, str]], axes: Axes, x: alt.X, y: alt.Y) -> Any:
    """The names to the right of the lines' ends, moved apart where they crowd, each tied to its end."""
    low, high = axes.y
    ratio = math.log(high / low)
    found = sorted((end for end in ends if not math.isnan(end[1])), key=lambda end: end[1])
    heights = moved_apart([math.log(end[1] / low) / ratio for end in found], 15 / axes.height)
    over = max([0.0, *(height - 1 for height in heights[-1:])])
    span = axes.x[1] / axes.x[0]
    place = axes.x[1] * span ** (0.022 / (1 - axes.room))
    rows = [
        (place, low * math.exp(ratio * (height - over)), text, colour, x_end, y_end, x_end != axes.x[1])
        for (x_end, y_end, text, colour), height in zip(found, heights, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["x", "y", "text", "colour", "x_end", "y_end", "far"])
    base = alt.Chart(table)
    # The tie has the line's colour; the name is in ink, which can be read on every ground. Of a line that
    # ends early the tie is pale, so that nobody takes it for the line.
    ties = base.mark_rule(strokeWidth=1.4).encode(
        x.copy(deep=True),
        y.copy(deep=True),
        x2="x_end",
        y2="y_end",
        color=alt.Color("colour:N", legend=None, scale=None),
        opacity=alt.Opacity("far:N", legend=None).scale(domain=[False, True], range=[1.0, 0.3]),
    )
    texts = base.mark_text(align="left", baseline="middle", dx=4, fontSize=12, color=INK)
    texts = texts.encode(x, y, text="text")
    return alt.layer(ties, texts)
