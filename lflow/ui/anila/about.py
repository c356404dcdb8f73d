"""What the page AniLA says whatever its controls are: three names, what is wrong, where next."""

from __future__ import annotations

import streamlit as st

from lflow.paths import pages_dir
from lflow.ui.presets import PRESETS

PAPER = "https://arxiv.org/abs/2310.12667"
_PRESETS = ("Hole at the mode", "Step too large")


def three_names() -> None:
    """What the three names stand for."""
    with st.expander("Three names for three things"):
        st.markdown(
            "- **As published**: the step of the paper, γ in the drift and √γ in the noise.\n"
            "- **As coded by its authors**: *toy* has γ in the noise too, where the paper has √γ; "
            "*Flowers* shrinks the "
            "noise alone and takes the drift in full.\n"
            "- **Corrected**: the missing term ∇γ added, or an accept step that makes up for it."
        )


def what_is_wrong() -> None:
    """The law of a step without flux, where the proof stops, and what the step is good for."""
    with st.container(border=True):
        st.subheader("What is wrong, exactly")
        left, right = st.columns([3, 2], gap="large")
        with left:
            st.markdown("The step as published, with f = -U and a step size h of its own:")
            st.latex(
                r"x' = x + h\gamma\,\nabla f + \sqrt{2h\gamma}\;\xi, \qquad \gamma(x) = 1/\max(1, |\nabla "
                r"f(x)|/b)"
            )
            st.markdown("As h → 0 its density p flows with the current, which vanishes for one law only:")
            st.latex(
                r"J = \gamma p\,\nabla f - \nabla(\gamma p) = 0 \iff \gamma p \propto e^{f} \iff "
                r"p \propto e^{f}\,\max(1, |\nabla f|/b)"
            )
            st.markdown(
                "Steep flanks get too much and modes too little; as b → 0 every mode has a hole. The term "
                "that is left "
                "out is h∇γ in the drift. With it, or with an accept step, the law is $e^f$. With the "
                "smooth γ the law "
                "of the published step is $e^f\\sqrt{1 + |\\nabla f|^2/b^2}$."
            )
        with right:
            st.markdown(
                "**As coded by its authors** the law is a third one. On a line, for the toy code and for "
                "Flowers:"
            )
            st.latex(
                r"p \propto \gamma^{-2} e^{-\int U'/\gamma}, \qquad p \propto \gamma^{-2} "
                r"e^{-\int U'/\gamma^2}"
            )
            st.markdown(
                "**Where the proof stops.** Its kernel holds a Metropolis step, with the ratio inverted, "
                "that neither "
                "the algorithm nor the code has, and it takes $e^f$ as the stationary law. It does not "
                "cover the "
                "sampler as published.\n\n"
                "**What it is good for.** Taming: where gradients grow faster than any line, as on the "
                "quartic, ULA "
                "diverges and the published step does not. The price is the bias above, and correction "
                "takes it away."
            )


def where_next() -> None:
    """Links to the lab, to the paper, and to the whole experiment."""
    lab = str(pages_dir() / "particle_lab.py")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        for preset in PRESETS:
            if preset.title in _PRESETS:
                query = {f"lab_{name}": str(value) for name, value in preset.settings.items()}
                st.page_link(lab, label=f"In the lab: {preset.question}", query_params=query)
        st.link_button("The paper (arXiv 2310.12667)", PAPER, type="tertiary")
    st.caption("The whole experiment, as numbers and a figure: `python -m lflow paper anila`")
