"""What a trained model makes: samples of its best checkpoint, the checkpoint to take along, how good it is,
and the commands that do the same. Nothing is loaded before a reader asks.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st
from PIL import Image

from lflow.spec import Parameter
from lflow.training import checkpoint
from lflow.training.folder import RunFolder, runs_folder
from lflow.training.pictures import picture
from lflow.ui.controls import plain
from lflow.ui.explain import number
from lflow.ui.stage import sentence
from lflow.ui.store import Store
from lflow.ui.train import flipbook, keys
from lflow.ui.train.keys import PREFIX
from lflow.ui.train.runs import Snapshot, of_points

IMAGES, POINTS = 64, 1600
SEED = Parameter("seed", 0, 0, 2**31, help="of the samples")


@st.cache_resource
def _made() -> Store:
    return Store(16)


def section(seen: Snapshot) -> None:
    """Samples on demand, and what one takes along, of a run that is over and has a checkpoint."""
    if seen.config is None or seen.is_active:
        return
    try:
        files = _checkpoints(seen.folder)
    except ValueError as error:
        st.error(sentence(error))
        return
    if not files:  # no checkpoint yet: nothing to show
        return
    st.subheader("What it makes", anchor=False)
    file = files[_which(list(files))] if len(files) > 1 else next(iter(files.values()))
    count = POINTS if of_points(seen.config) else IMAGES
    seed, asked = _what_to_make(seen, file)
    found = _made_of(file, seed, count, asked)
    if found is None:
        return
    left, right = st.columns([1, 1.25], gap="large")
    told = f"{count:,} samples with seed {seed}, of the {file.stem} checkpoint, at step {found.step:,}"
    with left:
        flipbook.show_one(f"{file} {seed}", found.image, of_points(seen.config), told, f"{PREFIX}-samples")
    with right:
        st.markdown(f"{told}.")
        _same(seen.folder.path.name, count, seed)


def _checkpoints(folder: RunFolder) -> dict[str, Path]:
    """The run's checkpoints by what they are called: the best, and the last where it is of another step."""
    found: dict[int, Path] = {}
    for file in (folder.best, folder.last):
        if (step := checkpoint.step_of(file)) is not None:
            found.setdefault(step, file)
    return {f"the {file.stem}, at step {step:,}": file for step, file in found.items()}


def _which(names: list[str]) -> str:
    """The one to look at."""
    told = "The best is the one of the least validation, which commands take too unless a file is named."
    return st.selectbox("Checkpoint", names, key=f"{PREFIX}-checkpoint", help=told, width=280)


def _what_to_make(seen: Snapshot, file: Path) -> tuple[int, bool]:
    """The seed of the samples, whether they are asked for, and the file to take along."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        label, most = "Seed of the samples", int(SEED.high or 0)
        seed = st.number_input(label, 0, most, SEED.default, 1, key=f"{PREFIX}-samples-seed", width=160)
        asked = st.button("Show what it makes", key=f"{PREFIX}-make")
        st.download_button(
            "Checkpoint (weights only)",
            partial(_weights, file),
            f"{seen.folder.path.name}.safetensors",
            "application/octet-stream",
            key=f"{PREFIX}-take",
            on_click="ignore",
        )
    return int(seed), asked


def _same(name: str, count: int, seed: int) -> None:
    """The commands that make the same samples."""
    st.caption("The same samples from the file that you take along, on the command line and in Python:")
    words = f"python -m lflow generate {name}.safetensors --num {count} --seed {seed} --out {name}.png"
    st.code(words, language="bash", wrap_lines=True)
    st.code(f"lflow.load({f'{name}.safetensors'!r}).synthesize({count}, seed={seed})", language="python")


class Made(NamedTuple):
    """Samples as a picture, and the step of the checkpoint that they are of."""

    image: Image.Image
    step: int


def _made_of(file: Path, seed: int, count: int, asked: bool) -> Made | None:
    """The picture, once it was asked for; of the checkpoint as it is now."""
    kept, key = _made(), f"{file} {file.stat().st_mtime_ns} {seed} {count}"
    if asked and key not in kept:
        try:
            with st.spinner(f"Drawing {count:,} samples", show_time=True):
                kept.get(key, lambda: _draw(file, seed, count))
        except ValueError as error:
            st.error(sentence(error))
    found = kept.find(key)
    return found if isinstance(found, Made) else None


def _draw(file: Path, seed: int, count: int) -> Made:
    saved = checkpoint.read(file)
    return Made(picture(saved.learner().synthesize(count, seed)), saved.step)


def _weights(file: Path) -> bytes:
    """The file to take along."""
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "weights.safetensors"
        checkpoint.write(part, checkpoint.weights_only(checkpoint.read(file)))
        return part.read_bytes()


def how(seen: Snapshot) -> None:
    """The model's equation and reference, and the commands that train and measure such a run."""
    if seen.config is None:
        return
    model, place = seen.config.model, f"{runs_folder()}/{seen.name}"
    with st.expander("How it is trained"):
        if model.formula:
            st.latex(model.formula)
        if model.reference:
            st.caption(plain(model.reference))
        st.markdown("The same run from the command line, which appears here too:")
        st.code(keys.command(seen.config, place), language="bash", wrap_lines=True)
        if not seen.is_example:
            st.markdown("How good it is, in numbers, which appear here too:")
            st.code(f"python -m lflow evaluate {shlex.quote(place)}", language="bash", wrap_lines=True)


def measured(seen: Snapshot) -> None:
    """What `lflow evaluate` has found of the run, where it has been asked."""
    file = seen.folder.evaluation_file
    if not file.is_file():
        return
    with st.expander("How good it is"):
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            st.table(_table(found["scores"]))
            st.caption(f"Of the checkpoint of step {int(found['step']):,}, by `lflow evaluate`.")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            st.warning("evaluation.json is not what `lflow evaluate` writes.")


def _table(scores: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = []
    for score in scores:
        error = "" if score["error"] is None else f" ± {score['error']:.2g}"
        beside = ", ".join(f"{name} {_short(value)}" for name, value in score["beside"].items())
        rows.append([f"{_short(score['value'])}{error} {score['unit']}", beside, score["about"]])
    names = [score["name"] for score in scores]
    return pd.DataFrame(rows, [plain(name) for name in names], ["", "Beside", "What was measured"])


def _short(value: float | None) -> str:
    return "not finite" if value is None else number(value)
