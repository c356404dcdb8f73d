"""Home: what Langevin dynamics is, seen before anything is computed."""

import streamlit as st

from lflow.paths import pages_dir
from lflow.ui import player
from lflow.ui.home import flow_file
from lflow.ui.presets import PRESETS

LAB = str(pages_dir() / "particle_lab.py")
OTHERS = {
    "race.py": ("Race", "Which sampler makes most of the same gradients?"),
    "convergence.py": ("Convergence", "How far does a step size leave you from the target?"),
    "anila.py": ("AniLA", "What does a step that shrinks on steep slopes really sample?"),
    "lessons.py": ("Lessons", "Say what you expect, then read the answer off the particles."),
    "images.py": ("Images", "What does an energy-based model's sampler make out of noise?"),
    "train.py": ("Train", "Can you watch a model learn?"),
}

st.title("Langevin dynamics, seen")
st.caption("What becomes of a cloud of particles that rolls downhill and is shaken all the while?")

player.show(flow_file().read_bytes(), key="home-player")

words, ways = st.columns([3, 2], gap="large")
with words:
    st.subheader("One line of mathematics")
    st.latex(r"x' = x - h\,\nabla U(x) + \sqrt{2hT}\;\xi, \qquad \xi \sim \mathcal{N}(0, I)")
    st.markdown(
        "Every particle takes a small step down the energy $U$ and is pushed at random. Gradient alone would "
        "end at the bottom of a valley; noise alone would wander off. Together they settle into the law "
        "$p(x) \\propto e^{-U(x)/T}$: the grey density above, and the ink lines along the edges. The 1,500 "
        "particles started at one point, the centre. Nothing about their paths was planned."
    )
    st.markdown(
        "The same step samples posteriors, trains energy-based models and draws images. What differs is the "
        "energy, the start, the step size, and what is done about the error that a finite step makes. That "
        "is what this lab is for."
    )
    for file, (title, question) in OTHERS.items():
        st.page_link(str(pages_dir() / file), label=f"**{title}**: {question}")
with ways:
    st.subheader("Where to go next")
    st.page_link(LAB, label="Open the particle lab", icon=":material/arrow_forward:")
    st.caption("Pick an energy, a sampler and a step-size rule. Or begin with a question:")
    for preset in PRESETS:
        st.page_link(
            LAB,
            label=preset.question,
            query_params={f"lab_{name}": str(value) for name, value in preset.settings.items()},
        )
