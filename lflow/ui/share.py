"""The address of what is shown, which a reader takes along."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from lflow.spec import CONFIG_VERSION


def link(prefix: str, hidden: Sequence[str] = ()) -> str:
    """The address of what is shown: every control that differs from its default, and which to hide."""
    defaults = st.session_state.get(f"{prefix}-defaults", {})
    values = {
        name: st.session_state[name]
        for name, default in defaults.items()
        if name in st.session_state and st.session_state[name] != default
    }
    if hidden:
        values[f"{prefix}_hide"] = ",".join(hidden)
    query = urlencode({f"{prefix}_version": CONFIG_VERSION, **values}, doseq=True)
    address = str(st.context.url or "").split("?")[0]
    return f"{address}?{query}" if values else address
