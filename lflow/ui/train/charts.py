"""A small chart for each quantity of a run: training as a thin line, validation in colour, over the steps.

The axis of steps reaches to the end of the run, so that a run is seen to grow. Knows nothing of runs.
"""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from lflow.papers.figure import moved_apart
from lflow.ui.curves import INK, theme_index
from lflow.ui.explain import number
from lflow.ui.theme import FAMILY_COLOURS
from lflow.ui.train.numbers import VALIDATION, Panel, Series, domain

_ROOM = 0.34  # of the width, for the names at the lines' ends
HEIGHT = 150
_APART = 16  # px between two names
_AROUND = 60  # px of the height that axis and title take
_LEFT = 38  # px for the numbers of the vertical axis: the charts of a column begin at one place


def show(panel: Panel, num_steps: int, key: str, height: int = HEIGHT) -> None:
    """Draw a panel; its last values stand where the lines end."""
    st.altair_chart(draw(panel, num_steps, height), key=key, alt=described(panel))


def described(panel: Panel) -> str:
    """The panel for who does not see it."""
    ends = [f"{each.name} {number(each.values[-1])} at step {each.steps[-1]:,}" for each in panel.series]
    best = f"; the best is {number(panel.best[1])} at step {panel.best[0]:,}" if panel.best else ""
    return f"{panel.title}: {', '.join(ends)}{best}"


def draw(panel: Panel, num_steps: int, height: int = HEIGHT) -> Any:
    """The chart."""
    low, high = domain(panel)
    wide = num_steps / (1 - _ROOM)
    ticks = alt.Axis(values=[0, num_steps / 2, num_steps], format=",d", grid=False)
    x = alt.X("x:Q", title=None, axis=ticks).scale(domain=[0, wide], nice=False)
    y_axis = alt.Axis(tickCount=3, grid=False, minExtent=_LEFT, maxExtent=_LEFT, format=".4~g")
    y = alt.Y("y:Q", title=None, axis=y_axis).scale(domain=[low, high], nice=False, zero=False)
    layers = [layer for series in panel.series for layer in _series(series, x, y)]
    apart = _APART / (height - _AROUND)
    layers.append(_names(panel, num_steps, apart, (low, high)).encode(x, y))
    if panel.best:
        layers.append(_best(panel.best, x, y))
    title = alt.Title(panel.title, anchor="start", frame="group", fontSize=13, fontWeight=600, color=INK)
    return alt.layer(*layers).properties(height=height, title=title).configure_view(strokeOpacity=0)


def _colour(series: str) -> str:
    return FAMILY_COLOURS["overdamped"][theme_index()] if series == VALIDATION else INK


def _series(series: Series, x: alt.X, y: alt.Y) -> list[Any]:
    colour, strong = _colour(series.name), series.name == VALIDATION
    rows = pd.DataFrame({"x": series.steps, "y": series.values, "low": series.low, "high": series.high})
    rows["name"] = series.name
    base = alt.Chart(rows)
    hover = [
        alt.Tooltip("name", title="curve"),
        alt.Tooltip("x", title="step", format=",d"),
        alt.Tooltip("y", title="value", format=".4~g"),
    ]
    opacity = 1 if strong else 0.6
    line = base.mark_line(color=colour, strokeWidth=1.8 if strong else 1.0, opacity=opacity, clip=True)
    layers: list[Any] = [line.encode(x, y)]
    if series.each > 1:
        band = base.mark_area(color=colour, opacity=0.12, clip=True).transform_calculate(y="datum.low")
        layers.insert(0, band.encode(x, y, y2="high"))
    points = base.mark_point(
        color=colour, filled=True, size=22 if strong else 60, opacity=1 if strong else 0, clip=True
    )
    layers.append(points.encode(x, y, tooltip=hover))
    return layers


def _best(best: tuple[int, float], x: alt.X, y: alt.Y) -> Any:
    rows = pd.DataFrame({"x": [best[0]], "y": [best[1]], "text": ["best"]})
    ring = alt.Chart(rows).mark_point(color=_colour(VALIDATION), size=110, strokeWidth=1.5, filled=False)
    hover = [
        alt.Tooltip("x", title="best at step", format=",d"),
        alt.Tooltip("y", title="value", format=".4~g"),
    ]
    return ring.encode(x, y, tooltip=hover)


def _names(panel: Panel, num_steps: int, apart: float, span: tuple[float, float]) -> Any:
    """Each curve's name and last value, right of its end, moved apart where they crowd."""
    low, high = span
    ends = sorted(panel.series, key=lambda series: series.values[-1])
    heights = [min(max((series.values[-1] - low) / (high - low), 0.0), 1.0) for series in ends]
    places = moved_apart(heights, apart) if len(ends) > 1 else heights
    over = max([0.0, *(place - 1 for place in places[-1:])])
    rows = pd.DataFrame(
        {
            "x": [series.steps[-1] + num_steps * 0.02 for series in ends],
            "y": [low + (place - over) * (high - low) for place in places],
            "text": [f"{series.name} {number(series.values[-1])}" for series in ends],
        }
    )
    names = alt.Chart(rows).mark_text(align="left", baseline="middle", fontSize=12, color=INK)
    return names.encode(text="text")
