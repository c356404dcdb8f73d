"""The page Train: what to train on the left, a run and how it learns on the right."""

from __future__ import annotations

import streamlit as st

from lflow.ui.controls import plain
from lflow.ui.train import controls, makes, runs, watch
from lflow.ui.train.machine import machine

# What no argument says: a list reads from the left.
STYLE = """<style>
.st-key-train-runs button > div { justify-content: flex-start; text-align: left; }
</style>"""
QUESTION = "Can you watch a model learn?"


def show(page: str) -> None:
    """The page, whose script is the file `page`."""
    st.html(STYLE)
    tools = controls.PAGE.head(page, "Train", QUESTION)
    with tools:
        seed, link_place = controls.PAGE.seed_and_tools()
    found = runs.find()
    standing = runs.states(found)
    name, refused = controls.chosen(found)
    if refused:
        st.warning(refused)
    with st.container(key="picture-first-when-narrow"):
        left, right = st.columns([1, 3.2], gap="medium")
    with left:
        config, wrong = controls.what_to_train(seed)
        if wrong:
            st.error(wrong)
        if config is not None and config.remark:
            st.warning(plain(f"{config.remark}."))
        active = sum(state in ("queued", "running") for state in standing.values())
        controls.start(config, machine(), found, active)
        controls.list_of_runs(found, standing, name)
    controls.PAGE.show_link(link_place)
    with right:
        watch.watch(name, found, standing)
        seen = runs.look(name, found[name])
        makes.section(seen)
        makes.measured(seen)
        makes.how(seen)
