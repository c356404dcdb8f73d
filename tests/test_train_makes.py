"""What the page Train lets a trained model make, and what was measured of it."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import lflow
from lflow import cli
from lflow.tasks import offered
from lflow.training import checkpoint
from lflow.training.folder import RunFolder
from lflow.training.pictures import picture
from lflow.ui.train import makes
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.train_page_cases import folder, opened, run, said, trained  # noqa: F401  (fixtures)


def test_shows_what_it_makes_and_hands_it_over(run: RunFolder) -> None:
    app = opened()
    assert "1,600 samples" not in said(app)
    app.number_input(key="train-samples-seed").set_value(3).run()
    app.button(key="train-make").click().run()
    assert not app.exception
    step = checkpoint.read(run.best).step
    assert f"1,600 samples with seed 3, of the best checkpoint, at step {step}" in said(app)
    made = makes._made().find(next(key for key in makes._made()._values if "seed=3" in key))
    assert isinstance(made, makes.Made)
    expected = picture(lflow.load(run.path).synthesize(1600, 3))
    assert made.image.tobytes() == expected.tobytes()
    weights = run.path.parent / "taken.safetensors"
    weights.write_bytes(makes._weights(checkpoint.find(run.path)))
    assert not checkpoint.read(weights).group("optimiser")
    assert torch.equal(lflow.load(weights).synthesize(9, 3), lflow.load(run.path).synthesize(9, 3))
    assert weights.stat().st_size < run.best.stat().st_size


def test_a_task_is_what_the_command_line_does(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(folder / "vae")
    lflow.train({"model": "vae", "preset": "digits", "max_steps": 1}, run.path)
    app = opened()
    task = app.selectbox(key="train-task")
    assert tuple(task.options) == tuple(each.capitalize() for each in offered(lflow.load(run.path)))
    assert "Mask" not in [box.label for box in app.selectbox]
    task.set_value("inpaint").run()
    app.selectbox(key="train-task-mask").set_value("left").run()
    app.button(key="train-make").click().run()
    assert not app.exception
    assert "8 filled-in data points with seed 0" in said(app)
    made = makes._made().find(next(key for key in makes._made()._values if "inpaint" in key))
    assert isinstance(made, makes.Made)
    command = shlex.split(next(each.value for each in app.code if "--task" in each.value))[3:]
    weights, image = tmp_path / "taken.safetensors", tmp_path / "made.png"
    weights.write_bytes(makes._weights(run.best))
    command[1], command[-1] = str(weights), str(image)
    assert cli.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == made.scores
    assert Image.open(image).convert("RGB").tobytes() == made.image.tobytes()


def test_where_nothing_finite_is_made_a_sentence_says_so(run: RunFolder) -> None:
    saved = checkpoint.read(run.best)
    lost = {
        name: torch.full_like(value, torch.nan) if value.is_floating_point() else value
        for name, value in saved.tensors.items()
    }
    checkpoint.write(run.best, replace(saved, tensors=lost))
    app = opened()
    app.button(key="train-make").click().run()
    assert not app.exception
    assert "othing that the model made is finite" in " ".join(each.value for each in app.error)


def test_the_last_checkpoint_may_be_looked_at_too(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    saved = checkpoint.read(run.best)
    checkpoint.write(run.best, replace(saved, step=10))
    app = opened()
    (choice,) = [box for box in app.selectbox if box.label == "Checkpoint"]
    assert choice.options == ["the best, at step 10", "the last, at step 40"]
    choice.set_value(choice.options[1]).run()
    app.button(key="train-make").click().run()
    assert "of the last checkpoint, at step 40" in said(app)
    assert checkpoint.which(run.path).endswith(f"at step 40, name {run.last}")
    assert cli.main(["runs", str(run.path.parent)]) == 0
    assert "the best at 10" in capsys.readouterr().out
    checkpoint.write(run.best, saved if saved.step == 40 else replace(saved, step=40))
    assert checkpoint.which(run.path) == ""
    assert "Checkpoint" not in [box.label for box in opened().selectbox]


def test_a_hostile_checkpoint_is_a_sentence(run: RunFolder) -> None:
    for file in (run.best, run.last):
        file.write_bytes(b"\x80\x04\x95 no tensors here")
    app = opened()
    assert "is not a checkpoint that lflow can read" in said(app).replace("\\", "")


def test_what_was_measured_is_shown(run: RunFolder) -> None:
    assert "How good it is" not in [each.label for each in opened().expander]
    score = {"name": "1-NN accuracy", "value": 0.6, "error": 0.01, "unit": "share", "about": "a share"}
    found = {
        "step": 40,
        "scores": [{**score, "beside": {"real": 0.5}}, {**score, "value": None, "beside": {}}],
    }
    run.evaluation_file.write_text(json.dumps(found))
    app = opened()
    assert not app.exception
    table = app.table[0].value
    assert list(table.index) == ["1\\-NN accuracy"] * 2
    assert table.iloc[0].tolist() == ["0.6 ± 0.01 share", "real 0.5", "a share"]
    assert table.iloc[1, 0].startswith("not finite")
    for wrong in ("{half", "[]", '{"step": 1, "scores": [1]}', '{"step": "x", "scores": []}'):
        run.evaluation_file.write_text(wrong)
        app = opened()
        assert not app.exception
        assert "is not what" in app.warning[0].value
