"""Race: which sampler makes most of the same gradients?"""

import streamlit as st

from lflow.ui.race import controls as race
from lflow.ui.race import page

tools = race.PAGE.head(__file__, "Race", "Which sampler makes most of the same number of gradients?")
with tools:
    seed, link_place = race.PAGE.seed_and_tools()
race.preset_bar()

with st.container(key="picture-first-when-narrow"):
    controls, picture = st.columns([1, 3.2], gap="medium")
with controls:
    asked, refusal = race.race(seed)
race.PAGE.show_link(link_place)

with picture:
    if refusal is not None:
        page.STAGE.refused(refusal)
    else:
        page.run_and_play(asked)
