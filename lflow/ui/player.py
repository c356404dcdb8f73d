"""The player: moving clouds or images, drawn by the browser from one byte buffer that `packing.pack` makes.

For tests, the root element carries data-testid="player" and data-frame, data-frames, data-step, data-playing,
data-id, data-speed, data-trails, data-moved-at (when the first frame of new data was drawn), data-fps (turns
of the animation a second while playing), data-draws (pictures drawn a second: what would not change the
picture is not drawn again), data-draw-ms (mean cost of a picture), data-strokes (of the drawing in progress),
data-hovered (the particle or image that is marked) and data-overlay (whether images give way to an overlay).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import streamlit as st

from lflow.paths import assets_dir
from lflow.ui.drawing import MAX_POINTS, Strokes

# One module for the browser: the order matters only to the reader, the last file holds the default export.
_SCRIPTS = (
    *("decode", "theme", "contours", "cloud", "panel", "images", "charts", "controls", "layout"),
    *("modes", "drawing", "hover", "player"),
)


_FOLDER = assets_dir() / "player"


def text(*files: str) -> str:
    """Files of the player's folder, one after another."""
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in files)


def _script() -> str:
    return text(*(f"{name}.js" for name in _SCRIPTS))


_component = st.components.v2.component("lflow_player", css=text("scrub.css", "player.css"), js=_script())


def show(
    payload: bytes,
    *,
    key: str,
    on_place: Callable[[], None] | None = None,
    on_draw: Callable[[], None] | None = None,
) -> tuple[float, float] | None:
    """Put a packed scene on the page; the point that was placed for this run, if one was.

    `on_place` and `on_draw` are called before the script runs again; `placed(key)` and `drawn(key)` give the
    point and the strokes there already.
    """
    _component(
        data=payload, key=key, on_placed_change=on_place or _nothing, on_drawn_change=on_draw or _nothing
    )
    return placed(key)


def placed(key: str) -> tuple[float, float] | None:
    """The point that was placed for this run of the player `key`, in the coordinates of the bounds."""
    return _point(_sent(key, "placed"))


def drawn(key: str) -> Strokes | None:
    """The strokes that were drawn for this run of the player `key`, in the unit square of the view."""
    return _strokes(_sent(key, "drawn"))


def _sent(key: str, trigger: str) -> object:
    state = st.session_state.get(key)
    return state.get(trigger) if state else None


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


def _strokes(value: object) -> Strokes | None:
    """What the browser sent, if it is strokes of at most MAX_POINTS points in all: it may send anything."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_POINTS:
        return None
    if not all(isinstance(stroke, list) and stroke for stroke in value):
        return None
    if sum(map(len, value)) > MAX_POINTS:
        return None
    if not all(_in_unit_square(point) for stroke in value for point in stroke):
        return None
    return [[(float(across), float(up)) for across, up in stroke] for stroke in value]


def _in_unit_square(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(type(part) in (int, float) and 0 <= part <= 1 for part in point)  # not with NaN, nor True
    )
