"""Small multiples of densities: what a run sampled, filled, under the laws that it is compared with.

The laws are known along a line: of x, of the radius on the rings, or of x in the plane, the other coordinate
summed out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lflow.energies.base import Energy
from lflow.papers.anila_laws import RANGE, variant_law
from lflow.ui.anila import style

HEIGHT = 260
_POINTS = 320
_GRID = 400
_CODED = ("toy_code", "flowers_code")
TRUTH, PUBLISHED, SMOOTH = "e^f", "e^f·max(1, |∇f|/b)", "e^f·√(1 + |∇f|²/b²)"
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Laws:
    """The target, the law of the step as published, and those of the coded variants, at points x."""

    word: str
    x: Values
    truth: Values
    published: Values
    own: dict[str, Values] = field(default_factory=dict)
    smooth: bool = False

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest x."""
        return float(self.x[0]), float(self.x[-1])


def along_a_line(part: str, b: float, smooth: bool, methods: Iterable[str]) -> Laws:
    """The closed forms of the experiments' targets."""
    x = torch.linspace(*RANGE[part], _POINTS, dtype=torch.float64)

    def at(method: str) -> Values:
        return variant_law(part, method, b, smooth).at(x).numpy()

    own = {method: at(method) for method in methods if method in _CODED}
    return Laws("radius" if part == "rings" else "x", x.numpy(), at("truth"), at("paper"), own, smooth)


def in_the_plane(energy: Energy, b: float) -> Laws:
    """The marginal densities of x: e^f and e^f·max(1, |∇f|/b) on a grid over the bounds, summed along y.

    The law of the step as published holds in any dimension, those of the coded ones do not.
    """
    (x0, x1), (y0, y1) = energy.bounds
    x, y = (torch.linspace(low, high, _GRID, dtype=torch.float64) for low, high in ((x0, x1), (y0, y1)))
    points = torch.cartesian_prod(x, y)
    weight = torch.exp(-energy(points))
    steep = (energy.grad(points).norm(dim=1) / b).clamp_min(1.0)
    width = (x1 - x0) / (_GRID - 1)
    truth, published = (
        (each.reshape(_GRID, _GRID).sum(1) / each.sum() / width).numpy() for each in (weight, weight * steep)
    )
    return Laws("x", x.numpy(), truth, published)


def panels(laws: Laws, histograms: Mapping[str, Values | None]) -> dict[str, alt.LayerChart]:
    """A chart for each method, on the same axes; histogram: the density in even cells, None where lost."""
    found = [cells for cells in histograms.values() if cells is not None]
    tallest = max(float(values.max()) for values in (laws.truth, laws.published, *laws.own.values(), *found))
    # A narrow peak may leave the picture, so that the target stays in view.
    top = min(1.16 * tallest, 1.9 * float(laws.truth.max()))
    axes = _axes(laws, top)
    drawn = {}
    for place, (method, cells) in enumerate(histograms.items()):
        layers = [] if cells is None else [_histogram(cells, laws, method, axes)]
        if method in laws.own:
            layers.append(_line(laws.x, laws.own[method], axes, style.colour(method), [1, 0], 1.6))
        layers.append(_line(laws.x, laws.published, axes, style.ink(), [4, 3], 1.1))
        layers.append(_line(laws.x, laws.truth, axes, style.ink(), [1, 0], 1.1))
        if method in laws.own:
            layers += _corner(laws, top, axes, "―  its own law", style.colour(method), 0)
        if place == 0:
            layers += _key(laws, top, axes)
        drawn[method] = alt.layer(*layers).properties(height=HEIGHT).configure_view(strokeWidth=0)
    return drawn


Axes = tuple[alt.X, alt.Y]


def _axes(laws: Laws, top: float) -> Axes:
    x_axis = alt.Axis(grid=False, tickCount=8, format="~g")
    x = alt.X("x:Q", title=laws.word, scale=alt.Scale(domain=list(laws.span), nice=False), axis=x_axis)
    y_axis = alt.Axis(grid=False, tickCount=3)
    y = alt.Y("y:Q", title="density", scale=alt.Scale(domain=[0, top], nice=False), axis=y_axis)
    return x, y


def _histogram(cells: Values, laws: Laws, method: str, axes: Axes) -> Any:
    edges = np.linspace(*laws.span, len(cells) + 1)
    table = pd.DataFrame({"x": edges.round(4), "y": np.append(cells, cells[-1]).round(5)})
    mark = alt.Chart(table).mark_area(
        interpolate="step-after", color=style.colour(method), opacity=0.38, clip=True
    )
    return mark.encode(x=axes[0], y=axes[1])


def _line(x: Values, y: Values, axes: Axes, colour: str, dash: list[int], width: float) -> Any:
    table = pd.DataFrame({"x": x.round(4), "y": y.round(5)})
    mark = alt.Chart(table).mark_line(color=colour, strokeDash=dash, strokeWidth=width, clip=True)
    return mark.encode(x=axes[0], y=axes[1])


def _key(laws: Laws, top: float, axes: Axes) -> list[Any]:
    """What the two lines are, in the upper right corner."""
    lines = (f"―  {TRUTH}", f"╌  {SMOOTH if laws.smooth else PUBLISHED}")
    return [
        mark
        for place, text in enumerate(lines)
        for mark in _corner(laws, top, axes, text, style.ink(), place)
    ]


def _corner(laws: Laws, top: float, axes: Axes, text: str, colour: str, place: int) -> list[Any]:
    """A text in the upper right corner, with a rim in the colour of the page where a line runs under it."""
    table = pd.DataFrame([{"x": laws.span[1], "y": top, "text": text}])
    common: dict[str, Any] = {"align": "right", "baseline": "top", "dy": 3 + 17 * place, "fontSize": 12}
    looks: tuple[dict[str, Any], ...] = ({"stroke": style.paper(), "strokeWidth": 5}, {"color": colour})
    marks = (alt.Chart(table).mark_text(**common, **look) for look in looks)
    return [mark.encode(x=axes[0], y=axes[1], text="text:N") for mark in marks]
