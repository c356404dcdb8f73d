"""The controls with which a reader chooses what runs: an energy, a sampler, a step-size rule.

A page has one set of them, a race one for each lane; every control lives in the URL under a key of the set.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from lflow import energies, samplers, steps
from lflow.energies.expression import FUNCTIONS, MAX_LENGTH
from lflow.energies.points import read_points
from lflow.spec import Parameter, parameters
from lflow.ui import drawing, keys
from lflow.ui.controls import (
    class_controls,
    fixed,
    is_hidden,
    parameter_control,
    remember_default,
    set_control,
)
from lflow.ui.explain import edge_note
from lflow.ui.keys import BANDWIDTH, DEFAULTS, DRAWING, DRAWN, FORMULA_TEXT, INK, REACH
from lflow.ui.link import default_step_size, drawing_config
from lflow.ui.request import FORMULA, POINTS, Cloud, Parts, as_json, make_energy


@dataclass(frozen=True)
class Chooser:
    """A set of controls: its page, the number of its lane in a race, and what a change of them undoes."""

    page: str
    changed: Callable[[], None]
    lane: str = ""

    @property
    def start(self) -> str:
        """What its keys begin with."""
        return f"{self.page}_{self.lane}" if self.lane else self.page

    def key(self, name: str) -> str:
        """The key of a control, in the session and in the URL."""
        return f"{self.start}_{name}"

    def group(self, name: str) -> str:
        """What a link calls a control and the parameters that come with it, to hide them."""
        return f"{self.lane}_{name}" if self.lane else name

    def choice(self, what: str, label: str, default: str = "", on_change: Any = None) -> str:
        """A list of energies, samplers or rules; the library's name of the chosen one."""
        parameter = replace(keys.choice(what), default=default or DEFAULTS[what])
        return str(parameter_control(self.page, self.key(what), parameter, label, on_change))

    def parameters(self, what: str, cls: Any, leave_out: Any) -> dict[str, Any]:
        """The widgets of what a class declares."""
        return class_controls(self.page, self.start, cls, leave_out, self.group(what))

    def control(self, parameter: Parameter, label: str | None = None, group: str = "") -> Any:
        """The widget of one parameter of the set."""
        return parameter_control(self.page, self.key(parameter.name), parameter, label, group=group)

    def start_at(self, point: tuple[float, float]) -> None:
        """Start every particle at a point."""
        st.session_state[self.key("start")] = "point"
        for parameter in parameters(Cloud):
            if parameter.name in ("x", "y"):
                value, bound = dict(zip("xy", point, strict=True))[parameter.name], parameter.high or 0.0
                st.session_state[self.key(parameter.name)] = float(f"{min(max(value, -bound), bound):.4g}")

    def take_drawing(self, strokes: drawing.Strokes) -> None:
        """Make the target of strokes; the link holds them where they are few enough."""
        text, key = drawing.encode(strokes), self.key("drawing")
        st.session_state[key] = text
        st.query_params.pop(key, None)
        if len(text) <= drawing.MAX_LENGTH:
            st.query_params[key] = text
        set_control(self.key("energy"), DRAWING, keys.choice("energy").title(DRAWING))
        self.changed()

    def forget_step_size(self) -> None:
        """Begin again from a safe step: one that suits one energy overflows on another."""
        st.session_state[self.key("h")] = None


def energy_controls(chooser: Chooser) -> tuple[str, ValueError | None]:
    """Choose the energy; its configuration, or the last good one and what is wrong with this one."""
    good = f"{chooser.page}-good-energy"
    try:
        config = _energy_config(chooser)
        make_energy(config)
    except ValueError as error:
        return st.session_state.get(good, as_json(DEFAULTS["energy"])), error
    st.session_state[good] = config
    return config, None


def _energy_config(chooser: Chooser) -> str:
    name = chooser.choice("energy", "Energy", on_change=chooser.changed)
    if name == FORMULA:
        return _formula(chooser)
    if name == POINTS:
        return _points(chooser)
    if name == DRAWING:
        return _drawing(chooser)
    return as_json(name, **chooser.parameters("energy", energies.get_class(name), ["dim"]))


def _formula(chooser: Chooser) -> str:
    key = chooser.key("formula")
    if is_hidden(chooser.page, key, "energy"):
        text = fixed(chooser.page, key, FORMULA_TEXT)
    else:
        remember_default(chooser.page, key, FORMULA_TEXT.default)
        text = st.text_input(
            "U(x, y) =",
            FORMULA_TEXT.default,
            key=key,
            max_chars=MAX_LENGTH,
            bind="query-params",
            on_change=chooser.changed,
            help=f"Names: x, y, r, pi, e. Operators: + - * / **. Functions: {', '.join(FUNCTIONS)}.",
        )
    return as_json(FORMULA, text=text, reach=chooser.control(REACH, group="energy"))


def _drawing(chooser: Chooser) -> str:
    key = chooser.key("drawing")
    remember_default(chooser.page, key, DRAWN.default)
    text = st.query_params.get(key) or st.session_state.get(key) or DRAWN.default
    if len(text) > drawing.MAX_LENGTH:
        st.caption(f"A link holds {drawing.MAX_LENGTH:,} characters, and this drawing takes {len(text):,}.")
    return drawing_config(text, chooser.control(INK, group="energy"))


def _points(chooser: Chooser) -> str:
    kept = f"{chooser.page}-points"
    upload = st.file_uploader(
        "CSV or NPY, two columns",
        type=["csv", "txt", "npy"],
        key=chooser.key("file"),
        on_change=chooser.changed,
    )
    if upload is not None:
        try:
            st.session_state[kept] = read_points(upload.getvalue(), upload.name).tolist()
        except ValueError as error:
            raise ValueError(f"Your file cannot be used: {error}") from error
    bandwidth = chooser.control(BANDWIDTH)
    if kept not in st.session_state:
        raise ValueError("Choose a file with two columns of numbers: its density becomes the target.")
    return as_json(POINTS, points=st.session_state[kept], bandwidth=bandwidth)


def sampler_controls(chooser: Chooser, energy: str, default: str = "ula") -> str:
    """Choose the sampler; its configuration."""
    name = chooser.choice("sampler", "Sampler", default, on_change=chooser.changed)
    unused = samplers.get(name).unused(make_energy(energy))
    return as_json(name, **chooser.parameters("sampler", samplers.get_class(name), unused))


def rule_controls(chooser: Chooser, energy: str, sampler: str) -> str:
    """Choose the step-size rule and the step size; its configuration."""
    name = chooser.choice("step", "Step-size rule")
    suggested = default_step_size(energy, sampler)
    if st.session_state.get(chooser.key("h"), 0) is None:
        st.session_state[chooser.key("h")] = suggested
    step_size = replace(keys.step_size_parameter(name), default=suggested)
    values = {"step_size": chooser.control(step_size, "Step size h")}
    values |= chooser.parameters("step", steps.get_class(name), ["step_size"])
    config = as_json(name, **values)
    parts = Parts(make_energy(energy), samplers.get(**json.loads(sampler)), steps.get(**json.loads(config)))
    if not is_hidden(chooser.page, chooser.key("h")):
        text, above = edge_note(parts)
        st.markdown(f":small[:red[{text}]]" if above else f":small[{text}]")
    return config
