"""The page Train: what its address stands for, what it shows of a run's folder, and what its buttons do."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lflow.training import launch
from lflow.training.config import make_config
from lflow.training.folder import GONE, RunFolder
from lflow.ui.train import flipbook, machine, words
from lflow.ui.train import runs as train_runs
from lflow.ui.train.machine import Machine
from lflow.ui.train.numbers import panels
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.train_page_cases import TOY, copy_tree, folder, opened, run, said, trained  # noqa: F401  (fixtures)

# --- what a folder says -------------------------------------------------------------------------------------


def test_runs_are_found_at_any_depth_and_the_example_is_last(
    run: RunFolder, folder: Path, trained: Path
) -> None:
    copy_tree(trained, folder / "sweep" / "first")
    os.utime(folder / "sweep" / "first" / "config.json", (1, 1))
    found = train_runs.find()
    assert list(found) == ["toy-rings", "sweep/first", train_runs.EXAMPLE]
    assert set(train_runs.states(found).values()) == {"done"}


def test_without_a_folder_of_runs_there_is_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LFLOW_RUNS", str(tmp_path / "none"))
    found = train_runs.find()
    assert list(found) == [train_runs.EXAMPLE]
    seen = train_runs.look(train_runs.EXAMPLE, found[train_runs.EXAMPLE], numbers=True)
    assert (seen.state, seen.is_example) == ("done", True)
    assert panels(seen.lines, seen.status.facts["best_metric"])[0].best
    assert len(seen.folder.pictures()) > 3


def test_a_run_says_where_it_stands(run: RunFolder) -> None:
    def standing(state: str, message: str = "", **facts: Any) -> str:
        run.write_status(state, 10, 40, message, **facts)
        return words.standing(train_runs.look("toy-rings", run))

    with run.held():
        assert standing("running", seconds=20.0) == "Step 10 of 40 steps, about 1 min 0 s left"
    assert standing("running") == f"Stopped at step 10 of 40 steps: {GONE}."
    assert standing("failed", "the disk is full") == "Failed at step 10 of 40 steps: the disk is full."
    assert standing("stopped") == "Stopped at step 10 of 40 steps."
    assert standing("queued") == "A process is starting, to train up to step 40."
    assert "has not" in standing("queued", updated=time.time() - 1000)
    assert standing("done", seconds=3700.0, device="cpu") == "40 steps in 1 h 1 min on cpu."
    assert train_runs.look("toy-rings", run).state == "done"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", "{half of a"),
        ("status.json", "{half of a"),
        ("status.json", '{"state": "done", "step": "many", "num_steps": 40}'),
        ("metrics.jsonl", "{half of a"),
        ("metrics.jsonl", '{"step": 10}'),
        ("metrics.jsonl", '{"step": 10, "split": "train", "loss/nll": "low"}'),
    ],
)
def test_a_run_that_cannot_be_read_says_so(run: RunFolder, file: str, text: str) -> None:
    (run.path / file).write_text(text + "\n")
    seen = train_runs.look("toy-rings", run, numbers=True)
    assert seen.refused
    app = opened()
    assert not app.exception
    assert "toy\\-rings" in said(app)
    assert len(app.error) == 1


def test_how_long_a_run_took_is_told_of_equal_settings_alone(run: RunFolder) -> None:
    found = train_runs.find()
    assert train_runs.seconds_taken(make_config({**TOY, "seed": 9}), found) == run.status().facts["seconds"]
    assert train_runs.seconds_taken(make_config({**TOY, "max_steps": 39}), found) is None
    run.write_status("stopped", 10, 40)
    assert train_runs.seconds_taken(make_config(TOY), found) is None


def test_words_of_the_machine() -> None:
    bare = Machine(2, 1.25, (), ("auto", "cpu"))
    assert words.about_machine(bare) == "No GPU: runs take the CPU. 2 CPU cores, load 1.2."
    assert words.crowded(bare, 1) == ""
    assert words.crowded(bare, 2).startswith("2 runs are in progress on 2 cores")
    card = Machine(16, None, ("H100, 70 of 80 GiB free",), ("auto", "cpu", "cuda"))
    assert words.about_machine(card) == "H100, 70 of 80 GiB free. 16 CPU cores."
    assert words.crowded(card, 20) == ""
    assert machine._card("NVIDIA H100 80GB HBM3, 71680, 81920") == "NVIDIA H100 80GB HBM3, 70 of 80 GiB free"
    assert machine._card("NVIDIA H100 MIG, [N/A], [N/A]") == "NVIDIA H100 MIG"


def test_a_flipbook_is_thinned_to_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for step in range(50):
        files.append(tmp_path / f"{step:06d}.png")
        files[-1].write_bytes(b"x" * 1000)
    assert flipbook.thinned(files) == files
    monkeypatch.setattr(flipbook, "_BUDGET", 10_000)
    few = flipbook.thinned(files)
    assert len(few) == 10
    assert (few[0], few[-1]) == (files[0], files[-1])
    assert flipbook.thinned(files[:1]) == files[:1]


# --- the page -----------------------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would be started as processes."""
    commands: list[list[str]] = []

    class Process:
        pid = 1

        def __init__(self, command: list[str], **options: Any) -> None:
            assert options["start_new_session"]
            commands.append(command)

    monkeypatch.setattr(launch.subprocess, "Popen", Process)
    return commands


def test_opens_on_the_example(folder: Path) -> None:
    app = opened()
    assert "An example" in [element.value for element in app.subheader]
    assert not app.error
    assert app.get("bidi_component")  # the pictures
    assert app.get("vega_lite_chart")
    names = [button.label for button in app.button]
    assert "Delete it" not in names
    assert "Resume" not in names


def test_starts_a_run_of_what_is_chosen(folder: Path, started: list[list[str]]) -> None:
    app = opened(toy_rings_training_num_steps="12", toy_rings_data="two_moons", seed="4")
    app.button(key="train-start").click().run()
    assert not app.exception
    assert not app.error
    run = RunFolder(folder / "toy-rings-two_moons")
    config = run.config()
    assert (config.training.num_steps, config.seed, config.data.source) == (12, 4, "two_moons")
    assert started == [[sys.executable, "-m", "lflow", "resume", "--device", "auto", "--", str(run.path)]]
    assert run.status().state == "queued"
    assert "about to begin" in said(app)
    app.button(key="train-start").click().run()
    assert (folder / "toy-rings-two_moons-2" / "config.json").is_file()


@pytest.mark.parametrize(("state", "asks"), [("running", True), ("queued", True), ("done", False)])
def test_the_folder_is_asked_again_only_while_a_run_is_in_progress(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, state: str, asks: bool
) -> None:
    periods = []

    def fragment(function: Any, run_every: float | None) -> Any:
        periods.append(run_every)
        return function

    monkeypatch.setattr("lflow.ui.train.watch.st.fragment", fragment)
    run.write_status(state, 10, 40)
    with run.held():
        opened()
    assert [period is not None for period in periods] == [asks]


def test_what_a_button_cannot_do_is_told_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "create", full)
    app = opened()
    app.button(key="train-start").click().run()
    assert "No space left" in app.error[0].value
    assert not app.run().error


def test_a_name_in_the_address_is_only_compared(run: RunFolder, folder: Path) -> None:
    for name in ("../../etc", "/etc", "![picture](http://example.org/a.png)", "toy-rings/../toy-rings"):
        app = opened(run=name)
        (warning,) = app.warning
        assert "There is no run" in warning.value
        assert "![picture]" not in warning.value
        assert app.subheader[0].value == "toy\\-rings"


def test_a_folder_whose_name_is_markup_is_shown_as_it_is(folder: Path, trained: Path) -> None:
    name = "![a](b) :red[c] $x$"
    copy_tree(trained, folder / name)
    app = opened(run=name)
    assert not app.warning
    assert "\\!\\[a\\]" in app.subheader[0].value
    assert ":red[c]" not in said(app)


def test_stop_asks_the_process(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(launch.os, "kill", lambda pid, number: asked.append((pid, number)))
    run.write_status("running", 10, 40, pid=4_000_000)
    with run.held():
        app = opened()
        app.button(key="train-stop").click().run()
    assert asked == [(4_000_000, signal.SIGTERM)]
    assert not app.exception


def test_a_process_that_is_gone_is_told(run: RunFolder) -> None:
    run.write_status("running", 10, 40, pid=4_000_000)  # above what numbers processes have here
    with run.held():
        app = opened()
        app.button(key="train-stop").click().run()
        assert "No such process" in said(app)


def test_resume_and_more_steps(run: RunFolder, started: list[list[str]]) -> None:
    run.write_status("stopped", 10, 40)
    app = opened()
    app.button(key="train-resume").click().run()
    assert run.status()[:3] == ("queued", 10, 40)
    run.write_status("done", 40, 40)
    app = opened()
    assert [button.label for button in app.button].count("Resume") == 0
    app.number_input(key="train-longer-toy-rings-40").set_value(90).run()
    app.button(key="train-go-on").click().run()
    assert run.status()[:3] == ("queued", 40, 90)
    assert started[1][-4:] == ["--num-steps", "90", "--", str(run.path)]
    assert started[0][-2:] == ["--", str(run.path)]


def test_deletes_only_after_asking(run: RunFolder) -> None:
    app = opened()
    assert "for good" in said(app)
    assert run.exists
    app.button(key="train-delete").click().run()
    assert not run.path.exists()
    assert "An example" in [element.value for element in app.subheader]
    assert not app.exception


def test_a_failed_run_shows_its_sentence_and_its_log_folded(run: RunFolder) -> None:
    run.write_status("failed", 10, 40, "the loss 'nll' is nan at step 11")
    run.log_file.write_text("lflow: the loss 'nll' is nan at step 11\n")
    app = opened()
    assert "is nan at step 11" in app.error[0].value
    (log,) = [each for each in app.expander if each.label == "Its log"]
    assert not log.proto.expanded
    assert "lflow: the loss" in log.code[0].value


def test_a_run_without_numbers_promises_some_only_while_it_trains(run: RunFolder) -> None:
    run.metrics_file.unlink()
    run.write_status("failed", 0, 40, "no data")
    assert "first numbers" not in said(opened())
    run.write_status("running", 0, 40)
    with run.held():
        assert "The first numbers come in a moment." in said(opened())


def test_hidden_controls_are_not_drawn(run: RunFolder) -> None:
    app = opened(hide="start,model")
    assert "Start a run" not in [button.label for button in app.button]
    assert not [box for box in app.selectbox if box.label == "Model"]
