"""The player: moving particle clouds, drawn by the browser from one byte buffer that `packing.pack` makes.

For tests, the root element carries data-testid="player" and data-frame, data-frames, data-step, data-playing,
data-id, data-speed, data-trails, data-moved-at (when the first frame of new data was drawn), data-fps (turns
of the animation a second while playing), data-draws (pictures drawn a second: what would not change the
picture is not drawn again) and data-draw-ms (mean cost of a picture).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import streamlit as st

from lflow.paths import assets_dir

# One module for the browser: the order matters only to the reader, the last file holds the default export.
_SCRIPTS = ("decode", "theme", "contours", "cloud", "panel", "charts", "controls", "layout", "player")


def _script() -> str:
    folder = assets_dir() / "player"
    return "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)


_component = st.components.v2.component(
    "lflow_player",
    css=(assets_dir() / "player" / "player.css").read_text(encoding="utf-8"),
    js=_script(),
)


def show(
    payload: bytes, *, key: str, on_place: Callable[[], None] | None = None
) -> tuple[float, float] | None:
    """Put a packed scene on the page; the point that was placed for this run, if one was.

    `on_place` is called before the script runs again; `placed(key)` gives the point there already.
    """
    _component(data=payload, key=key, on_placed_change=on_place or _nothing)
    return placed(key)


def placed(key: str) -> tuple[float, float] | None:
    """The point that was placed for this run of the player `key`, in the coordinates of the bounds."""
    state = st.session_state.get(key)
    return _point(state.get("placed") if state else None)


def _nothing() -> None:
    """Streamlit reports a trigger only where a callback is named."""


def _point(value: object) -> tuple[float, float] | None:
    """What the browser sent, if it is a point: it may send anything."""
    if not isinstance(value, dict):
        return None
    x, y = value.get("x"), value.get("y")
    if not isinstance(x, int | float) or not isinstance(y, int | float):
        return None
    if not (math.isfinite(x) and math.isfinite(y)):
        return None
    return float(x), float(y)
