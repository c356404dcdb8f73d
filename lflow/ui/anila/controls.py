"""The controls of the page AniLA, each declared once; keys in the URL begin with `anila_`."""

from __future__ import annotations

from typing import Any

import streamlit as st

from lflow.spec import Parameter
from lflow.ui.anila import keys
from lflow.ui.anila.keys import PREFIX
from lflow.ui.anila.runs import TARGETS, Target
from lflow.ui.controls import is_hidden, parameter_control, remember_default
from lflow.ui.tools import PageState

PAGE = PageState(PREFIX, keys.known_keys, lambda: None, ("view", "target", "variants", "smooth", "gradients"))


def choose_view() -> str:
    """The view, by name."""
    key = PAGE.key(keys.VIEW.name)
    if is_hidden(PREFIX, key):
        return str(parameter_control(PREFIX, key, keys.VIEW))
    remember_default(PREFIX, key, keys.VIEW.default)
    return str(
        st.segmented_control(
            "View",
            keys.VIEW.choices or (),
            default=keys.VIEW.default,
            required=True,
            key=key,
            label_visibility="collapsed",
            bind="query-params",
        )
    )


def choose_target() -> tuple[str, Target]:
    """The target: its name, and what is known of it."""
    name = str(control(keys.TARGET, "Target"))
    return name, TARGETS[name]


def choose_threshold(name: str) -> float:
    """The threshold b of a target."""
    return float(control(keys.threshold(name), "Threshold b"))


def choose_step_size(name: str) -> float:
    """The step size h of a target."""
    return float(control(keys.step_size(name), "Step size h"))


def control(parameter: Parameter, label: str) -> Any:
    """The widget of one declared parameter of the page."""
    return parameter_control(PREFIX, PAGE.key(parameter.name), parameter, label)
