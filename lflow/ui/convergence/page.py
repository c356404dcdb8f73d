"""The page of convergence: four views of one question, each opening on runs that are shipped.

A view is a module with its controls, the runs that a choice takes, and what it shows of them. Knows nothing
of what they measure.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from lflow.ui import study
from lflow.ui.controls import plain
from lflow.ui.convergence import bias, flow, last, sweep
from lflow.ui.convergence.controls import (
    Control,
    choose_view,
    follow_link,
    forget_defaults,
    key,
    named,
    reset_view,
)
from lflow.ui.keys import HIDE, VERSION

VIEWS: dict[str, Any] = {view.NAME: view for view in (bias, last, flow, sweep)}
VIEW = named("view", {name: view.TITLE for name, view in VIEWS.items()}, bias.NAME)
COMMAND = "python -m lflow paper dynamical-system"


def known() -> dict[str, Control]:
    """Every key that a link to the page may set."""
    own = (VIEW, Control(HIDE), Control(VERSION))
    return {key(c.parameter.name): c for c in (*own, *(c for view in VIEWS.values() for c in view.CONTROLS))}


def show(page: str) -> None:
    """The page."""
    refused = follow_link(page, known())
    st.title("Step size and convergence")
    st.caption("How far from the target does a step size leave you, and what brings you closer?")
    if refused:
        st.warning("\n\n".join(plain(sentence) for sentence in refused))
    view = VIEWS[choose_view(VIEW, "View")]
    with st.container(key="picture-first-when-narrow"):
        left, right = st.columns([1, 3.2], gap="medium")
    with left:
        forget_defaults()
        choice = view.controls()
        st.button("Reset", on_click=reset_view, type="tertiary", help="Every control of this view")
    with right:
        st.markdown(f"##### {view.QUESTION}")
        try:
            jobs = choice.jobs()
        except ValueError as error:
            st.error(plain(f"{str(error)[:1].upper()}{str(error)[1:]}."))
        else:
            view.show(choice, study.collect(view.STUDY, view.work, jobs))
        with st.expander("What is measured"):
            view.explain()
        with st.expander("The full experiment"):
            st.markdown(
                "Karimi, Hsieh & Krause 2023 (arXiv 2210.13867), in numbers and a figure, from a terminal:"
            )
            st.code(COMMAND, language="bash")


def build() -> None:
    """Compute the runs that the views open on, and write them to assets/studies."""
    for view in VIEWS.values():
        study.ship(view.STUDY, view.work, view.Choice().jobs(), print)
