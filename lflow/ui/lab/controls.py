"""The particle lab's controls: what the reader chooses, as a request.

Every control is drawn from a declaration and lives in the URL under a key that begins with `lab_`.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from lflow.spec import parameters
from lflow.ui import keys
from lflow.ui.choose import Chooser, energy_controls, rule_controls, sampler_controls
from lflow.ui.controls import parameter_control
from lflow.ui.presets import PRESETS
from lflow.ui.request import Settings
from lflow.ui.tools import PageState

PREFIX = "lab"
SETTINGS = {parameter.name: parameter for parameter in parameters(Settings)}


def _changed() -> None:
    CHOOSER.forget_step_size()
    st.session_state[key("more")] = 0


PAGE = PageState(
    PREFIX, keys.lab_keys, _changed, ("energy", "sampler", "step", "h", "num_steps", "run", "flow")
)
CHOOSER = Chooser(PREFIX, _changed)
key = PAGE.key


def preset_bar() -> None:
    """A row of buttons: each sets every control but the seed."""
    PAGE.preset_bar(PRESETS, keys.DEFAULTS)


def what_runs() -> tuple[str, str, str, ValueError | None]:
    """Choose energy, sampler and rule: their configurations, and what is wrong with the energy."""
    energy, refusal = energy_controls(CHOOSER)
    sampler = sampler_controls(CHOOSER, energy)
    return energy, sampler, rule_controls(CHOOSER, energy, sampler), refusal


def run_controls(*described: Any) -> dict[str, Any]:
    """Steps in view; size, temperature and start of the run, so described, under one button."""
    values = {"num_steps": CHOOSER.control(SETTINGS["num_steps"], "Steps")}
    if PAGE.is_hidden("run"):
        return values | _under_the_button(*described, values)
    with st.popover("Particles, temperature, start", width="stretch"):
        return values | _under_the_button(*described, values)


def _under_the_button(*described: Any) -> dict[str, Any]:
    values = {"num_chains": CHOOSER.control(SETTINGS["num_chains"], "Particles", group="run")}
    for name in ("temperature", "start", "x", "y"):
        values[name] = CHOOSER.control(SETTINGS[name], group="run")
    values["more"] = _continued(*described, values)
    return values


def flow_control() -> bool:
    """Whether to lay the continuous-time density over the cloud."""
    return bool(parameter_control(PREFIX, key("flow"), keys.FLOW, "Compare with the exact flow"))


def _continued(*described: Any) -> int:
    """How often the run so described was continued; a change of anything in it begins again."""
    name, now = f"{PREFIX}-described", repr(described)
    if st.session_state.get(name, now) != now:
        st.session_state[key("more")] = 0
    st.session_state[name] = now
    return int(CHOOSER.control(SETTINGS["more"], "Times continued", group="run"))


def continue_run() -> None:
    """Go on from the end by as many steps again."""
    more = SETTINGS["more"]
    st.session_state[key("more")] = min(int(st.session_state.get(key("more"), 0)) + 1, int(more.high or 0))
