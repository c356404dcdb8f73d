"""The picture of the page Images and what stands under it: grids in lockstep, words, the code that ran."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from lflow.exact import Floor
from lflow.paths import assets_dir
from lflow.ui import take
from lflow.ui.controls import set_control
from lflow.ui.images import about, controls, keys, outcome, runs, table, words
from lflow.ui.images.keys import Asked
from lflow.ui.images.model import trained
from lflow.ui.images.runs import Known, Report
from lflow.ui.images.scene import make_scene
from lflow.ui.images.words import Seen
from lflow.ui.packing import pack
from lflow.ui.request import OverBudget
from lflow.ui.stage import Stage
from lflow.ui.store import Store

STAGE = Stage(keys.PREFIX)
Shown = tuple[bytes, list[Seen], Known]
"""A packed scene, and the numbers for the words under it."""


@st.cache_resource
def _store() -> Store:
    return Store(32)


def opening_files() -> tuple[Path, Path]:
    """The shipped scene and the numbers for its words."""
    folder = assets_dir() / "images"
    return folder / "opening.lfp", folder / "opening.json"


def build() -> None:
    """Compute and write what the page opens on."""
    scene_file, numbers_file = opening_files()
    asked = keys.asked({})
    payload, seen, known = _compute(asked, Store(8), None)
    scene_file.parent.mkdir(exist_ok=True)
    scene_file.write_bytes(payload)
    kept = {"key": asked.key, "seen": [each._asdict() for each in seen], "known": known}
    numbers_file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


@st.cache_resource
def _opening() -> tuple[str, Shown]:
    scene_file, numbers_file = opening_files()
    kept = json.loads(numbers_file.read_text(encoding="utf-8"))
    known = Known(*(Floor(*floor) for floor in kept["known"]))
    return kept["key"], (scene_file.read_bytes(), [Seen(**row) for row in kept["seen"]], known)


def _compute(asked: Asked, store: Store, report: Report | None) -> Shown:
    model = trained()
    tracks = runs.run(asked, model, store, report)
    known = store.get(f"known {asked.num_images}", lambda: runs.known(model, asked.num_images))
    payload = pack(make_scene(asked, tracks, known))
    published = next((track for track in tracks if track.method == "paper"), None)
    return payload, [words.seen(asked, track, published) for track in tracks], known


def show(lanes: Sequence[str], settings: Mapping[str, Any]) -> None:
    """Run the lanes (or find them), play them, and say what was seen."""
    notice, store = st.empty(), _store()
    try:
        asked = keys.asked(settings, lanes)
        opening_key, shown = _opening()
        if asked.key != opening_key:
            kept = f"shown {asked.key}"
            if kept not in store and STAGE.was_stopped(notice, asked.key):
                return
            shown = store.get(kept, lambda: _compute(asked, store, STAGE.progress(notice, asked.key)))
    except OverBudget as error:
        key = controls.PAGE.key("steps")
        STAGE.over_budget(error, key, lambda few: show(lanes, {**settings, "steps": few}))
        return
    except ValueError as error:
        STAGE.refused(error)
        return
    notice.empty()
    payload, seen, known = shown
    STAGE.play(payload)
    for paragraph in words.under(asked, seen, known):
        st.markdown(paragraph)
    if asked.is_large_step:
        safe = asked.h_as_trained
        take_it = f"Take the step size of training, h = {safe:g}"
        st.button(take_it, on_click=set_control, args=(controls.PAGE.key("h"), safe))
    table.show(seen, known)
    about.step(asked)
    about.model()
    take.section(keys.PREFIX, lambda: outcome.outcome(asked, _store()))
