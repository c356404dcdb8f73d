"""A small chart for each quantity of a run: training as a thin line, validation in colour, over the steps.

The axis of steps reaches as far as the run has come, so that one that ends early fills it. Charts are written
as Vega-Lite: they are drawn every second or two while a model trains on the same cores, and Altair, which
checks each of its objects, takes hundreds of times as long. Knows nothing of runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from lflow.papers.figure import moved_apart
from lflow.ui.curves import INK, theme_index
from lflow.ui.explain import number
from lflow.ui.film.ink import nice_ticks
from lflow.ui.theme import FAMILY_COLOURS
from lflow.ui.train.numbers import Panel, Series, domain

HEIGHT = 150
_ROOM = 0.4  # of the width, for the names at the lines' ends
_APART = 16  # px between two names
_BESIDE = 9  # px from a line's end to its name: the ring of the best lies between
_AROUND = 82  # px of the height that axis and title take
_LEFT = 38  # px for the numbers of the vertical axis: the charts of a column begin at one place
_DASHES = ([1, 0], [5, 3], [2, 2], [8, 3, 2, 3])
Vega = dict[str, Any]


def show(panel: Panel, last: int, key: str, height: int = HEIGHT) -> None:
    """Draw a panel up to the step `last`; its last values stand where the lines end."""
    st.vega_lite_chart(spec=draw(panel, last, height), key=key, alt=described(panel))


def described(panel: Panel) -> str:
    """The panel for who does not see it."""
    ends = [f"{each.name} {number(each.values[-1])} at step {each.steps[-1]:,}" for each in panel.series]
    best = f"; the best is {number(panel.best[1])} at step {panel.best[0]:,}" if panel.best else ""
    return f"{panel.title}: {', '.join(ends)}{best}"


def draw(panel: Panel, last: int, height: int = HEIGHT) -> Vega:
    """The chart, as Vega-Lite."""
    low, high = domain(panel)
    x, y = _axes(last, (low, high))
    rows = [row for series in panel.series for row in _rows(series)]
    layers = [_band(rows, panel), _lines(rows, panel), _points(rows, panel)]
    layers.append(_names(panel, last, (low, high), _APART / (height - _AROUND)))
    if panel.best:
        layers.append(_best(panel.best))
    title = {"text": panel.title, "anchor": "start", "frame": "group", "fontSize": 13, "fontWeight": 600}
    return {
        "layer": [{**layer, "encoding": {"x": x, "y": y, **layer["encoding"]}} for layer in layers],
        "height": height,
        "title": {**title, "color": INK},
        "resolve": {"scale": {"opacity": "independent", "strokeWidth": "independent"}},
        "config": {"view": {"strokeOpacity": 0}},
    }


def _axes(last: int, span: tuple[float, float]) -> tuple[Vega, Vega]:
    steps = [tick.value for tick in nice_ticks(0, last, 5) if tick.value == int(tick.value)]
    ticks = {"values": steps, "format": ",d", "grid": False}
    numbers = {"tickCount": 3, "grid": False, "minExtent": _LEFT, "maxExtent": _LEFT, "format": ".4~g"}
    x = {"field": "x", "type": "quantitative", "title": None, "axis": ticks}
    y = {"field": "y", "type": "quantitative", "title": None, "axis": numbers}
    wide = last / (1 - _ROOM)
    x["scale"] = {"domain": [0, wide], "nice": False}
    y["scale"] = {"domain": list(span), "nice": False, "zero": False}
    return x, y


def _rows(series: Series) -> list[Vega]:
    columns = zip(series.steps, series.values, series.low, series.high, strict=True)
    return [{"name": series.name, "x": x, "y": y, "low": low, "high": high} for x, y, low, high in columns]


def _of_series(panel: Panel, values: Sequence[Any]) -> Vega:
    """A value for each curve of the panel."""
    names = [series.name for series in panel.series]
    scale = {"type": "ordinal", "domain": names, "range": list(values)}
    return {"field": "name", "type": "nominal", "legend": None, "scale": scale}


def _colours(panel: Panel) -> Vega:
    hue = FAMILY_COLOURS["overdamped"][theme_index()]
    return _of_series(panel, [hue if series.validates else INK for series in panel.series])


def _dashes(panel: Panel) -> Vega:
    """The first of a colour is solid."""
    kinds = [series.validates for series in panel.series]
    return _of_series(
        panel, [_DASHES[kinds[:place].count(kind) % len(_DASHES)] for place, kind in enumerate(kinds)]
    )


def _band(rows: list[Vega], panel: Panel) -> Vega:
    """How far the lines go that a point is the mean of."""
    y = {"field": "low", "type": "quantitative"}
    encoding = {"y": y, "y2": {"field": "high"}, "color": _colours(panel)}
    return {
        "data": {"values": rows},
        "mark": {"type": "area", "opacity": 0.12, "clip": True},
        "encoding": encoding,
    }


def _lines(rows: list[Vega], panel: Panel) -> Vega:
    encoding = {
        "color": _colours(panel),
        "strokeDash": _dashes(panel),
        "strokeWidth": _of_series(panel, [1.8 if each.validates else 1.0 for each in panel.series]),
        "opacity": _of_series(panel, [1.0 if each.validates else 0.6 for each in panel.series]),
    }
    return {"data": {"values": rows}, "mark": {"type": "line", "clip": True}, "encoding": encoding}


def _points(rows: list[Vega], panel: Panel) -> Vega:
    """Those of validation are seen; those of training answer to the mouse alone."""
    encoding = {
        "color": _colours(panel),
        "opacity": _of_series(panel, [1.0 if each.validates else 0.0 for each in panel.series]),
        "tooltip": [
            {"field": "name", "type": "nominal", "title": "curve"},
            {"field": "x", "type": "quantitative", "title": "step", "format": ",d"},
            {"field": "y", "type": "quantitative", "title": "value", "format": ".4~g"},
        ],
    }
    mark = {"type": "point", "filled": True, "size": 22, "clip": True}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def _best(best: tuple[int, float]) -> Vega:
    colour = FAMILY_COLOURS["overdamped"][theme_index()]
    mark = {"type": "point", "filled": False, "size": 110, "strokeWidth": 1.5, "color": colour}
    text = f"the best, at step {best[0]:,}: {number(best[1])}"
    values = [{"x": best[0], "y": best[1], "text": text}]
    return {
        "data": {"values": values},
        "mark": mark,
        "encoding": {"tooltip": {"field": "text", "type": "nominal"}},
    }


def _names(panel: Panel, last: int, span: tuple[float, float], apart: float) -> Vega:
    """Each curve's name and last value, right of the last step, moved apart where they crowd."""
    low, high = span
    ends = sorted(panel.series, key=lambda series: series.values[-1])
    heights = [min(max((series.values[-1] - low) / (high - low), 0.0), 1.0) for series in ends]
    places = moved_apart(heights, apart)
    over = max([0.0, *(place - 1 for place in places[-1:])])
    values = [
        {
            "x": last,
            "y": low + (place - over) * (high - low),
            "text": f"{series.name} {number(series.values[-1])}",
        }
        for series, place in zip(ends, places, strict=True)
    ]
    mark = {
        "type": "text",
        "align": "left",
        "dx": _BESIDE,
        "baseline": "middle",
        "fontSize": 12,
        "color": INK,
    }
    return {
        "data": {"values": values},
        "mark": mark,
        "encoding": {"text": {"field": "text", "type": "nominal"}},
    }
