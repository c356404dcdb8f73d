"""The controls of the page Images, drawn from their declarations; keys in the URL begin with `images_`."""

from __future__ import annotations

from typing import Any

import streamlit as st

from lflow.ui.controls import parameter_control, several_control
from lflow.ui.images import keys
from lflow.ui.images.keys import LANES, PREFIX
from lflow.ui.images.presets import presets
from lflow.ui.tools import PageState

LABELS = {
    "h": "Step size h",
    "steps": "Steps",
    "start": "Start from",
    "elementwise": "AniLA: a step size for each pixel",
    "pixel_b": "AniLA's threshold b",
    "image_b": "AniLA's threshold b",
    "temperature": "Temperature T",
    "num_images": "Images",
}
_MORE = ("temperature", "num_images")
PAGE = PageState(PREFIX, keys.known_keys, lambda: None, (LANES.name, *LABELS))


def preset_bar() -> None:
    """A row of buttons: each sets every control but the seed."""
    shown = [name for name in LABELS if name != "image_b"]  # which a preset's step sizes, one a pixel, hide
    defaults = {name: keys.declared()[name].default for name in shown}
    PAGE.preset_bar(presets(), {LANES.name: list(keys.FIRST), **defaults})


def choose() -> tuple[tuple[str, ...], dict[str, Any]]:
    """Draw all controls: the samplers, and the values of the others."""
    lanes = several_control(PREFIX, PAGE.key(LANES.name), LANES, keys.FIRST, "Samplers")
    values = {name: _control(name) for name in ("h", "steps", "start", "elementwise")}
    threshold = "pixel_b" if values["elementwise"] else "image_b"
    values[threshold] = _control(threshold)
    if all(PAGE.is_hidden(name) for name in _MORE):
        values |= {name: _control(name) for name in _MORE}
    else:
        with st.popover("Temperature, number of images", width="stretch"):
            values |= {name: _control(name) for name in _MORE}
    return lanes, values


def _control(name: str) -> Any:
    return parameter_control(PREFIX, PAGE.key(name), keys.declared()[name], LABELS[name])
