"""A heat map over two parameters, with crosses where chains are lost and a ring in the best cell.

Knows cells and colours, and nothing of what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import plotly.graph_objects as go
import streamlit as st

from lflow.ui.curves import decades, theme_index


class Axis(Protocol):
    """What is drawn of an axis."""

    @property
    def title(self) -> str: ...

    @property
    def cells(self) -> tuple[float, ...]: ...


class Heat(NamedTuple):
    """A map: values and texts by row from below; None where there is no value."""

    across: Axis
    up: Axis
    title: str
    values: Sequence[Sequence[float | None]]
    told: Sequence[Sequence[str]]
    lost: Sequence[tuple[float, float]]
    best: tuple[float, float] | None
    log: bool
    more_first: bool


def draw(heat: Heat) -> go.Figure:
    """The figure."""
    z = [[_coloured(value, heat.log) for value in row] for row in heat.values]
    x, y = [f"{each:g}" for each in heat.across.cells], [f"{each:g}" for each in heat.up.cells]
    figure = go.Figure(
        go.Heatmap(
            z=z,
            x=x,
            y=y,
            text=heat.told,
            hovertemplate="%{text}<extra></extra>",
            hoverongaps=True,
            colorscale=_colour_scale(heat.more_first),
            xgap=2,
            ygap=2,
            colorbar=_colour_bar(heat),
        )
    )
    cross = {"symbol": "x-thin", "size": 9, "line": {"width": 1.5, "color": _theme("grayColor")}}
    ring = {"symbol": "circle-open", "size": 15, "line": {"width": 2.5}, "color": _theme("backgroundColor")}
    for places, marker in ((heat.lost, cross), ([heat.best] if heat.best else [], ring)):
        figure.add_scatter(
            x=[f"{across:g}" for across, _ in places],
            y=[f"{up:g}" for _, up in places],
            mode="markers",
            marker=marker,
            hoverinfo="skip",
            showlegend=False,
        )
    figure.update_xaxes(title={"text": heat.across.title}, type="category", showgrid=False, ticks="")
    figure.update_yaxes(title=heat.up.title, type="category", showgrid=False, ticks="")
    figure.update_layout(height=500, margin={"l": 10, "r": 10, "t": 70, "b": 10})
    return figure


def _colour_scale(more_first: bool) -> list[str]:
    """The theme's sequence, strongest for what comes first, without the colours near the ground's."""
    strongest_last: list[str] = _theme("chartSequentialColors")[2:]
    return strongest_last if more_first else strongest_last[::-1]


def _theme(option: str) -> Any:
    return st.get_option(f"theme.{('light', 'dark')[theme_index()]}.{option}")


def _coloured(value: float | None, log: bool) -> float | None:
    return None if value is None else math.log10(max(value, 1e-6)) if log else value


def _colour_bar(heat: Heat) -> dict[str, object]:
    bar: dict[str, object] = {
        "orientation": "h",
        "thickness": 10,
        "len": 0.6,
        "x": 0,
        "xanchor": "left",
        "y": 1.02,
        "yanchor": "bottom",
        "title": {"text": heat.title + (" (log)" if heat.log else ""), "side": "top"},
        "outlinewidth": 0,
    }
    values = [value for row in heat.values for value in row if value is not None]
    if heat.log and values:
        ticks = decades((min(values), max(values)))
        bar |= {"tickvals": [math.log10(tick) for tick in ticks], "ticktext": [f"{tick:g}" for tick in ticks]}
    return bar
