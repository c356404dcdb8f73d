"""The numbers of the lanes' ends beside those of real digits, as the table under the picture."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from lflow.ui.images.keys import TITLES
from lflow.ui.images.runs import Known
from lflow.ui.images.words import OUTSIDE, Seen

_COLUMNS = {
    "Over the floor": ("%.2f", "Sliced W2 to the training digits, over what as many real digits reach."),
    "Nearest digit": ("%.2f", "Median distance of an image to the nearest training digit."),
    "Mean energy": ("%.3f", "Mean of U: the lower, the likelier the model holds the images for."),
    "Accepted": ("percent", "Mean share of the proposals that were accepted."),
    "Out of range": (
        "percent",
        f"Share of pixel values beyond {OUTSIDE:g} times black or white, as which they are drawn.",
    ),
    "Lost": ("%d", "Images that overflowed or left for good."),
}


def show(lanes: Sequence[Seen], known: Known) -> None:
    """A row for each lane, and one for real digits that the model has not seen."""
    rows = [(TITLES[each.method], *_numbers(each, known)) for each in lanes]
    rows.append(("Real digits", 1.0, known.nearest.mean, known.energy.mean, None, 0.0, 0))
    frame = pd.DataFrame(rows, columns=["Sampler", *_COLUMNS]).dropna(axis=1, how="all")
    if not any(each.lost for each in lanes):
        frame = frame.drop(columns="Lost")
    settings = {
        name: st.column_config.NumberColumn(name, format=form, help=help)
        for name, (form, help) in _COLUMNS.items()
    }
    st.dataframe(frame, hide_index=True, column_config=settings, placeholder="–")


def _numbers(lane: Seen, known: Known) -> tuple[float | None, ...]:
    away = None if lane.lost else lane.away / known.away.mean
    nearest = None if lane.lost else lane.nearest
    return away, nearest, lane.energy, lane.acceptance, lane.outside, lane.lost
