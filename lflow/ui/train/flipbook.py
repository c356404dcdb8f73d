"""The pictures of samples that a run leaves as it learns, to leaf through and to play in the browser.

For tests, the root element carries data-testid="flipbook", data-pictures (how many there are), data-step (of
the one that is shown) and data-playing. Knows nothing of runs.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from PIL import Image

from lflow.paths import assets_dir
from lflow.ui import player

_BUDGET = 3_000_000  # bytes of all pictures together: with more, some in between are left out
_FOLDER = assets_dir() / "train"

_component = st.components.v2.component(
    "lflow_flipbook",
    css=player.text("scrub.css") + (_FOLDER / "flipbook.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "flipbook.js").read_text(encoding="utf-8"),
)


def show(identity: str, pictures: Sequence[Path], of_points: bool, key: str) -> None:
    """Put a run's pictures on the page, whose names are their steps."""
    chosen = thinned(pictures)
    found = [{"step": int(path.stem), "source": _source(path), "alt": _alt(path)} for path in chosen]
    _component(data={"id": identity, "pictures": found, "points": of_points, "alone": False}, key=key)


def show_one(identity: str, image: Image.Image, of_points: bool, alt: str, key: str) -> None:
    """Put a single picture on the page, in the same manner and without controls."""
    file = io.BytesIO()
    image.save(file, "PNG")
    found = [{"step": 0, "source": _as_address(file.getvalue()), "alt": alt}]
    _component(data={"id": identity, "pictures": found, "points": of_points, "alone": True}, key=key)


def thinned(pictures: Sequence[Path]) -> list[Path]:
    """As many of the pictures as the budget allows, evenly spread, the first and the last among them."""
    total = sum(path.stat().st_size for path in pictures)
    count = max(2, len(pictures) * _BUDGET // max(total, _BUDGET))
    last = len(pictures) - 1
    return [pictures[place] for place in sorted({round(k * last / (count - 1)) for k in range(count)})]


def _alt(picture: Path) -> str:
    return f"Samples of the model after step {int(picture.stem):,}"


def _source(picture: Path) -> str:
    return _encoded(str(picture), picture.stat().st_mtime_ns)


@st.cache_data(max_entries=500, show_spinner=False)
def _encoded(picture: str, written: int) -> str:
    del written  # a part of the cache's key
    return _as_address(Path(picture).read_bytes())


def _as_address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
