"""The controls of the page of convergence: lists of names, drawn from declarations, and links to them.

Knows what a link may set, and nothing of what the views compute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import streamlit as st

from lflow import samplers
from lflow.papers.dynamical_system_laws import WRONG
from lflow.spec import CONFIG_VERSION, Parameter, check_version
from lflow.ui.controls import is_hidden, remember_default, reset

PREFIX = "convergence"
_REFUSED = f"{PREFIX}-refused"


class Control(NamedTuple):
    """A control of the page: its declaration, and what a list calls its entries."""

    parameter: Parameter
    titles: Mapping[str, str] = {}
    many: tuple[str, ...] = ()
    """The entries that a list of several opens with."""


def key(name: str) -> str:
    """The key of a control, in the session and in the URL."""
    return f"{PREFIX}_{name}"


def named(name: str, titles: Mapping[str, str], default: str, help: str = "") -> Control:
    """A control that chooses one of several entries by name."""
    return Control(Parameter(name, default, choices=tuple(titles), help=help), titles)


_SHORT = {"leimkuhler_matthews": "LM", "rmm": "RMM", "ormm": "ORMM", "srk": "SRK", WRONG: "two noises"}


def short(name: str) -> str:
    """A sampler's name in charts and sentences."""
    return _SHORT.get(name) or samplers.get_class(name).title


def sampler_title(name: str) -> str:
    """A sampler's name in lists: with its short one, and of the midpoint that is wrong on purpose too."""
    full = "Midpoint" if name == WRONG else samplers.get_class(name).title
    return f"{full} ({_SHORT[name]})" if name in _SHORT else full


def several(name: str, choices: Sequence[str], default: tuple[str, ...], help: str = "") -> Control:
    """A control that chooses some of several samplers."""
    titles = {choice: sampler_title(choice) for choice in choices}
    return Control(Parameter(name, default[0], choices=tuple(choices), help=help), titles, default)


def choose(control: Control, label: str) -> str:
    """The list of a control, unless the link hides it; the name chosen."""
    parameter, name = control.parameter, key(control.parameter.name)
    options = parameter.choices or ()
    if is_hidden(PREFIX, name):
        return _linked(control)[0]
    remember_default(PREFIX, name, parameter.default)
    chosen: str = st.selectbox(
        label,
        options,
        index=options.index(parameter.default),
        format_func=lambda option: control.titles.get(option, option),
        key=name,
        help=parameter.help or None,
        bind="query-params",
    )
    return chosen


def choose_several(control: Control, label: str) -> tuple[str, ...]:
    """The list of several entries, unless the link hides it; the names chosen, in their declared order."""
    parameter, name = control.parameter, key(control.parameter.name)
    options = parameter.choices or ()
    if is_hidden(PREFIX, name):
        return tuple(option for option in options if option in _linked(control))
    remember_default(PREFIX, name, list(control.many))
    chosen = st.pills(
        label,
        options,
        selection_mode="multi",
        default=list(control.many),
        format_func=lambda option: control.titles.get(option, option),
        key=name,
        help=parameter.help or None,
        bind="query-params",
        wrap=True,
    )
    return tuple(option for option in options if option in chosen)


def choose_view(control: Control, label: str) -> str:
    """The choice among views, as buttons, unless the link hides it; the name chosen."""
    name = key(control.parameter.name)
    if is_hidden(PREFIX, name):
        return _linked(control)[0]
    chosen: str = st.segmented_control(
        label,
        control.parameter.choices or (),
        default=control.parameter.default,
        required=True,
        format_func=lambda option: control.titles[option],
        key=name,
        label_visibility="collapsed",
        bind="query-params",
    )
    return chosen


def _linked(control: Control) -> list[str]:
    """The entries that the link gives a control that it hides, else those that it opens with."""
    names = {title: entry for entry, title in control.titles.items()}
    texts = st.query_params.get_all(key(control.parameter.name))
    return [names.get(text, text) for text in texts] or list(control.many or [control.parameter.default])


def follow_link(page: str, known: Mapping[str, Control]) -> list[str]:
    """Take the link that the page was opened with; sentences about what of it cannot be used.

    Streamlit keeps in the URL what a list shows, and drops in silence what a widget does not take: a link
    with names or mistakes is followed again to the same page, with titles and without them.
    """
    arrived = {
        name: st.query_params.get_all(name) for name in st.query_params if name.startswith(f"{PREFIX}_")
    }
    usable: dict[str, list[str]] = {}
    refused = []
    for name, texts in arrived.items():
        if name not in known:
            refused.append(f"The link sets {name[:40]}, which is not known here; it is ignored.")
            continue
        control = known[name]
        names = {title: entry for entry, title in control.titles.items()}
        for text in texts:
            entry = names.get(text, text)
            try:
                control.parameter.parse(entry)
                usable.setdefault(name, []).append(control.titles.get(entry, entry))
            except ValueError as error:
                refused.append(f"The link sets {name} to {text[:40]!r}: {error}. The default is used.")
    try:
        (version,) = usable.pop(key("version"), [str(CONFIG_VERSION)])
        check_version({"version": int(version)}, "link")
    except ValueError as error:
        usable, refused = {}, [f"{error}: the page is shown as it comes."]
    if usable != arrived:
        for name in known:
            st.session_state.pop(name, None)
        st.session_state[_REFUSED] = refused
        st.switch_page(page, query_params=usable)
    return list(st.session_state.get(_REFUSED, []))


def reset_view() -> None:
    """Give the controls that are in view their defaults again."""
    st.session_state.pop(_REFUSED, None)
    reset(PREFIX, keep=[key("view")])


def forget_defaults() -> None:
    """Forget the controls of the view before: `reset_view` is about those that are drawn now."""
    st.session_state.pop(f"{PREFIX}-defaults", None)


def renamed(parameter: Parameter, name: str, default: float, shown: tuple[float, float]) -> Parameter:
    """A declared parameter under a name of the page, with a default and a range that suit a view."""
    return replace(parameter, name=name, default=default, shown=shown, advanced=False)


def spoken(words: str) -> str:
    """Words without their marks, for a reader who hears them."""
    return words.replace("*", "")


def counted(counts: Sequence[int], noun: str) -> str:
    """How many runs the curves stand on, which differs between them where the reader stopped."""
    least, most = min(counts), max(counts)
    return f"{most} {noun}" if least == most else f"{least} to {most} {noun}"


def listed(items: Sequence[str]) -> str:
    """Items as a sentence names them."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
