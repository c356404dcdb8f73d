"""The controls of the page Train: what to train, and the list of the runs.

Every control is drawn from a declaration and lives in the URL under a key that begins with `train_`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from lflow import models
from lflow.data.descriptions import HUB_SETS
from lflow.spec import Parameter
from lflow.training import launch
from lflow.training.config import Config
from lflow.training.folder import new_name, runs_folder
from lflow.ui.controls import (
    parameter_control,
    plain,
    readable,
    remember_default,
    set_control,
)
from lflow.ui.stage import sentence
from lflow.ui.tools import PageState
from lflow.ui.train import keys, words
from lflow.ui.train.keys import PREFIX, RUN, Field
from lflow.ui.train.machine import Machine
from lflow.ui.train.runs import EXAMPLE, Runs, seconds_taken

GROUPS = ("model", "preset", "data", "settings", "start")
_PARTS = {"model": "Model", "training": "Training", "data": "Data"}
_ICONS = {
    "queued": "hourglass_empty",
    "running": "play_circle",
    "done": "check_circle",
    "stopped": "pause_circle",
    "failed": "error",
    "unreadable": "help",
}
_SAID = f"{PREFIX}-said"  # what could not be done that a button asked for
_HUB = "Read from the folder that LFLOW_DATA names, or else downloaded once from the Hugging Face hub."
_LONG = 7  # runs, from which on the list scrolls


def _show_the_newest() -> None:
    st.query_params.pop(key(RUN.name), None)


PAGE = PageState(PREFIX, keys.known, _show_the_newest, GROUPS)
key = PAGE.key


def what_to_train(seed: int) -> tuple[Config | None, str]:
    """Draw the controls of a new run: the run that they ask for, and what is wrong with it."""
    model = str(_draw(keys.model(), "Model", "model"))
    presets = keys.preset(model)
    preset = str(_draw(presets, "Preset", "preset")) if presets else ""
    if preset and not PAGE.is_hidden("preset"):
        about = models.get_class(model).presets[preset].about
        st.caption(plain(f"{about[:1].upper()}{about[1:].rstrip('.')}."))
    source = str(_draw(keys.source(model, preset), "Data set", "data"))
    if source in HUB_SETS:
        st.caption(_HUB)
    fields = [field for field in keys.fields(model, preset) if keys.apply_to(source, field)]
    values = _settings(fields)
    try:
        return keys.make(model, preset, source, values, seed), ""
    except ValueError as error:
        return None, sentence(error)


def _draw(parameter: Parameter, label: str, group: str) -> Any:
    return parameter_control(PREFIX, key(parameter.name), parameter, label, group=group)


def _settings(fields: Sequence[Field]) -> list[tuple[Field, Any]]:
    """The widgets of the settings, those that do not matter at first sight under "More"."""
    values: list[tuple[Field, Any]] = []
    _add([field for field in fields if field.in_view], values)
    rest = [field for field in fields if not field.in_view]
    if PAGE.is_hidden("settings"):
        _add(rest, values)
        return values
    with st.popover("More settings", width="stretch"):
        for part, title in _PARTS.items():
            st.markdown(f"**{title}**")
            _add([field for field in rest if field.part == part], values)
    return values


def _add(fields: Sequence[Field], values: list[tuple[Field, Any]]) -> None:
    """Draw the fields that matter beside the values so far, and add theirs; the others keep the preset's."""
    for field in fields:
        label = readable(replace(field.parameter, name=field.name))
        if keys.has_effect(field, values):
            values.append((field, _draw(field.parameter, label, "settings")))
        else:
            values.append((field, field.parameter.default))


def start(config: Config | None, machine: Machine, runs: Runs, active: int) -> None:
    """The button that starts a run, with what it would run on."""
    if PAGE.is_hidden("start"):
        return
    device = keys.DEVICE.default
    if len(machine.devices) > 2:  # there is something to choose
        device = _draw(replace(keys.DEVICE, choices=machine.devices), "Device", "settings")
    st.button(
        "Start a run",
        key=f"{PREFIX}-start",
        type="primary",
        width="stretch",
        disabled=config is None,
        on_click=attempt,
        args=(_begin, config, device),
    )
    lines = [words.about_machine(machine)]
    if config is not None and (seconds := seconds_taken(config, runs)) is not None:
        lines.append(f"With these settings a run took {words.duration(seconds)} here.")
    st.caption(plain(" ".join([*lines, words.crowded(machine, active)]).strip()))


def attempt(action: Callable[..., object], *arguments: Any) -> None:
    """Do what a button asks for; what hinders it is told by `refusal`."""
    try:
        action(*arguments)
    except (OSError, ValueError) as error:
        st.session_state[_SAID] = sentence(error)


def refusal() -> None:
    """What could not be done, told once."""
    if said := st.session_state.pop(_SAID, ""):
        st.error(said)


def _begin(config: Config, device: str) -> None:
    folder = launch.start(config, new_name(runs_folder(), keys.stem(config)), device)
    set_control(key(RUN.name), folder.path.name)


def chosen(runs: Runs) -> tuple[str, str]:
    """The run that is shown, the one asked for or the newest; and what is wrong with the address."""
    remember_default(PREFIX, key(RUN.name), RUN.default)
    asked = st.query_params.get(key(RUN.name)) or st.session_state.get(key(RUN.name)) or ""
    if asked in runs:
        set_control(key(RUN.name), asked)
        return asked, ""
    st.session_state[key(RUN.name)] = RUN.default
    _show_the_newest()
    told = f"There is no run {plain(repr(asked[:80]))} here: the newest is shown." if asked else ""
    return next(iter(runs)), told


def list_of_runs(runs: Runs, states: Mapping[str, str], shown: str) -> None:
    """A button for each run: where it stands is its icon."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("**Runs**")
        st.button(
            "Look again",
            icon=":material/refresh:",
            type="tertiary",
            help=f"Runs of the command line appear here too: all in the folder {plain(str(runs_folder()))}.",
        )
    height: Any = 290 if len(runs) > _LONG else "content"
    with st.container(key="train-runs", gap=None, height=height, border=False):
        for name in runs:
            st.button(
                plain(name) if name != EXAMPLE else "An example",
                key=f"{PREFIX}-open-{name}",
                icon=f":material/{_ICONS[states[name]]}:",
                help=words.STATES[states[name]].capitalize(),
                type="secondary" if name == shown else "tertiary",
                width="stretch",
                on_click=set_control,
                args=(key(RUN.name), name),
            )
