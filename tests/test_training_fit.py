"""What cannot be trained is refused before a run has a folder, by the page and by the command line alike."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from lflow import cli, data
from lflow.data import hub
from lflow.training.config import DataChoice, make_config
from lflow.training.fit import expected, refuse_misfit
from lflow.training.loop import train
from tests import toy_model  # noqa: F401  (the model "toy")
from tests.statistics import one_thread  # noqa: F401  (for every test here)

LAE = {"model": "lae", "preset": "digits", "max_steps": 5}


@pytest.mark.parametrize(
    "options",
    [{}, {"binary": True}, {"size": 8}, {"size": 12}, {"size": 12, "binary": True}, {"grey": True}],
)
@pytest.mark.parametrize("source", ["digits", "patches"])
def test_what_is_expected_of_data_is_what_they_are(source: str, options: dict[str, Any]) -> None:
    choice = DataChoice(source, **options, limit=30)
    found = data.open(source, **choice.options())
    assert expected(choice) == (found.shape, found.levels)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({**LAE, "data": {"binary": False}}, "set binary for the data"),
        ({"model": "vae", "data": "rings"}, ""),
        ({"model": {"name": "vae", "likelihood": "bernoulli"}, "data": "rings"}, "choose another likelihood"),
        ({"model": {"name": "vae", "likelihood": "logistic"}, "data": "rings"}, "choose another likelihood"),
        ({"model": "ebm", "preset": "rings", "data": {"binary": True}}, "set of points"),
        (LAE, ""),
    ],
)
def test_a_model_that_is_not_for_the_data(config: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    made = make_config(config)
    before = torch.get_rng_state()
    if not sentence:
        refuse_misfit(made)
    else:
        with pytest.raises(ValueError, match=sentence):
            refuse_misfit(made)
        with pytest.raises(ValueError, match=sentence if "points" not in sentence else "black and white"):
            train(made, tmp_path / "run", "cpu")
    assert torch.equal(before, torch.get_rng_state())
    assert not (tmp_path / "run").exists()


def test_a_model_remarks_on_what_is_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "lae", "--preset", "digits", "--max-steps", "1", "--num-samples", "1"]
    assert cli.main([*words, "--features", "20", "--run-dir", str(tmp_path / "few")]) == 0
    assert "20 features for batches of 100" in capsys.readouterr().err
    assert cli.main([*words, "--features", "100", "--run-dir", str(tmp_path / "enough")]) == 0
    assert "features" not in capsys.readouterr().err
    assert make_config({"model": "vae", "preset": "digits"}).remark == ""


def test_a_flag_without_effect_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(name: str, *words: str) -> list[str]:
        run = [*words, "--max-steps", "1", "--num-samples", "1", "--run-dir", str(tmp_path / name)]
        assert cli.main(["train", "vae", "--preset", "digits", *run]) == 0
        return [line for line in capsys.readouterr().err.splitlines() if "no effect" in line]

    of_draws = "lflow: --num-importance has no effect: objective is elbo"
    assert told("flag", "--num-importance", "4") == [of_draws]
    assert told("pair", "--model-param", "num_importance=4", "--sigma", "0.1") == [
        "lflow: --sigma has no effect: likelihood is bernoulli",
        of_draws,
    ]
    assert told("used", "--num-importance", "4", "--objective", "iwae") == []
    assert told("of the preset") == []


def test_the_hint_how_to_go_on_can_be_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "a run")
    assert cli.main(["train", "toy", "--max-steps", "2", "--run-dir", run]) == 0
    hint = capsys.readouterr().out.splitlines()[0].partition("; to go on: ")[2]
    assert shlex.split(hint) == ["python", "-m", "lflow", "resume", run, "--num-steps", "N"]
    assert cli.main([*shlex.split(hint)[3:-1], "3"]) == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"source": "nowhere/nothing"}, "is not on this machine"),
        ({"held_out": 77}, "no label 77"),
        ({"limit": 10}, "training needs 20"),
    ],
)
def test_data_that_are_not_to_be_had_leave_no_folder(
    given: dict[str, Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*arguments: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(hub, "_listing", unreachable)
    with pytest.raises((ValueError, OSError), match=sentence):
        train({"model": "toy", "data": given}, tmp_path / "run", "cpu")
    assert not (tmp_path / "run").exists()


def test_a_taken_folder_is_refused_before_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letter.txt").write_text("not a run")

    def read(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the data were read")

    monkeypatch.setattr(data, "open", read)
    with pytest.raises(ValueError, match="is not a run"):
        train({"model": "toy", "preset": "rings"}, tmp_path, "cpu")
