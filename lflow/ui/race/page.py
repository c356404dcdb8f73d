"""The race's picture and what stands under it: the clouds in lockstep, what each costs and gets, its code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from lflow.paths import assets_dir
from lflow.ui import racing, take
from lflow.ui.controls import plain, set_control
from lflow.ui.explain import number
from lflow.ui.packing import pack
from lflow.ui.race import controls as race
from lflow.ui.race import seeds
from lflow.ui.racing import Row
from lflow.ui.request import OverBudget, Parts, Race, suggested_step_size
from lflow.ui.stage import Stage
from lflow.ui.store import Store
from lflow.ui.under import code_and_reasons

STAGE = Stage(race.PREFIX, race.CHOOSER.start_at, race.CHOOSER.take_drawing)


@st.cache_resource
def _store() -> Store:
    return Store(64)


def opening_files() -> tuple[Path, Path]:
    """The shipped scene and table of the race that the page opens on."""
    folder = assets_dir() / "race"
    return folder / "opening.lfp", folder / "opening.json"


def build() -> None:
    """Compute and write what the page opens on."""
    from lflow.ui.link import race_request

    seeds.ship()
    scene_file, table_file = opening_files()
    asked, store = race_request({}), Store(64)
    tracks = racing.run_race(asked, store)
    # Seconds are another machine's: they are left out.
    rows = [row._replace(seconds=None)._asdict() for row in racing.table(asked, tracks, store)]
    scene_file.parent.mkdir(exist_ok=True)
    scene_file.write_bytes(pack(racing.make_scene(asked, tracks, interactive=True)))
    table_file.write_text(json.dumps({"key": asked.key, "rows": rows}, indent=1) + "\n", encoding="utf-8")


@st.cache_resource
def _opening() -> tuple[str, bytes, list[Row]]:
    scene_file, table_file = opening_files()
    kept = json.loads(table_file.read_text(encoding="utf-8"))
    return kept["key"], scene_file.read_bytes(), [Row(**row) for row in kept["rows"]]


def run_and_play(asked: Race) -> None:
    """Run the race (or find it), play it, and say what was seen."""
    notice, store = st.empty(), _store()
    try:
        lanes = [request.parts() for request in asked.requests()]
        opening_key, payload, rows = _opening()
        if asked.key != opening_key:
            kept = f"payload {asked.key}"
            if kept not in store and STAGE.was_stopped(notice, asked.key):
                return
            tracks = racing.run_race(asked, store, STAGE.progress(notice, asked.key))
            rows = racing.table(asked, tracks, store)
            payload = store.get(kept, lambda: pack(racing.make_scene(asked, tracks, interactive=True)))
    except OverBudget as error:
        key = f"{race.PREFIX}_gradients"
        STAGE.over_budget(error, key, lambda few: run_and_play(_shortened(asked, few)))
        return
    except ValueError as error:
        STAGE.refused(error)
        return
    notice.empty()
    STAGE.play(payload)
    _under_the_picture(asked, lanes, rows)


def _shortened(asked: Race, gradients: int) -> Race:
    return replace(asked, settings=replace(asked.settings, gradients=gradients))


def _under_the_picture(asked: Race, lanes: Sequence[Parts], rows: Sequence[Row]) -> None:
    st.markdown(plain(words(asked, rows)))
    for lane, (parts, row) in enumerate(zip(lanes, rows, strict=True), 1):
        if row.lost:
            safe = suggested_step_size(parts.energy, parts.sampler)
            key = f"{race.PREFIX}_{lane}_h"
            st.button(
                f"Use a safe step for {row.label}, h = {safe:g}", on_click=set_control, args=(key, safe)
            )
    _table(rows)
    seeds.section(asked, [row.label for row in rows])
    code_and_reasons({row.label: parts for row, parts in zip(rows, lanes, strict=True)}, asked.settings)
    take.section(race.PREFIX, lambda: racing.outcome(asked, _store()))


def words(asked: Race, rows: Sequence[Row]) -> str:
    """What was just seen: who came how near for the same gradients, and what they shared."""
    count = f"{asked.settings.num_chains:,} particles and {asked.settings.gradients:,} gradients each"
    known = [row for row in rows if row.over_floor is not None and not row.lost]
    noise = "with the same noise" if asked.settings.same_noise else "each with noise of its own"
    said = [f"With {count}, from the same start and {noise}."]
    if known:
        order = sorted(known, key=lambda row: row.over_floor or 0.0)
        told = [f"{row.label} {number(row.over_floor or 0.0)}" for row in order]
        said.append(f"Distance to the target, in units of what exact samples reach: {', '.join(told)}.")
    for row in rows:
        if row.lost:
            said.append(f"{row.label} lost {row.lost:,} particles.")
    return " ".join(said)


_COLUMNS = {
    "label": ("Sampler", None, ""),
    "step_size": ("h", "%.4g", "The step size: the overdamped step, or the integrator's."),
    "gradients_a_step": ("Gradients a step", "%d", "What one step costs."),
    "steps": ("Steps", "%d", "As many as the gradients pay for."),
    "seconds": ("Seconds here", "%.2f", "Measured once on this machine, recording included."),
    "distance": ("Distance", "%.3f", "Sliced W2 to exact draws, at the end."),
    "over_floor": ("Over the floor", "%.2f", "That, over what as many exact draws reach."),
    "gradients_to_twice_the_floor": (
        "Gradients to twice the floor",
        "%d",
        "After so many the distance stays below twice what exact draws reach. Empty: not within this race.",
    ),
    "acceptance": ("Acceptance", "%.2f", "Mean share of the proposals that were accepted."),
    "lost": ("Lost", "%d", "Particles that overflowed or left for good."),
}


def _table(rows: Sequence[Row]) -> None:
    frame = pd.DataFrame([row._asdict() for row in rows])
    frame = frame.dropna(axis=1, how="all")
    if not any(row.lost for row in rows):
        frame = frame.drop(columns="lost")
    settings = {
        name: st.column_config.TextColumn(title)
        if form is None
        else st.column_config.NumberColumn(title, format=form, help=help)
        for name, (title, form, help) in _COLUMNS.items()
    }
    st.dataframe(frame, hide_index=True, column_config=settings)
