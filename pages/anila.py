"""AniLA: what does a step that shrinks on steep slopes really sample?"""

import streamlit as st

from lflow.ui.anila import about, controls
from lflow.ui.anila import page as anila

tools = controls.PAGE.head(__file__, "AniLA", "What does a step that shrinks on steep slopes really sample?")

view = controls.choose_view()
with tools:
    seed, link_place = controls.PAGE.seed_and_tools(has_seed=view in anila.SEEDED)
with st.container(key="picture-first-when-narrow"):
    column, picture = st.columns([1, 3.2], gap="medium")
with column:
    show = anila.VIEWS[view](seed)
    about.three_names()
controls.PAGE.show_link(link_place)
with picture:
    show()
about.what_is_wrong()
about.where_next()
