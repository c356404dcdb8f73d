"""What a trained model makes: a task by one of its checkpoints, with a picture and how good it is; the
checkpoint to take along, what `lflow evaluate` found, and the commands that do the same.
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
import torch
from PIL import Image

from lflow.cli import PROGRAM
from lflow.evaluation.report import as_json
from lflow.evaluation.subject import Subject
from lflow.spec import Parameter, counted, parameters
from lflow.tasks import Settings, find, offered, perform
from lflow.tasks.picture import BEHIND, rows_picture
from lflow.training import checkpoint
from lflow.training.folder import RunFolder, runs_folder
from lflow.ui.controls import plain, readable
from lflow.ui.explain import number
from lflow.ui.stage import sentence
from lflow.ui.store import Store
from lflow.ui.train import flipbook, keys
from lflow.ui.train.keys import PREFIX
from lflow.ui.train.runs import Snapshot, of_points

IMAGES, POINTS = 64, 1600  # samples
SAMPLES = "synthesize"
_EACH, _RANKED = 8, 32  # data points of any other task
SEED = Parameter("seed", 0, 0, 2**31, help="of all that is drawn at random")
_ASKED = ("mask", "noise")
"""Settings of a task that a reader may choose here; the command line has all."""


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
    try:
        possible = _offered(str(file), file.stat().st_mtime_ns)
    except ValueError as error:
        st.error(sentence(error))
        return
    points = of_points(seen.config)
    wanted, asked = _what_to_make(seen, file, possible, POINTS if points else IMAGES)
    found = _made_of(file, wanted, asked)
    if found is None:
        return
    told = f"with seed {wanted.seed}, of the {file.stem} checkpoint, at step {found.step:,}"
    told = f"{counted(found.num, find(wanted.task).noun)} {told}"
    if wanted.task == SAMPLES:
        left, right = st.columns([1, 1.25], gap="large")
        with left:
            flipbook.show_one(f"{file} {wanted}", found.image, points, told, f"{PREFIX}-samples")
    else:  # rows with their names: as wide as they are
        right = st.container()
        right.image(found.image)
    with right:
        st.markdown("  \n".join(f"{each}." for each in (told, *found.notes)))
        if found.scores:
            st.table(_table(found.scores))
        _same(seen.folder.path.name, wanted)


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


class Wanted(NamedTuple):
    """What a reader asks of a checkpoint."""

    task: str
    seed: int
    settings: Settings


@st.cache_data(max_entries=100, show_spinner=False)
def _offered(file: str, written: int) -> tuple[str, ...]:
    """The tasks that a checkpoint's model can do."""
    del written  # a part of the cache's key
    saved = checkpoint.read(Path(file), weights=False)
    with torch.device("meta"):
        return offered(saved.config.model.build(saved.shape, saved.levels))


def _what_to_make(seen: Snapshot, file: Path, possible: Sequence[str], samples: int) -> tuple[Wanted, bool]:
    """The task, its seed and settings, whether it is asked for, and the file to take along."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        about = " ".join(f"{each.capitalize()}: {find(each).about}." for each in possible)
        task = st.selectbox(
            "Task", possible, format_func=str.capitalize, key=f"{PREFIX}-task", help=about, width=160
        )
        own = {each.name: _setting(each) for each in parameters(Settings) if each.name in _uses(task)}
        most = int(SEED.high or 0)
        seed = st.number_input("Seed", 0, most, SEED.default, 1, key=f"{PREFIX}-samples-seed", width=130)
        asked = st.button("Show what it makes", key=f"{PREFIX}-make")
        st.download_button(
            "Checkpoint (weights only)",
            partial(_weights, file),
            f"{seen.folder.path.name}.safetensors",
            "application/octet-stream",
            key=f"{PREFIX}-take",
            on_click="ignore",
        )
    num = {SAMPLES: samples, "anomaly": _RANKED}.get(task, _EACH)
    return Wanted(task, int(seed), Settings(num=num, **own)), asked


def _uses(task: str) -> list[str]:
    return [name for name in find(task).uses if name in _ASKED]


def _setting(parameter: Parameter) -> Any:
    """A task's setting, by a widget that the address does not keep."""
    label, key = readable(parameter).capitalize(), f"{PREFIX}-task-{parameter.name}"
    if parameter.choices is not None:
        return st.selectbox(label, parameter.choices, key=key, help=parameter.help, width=130)
    low, high = parameter.span
    return st.number_input(label, low, high, parameter.default, key=key, help=parameter.help, width=130)


def _same(name: str, wanted: Wanted) -> None:
    """The commands that make the same."""
    in_python = " and in Python" if wanted.task == SAMPLES else ""
    st.caption(f"The same from the file that you take along, on the command line{in_python}:")
    words = ["generate", f"{name}.safetensors"]
    words += [] if wanted.task == SAMPLES else ["--task", wanted.task]
    num = wanted.settings.num
    words += ["--num", str(num), "--seed", str(wanted.seed)]
    for setting in _uses(wanted.task):
        words += [f"--{setting}", f"{getattr(wanted.settings, setting)}"]
    line = f"{PROGRAM} {shlex.join([*words, '--out', f'{name}.png'])}"
    st.code(line, language="bash", wrap_lines=True)
    load = f"lflow.load({f'{name}.safetensors'!r})"
    if wanted.task == SAMPLES:
        st.code(f"{load}.synthesize({num}, seed={wanted.seed})", language="python", wrap_lines=True)


class Made(NamedTuple):
    """What came out: a picture, of how many, how good, remarks, and the step of the checkpoint."""

    image: Image.Image
    num: int
    scores: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    step: int


def _made_of(file: Path, wanted: Wanted, asked: bool) -> Made | None:
    """What was made, once it was asked for; of the checkpoint as it is now."""
    kept, key = _made(), f"{file} {file.stat().st_mtime_ns} {wanted}"
    if asked and key not in kept:
        try:
            with st.spinner(f"At work on {counted(wanted.settings.num, 'data point')}", show_time=True):
                kept.get(key, lambda: _make(file, wanted))
        except (ValueError, RuntimeError, OSError) as error:  # a task that this model or its data cannot do
            st.error(sentence(error))
    found = kept.find(key)
    return found if isinstance(found, Made) else None


def _make(file: Path, wanted: Wanted) -> Made:
    saved = checkpoint.read(file)
    subject = Subject(saved.learner(), saved.config.data, seed=wanted.seed)
    outcome = perform(wanted.task, subject, wanted.settings)
    image = rows_picture(outcome, lambda: subject.training.batch(slice(BEHIND)))
    return Made(image, len(outcome.whole), as_json(outcome.scores), outcome.notes, saved.step)


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
        if model.equation:
            st.latex(model.equation)
        if model.reference:
            st.caption(plain(model.reference))
        st.markdown("The same run from the command line, which appears here too:")
        st.code(keys.command(seen.config, place), language="bash", wrap_lines=True)
        if not seen.is_example:
            st.markdown("How good it is, in numbers, which appear here too:")
            st.code(f"{PROGRAM} evaluate {shlex.quote(place)}", language="bash", wrap_lines=True)


def measured(seen: Snapshot) -> None:
    """What `lflow evaluate` has found of the run, where it has been asked."""
    file = seen.folder.evaluation_file
    if not file.is_file():
        return
    with st.expander("How good it is"):
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            st.table(_table(found["scores"]))
            st.caption(f"Of the checkpoint of step {int(found['step']):,}, by `{PROGRAM} evaluate`.")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            st.warning(f"evaluation.json is not what `{PROGRAM} evaluate` writes.")


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
