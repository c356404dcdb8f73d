"""Small multiples of densities: what a run sampled, as a filled histogram, under the laws it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import torch

from lflow.papers.anila_laws import BINS, RANGE, variant_law
from lflow.papers.line import LineLaw
from lflow.ui import anila_style as style

HEIGHT = 235
_POINTS = 320
_CODED = ("toy_code", "flowers_code")
TRUTH, PUBLISHED = "e^f", "e^f·max(1, |∇f|/b)"
SMOOTH = "e^f·√(1 + |∇f|²/b²)"


def laws(part: str, b: float, smooth: bool) -> dict[str, LineLaw]:
    """What every panel is compared with: the target and the published one's law."""
    return {name: variant_law(part, name, b, smooth) for name in ("truth", "paper")}


def panels(
    part: str, b: float, smooth: bool, histograms: Mapping[str, list[float] | None]
) -> dict[str, alt.LayerChart]:
    """A chart for each method, on the same axes. histogram: the density in each of the cells; None where lost."""
    low, high = RANGE[part]
    x = torch.linspace(low, high, _POINTS, dtype=torch.float64)
    shown = {name: law.at(x).numpy() for name, law in laws(part, b, smooth).items()}
    own = {m: variant_law(part, m, b, smooth).at(x).numpy() for m in histograms if m in _CODED}
    cells = {m: None if found is None else _pairs(found) for m, found in histograms.items()}
    tallest = [*shown.values(), *own.values(), *(found for found in cells.values() if found is not None)]
    top = 1.16 * max(float(values.max()) for values in tallest)
    axes = _axes(part, top)
    drawn = {}
    for place, method in enumerate(histograms):
        layers = [_histogram(cells[method], part, method, axes)] if cells[method] is not None else []
        if method in own:
            layers.append(_line(x, own[method], axes, style.colour(method), [1, 0], 1.6))
            layers += _label(x, own[method], axes, "its own law", style.colour(method))
        layers.append(_line(x, shown["paper"], axes, style.ink(), [4, 3], 1.1))
        layers.append(_line(x, shown["truth"], axes, style.ink(), [1, 0], 1.1))
        if place == 0:
            layers += _key(high, top, axes, smooth)
        drawn[method] = alt.layer(*layers).properties(height=HEIGHT).configure_view(strokeWidth=0)
    return drawn


def _pairs(histogram: list[float]) -> Any:
    """Two cells in one: what is left is the shape, and half of the noise."""
    return np.asarray(histogram).reshape(BINS // 2, 2).mean(1)


def _axes(part: str, top: float) -> tuple[alt.X, alt.Y]:
    low, high = RANGE[part]
    words = "radius" if part == "rings" else "x"
    x_axis = alt.Axis(grid=False, tickCount=8, format="~g")
    x = alt.X("x:Q", title=words, scale=alt.Scale(domain=[low, high], nice=False), axis=x_axis)
    y_axis = alt.Axis(grid=False, tickCount=3)
    y = alt.Y("y:Q", title="density", scale=alt.Scale(domain=[0, top], nice=False), axis=y_axis)
    return x, y


def _histogram(found: Any, part: str, method: str, axes: tuple[alt.X, alt.Y]) -> Any:
    low, high = RANGE[part]
    edges = np.linspace(low, high, len(found) + 1)
    table = pd.DataFrame({"x": edges, "y": np.append(found, found[-1]).round(5)})
    mark = alt.Chart(table).mark_area(
        interpolate="step-after", color=style.colour(method), opacity=0.34, line=False
    )
    return mark.encode(x=axes[0], y=axes[1])


def _line(x: Any, y: Any, axes: tuple[alt.X, alt.Y], colour: str, dash: list[int], width: float) -> Any:
    table = pd.DataFrame({"x": np.round(x.numpy(), 4), "y": np.round(y, 5)})
    mark = alt.Chart(table).mark_line(color=colour, strokeDash=dash, strokeWidth=width)
    return mark.encode(x=axes[0], y=axes[1])


def _label(x: Any, y: Any, axes: tuple[alt.X, alt.Y], text: str, colour: str) -> list[Any]:
    """Above the highest point of a curve, the leftmost of several."""
    top = int(np.flatnonzero(y > 0.995 * y.max())[0])
    table = pd.DataFrame([{"x": float(x[top]), "y": float(y[top]), "text": text}])
    mark = alt.Chart(table).mark_text(dy=-8, color=colour, fontSize=12)
    return [mark.encode(x=axes[0], y=axes[1], text="text:N")]


def _key(high: float, top: float, axes: tuple[alt.X, alt.Y], smooth: bool) -> list[Any]:
    """What the two lines are, in the upper right corner."""
    lines = (f"―  {TRUTH}", f"╌  {SMOOTH if smooth else PUBLISHED}")
    layers = []
    for place, text in enumerate(lines):
        table = pd.DataFrame([{"x": high, "y": top, "text": text}])
        mark = alt.Chart(table).mark_text(
            align="right", baseline="top", dy=3 + 16 * place, color=style.ink(), fontSize=12
        )
        layers.append(mark.encode(x=axes[0], y=axes[1], text="text:N"))
    return layers
