"""Particle lab: what does this sampler do to a cloud of particles?"""

import streamlit as st

from lflow.ui.lab import controls as lab
from lflow.ui.lab import page
from lflow.ui.request import Request, Settings

tools = lab.PAGE.head(__file__, "Particle lab", "What does this sampler do to a cloud of particles?")
with tools:
    seed, link_place = lab.PAGE.seed_and_tools()
lab.preset_bar()

with st.container(key="picture-first-when-narrow"):
    controls, picture = st.columns([1, 3.2], gap="medium")
with controls:
    energy, sampler, rule, refusal = lab.what_runs()
    settings = Settings(**lab.run_controls(seed, energy, sampler, rule), seed=seed)
    with_flow = lab.flow_control()
lab.PAGE.show_link(link_place)

with picture:
    if refusal is not None:
        page.STAGE.refused(refusal)
    else:
        page.run_and_play(Request(energy, sampler, rule, settings), with_flow)
