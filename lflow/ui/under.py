"""What stands under a picture that was computed: the code of the step as it ran, its equations, and why it
behaves so, of one run or of several side by side.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping

import streamlit as st

from lflow.ui import explain
from lflow.ui.request import Cloud, Parts


def code_and_reasons(runs: Mapping[str, Parts], settings: Cloud) -> None:
    """Three expanders; several runs, by label, have a tab each."""
    with st.expander("The step, as it ran"):
        _each(runs, lambda parts: st.code(source(parts), language="python"))
    with st.expander("Equations and references"):
        _each(runs, equations)
    with st.expander("Why this setting behaves so" if len(runs) == 1 else "Why these settings behave so"):
        _each(runs, lambda parts: st.markdown(_reasons(parts, settings)))


def _reasons(parts: Parts, settings: Cloud) -> str:
    return "\n".join(f"- {said}" for said in explain.why(parts, settings))


def _each(runs: Mapping[str, Parts], show: Callable[[Parts], object]) -> None:
    if len(runs) == 1:
        show(*runs.values())
        return
    for tab, parts in zip(st.tabs(list(runs)), runs.values(), strict=True):
        with tab:
            show(parts)


def source(parts: Parts) -> str:
    """The code of the sampler's step and of the rule's."""
    step = textwrap.dedent(inspect.getsource(type(parts.sampler).step))
    rule = textwrap.dedent(inspect.getsource(type(parts.rule).step_size_at))
    return f"# {parts.sampler.title}\n{step}\n# step-size rule: {parts.rule.title}\n{rule}"


def equations(parts: Parts) -> None:
    """Formulas and references of the target, the sampler and the rule."""
    for title, thing in (("Target", parts.energy), ("Sampler", parts.sampler), ("Step size", parts.rule)):
        st.markdown(f"**{title}: {thing.title}**")
        if thing.formula:
            st.latex(thing.formula)
        reference = getattr(thing, "reference", "")
        if reference:
            st.caption(reference)
