"""The controls of the page AniLA, each declared once; keys in the URL begin with `anila_`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import streamlit as st

from lflow.spec import CONFIG_VERSION, Parameter, parameters
from lflow.ui.anila_runs import BUDGETS, EDGE_START, EDGE_THRESHOLD, SHOWN, TARGETS, Target
from lflow.ui.controls import is_hidden, parameter_control, remember_default
from lflow.ui.request import RaceSettings
from lflow.ui.tools import SEED, PageState

PREFIX = "anila"
CLOUDS, LAW, BIAS, EDGE, COST = "The clouds", "The law", "Bias and b", "Where ULA diverges", "What it costs"
VARIANTS = {
    "all": SHOWN,
    "as published": ("ula", "paper"),
    "as coded": ("ula", "toy_code", "flowers_code"),
    "corrected": ("ula", "corrected", "metropolis"),
}
VIEW = Parameter("view", CLOUDS, choices=(CLOUDS, LAW, BIAS, EDGE, COST), help="what the page shows")
TARGET = Parameter(
    "target", "gaussian", choices=tuple(TARGETS), help="U is known: four rings, N(0,1), two modes, x⁴"
)
WHICH = Parameter("variants", "all", choices=tuple(VARIANTS), help="which variants run, beside ULA")
SMOOTH = Parameter("smooth", False, help="γ = 1/√(1 + |∇U|²/b²), which has no kink at |∇U| = b")
GRADIENTS = Parameter(
    "gradients", str(BUDGETS[-1]), choices=tuple(map(str, BUDGETS)), help="what each particle may spend"
)
SPEND = replace(next(p for p in parameters(RaceSettings) if p.name == "gradients"), name="spend")
EDGE_B = Parameter(
    "edge_b",
    EDGE_THRESHOLD,
    0.01,
    1000.0,
    log=True,
    shown=(0.1, 100.0),
    help="b: gradients above it are tamed",
)
START = Parameter(
    "start", EDGE_START, 0.1, 100.0, log=True, shown=(0.5, 10.0), help="standard deviation of the start"
)


def _threshold(name: str) -> Parameter:
    return Parameter(
        f"{name}_b",
        TARGETS[name].b,
        1e-3,
        1e4,
        log=True,
        shown=(0.05, 50.0),
        help="b: where |∇U| is above it, the step shrinks",
    )


def _step_size(name: str) -> Parameter:
    h = TARGETS[name].h
    return Parameter(
        f"{name}_h", h, 1e-5, 10.0, log=True, shown=(h / 20, h * 20), help="h, the size of a step"
    )


@cache
def known_keys() -> dict[str, Parameter]:
    """What a link to the page may set, without the prefix."""
    version, hide = Parameter("version", CONFIG_VERSION, 0, 1_000_000), Parameter("hide", "", high=400)
    own = [VIEW, TARGET, WHICH, SMOOTH, GRADIENTS, SPEND, EDGE_B, START, SEED, version, hide]
    own += [make(name) for name in TARGETS for make in (_threshold, _step_size)]
    return {parameter.name: parameter for parameter in own}


PAGE = PageState(PREFIX, known_keys, lambda: None, ("view", "target", "variants", "smooth", "gradients"))


def choose_view() -> str:
    """The view, by name."""
    key = PAGE.key(VIEW.name)
    if is_hidden(PREFIX, key):
        return str(parameter_control(PREFIX, key, VIEW))
    remember_default(PREFIX, key, VIEW.default)
    return str(
        st.segmented_control(
            "View",
            VIEW.choices or (),
            default=VIEW.default,
            required=True,
            key=key,
            label_visibility="collapsed",
            bind="query-params",
        )
    )


def choose_target() -> tuple[str, Target]:
    """The target: its name, and what is known of it."""
    name = str(control(TARGET, "Target"))
    return name, TARGETS[name]


def choose_threshold(name: str) -> float:
    """The threshold b of a target."""
    return float(control(_threshold(name), "Threshold b"))


def choose_step_size(name: str) -> float:
    """The step size h of a target."""
    return float(control(_step_size(name), "Step size h"))


def control(parameter: Parameter, label: str) -> Any:
    """The widget of one declared parameter of the page."""
    return parameter_control(PREFIX, PAGE.key(parameter.name), parameter, label)
