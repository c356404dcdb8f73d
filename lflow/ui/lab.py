"""The particle lab's controls: what the reader chooses, as a request.

Every control is drawn from a declaration and lives in the URL under a key that begins with `lab_`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lflow import energies, samplers, steps
from lflow.energies.custom import FromPoints
from lflow.energies.expression import FUNCTIONS, MAX_LENGTH
from lflow.energies.points import read_points
from lflow.registry import Registry
from lflow.samplers.base import registry as sampler_registry
from lflow.spec import CONFIG_VERSION, Parameter, check_version, parameters
from lflow.steps import registry as rule_registry
from lflow.ui.controls import (
    check_link,
    declared_controls,
    has_advanced,
    parameter_control,
    remember_default,
    reset,
    set_control,
)
from lflow.ui.explain import edge_note
from lflow.ui.presets import PRESETS
from lflow.ui.request import FORMULA, POINTS, Parts, Settings, as_json, make_energy, suggested_step_size

PREFIX = "lab"
_REFUSED = f"{PREFIX}-refused"
DEFAULTS = {"energy": "rings", "sampler": "ula", "step": "constant"}
FORMULA_DEFAULT = "(x**2 - 1)**2 + (y - sin(2*x))**2"
REACH = Parameter("reach", 4.0, 0.1, 1000.0, log=True, shown=(1.0, 20.0), help="half the side of the picture")
FLOW = Parameter("flow", False, help="lay the density of the continuous-time flow over the cloud")
FORMULA_TEXT = Parameter("formula", FORMULA_DEFAULT, high=MAX_LENGTH, help="an energy in x, y and r")
(BANDWIDTH,) = parameters(FromPoints)
SETTINGS = {parameter.name: parameter for parameter in parameters(Settings)}


def key(name: str) -> str:
    """The key of a control, in the session and in the URL."""
    return f"{PREFIX}_{name}"


def known_keys() -> dict[str, Parameter]:
    """Every key that a link to the lab may set, with the declaration that checks it."""
    known = {
        key(what): Parameter(what, titles[DEFAULTS[what]], choices=tuple(titles.values()))
        for what, titles in _titles().items()
    }
    for registry in (energies.base.registry, sampler_registry, rule_registry):
        known |= _class_keys(registry)
    version = Parameter("version", CONFIG_VERSION, 0, 1_000_000)
    own = (version, replace(_step_size_parameter("constant"), name="h"), REACH, FLOW, FORMULA_TEXT, BANDWIDTH)
    return known | {key(p.name): p for p in (*own, *SETTINGS.values())}


def _titles() -> dict[str, dict[str, str]]:
    """What the three lists call their entries: control -> name -> title."""
    own = {FORMULA: "A formula of your own", POINTS: "Points of your own"}
    return {
        "energy": {name: energies.get_class(name).title for name in energies.names()} | own,
        "sampler": {name: samplers.get_class(name).title for name in samplers.names()},
        "step": {name: steps.get_class(name).title for name in steps.names()},
    }


def follow_link(page: str) -> list[str]:
    """Take the link that the page was opened with; sentences about what of it cannot be used.

    A link may name an energy, sampler or rule as the library does. Streamlit keeps in the URL what a list
    shows, the title, and drops in silence what a widget does not take: so a link with names or mistakes is
    followed again to the same page, with titles and without them. What it leaves out is at its default.
    """
    arrived = {name: value for name, value in st.query_params.items() if name.startswith(f"{PREFIX}_")}
    shown = {key(what): titles for what, titles in _titles().items()}
    titled = {name: shown.get(name, {}).get(value, value) for name, value in arrived.items()}
    usable, refused = check_link(titled, known_keys())
    try:
        check_version({"version": int(usable.pop(key("version"), CONFIG_VERSION))}, "link")
    except ValueError as error:
        usable, refused = {}, [f"{error}: it shows the lab as it comes."]
    if usable != arrived:
        for name in known_keys():
            st.session_state.pop(name, None)
        st.session_state[_REFUSED] = refused
        st.switch_page(page, query_params=usable)
    return list(st.session_state.get(_REFUSED, []))


def _class_keys(registry: Registry[Any]) -> dict[str, Parameter]:
    found = {}
    for name in registry.names():
        for parameter in parameters(registry.get_class(name)):
            if parameter.name not in ("dim", "step_size"):
                found[key(f"{name}_{parameter.name}")] = parameter
    return found


def _step_size_parameter(rule: str) -> Parameter:
    return next(p for p in parameters(steps.get_class(rule)) if p.name == "step_size")


def new_seed() -> None:
    """The next seed."""
    st.session_state[key("seed")] = (st.session_state.get(key("seed"), 0) + 1) % 2**31


def preset_bar() -> None:
    """A row of buttons: each sets every control but the seed."""
    with st.container(horizontal=True, gap="small"):
        for preset in PRESETS:
            name = f"{PREFIX}-preset-{preset.title}"
            st.button(
                preset.title,
                key=name,
                help=preset.question,
                type="tertiary",
                on_click=_choose,
                args=(preset.settings,),
            )


def _reset() -> None:
    st.session_state.pop(_REFUSED, None)
    reset(PREFIX, keep=[key("seed")])
    _changed()


def _choose(values: Mapping[str, Any]) -> None:
    _reset()
    for name, value in {**DEFAULTS, **values}.items():
        set_control(key(name), value)


def _changed() -> None:
    # A step that suits one energy overflows on another: begin again from a safe one, and from the start.
    st.session_state[key("h")] = None
    st.session_state[key("more")] = 0


def _choice(what: str, label: str, on_change: Any = None) -> str:
    titles = _titles()[what]
    options = tuple(titles)
    remember_default(PREFIX, key(what), DEFAULTS[what])
    chosen: str = st.selectbox(
        label,
        options,
        index=options.index(DEFAULTS[what]),
        format_func=titles.__getitem__,
        key=key(what),
        bind="query-params",
        on_change=on_change,
    )
    return chosen


def energy_controls() -> tuple[str, ValueError | None]:
    """Choose the energy; its configuration, or the last good one and what is wrong with this one."""
    good = f"{PREFIX}-good-energy"
    try:
        config = _energy_config()
        make_energy(config)
    except ValueError as error:
        return st.session_state.get(good, as_json(DEFAULTS["energy"])), error
    st.session_state[good] = config
    return config, None


def _energy_config() -> str:
    name = _choice("energy", "Energy", _changed)
    if name == FORMULA:
        return _formula_controls()
    if name == POINTS:
        return _points_controls()
    cls = energies.get_class(name)
    values = declared_controls(PREFIX, cls, ["dim"])
    if has_advanced(cls, ["dim"]):
        with st.popover("More", type="tertiary"):
            values |= declared_controls(PREFIX, cls, ["dim"], advanced=True)
    return as_json(name, **values)


def _formula_controls() -> str:
    remember_default(PREFIX, key("formula"), FORMULA_DEFAULT)
    text = st.text_input(
        "U(x, y) =",
        FORMULA_DEFAULT,
        key=key("formula"),
        max_chars=MAX_LENGTH,
        bind="query-params",
        on_change=_changed,
        help=f"Names: x, y, r, pi, e. Operators: + - * / **. Functions: {', '.join(FUNCTIONS)}.",
    )
    reach = parameter_control(PREFIX, key("reach"), REACH)
    return as_json(FORMULA, text=text, reach=reach)


def _points_controls() -> str:
    upload = st.file_uploader(
        "CSV or NPY, two columns", type=["csv", "txt", "npy"], key=key("file"), on_change=_changed
    )
    if upload is not None:
        try:
            points = read_points(upload.getvalue(), upload.name)
        except ValueError as error:
            raise ValueError(f"Your file cannot be used: {error}") from error
        st.session_state[f"{PREFIX}-points"] = points.tolist()
    bandwidth = parameter_control(PREFIX, key("bandwidth"), BANDWIDTH)
    if f"{PREFIX}-points" not in st.session_state:
        raise ValueError("Choose a file with two columns of numbers: its density becomes the target.")
    return as_json(POINTS, points=st.session_state[f"{PREFIX}-points"], bandwidth=bandwidth)


def sampler_controls(energy: str) -> str:
    """Choose the sampler; its configuration."""
    name = _choice("sampler", "Sampler", _changed)
    cls = samplers.get_class(name)
    unused = samplers.get(name).unused(make_energy(energy))
    values = declared_controls(PREFIX, cls, unused)
    if has_advanced(cls, unused):
        with st.popover("More", type="tertiary"):
            values |= declared_controls(PREFIX, cls, unused, advanced=True)
    return as_json(name, **values)


def rule_controls(energy: str, sampler: str) -> str:
    """Choose the step-size rule and the step size; its configuration."""
    name = _choice("step", "Step-size rule")
    suggested = _suggested_step_size(energy, sampler)
    if st.session_state.get(key("h"), 0) is None:
        st.session_state[key("h")] = suggested
    step_size = replace(_step_size_parameter(name), name="h", default=suggested)
    values = {"step_size": parameter_control(PREFIX, key("h"), step_size, "Step size h")}
    cls = steps.get_class(name)
    values |= declared_controls(PREFIX, cls, ["step_size"])
    if has_advanced(cls, ["step_size"]):
        with st.popover("More", type="tertiary"):
            values |= declared_controls(PREFIX, cls, ["step_size"], advanced=True)
    config = as_json(name, **values)
    parts = Parts(make_energy(energy), samplers.get(**json.loads(sampler)), steps.get(**json.loads(config)))
    text, above = edge_note(parts)
    st.markdown(f":small[:red[{text}]]" if above else f":small[{text}]")
    return config


def _suggested_step_size(energy: str, sampler: str) -> float:
    # Of the energy as it comes: were it to follow the energy's parameters, the default would move under
    # the reader's hand, and a link that leaves the step size out would mean another one.
    name = json.loads(energy)["name"]
    as_it_comes = make_energy(as_json(name) if name in energies.names() else energy)
    return suggested_step_size(as_it_comes, samplers.get(**json.loads(sampler)))


def run_controls(*described: Any) -> dict[str, Any]:
    """Steps in view; size, temperature and start of the run, so described, under one button."""
    values: dict[str, Any] = {
        "num_steps": parameter_control(PREFIX, key("num_steps"), SETTINGS["num_steps"], "Steps")
    }
    with st.popover("Particles, temperature, start", width="stretch"):
        chains = SETTINGS["num_chains"]
        values["num_chains"] = parameter_control(PREFIX, key("num_chains"), chains, "Particles")
        for name in ("temperature", "start", "x", "y"):
            values[name] = parameter_control(PREFIX, key(name), SETTINGS[name])
        values["more"] = _continued(*described, values)
    return values


def flow_control() -> bool:
    """Whether to lay the continuous-time density over the cloud."""
    return bool(parameter_control(PREFIX, key("flow"), FLOW, "Compare with the exact flow"))


def _continued(*described: Any) -> int:
    """How often the run so described was continued; a change of anything in it begins again."""
    name, now = f"{PREFIX}-described", repr(described)
    if st.session_state.get(name, now) != now:
        st.session_state[key("more")] = 0
        st.session_state.pop(_REFUSED, None)
    st.session_state[name] = now
    return int(parameter_control(PREFIX, key("more"), SETTINGS["more"], "Times continued"))


def continue_run() -> None:
    """Go on from the end by as many steps again."""
    more = SETTINGS["more"]
    st.session_state[key("more")] = min(int(st.session_state.get(key("more"), 0)) + 1, int(more.high or 0))


def start_at(x: float, y: float) -> None:
    """Start every particle at a point."""
    st.session_state[key("start")] = "point"
    for name, value in (("x", x), ("y", y)):
        bound = SETTINGS[name].high or 0.0
        st.session_state[key(name)] = float(f"{min(max(value, -bound), bound):.4g}")


def seed_and_tools() -> tuple[int, DeltaGenerator]:
    """The seed, a new one, reset; and the place for the link, which is known once all controls are drawn."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="bottom"):
        seed = SETTINGS["seed"]
        remember_default(PREFIX, key("seed"), seed.default)
        value = st.number_input(
            "Seed",
            int(seed.low or 0),
            int(seed.high or 0),
            seed.default,
            1,
            key=key("seed"),
            bind="query-params",
            width=110,
            help=seed.help,
        )
        st.button("New seed", on_click=new_seed)
        st.button("Reset", on_click=_reset, help="Every control but the seed")
        with st.popover("Link"):
            place = st.empty()
    return int(value), place
