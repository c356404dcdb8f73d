"""`lflow evaluate --compare`: several models in one table, what it says of each, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lflow
from lflow.evaluation import comparison
from lflow.evaluation.subject import Score, Subject
from lflow.training.config import DataChoice
from tests import toy_model  # noqa: F401  (the model "toy")
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.test_cli import answer
from tests.test_commands_learn import one_line


def test_runs_side_by_side(tmp_path: Path, say: Any) -> None:
    for seed in (0, 1):
        lflow.train(
            {"model": "toy", "preset": "rings", "max_steps": 3, "seed": seed}, tmp_path / f"run{seed}"
        )
    runs = [tmp_path / f"run{seed}" for seed in (0, 1)]
    common = ("--num", "50", "--limit", "60")
    out = tmp_path / "table.csv"
    said = say("evaluate", runs[0], "--compare", runs[1], *common, "--out", out)
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].split() == [path.name for path in runs]
    assert lines[1].count("best by") == 2
    assert any(line.startswith("log-likelihood") and "nats" in line for line in lines)
    assert any(line.startswith("  the data's own law") for line in lines)
    assert "±: standard error over test data" in said.out
    alone = answer(say("evaluate", runs[1], *common, "--json"))
    together = answer(say("evaluate", runs[0], "--compare", runs[1], *common, "--json"))
    assert together["runs"][1]["scores"] == alone["scores"]
    rows = [line.split(",") for line in out.read_text().splitlines()]
    assert rows[0] == ["run", "score", "value", "error", "unit"]
    assert float(next(row for row in rows if row[0] == str(runs[1]))[2]) == alone["scores"][0]["value"]
    last = say("evaluate", runs[0], "--compare", runs[1], *common, "--checkpoint", "last")
    assert last.out.splitlines()[1].count("last, step 3") == 2
    assert answer(say("evaluate", runs[1], *common, "--checkpoint", "last", "--json"))["checkpoint"].endswith(
        "last.safetensors"
    )
    one_line(say("evaluate", runs[0], *common, "--checkpoint", "first"), 2, "must be one of best, last")
    one_line(say("evaluate", runs[0], "--compare", runs[0]), 2, "--compare needs another run")
    one_line(say("evaluate", runs[0], "--out", out), 2, "--compare")
    one_line(say("evaluate", runs[0], "--compare", runs[1], "--out", tmp_path / "a.txt"), 2, ".csv")


def subject(data: dict[str, Any], **settings: Any) -> Subject:
    choice = DataChoice(source="digits", **data)
    learner = lflow.models.get("latent_flow", **settings).build((1, 8, 8), 2 if choice.binary else 17)
    return Subject(learner, choice)


def test_what_cannot_be_compared_is_refused() -> None:
    one = subject({})
    comparison.check({"a": one, "b": subject({"limit": 100}, sigma=0.5)})
    with pytest.raises(ValueError, match="a and b cannot be compared: their data differ in binary"):
        comparison.check({"a": one, "b": subject({"binary": True})})
    with pytest.raises(ValueError, match="a of densities, b of 17 grey values"):
        comparison.check({"a": one, "b": subject({}, likelihood="logistic")})


def test_a_table_has_a_column_for_each_run() -> None:
    first = [
        Score("error", 1.5, 0.25, "nats", {"a mean": 2.0}, "of x"),
        Score("other", 3.0, None, "", {}, ""),
    ]
    chosen = {"one": "best by nll, step 3", "two": "last, step 9"}
    two = first[0]._replace(about="of y")
    table = comparison.side_by_side({"one": first, "two": [two]}, chosen)
    assert table.splitlines() == [
        "             one                  two",
        "checkpoint   best by nll, step 3  last, step 9",
        "error, nats  1.5 ± 0.25           1.5 ± 0.25",
        "  a mean     2                    2",
        "other        3                    none",
        "",
        "±: standard error over test data, the same for all runs.",
        "error, one: of x",
        "error, two: of y",
    ]


def test_what_takes_no_model_is_of_each_run() -> None:
    one, two = (Score("error", 1.5, None, "", {"a mean": v, "the law": 7.0}, "of x") for v in (2.0, 3.0))
    lines = comparison.side_by_side({"one": [one], "two": [two]}, {"one": "", "two": ""}).splitlines()
    assert [line.split() for line in lines[3:5]] == [["a", "mean", "2", "3"], ["the", "law", "7", "7"]]
    assert lines[-1] == "error: of x"
    written = comparison.as_csv({"one": [one], "two": [two]})
    assert '"(a mean, of two)",error,3.0,,' in written
