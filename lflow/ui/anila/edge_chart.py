"""Which chains are lost, as a strip for each method: the share over the step size, from nobody to all."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from lflow.ui.anila import style
from lflow.ui.anila.read import EdgeRow

_FILLED = 0.78  # of a strip's height, at a share of 1
_STRIP = 44


def strips(rows: Sequence[EdgeRow]) -> alt.LayerChart:
    """A strip a method, the first on top; the band from the lowest to the highest of the seeds."""
    ticks = list(rows[0].sizes)
    x_axis = alt.Axis(values=ticks, format="~g", grid=False, labelOverlap=True)
    scale = alt.Scale(type="log", domain=[ticks[0], ticks[-1]], nice=False)
    x = alt.X("h:Q", scale=scale, axis=x_axis, title="step size h (log)")
    names = ", ".join(f"'{style.title(row.method)}'" for row in rows)
    places = [len(rows) - 1 - index for index in range(len(rows))]
    y_axis = alt.Axis(
        values=[place + 0.3 for place in places],
        labelExpr=f"[{names}][{len(rows) - 1} - floor(datum.value)]",
        labelLimit=180,
        grid=False,
        ticks=False,
        domain=False,
        title=None,
    )
    y = alt.Y("share:Q", scale=alt.Scale(domain=[0, len(rows)], nice=False), axis=y_axis)
    layers = []
    for row, place in zip(rows, places, strict=True):
        table = pd.DataFrame(
            {
                "h": ticks,
                "base": place,
                "share": [place + _FILLED * each.mean for each in row.lost],
                "low": [place + _FILLED * each.low for each in row.lost],
                "high": [place + _FILLED * each.high for each in row.lost],
                "lost": [each.mean for each in row.lost],
                "method": style.title(row.method),
            }
        )
        shade, chart = style.colour(row.method), alt.Chart(table)
        tips = [
            "method:N",
            alt.Tooltip("h:Q", format="~g"),
            alt.Tooltip("lost:Q", format=".1%", title="lost"),
        ]
        layers += [
            chart.mark_area(color=shade, opacity=0.3).encode(x=x, y=y, y2="base:Q"),
            chart.mark_area(color=shade, opacity=0.25).encode(x=x, y=y.copy(), y2="high:Q"),
            chart.mark_line(color=shade, strokeWidth=1.6).encode(x=x, y=y, tooltip=tips),
        ]
        ends = table.iloc[[-1]].assign(share=place + 0.3, text=f"{100 * row.lost[-1].mean:.0f} %")
        mark = alt.Chart(ends).mark_text(align="left", baseline="middle", dx=6, color=shade, fontSize=12)
        layers.append(mark.encode(x=x, y=y, text="text:N"))
    drawn = alt.layer(*layers).properties(height=_STRIP * len(rows))
    return drawn.configure_view(strokeWidth=0)


def words(rows: Sequence[EdgeRow]) -> str:
    """The same for those who cannot see it."""
    told = []
    for row in rows:
        shares = [f"{100 * each.mean:.0f} % at {h:g}" for h, each in zip(row.sizes, row.lost, strict=True)]
        gone = max(each.mean for each in row.lost)
        told.append(f"{style.title(row.method)}: {', '.join(shares) if gone else 'none at any h'}")
    return f"Share of chains lost over the step size h. {'; '.join(told)}."
