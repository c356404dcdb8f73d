"""The loop: a run that is cut off at any moment ends in the weights of one that is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import lflow
from lflow.cli import STOPPED
from lflow.draws import Draws
from lflow.models.base import Part
from lflow.training import checkpoint, launch, learning
from lflow.training.batches import Batches
from lflow.training.config import make_config, read_config
from lflow.training.folder import RunFolder, runs_in
from lflow.training.loop import resume, train
from tests import toy_model

ROOT = Path(__file__).resolve().parents[1]
TOY = {"model": "toy", "preset": "rings"}


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, with the toy model known to it."""
    run = [sys.executable, "-m", "tests.toy_model", *words]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(run, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=120)


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / "checkpoints" / "last.safetensors")


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 0.0) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=tolerance, atol=tolerance, msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 steps that nothing interrupts, in a process of its own."""
    run = tmp_path_factory.mktemp("whole") / "run"
    done = command("train", "toy", "--run-dir", str(run), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["state"], report["step"]) == ("done", 40)
    return run


# --- interrupted and resumed ---------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 7, 10, 33])
def test_a_killed_run_resumes_to_the_same_bits(whole: Path, tmp_path: Path, step: int) -> None:
    run = tmp_path / "run"
    died = command("train", "toy", "--run-dir", str(run), TOY_KILL=str(step))
    assert died.returncode == -signal.SIGKILL
    status = RunFolder(run).status()
    assert status.state == "stopped"
    assert "without saying why" in status.message
    done = command("resume", str(run), "--json")
    assert done.returncode == 0, done.stderr
    assert_equal(weights(run), weights(whole))
    numbers = [{k: v for k, v in line.items() if k != "seconds"} for line in RunFolder(run).metrics()]
    assert numbers == [
        {k: v for k, v in line.items() if k != "seconds"} for line in RunFolder(whole).metrics()
    ]
    assert_same_best(run, whole)


def assert_same_best(run: Path, whole: Path) -> None:
    best = Path("checkpoints", "best.safetensors")
    assert_equal(load_file(run / best), load_file(whole / best))


def test_a_run_that_is_told_to_stop_saves_everything(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    stopped = command("train", "toy", "--run-dir", str(run), "--json", TOY_TERM="16")
    assert stopped.returncode == STOPPED, stopped.stderr
    assert (json.loads(stopped.stdout)["state"], json.loads(stopped.stdout)["step"]) == ("stopped", 17)
    assert checkpoint.read(RunFolder(run).last).step == 17
    assert command("resume", str(run)).returncode == 0
    assert_equal(weights(run), weights(whole))


def test_a_process_that_dies_while_it_writes_leaves_the_last_checkpoint(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    # The writer itself is replaced by one that is killed halfway through its third file.
    code = """
import os, signal, sys
from safetensors.torch import save_file
from lflow.training import checkpoint
from tests import toy_model
from lflow.cli import main
written = []
def half(tensors, path, metadata):
    save_file(tensors, path, metadata=metadata)
    written.append(path)
    if len(written) == 3:
        with open(path, "rb+") as file:
            file.truncate(os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.save_file = half
main(sys.argv[1:])
"""
    words = [sys.executable, "-c", code, "train", "toy", "--run-dir", str(run)]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    died = subprocess.run(words, cwd=ROOT, env=surroundings, capture_output=True, timeout=120)
    assert died.returncode == -signal.SIGKILL
    for file in (run / "checkpoints").glob("*.safetensors"):
        checkpoint.read(file)
    assert command("resume", str(run)).returncode == 0
    assert_equal(weights(run), weights(whole))


def test_two_processes_train_what_one_does(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tests.toy_model"]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    rarely = ["--checkpoint-every", "1000", "--validate-every", "1000"]
    done = subprocess.run(
        # The first checkpoint is the last: the other process must not look for it before it is there.
        [sys.executable, *words, "train", "toy", "--run-dir", str(run), "--json", *rarely],
        cwd=ROOT,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["processes"] == 2
    # 40 steps of float32: sums in another order differ in the last digits, and the chains carry that on.
    assert_equal(weights(run), weights(whole), tolerance=2e-4)


def test_a_longer_run_goes_on(whole: Path, tmp_path: Path) -> None:
    run, straight = tmp_path / "run", tmp_path / "straight"
    train({**TOY, "max_steps": 20}, run, "cpu")
    resume(run, 30, "cpu")
    train({**TOY, "max_steps": 30}, straight, "cpu")
    assert_equal(weights(run), weights(straight))
    assert RunFolder(run).status().state == "done"
    with pytest.raises(ValueError, match="at least 30"):
        resume(run, 25, "cpu")


# --- what a run leaves ---------------------------------------------------------------------------------


def test_a_run_folder(whole: Path) -> None:
    folder = RunFolder(whole)
    assert [picture.name for picture in folder.pictures()] == ["000020.png", "000040.png"]
    lines = folder.metrics()
    assert [line["step"] for line in lines if line["split"] == "train"] == [*range(5, 41, 5)]
    assert [line["step"] for line in lines if line["split"] == "validation"] == [10, 20, 30, 40]
    assert {"loss/nll", "loss/energy", "acceptance"} <= lines[0].keys()
    assert not list(whole.rglob("*.part"))
    assert read_config(folder.config_file) == make_config(TOY)
    assert [run.path for run in runs_in(whole.parent)] == [whole]
    listed = json.loads(command("runs", str(whole.parent), "--json").stdout)["runs"]
    assert [(row["state"], row["step"]) for row in listed] == [("done", 40)]


def test_the_trained_model(whole: Path) -> None:
    learner = lflow.load(whole)
    assert not learner.training
    assert learner.synthesize(5).shape == (5, 2)
    torch.testing.assert_close(learner.synthesize(5, seed=3), learner.synthesize(5, seed=3))
    best = checkpoint.read(RunFolder(whole).best)
    torch.testing.assert_close(learner.mean.data, best.tensors["average.mean"])


def test_the_average_is_the_exponential_one(tmp_path: Path) -> None:
    config = {**TOY, "training": {"checkpoint_every": 1, "num_steps": 4, "ema": 0.75}}
    seen: list[Tensor] = []
    train(config, tmp_path / "run", "cpu", lambda *_: None)
    for steps in range(1, 5):
        train({**config, "max_steps": steps}, tmp_path / f"to-{steps}", "cpu")
        seen.append(weights(tmp_path / f"to-{steps}")["model.log_std"])
    # torch's average begins as a copy of the weights after its first update.
    average = seen[0]
    for value in seen[1:]:
        average = 0.75 * average + 0.25 * value
    torch.testing.assert_close(weights(tmp_path / "run")["average.log_std"], average)


def test_the_learning_rate_rises_and_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    before = toy_model.ToyLearner.parts

    def parts(self: toy_model.ToyLearner) -> dict[str, Part]:
        return {"gaussian": before(self)["gaussian"]._replace(optimiser="sgd")}

    descend = learning.Weights.descend

    def watched(self: Any, loss: Tensor, rate: float, world: Any) -> None:
        rates.append(rate)
        descend(self, loss, rate, world)

    monkeypatch.setattr(toy_model.ToyLearner, "parts", parts)
    monkeypatch.setattr(learning.Weights, "descend", watched)
    train(TOY, tmp_path / "run", "cpu")
    a_pass = Batches(make_config(TOY), torch.device("cpu")).per_pass
    expected = [min(1, (step + 1) / 5) * 0.9 ** (step // a_pass) for step in range(40)]
    assert rates == pytest.approx(expected)


def test_batches_are_whole_passes() -> None:
    config = make_config({**TOY, "seed": 3})
    batches = Batches(config, torch.device("cpu"))
    first = torch.cat([batches.at(step) for step in range(batches.per_pass)])
    assert len(first.unique(dim=0)) == len(first)
    validation = {tuple(row.tolist()) for row in batches.validation()}
    assert len(validation) == 20
    assert not validation & {tuple(row.tolist()) for row in first}
    shares = [Batches(config, torch.device("cpu"), rank, 2).at(5) for rank in (0, 1)]
    assert torch.equal(torch.cat(shares), batches.at(5))


def test_what_cannot_be_held_out_is_refused() -> None:
    with pytest.raises(ValueError, match="no label 77 to hold out"):
        Batches(make_config({**TOY, "data": {"source": "digits", "held_out": 77}}), torch.device("cpu"))
    with pytest.raises(ValueError, match="training needs 20"):
        Batches(make_config({**TOY, "data": {"limit": 19}}), torch.device("cpu"))


def test_draws_of_two_are_those_of_one() -> None:
    whole_draw = Draws(1, 5).normal((6, 3))
    shares = [Draws(1, 5, rank=rank, world_size=2).normal((3, 3)) for rank in (0, 1)]
    assert torch.equal(torch.cat(shares), whole_draw)
    assert not torch.equal(Draws(1, 6).normal((6, 3)), whole_draw)
    assert not torch.equal(Draws(2, 5).normal((6, 3)), whole_draw)


# --- what goes wrong -----------------------------------------------------------------------------------


def test_a_loss_that_is_lost_ends_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    failed = command("train", "toy", "--run-dir", str(run), TOY_NAN="23")
    assert failed.returncode == 1
    assert "the loss 'energy' is nan at step 24" in failed.stderr
    status = RunFolder(run).status()
    assert (status.state, status.step) == ("failed", 20)
    assert "learning rate" in status.message
    assert checkpoint.read(RunFolder(run).last).step == 20
    assert command("resume", str(run)).returncode == 0  # without what went wrong


def test_weights_that_overflow_are_never_saved(tmp_path: Path) -> None:
    config = {**TOY, "model": {"name": "toy", "learning_rate": 1e6}}
    with pytest.raises(ArithmeticError, match=r"finite|is (nan|inf|-inf)"):
        train(config, tmp_path / "run", "cpu")
    for file in (tmp_path / "run").rglob("*.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(file).values())


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train({**TOY, "max_steps": 10}, run, "cpu")
    code = """
import resource, sys
from tests import toy_model
from lflow.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
sys.exit(main(sys.argv[1:]))
"""
    words = [sys.executable, "-c", code, "resume", str(run), "--num-steps", "40"]
    failed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert failed.returncode == 1
    assert "could not be written, and what was there is kept" in failed.stderr
    assert checkpoint.read(RunFolder(run).last).step == 10
    assert not list(run.rglob("*.part"))
    assert RunFolder(run).status().state == "failed"


def test_a_damaged_checkpoint_fails_the_run_and_says_so(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    train({**TOY, "max_steps": 10}, folder.path, "cpu")
    whole_file = folder.last.read_bytes()
    folder.write_status("queued", 10, 20)
    folder.last.write_bytes(whole_file[:1000])
    with pytest.raises(ValueError, match="not a checkpoint"):
        resume(folder.path, 20, "cpu")
    assert folder.status().state == "failed"
    assert "not a checkpoint" in folder.status().message
    folder.last.write_bytes(whole_file)
    slim = checkpoint.weights_only(checkpoint.read(folder.last))
    checkpoint.write(folder.last, slim)
    with pytest.raises(ValueError, match=r"cannot be trained on: it lacks 'average'"):
        resume(folder.path, 20, "cpu")


def test_a_run_is_trained_by_one_process(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    train({**TOY, "max_steps": 10}, folder.path, "cpu")
    with folder.held():
        assert folder.is_held
        with pytest.raises(ValueError, match="another process"):
            resume(folder.path, 20, "cpu")
        with pytest.raises(ValueError, match="already"):
            launch.go_on(folder)
    assert not folder.is_held
    with pytest.raises(ValueError, match="holds a run already"):
        train(TOY, folder.path, "cpu")
    assert folder.status().state == "done"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model": "toi"}, "Did you mean 'toy'"),
        ({}, "name a model"),
        ({"model": "toy", "preset": "ring"}, "it has: rings"),
        ({"model": "toy", "modle": 1}, "'modle'"),
        ({"model": {"name": "toy", "learning_rate": -1}}, "learning_rate must be between"),
        ({"model": "toy", "training": {"num_step": 3}}, "'num_step'"),
        ({"model": "toy", "training": {"batch_size": 0}}, "batch_size must be between"),
        ({"model": "toy", "training": 3}, "must be a mapping"),
        ({"model": "toy", "seed": -1}, "seed must be between"),
        ({"model": "toy", "seed": "1"}, "seed must be a finite number"),
        ({"model": "toy", "version": 99}, "version 99"),
        ({"model": "toy", "max_steps": 0}, "max_steps must be between"),
        ({"model": "toy", "preset": 7}, "preset"),
    ],
)
def test_a_bad_configuration_is_refused(config: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        train(config, tmp_path / "run", "cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "toy", "--batch-size", "1000"], "fewer than a batch"),
        (["train", "toy", "--device", "cuda"], "'cuda' cannot be used here"),
        (["train", "toy", "--device", "tpu"], "'tpu' cannot be used here"),
        (["train", "toy", "--source", "no-such-data"], "no-such-data"),
        (["train", "toy", "--learning-rate", "much"], "must be a number"),
        (["resume", "nowhere"], "not the folder of a run"),
    ],
)
def test_a_bad_command_is_one_line(words: list[str], sentence: str, tmp_path: Path) -> None:
    if torch.cuda.is_available() and "cuda" in words:
        pytest.skip("there is a CUDA device here")
    run = [] if words[0] == "resume" else ["--run-dir", str(tmp_path / "run")]
    failed = command(*words, *run)
    assert failed.returncode == 2
    assert sentence in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


def test_a_run_in_a_process_of_its_own(tmp_path: Path) -> None:
    config = make_config({"model": "toy", "preset": "rings"})
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    assert folder.status().state == "queued"
    # The process that the app starts does not know this model, and says so where the page reads it.
    number = launch.go_on(folder, "cpu")
    os.waitpid(number, 0)
    assert "there is no model named 'toy'" in folder.log_file.read_text()
    assert launch.stop(folder) is False


def test_half_precision_and_curves(tmp_path: Path) -> None:
    training = {"precision": "bfloat16", "tensorboard": True}
    learner = train({**TOY, "max_steps": 10, "training": training}, tmp_path / "run", "cpu")
    assert all(parameter.dtype == torch.float32 for parameter in learner.parameters())
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


def test_a_run_that_failed_before_it_began_gives_its_folder_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(make_config({**TOY, "data": {"source": "ringz"}}))  # as the app does, which reads no data
    with pytest.raises(ValueError, match="no data set named 'ringz'"):
        resume(folder.path, device="cpu")
    assert folder.status().state == "failed"
    train({**TOY, "max_steps": 5}, folder.path, "cpu")
    assert folder.status().state == "done"


def test_a_refused_resume_leaves_a_run_that_is_done(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    train({**TOY, "max_steps": 5}, folder.path, "cpu")
    with pytest.raises(ValueError, match="at least 5"):
        resume(folder.path, 3, "cpu")
    assert (folder.status().state, folder.status().num_steps) == ("done", 5)
