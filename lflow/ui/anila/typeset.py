"""How the page AniLA sets its sentences and its tables. Knows nothing of what they say."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from lflow.ui.explain import number


def sentences(lines: Sequence[str]) -> None:
    """A list of sentences, which may hold markup of their own."""
    st.markdown("\n".join(f"- {line}" for line in lines))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], alt: str) -> None:
    """A table of texts; the first column names the rows."""
    frame = pd.DataFrame(list(rows), columns=["", *columns]).set_index("")
    st.table(frame, border="horizontal", alt=alt)


def or_lost(value: float | None) -> str:
    """A number, or that chains were lost."""
    return "lost" if value is None else number(value)
