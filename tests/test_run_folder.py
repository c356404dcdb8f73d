"""A run's folder: where runs are looked for, what deleting one removes, what says that one is to begin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lflow.training import launch
from lflow.training.config import make_config
from lflow.training.folder import RunFolder, runs_folder, runs_in
from tests import toy_model  # noqa: F401  (the model "toy")


def written(path: Path) -> RunFolder:
    """A run that has written everything that a run may write."""
    run = RunFolder(path)
    run.create(make_config({"model": "toy", "preset": "rings"}))
    run.append_metrics([{"step": 1, "split": "train", "loss/nll": 1.0}])
    (run.path / "tensorboard").mkdir()
    for file in (run.samples / "000001.png", run.last, run.best, run.log_file, run.evaluation_file):
        file.write_text("written")
    (run.path / "tensorboard" / "events").write_text("written")
    (run.path / "status.json.1.part").write_text("half")
    run.write_status("done", 40, 40, best=0.5, best_metric="nll", pid=7)
    with run.held():
        return run


def test_deleting_a_run_leaves_nothing(tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    run.delete()
    assert not run.path.exists()


def test_deleting_a_run_leaves_what_it_did_not_write(tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    (run.path / "notes.txt").write_text("mine")
    other = written(run.path / "another")
    run.delete()
    assert sorted(path.name for path in run.path.iterdir()) == ["another", "notes.txt"]
    assert (run.exists, other.status().state) == (False, "done")


def test_deleting_a_run_follows_no_link(tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_text("mine")
    (run.samples / "000001.png").unlink()
    run.samples.rmdir()
    run.samples.symlink_to(tmp_path / "mine")
    run.delete()
    assert (tmp_path / "mine" / "photo.png").read_text() == "mine"


def test_a_run_in_progress_is_not_deleted(tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    with run.held(), pytest.raises(ValueError, match="being trained"):
        run.delete()
    assert run.status().state == "done"
    assert run.best.is_file()


def test_runs_are_looked_for_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LFLOW_RUNS", raising=False)
    assert runs_folder() == Path("runs")
    monkeypatch.setenv("LFLOW_RUNS", str(tmp_path))
    assert runs_folder() == tmp_path
    for age, name in enumerate(("new", "deep/er", "old")):
        os.utime(written(tmp_path / name).config_file, (1000 - age, 1000 - age))
    assert [str(run.path.relative_to(tmp_path)) for run in runs_in(runs_folder())] == [
        "new",
        "deep/er",
        "old",
    ]


def test_a_run_that_is_to_begin_says_queued_and_keeps_what_it_knew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Process:
        pid = 1

        def __init__(self, *arguments: Any, **options: Any) -> None:
            """Starts nothing."""

    monkeypatch.setattr(launch.subprocess, "Popen", Process)
    run = written(tmp_path / "run")
    launch.go_on(run, num_steps=90)
    status = run.status()
    assert (status.state, status.step, status.num_steps) == ("queued", 40, 90)
    assert (status.facts["best_metric"], "pid" in status.facts) == ("nll", False)
    with pytest.raises(ValueError, match="num_steps must be between"):
        launch.go_on(run, num_steps=0)
    with run.held(), pytest.raises(ValueError, match="being trained already"):
        launch.go_on(run)
