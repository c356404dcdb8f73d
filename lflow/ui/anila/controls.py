"""The controls of the page AniLA, each declared once; keys in the URL begin with `anila_`."""

from __future__ import annotations

from typing import Any

from lflow.spec import Parameter
from lflow.ui.anila import keys
from lflow.ui.anila.keys import PREFIX
from lflow.ui.anila.runs import TARGETS, Target
from lflow.ui.controls import parameter_control, view_control
from lflow.ui.tools import PageState

GROUPS = ("view", "target", "b", "h", "spend", "variants", "smooth", "gradients", "start")
PAGE = PageState(PREFIX, keys.known_keys, lambda: None, GROUPS)


def choose_view() -> str:
    """The view, by name."""
    return view_control(PREFIX, PAGE.key(keys.VIEW.name), keys.VIEW)


def choose_target() -> tuple[str, Target]:
    """The target: its name, and what is known of it."""
    name = str(control(keys.TARGET, "Target"))
    return name, TARGETS[name]


def choose_threshold(name: str) -> float:
    """The threshold b of a target."""
    return float(control(keys.threshold(name), "Threshold b", "b"))


def choose_step_size(name: str) -> float:
    """The step size h of a target."""
    return float(control(keys.step_size(name), "Step size h", "h"))


def control(parameter: Parameter, label: str, group: str = "") -> Any:
    """The widget of one declared parameter of the page, unless the link hides it or its group."""
    return parameter_control(PREFIX, PAGE.key(parameter.name), parameter, label, group=group)
