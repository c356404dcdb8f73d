"""The page of convergence: four views of one question, each opening on runs that are shipped.

A view is a module with its controls, the runs that a choice takes, and what it shows of them. Knows nothing
of what they measure.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import streamlit as st

from lflow.spec import Parameter
from lflow.ui import study
from lflow.ui.controls import plain, view_control
from lflow.ui.convergence import bias, flow, last, sweep
from lflow.ui.convergence.controls import PREFIX, forget_defaults, key, named, reset_view
from lflow.ui.keys import HIDE, VERSION
from lflow.ui.stage import sentence
from lflow.ui.tools import PageState

VIEWS: dict[str, Any] = {view.NAME: view for view in (bias, last, flow, sweep)}
VIEW = named("view", {name: view.TITLE for name, view in VIEWS.items()}, bias.NAME)
COMMAND = "python -m lflow paper dynamical-system"


@cache
def known() -> dict[str, Parameter]:
    """What a link to the page may set, without the prefix."""
    declared = (VIEW, HIDE, VERSION, *(each for view in VIEWS.values() for each in view.CONTROLS))
    return {parameter.name: parameter for parameter in declared}


PAGE = PageState(PREFIX, known, lambda: None, (VIEW.name,))


def show(page: str) -> None:
    """The page."""
    refused = PAGE.follow_link(page)
    st.title("Step size and convergence")
    st.caption("How far from the target does a step size leave you, and what brings you closer?")
    if refused:
        st.warning("\n\n".join(plain(sentence) for sentence in refused))
    forget_defaults()
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        view = VIEWS[view_control(PREFIX, key("view"), VIEW)]
        link_place = PAGE.link_place()
    with st.container(key="picture-first-when-narrow"):
        left, right = st.columns([1, 3.2], gap="medium")
    with left:
        choice = view.controls()
        st.button("Reset", on_click=reset_view, type="tertiary", help="Every control of this view")
    with right:
        st.markdown(f"##### {view.QUESTION}")
        try:
            jobs = choice.jobs()
        except ValueError as error:
            st.error(sentence(error))
        else:
            view.show(choice, study.collect(view.STUDY, view.work, jobs, tells=True))
        with st.expander("What is measured"):
            view.explain()
        with st.expander("The full experiment"):
            st.markdown(
                "Karimi, Hsieh & Krause 2023 (arXiv 2210.13867), in numbers and a figure, from a terminal:"
            )
            st.code(COMMAND, language="bash")
    replace(PAGE, groups=groups(view)).show_link(link_place)


def groups(view: Any) -> tuple[str, ...]:
    """What a link to a view may hide: its controls, by name."""
    drawn = st.session_state[f"{PREFIX}-defaults"]
    return tuple(name for name in (VIEW.name, *(each.name for each in view.CONTROLS)) if key(name) in drawn)


def build() -> None:
    """Compute the runs that the views open on, and write them to assets/studies."""
    for view in VIEWS.values():
        study.ship(view.STUDY, view.work, view.Choice().jobs(), print)
