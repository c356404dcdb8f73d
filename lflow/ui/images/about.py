"""What stands under the words of the page Images: the step that ran, its equation, the model and its card."""

from __future__ import annotations

import inspect
import re
import textwrap

import streamlit as st

from lflow.ui import explain
from lflow.ui.images.keys import TITLES, VARIANTS, Asked
from lflow.ui.images.model import folder, trained


def step(asked: Asked) -> None:
    """The code of each lane's step, its formula, where it is from, and what is known of its law."""
    with st.expander("The step, as it ran"):
        for tab, method in zip(st.tabs([TITLES[each] for each in asked.lanes]), asked.lanes, strict=True):
            sampler = asked.sampler(method)
            with tab:
                st.latex(sampler.formula)
                if method in VARIANTS:
                    st.markdown(explain.of_anila(**sampler.config()))
                st.caption(sampler.reference)
                st.code(textwrap.dedent(inspect.getsource(type(sampler).step)), language="python")


def model() -> None:
    """How the energy was learned, and the model's card."""
    learner = trained().learner
    with st.expander("The model"):
        st.latex(learner.settings.equation)
        st.caption(learner.settings.reference)
        card = (folder() / "README.md").read_text(encoding="utf-8")
        st.markdown(re.sub(r"^#+ ", "##### ", card, flags=re.MULTILINE))  # headings within a page's
