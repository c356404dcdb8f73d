"""Particle lab: what does this sampler do to a cloud of particles?"""

import streamlit as st

from lflow.ui import lab, show
from lflow.ui.controls import read_link
from lflow.ui.request import Request, Settings

PREFIX = lab.PREFIX
lab.follow_named_link(__file__)
link_errors = read_link(PREFIX, lab.known_keys())

head, tools = st.columns([3, 2], vertical_alignment="bottom")
head.title("Particle lab")
head.caption("What does this sampler do to a cloud of particles?")
with tools:
    seed = lab.seed_and_tools()
for sentence in link_errors:
    st.warning(sentence)
lab.preset_bar()

controls, picture = st.columns([1, 3.2], gap="medium")
with controls:
    energy, refusal = lab.energy_controls()
    sampler = lab.sampler_controls()
    rule = lab.rule_controls(energy, sampler)
    settings = Settings(**lab.run_controls(seed, energy, sampler, rule), seed=seed)
    with_flow = lab.flow_control()

with picture:
    if refusal is not None:
        show.refused(refusal)
    else:
        show.run_and_play(Request(energy, sampler, rule, settings), with_flow, controls)
