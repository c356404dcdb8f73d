"""Images: what does an energy-based model's sampler make out of noise?"""

import streamlit as st

from lflow.ui.images import controls, page

tools = controls.PAGE.head(__file__, "Images", "What does an energy-based model's sampler make out of noise?")
with tools:
    seed, link_place = controls.PAGE.seed_and_tools()
controls.preset_bar()

with st.container(key="picture-first-when-narrow"):
    left, picture = st.columns([1, 3.2], gap="medium")
with left:
    lanes, values = controls.choose()
controls.PAGE.show_link(link_place)

with picture:
    page.show(lanes, {**values, "seed": seed})
