"""`lflow generate` and `lflow evaluate`: what they write and report, and what they refuse in one line."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import lflow
from lflow.training import checkpoint
from lflow.training.folder import RunFolder
from lflow.training.pictures import picture
from tests import toy_model  # noqa: F401  (the model "toy")
from tests.conftest import Said
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.test_cli import answer


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run."""
    run = RunFolder(tmp_path_factory.mktemp("learn") / "toy")
    lflow.train({"model": "toy", "preset": "rings"}, run.path)
    return run


def one_line(said: Said, code: int, words: str) -> None:
    """A refusal: the exit code, nothing on standard output, and one line that says the words."""
    assert (said.code, said.out) == (code, "")
    assert len(said.err.splitlines()) == 1, said.err
    assert words in said.err


# --- generate -----------------------------------------------------------------------------------------------


def test_arrays_are_what_the_model_synthesizes(trained: RunFolder, tmp_path: Path, say: Any) -> None:
    expected = lflow.load(trained.path).synthesize(30, seed=4).numpy()
    words = ("generate", trained.path, "--num", "30", "--seed", "4", "--json", "--out")
    report = answer(say(*words, tmp_path / "a.npy"))
    assert (report["num"], report["shape"], report["seed"], report["lost"]) == (30, [2], 4, 0)
    assert report["checkpoint"] == str(trained.best)
    assert report["step"] == checkpoint.read(trained.best).step
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), expected)
    answer(say(*words, tmp_path / "a.npz"))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["samples"], expected)
        assert json.loads(str(arrays["config"])) == trained.config().as_json()


def test_a_picture_is_that_of_the_samples(trained: RunFolder, tmp_path: Path, say: Any) -> None:
    said = say("generate", trained.last, "--num", "50", "--out", tmp_path / "a.png")
    assert said.code == 0, said.err
    assert said.out.startswith(f"{tmp_path / 'a.png'}: 50 samples of {trained.last} at step 40")
    with Image.open(tmp_path / "a.png") as image:
        assert image.tobytes() == picture(lflow.load(trained.last).synthesize(50)).tobytes()


def test_a_checkpoint_of_weights_alone_gives_the_same(trained: RunFolder, tmp_path: Path, say: Any) -> None:
    taken = tmp_path / "taken.safetensors"
    checkpoint.write(taken, checkpoint.weights_only(checkpoint.read(trained.best)))
    for name, source in (("a", taken), ("b", trained.path)):
        answer(say("generate", source, "--out", tmp_path / f"{name}.npy", "--json"))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_file_is_overwritten_only_with_force(trained: RunFolder, tmp_path: Path, say: Any) -> None:
    out = tmp_path / "a.npy"
    out.write_text("mine")
    one_line(say("generate", trained.path, "--out", out), 2, "--force")
    assert out.read_text() == "mine"
    assert say("generate", trained.path, "--out", out, "--force").code == 0
    assert np.load(out, allow_pickle=False).shape == (64, 2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--num", "0"), "num must be between 1 and"),
        (("--num", "many"), "num must be a number"),
        (("--seed", "-1"), "seed must be between"),
        (("--out", "a.gif"), ".png, .npz, .npy"),
        (("--out", "/no/such/folder/a.png"), "a folder that exists"),
        (("--device", "abacus"), "abacus"),
    ],
)
def test_bad_arguments_of_generate(
    trained: RunFolder,
    tmp_path: Path,
    say: Any,
    words: tuple[str, str],
    sentence: str,
) -> None:
    given = {"--out": str(tmp_path / "a.npy"), **dict([words])}
    flags = [word for pair in given.items() for word in pair]
    one_line(say("generate", trained.path, *flags), 2, sentence)
    assert list(tmp_path.iterdir()) == []


# --- evaluate -----------------------------------------------------------------------------------------------


def test_evaluate_reports_and_keeps_what_it_found(trained: RunFolder, say: Any) -> None:
    found = answer(say("evaluate", trained.path, "--num", "100", "--limit", "200", "--json"))
    scores = {score["name"]: score for score in found["scores"]}
    # The toy has a density, and an energy in the plane.
    assert list(scores) == [
        "log-likelihood",
        "log-likelihood (grid)",
        "KL from the data",
        "sliced W2",
        "MMD",
        "1-NN accuracy",
    ]
    for score in scores.values():
        assert score["beside"]
        assert score["about"]
    x = lflow.data.open("rings", "test", limit=200).all().x
    expected = float(lflow.load(trained.path).log_prob(x).detach().double().mean())
    assert scores["log-likelihood"]["value"] == pytest.approx(expected, abs=1e-5)
    kept = json.loads(trained.evaluation_file.read_text())
    assert found.pop("seconds") > 0
    assert kept == {**found, "checkpoint": "best.safetensors"}
    again = answer(say("evaluate", trained.path, "--num", "100", "--limit", "200", "--json"))
    assert again["scores"] == found["scores"]


def test_evaluate_of_a_file_writes_nothing(trained: RunFolder, tmp_path: Path, say: Any) -> None:
    taken = tmp_path / "taken.safetensors"
    taken.write_bytes(trained.best.read_bytes())
    said = say("evaluate", taken, "--num", "50", "--limit", "60")
    assert said.code == 0, said.err
    assert "beside the data's own law" in said.out
    assert list(tmp_path.iterdir()) == [taken]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--num", "1"), "num must be between 20 and"),
        (("--limit", "-1"), "limit must be between"),
        (("--limit", "5"), "5 data points to compare samples with are too few"),
        (("--device", "abacus"), "abacus"),
    ],
)
def test_bad_arguments_of_evaluate(
    trained: RunFolder, say: Any, words: tuple[str, str], sentence: str
) -> None:
    one_line(say("evaluate", trained.path, *words), 2, sentence)


# --- what is not a model ------------------------------------------------------------------------------------


class Hostile:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (Path("unpickled"),)  # type: ignore[return-value]


def rewritten(source: Path, target: Path, **changes: Any) -> Path:
    """The checkpoint with other words in its header."""
    with safe_open(source, "pt") as file:
        about = json.loads(file.metadata()["lflow"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    save_file(tensors, target, metadata={"lflow": json.dumps({**about, **changes})})
    return target


def unusable(trained: RunFolder, folder: Path) -> dict[str, tuple[Path, str]]:
    """Files and folders that hold no model, and what is said of each."""
    whole = trained.best.read_bytes()
    files = {
        "half": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"not a checkpoint",
        "zeros": bytes(1000),
    }
    files["pickle"] = pickle.dumps(Hostile())
    for name, content in files.items():
        (folder / f"{name}.safetensors").write_bytes(content)
    (folder / "nothing").mkdir()
    torch.save({"w": torch.zeros(2)}, folder / "torch.pt")
    save_file({"w": torch.zeros(2)}, folder / "foreign.safetensors")
    config = checkpoint.read(trained.best).config.as_json()
    stranger = {**config, "model": {"name": "no_such_model"}}
    cannot = "is not a checkpoint that lflow can read"
    found = {name: (folder / f"{name}.safetensors", cannot) for name in [*files, "foreign"]}
    found["torch"] = folder / "torch.pt", cannot
    found["a folder without one"] = folder / "nothing", "holds no checkpoint yet"
    found["nowhere"] = folder / "nowhere", "there is no checkpoint"
    found["a huge shape"] = rewritten(trained.best, folder / "huge.safetensors", shape=[10**9]), cannot
    found["another shape"] = rewritten(trained.best, folder / "other.safetensors", shape=[3]), "do not fit"
    strange = rewritten(trained.best, folder / "strange.safetensors", config=stranger)
    found["a stranger"] = strange, "is of a model named 'no_such_model', which is not known here"
    found["a later version"] = rewritten(trained.best, folder / "later.safetensors", version=99), "version 99"
    return found


@pytest.mark.parametrize("command", ["generate", "evaluate"])
def test_what_is_not_a_model_is_refused_in_one_line(
    trained: RunFolder,
    tmp_path: Path,
    say: Any,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ["--out", str(tmp_path / "out.npy")] if command == "generate" else []
    for path, sentence in unusable(trained, tmp_path).values():
        one_line(say(command, path, *out), 2, sentence)
    assert not (tmp_path / "unpickled").exists()
    assert not (tmp_path / "out.npy").exists()


def test_data_that_are_gone_are_told_in_one_line(trained: RunFolder, tmp_path: Path, say: Any) -> None:
    config = checkpoint.read(trained.best).config.as_json()
    config["data"]["source"] = str(tmp_path / "gone")
    moved = rewritten(trained.best, tmp_path / "moved.safetensors", config=config)
    one_line(say("evaluate", moved), 2, str(tmp_path / "gone"))


def test_data_that_cannot_be_downloaded_are_told_in_one_line(
    trained: RunFolder, tmp_path: Path, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*arguments: Any) -> None:
        raise OSError("mnist is not on this machine: put mnist-test.parquet into a folder")

    monkeypatch.delenv("LFLOW_DATA", raising=False)
    monkeypatch.setattr("lflow.data.hub.download", offline)
    config = checkpoint.read(trained.best).config.as_json()
    config["data"]["source"] = "mnist"
    far = rewritten(trained.best, tmp_path / "far.safetensors", config=config)
    one_line(say("evaluate", far), 1, "put mnist-test.parquet into")


def test_a_full_disk_is_told_in_one_line(
    trained: RunFolder,
    tmp_path: Path,
    say: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    one_line(say("generate", trained.path, "--out", tmp_path / "a.npy"), 1, "No space left")
    assert not (tmp_path / "a.npy").exists()
