"""The view "The clouds" of the page AniLA: ULA, the step as published and the corrected ones, in lockstep.

From the same start, with the same noise, at equal gradients; under them the density of the very runs shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.papers.anila_laws import RADII, RANGE
from lflow.paths import assets_dir
from lflow.ui import racing
from lflow.ui.anila import style
from lflow.ui.anila.keys import ENERGIES, METHODS, PREFIX, TARGET, clouds, threshold
from lflow.ui.anila.law_chart import Laws, along_a_line, in_the_plane
from lflow.ui.outcome import Outcome
from lflow.ui.packing import Panel, pack
from lflow.ui.request import OverBudget, Race, make_energy
from lflow.ui.stage import Stage
from lflow.ui.store import Store
from lflow.ui.track import Track

STAGE = Stage(PREFIX)
_CELLS, _LAST = 60, 20  # of a histogram; frames that it is taken from


class Seen(NamedTuple):
    """What the end of a run shows. None where particles were lost."""

    histogram: list[float] | None
    """Of x, or on the rings of the radius, each ring by itself: the density in even cells."""
    calm: float | None
    """The share where |∇U| ≤ b, so that the step is not shrunk."""
    distance: float | None
    floor: float | None
    """Sliced W2 to exact draws, and what as many exact draws reach."""
    lost: int


def laws(name: str, b: float) -> Laws:
    """What the densities are compared with: along the radius of the rings, else along x."""
    if name == "rings":
        return along_a_line("rings", b, False, ())
    return in_the_plane(make_energy(ENERGIES[name]), b)


def calm_shares(name: str, b: float) -> tuple[float, float]:
    """The mass where |∇U| ≤ b: of e^f, and of the published step's law e^f·max(1, |∇f|/b)."""
    energy = make_energy(ENERGIES[name])
    draws = energy.sample(50_000, torch.Generator().manual_seed(7))
    steep = energy.grad(draws).norm(dim=1).double() / b
    weight = steep.clamp_min(1.0)
    calm = steep <= 1
    return float(calm.double().mean()), float(weight[calm].sum() / weight.sum())


def _seen(name: str, b: float, track: Track) -> Seen:
    result, energy = track.result, make_energy(ENERGIES[name])
    lost = int((result.diverged | result.escaped).sum())
    floor = track.truth.floor.mean if track.truth.floor else None
    if lost:
        return Seen(None, None, None, floor, lost)
    points = result.positions[-_LAST:].flatten(0, 1)
    calm = float((energy.grad(points).norm(dim=1) <= b).double().mean())
    away = track.away[-1] if track.away else None
    return Seen(_histogram(name, energy, points), calm, away, floor, 0)


def _histogram(name: str, energy: Energy, points: Tensor) -> list[float]:
    values, weights = points[:, 0].numpy(), None
    span = energy.bounds[0]
    if name == "rings":
        span, values = RANGE["rings"], points.norm(dim=1).numpy()
        # A start that fills the box leaves each ring a share of its own: here each counts as a quarter.
        ring = values.round().clip(RADII[0], RADII[-1]).astype(int)
        counts = np.bincount(ring, minlength=RADII[-1] + 1)
        weights = 1 / (len(RADII) * counts[ring])
    density, _ = np.histogram(values, _CELLS, span, density=True, weights=weights)
    return [round(float(each), 5) for each in density]


@st.cache_resource
def _store() -> Store:
    return Store(48)


def _opening_files() -> tuple[Path, Path]:
    folder = assets_dir() / "anila"
    return folder / "clouds.lfp", folder / "clouds.json"


def build() -> None:
    """Compute and write the clouds that the page opens on."""
    scene_file, numbers_file = _opening_files()
    asked, name = clouds({}), str(TARGET.default)
    b = float(threshold(name).default)
    payload, seen = _compute(asked, name, b, Store(16), None)
    scene_file.parent.mkdir(exist_ok=True)
    scene_file.write_bytes(payload)
    rows = {method: each._asdict() for method, each in seen.items()}
    numbers_file.write_text(json.dumps({"key": asked.key, "seen": rows}) + "\n", encoding="utf-8")


@st.cache_resource
def _opening() -> tuple[str, bytes, dict[str, Seen]]:
    scene_file, numbers_file = _opening_files()
    kept = json.loads(numbers_file.read_text(encoding="utf-8"))
    return kept["key"], scene_file.read_bytes(), {m: Seen(**row) for m, row in kept["seen"].items()}


def _compute(
    asked: Race, name: str, b: float, store: Store, report: racing.Report | None
) -> tuple[bytes, dict[str, Seen]]:
    tracks = [
        track._replace(label=style.title(method))
        for method, track in zip(METHODS, racing.run_race(asked, store, report), strict=True)
    ]
    seen = {method: _seen(name, b, track) for method, track in zip(METHODS, tracks, strict=True)}
    scene = racing.make_scene(asked, tracks)
    return pack(replace(scene, panels=[_coarser(panel) for panel in scene.panels])), seen


def _coarser(panel: Panel) -> Panel:
    """The panel with the steps to come on a grid half as fine: the page opens on a smaller file."""
    if panel.proposal is None:
        return panel
    fine = np.asarray(panel.proposal)
    rows, columns = fine.shape[1] // 2, fine.shape[2] // 2
    return replace(panel, proposal=fine.reshape(4, rows, 2, columns, 2).mean((2, 4)))


def play(asked: Race, name: str, b: float) -> dict[str, Seen]:
    """Run the clouds (or find them) and play them; what their end shows; nothing where stopped."""
    notice, store = st.empty(), _store()
    key, payload, seen = _opening()
    if asked.key != key:
        kept = f"payload {asked.key}"
        if kept not in store and STAGE.was_stopped(notice, asked.key):
            return {}
        try:
            payload, seen = store.get(
                kept, lambda: _compute(asked, name, b, store, STAGE.progress(notice, asked.key))
            )
        except OverBudget as error:
            STAGE.refused(error)
            return {}
    notice.empty()
    STAGE.play(payload)
    return seen


def histograms(seen: Mapping[str, Seen]) -> dict[str, Any]:
    """The densities of the runs, as arrays."""
    return {m: None if each.histogram is None else np.array(each.histogram) for m, each in seen.items()}


def taken(asked: Race) -> Outcome:
    """The clouds as what can be taken along."""
    return racing.outcome(asked, _store())
