"""Race: which sampler makes most of the same gradients?"""

import streamlit as st

from lflow.ui.controls import plain
from lflow.ui.race import controls as race
from lflow.ui.race import page

refused_in_link = race.PAGE.follow_link(__file__)

head, tools = st.columns([3, 2], vertical_alignment="bottom")
head.title("Race")
head.caption("Which sampler makes most of the same number of gradients?")
with tools:
    seed, link_place = race.PAGE.seed_and_tools()
if refused_in_link:
    st.warning("\n\n".join(plain(sentence) for sentence in refused_in_link))
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
