"""From a declared parameter to a widget that lives in the URL.

A number is a slider, to feel the range, beside a field that takes the exact value. The field is what the
URL holds and what counts; the slider follows it. Keys are prefixed by the page. What the browser sends is
never trusted: every run is checked again by the same declaration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from lflow.spec import Declared, Parameter, parameters

Changed = Callable[[], None] | None


def plain(text: str) -> str:
    """A text that may hold anything, so that Streamlit shows it as it is: no markup, no images, no links.

    Addresses become links after the escapes are gone; a word joiner, which is not seen, keeps them apart.
    """
    apart = re.sub(r"(?i)(www|[:@])(?=\S)", "\\1\u2060", text)
    return re.sub(r"([!#$&()*+.:<>@\[\\\]^_`{|}~-])", r"\\\1", apart)  # Markdown escapes ASCII alone


def remember_default(prefix: str, key: str, default: Any) -> None:
    """Note a control's default, for `reset`."""
    st.session_state.setdefault(f"{prefix}-defaults", {})[key] = default


def set_control(key: str, value: Any, in_address: str | list[str] | None = None) -> None:
    """Set a control from a callback, whether or not its widget has been drawn yet.

    in_address: what the URL holds, where that is not the value itself: a list's title.
    """
    st.session_state[key] = value
    try:
        st.query_params[key] = str(value) if in_address is None else in_address
    except StreamlitAPIException:
        # Its widget is there, keeps the URL itself, and does so as soon as it is drawn with the new value.
        return


def reset(prefix: str, keep: Iterable[str]) -> None:
    """Give every control of the page its default again, except those to keep (the seed)."""
    kept = set(keep)
    for key, default in st.session_state.get(f"{prefix}-defaults", {}).items():
        if key not in kept:
            st.session_state[key] = default


def is_hidden(prefix: str, key: str, group: str = "") -> bool:
    """Whether the link hides a control: by its name, by its group's, or with all of its lane."""
    name = key.removeprefix(f"{prefix}_")
    lane = name.split("_")[0] if name[0].isdecimal() else name
    hidden = str(st.query_params.get(f"{prefix}_hide", "")).split(",")
    return any(each in hidden for each in (name, group, lane) if each)


def fixed(prefix: str, key: str, parameter: Parameter) -> Any:
    """The value of a hidden control: the link's, else the default. No widget of its own holds it."""
    remember_default(prefix, key, parameter.default)
    text = st.query_params.get(key)
    st.session_state[key] = parameter.parse(text) if text else parameter.default
    return st.session_state[key]


def parameter_control(
    prefix: str,
    key: str,
    parameter: Parameter,
    label: str | None = None,
    on_change: Changed = None,
    group: str = "",
) -> Any:
    """The widget of one declared parameter, unless the link hides it or its group; returns its value."""
    if is_hidden(prefix, key, group):
        return fixed(prefix, key, parameter)
    label = label or readable(parameter)
    remember_default(prefix, key, parameter.default)
    if parameter.choices is not None:
        index = parameter.choices.index(parameter.default)
        return st.selectbox(
            label,
            parameter.choices,
            index=index,
            format_func=parameter.title,
            key=key,
            help=parameter.help,
            bind="query-params",
            on_change=on_change,
        )
    if parameter.kind is bool:
        return st.toggle(
            label, parameter.default, key=key, help=parameter.help, bind="query-params", on_change=on_change
        )
    if parameter.kind is str:
        return st.text_input(
            label,
            parameter.default,
            max_chars=int(parameter.high or 0) or None,
            key=key,
            help=parameter.help,
            bind="query-params",
            on_change=on_change,
        )
    return _number(key, parameter, label, on_change)


def view_control(prefix: str, key: str, parameter: Parameter) -> str:
    """The choice among the views of a page, as buttons; the name chosen."""
    if is_hidden(prefix, key):
        return str(fixed(prefix, key, parameter))
    remember_default(prefix, key, parameter.default)
    chosen: str = st.segmented_control(
        readable(parameter),
        parameter.choices or (),
        default=parameter.default,
        required=True,
        format_func=parameter.title,
        key=key,
        label_visibility="collapsed",
        bind="query-params",
    )
    return chosen


def several_control(
    prefix: str, key: str, parameter: Parameter, default: Sequence[str], label: str
) -> tuple[str, ...]:
    """A list of several of a parameter's choices; the names chosen, in their declared order."""
    options = parameter.choices or ()
    remember_default(prefix, key, list(default))
    if is_hidden(prefix, key):
        linked = [parameter.parse(text) for text in st.query_params.get_all(key) if text] or list(default)
        st.session_state[key] = [option for option in options if option in linked]
        return tuple(st.session_state[key])
    chosen = st.pills(
        label,
        options,
        selection_mode="multi",
        default=list(default),
        format_func=parameter.title,
        key=key,
        help=parameter.help or None,
        bind="query-params",
        wrap=True,
    )
    return tuple(option for option in options if option in chosen)


def _number(key: str, parameter: Parameter, label: str, on_change: Changed) -> int | float:
    slider_key = f"{key}-slider"
    as_type: Callable[[Any], Any] = int if parameter.kind is int else float
    left, right = st.columns([5, 3], vertical_alignment="bottom", gap="small")
    value = right.number_input(
        label,
        min_value=as_type(parameter.low),
        max_value=None if parameter.high == float("inf") else as_type(parameter.high),
        value=as_type(parameter.default),
        step=_step(parameter),
        format="%d" if parameter.kind is int else "%.4g",
        key=key,
        label_visibility="collapsed",
        bind="query-params",
        on_change=on_change,
    )
    stops = [as_type(stop) for stop in slider_stops(parameter)]
    if stops[0] < value < stops[-1]:
        stops = sorted({*stops, value})
    st.session_state[slider_key] = min(max(value, stops[0]), stops[-1])

    def follow() -> None:
        st.session_state[key] = as_type(st.session_state[slider_key])
        if on_change is not None:
            on_change()

    left.select_slider(
        label,
        stops,
        key=slider_key,
        help=parameter.help or None,
        on_change=follow,
        format_func=lambda stop: f"{stop:,}" if parameter.kind is int else f"{stop:g}",
    )
    return as_type(value)


def slider_stops(parameter: Parameter) -> list[float]:
    """Where a slider stops: geometrically on a log scale, else evenly; the default is one of the stops."""
    if parameter.log:
        stops = set(parameter.stops())
        if parameter.kind is int:
            stops = {round(stop) for stop in stops}
    else:
        low, high = parameter.span
        count = int(high - low) if parameter.kind is int and high - low <= 200 else 50
        stops = {float(f"{low + (high - low) * k / count:.6g}") for k in range(count + 1)}
    low, high = parameter.span
    if low <= parameter.default <= high:
        stops.add(parameter.default)
    return sorted(stops)


def _step(parameter: Parameter) -> int | float:
    if parameter.kind is int:
        return 1
    low, high = parameter.span
    return (
        float(f"{parameter.default / 10 or 0.1:.1g}") if parameter.log else float(f"{(high - low) / 50:.1g}")
    )


def readable(parameter: Parameter) -> str:
    """What a page calls a parameter: its label, or its name as words; with its unit, unless it ends in it."""
    name = parameter.label or parameter.name.replace("_", " ").removeprefix("num ").capitalize()
    return f"{name} ({parameter.unit})" if parameter.unit and parameter.unit not in name.lower() else name


def class_controls(
    prefix: str, start: str, cls: type[Declared], leave_out: Iterable[str] = (), group: str = ""
) -> dict[str, Any]:
    """The widgets of a class's parameters, the advanced ones under "More"; their keys begin with `start`."""
    left_out = set(leave_out)
    shown = [parameter for parameter in parameters(cls) if parameter.name not in left_out]

    def draw(advanced: bool) -> dict[str, Any]:
        return {
            p.name: parameter_control(prefix, f"{start}_{cls.name}_{p.name}", p, group=group)
            for p in shown
            if p.advanced == advanced
        }

    values = draw(advanced=False)
    rest = [f"{start}_{cls.name}_{p.name}" for p in shown if p.advanced]
    if all(is_hidden(prefix, key, group) for key in rest):
        return values | draw(advanced=True)
    with st.popover("More", type="tertiary"):
        return values | draw(advanced=True)
