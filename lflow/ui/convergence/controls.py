"""The controls of the page of convergence: lists of names, drawn from declarations, and the page's address.

Knows what a link may set, and nothing of what the views compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from lflow import samplers
from lflow.papers.dynamical_system_laws import WRONG
from lflow.papers.experiment import Job
from lflow.spec import Parameter
from lflow.ui.controls import parameter_control, reset, several_control
from lflow.ui.request import OverBudget

PREFIX = "convergence"


def key(name: str) -> str:
    """The key of a control, in the session and in the URL."""
    return f"{PREFIX}_{name}"


def named(name: str, titles: Mapping[str, str], default: str, help: str = "") -> Parameter:
    """A declaration that chooses one of several entries by name."""
    return Parameter(name, default, choices=tuple(titles), titles=tuple(titles.values()), help=help)


_SHORT = {"leimkuhler_matthews": "LM", "rmm": "RMM", "ormm": "ORMM", "srk": "SRK", WRONG: "two noises"}


def short(name: str) -> str:
    """A sampler's name in charts and sentences."""
    return _SHORT.get(name) or samplers.get_class(name).title


def sampler_title(name: str) -> str:
    """A sampler's name in lists: with its short one, and of the midpoint that is wrong on purpose too."""
    full = "Midpoint" if name == WRONG else samplers.get_class(name).title
    return f"{full} ({_SHORT[name]})" if name in _SHORT else full


def among_samplers(name: str, choices: Sequence[str], default: str) -> Parameter:
    """A declaration that chooses among samplers."""
    return named(name, {choice: sampler_title(choice) for choice in choices}, default)


def choose(parameter: Parameter, label: str) -> Any:
    """The widget of one declared parameter of the page; its value."""
    return parameter_control(PREFIX, key(parameter.name), parameter, label)


def choose_several(parameter: Parameter, default: Sequence[str], label: str) -> tuple[str, ...]:
    """The list of several entries; the names chosen."""
    return several_control(PREFIX, key(parameter.name), parameter, default, label)


def reset_view() -> None:
    """Give the controls that are in view their defaults again."""
    reset(PREFIX, keep=[key("view")])


def forget_defaults() -> None:
    """Forget the controls of the view before: `reset_view` is about those that are drawn now."""
    st.session_state.pop(f"{PREFIX}-defaults", None)


BUDGET = 3e9
"""What all runs of a choice may cost, in gradients of all chains: about a minute, which Stop may end."""


def within_budget(jobs: Callable[[int], list[Job]], asked: int, parameter: Parameter, unit: str) -> list[Job]:
    """The jobs of a choice with so many of the unit. OverBudget, with the most that is allowed, if too many.

    parameter: declares the number; what is allowed is one of its stops.
    """

    def cost(amount: int) -> float:
        return sum(job.cost for job in jobs(amount))

    if cost(asked) > BUDGET:
        allowed = max(int(stop) for stop in parameter.stops() if cost(int(stop)) <= BUDGET)
        raise OverBudget(cost(asked) / BUDGET, allowed, unit, "samplers")
    return jobs(asked)


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
