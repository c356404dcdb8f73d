"""Lessons: a question, a prediction, and what the particles say."""

import streamlit as st

from lflow.ui import lessons as page
from lflow.ui.controls import plain

st.html(page.STYLE)
lessons, malformed = page.lessons_and_refused()
lesson, refused_in_link = page.open_lesson(lessons, __file__)

head, tools = st.columns([3, 2], vertical_alignment="bottom")
head.title("Lessons")
head.caption("What do you expect? Say so first; then read the answer off the particles.")
with tools:
    seed = page.seed_control()
if refused_in_link:
    st.warning("\n\n".join(plain(sentence) for sentence in refused_in_link))

with st.container(key="picture-first-when-narrow"):
    listed, opened = st.columns([1, 3.2], gap="medium")
with listed:
    page.contents(lessons, lesson)
with opened:
    page.show_lesson(lesson, lessons.index(lesson) + 1, seed)
    page.neighbours(lessons, lesson)

st.caption(page.FOR_TEACHERS)
for sentence in malformed:
    st.warning(f"A file is no lesson: {plain(sentence)}")
