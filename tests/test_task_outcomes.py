"""What comes of a task: what is counted, left out and said, and the picture that names what it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import lflow
from lflow.data import DataSet
from lflow.evaluation.subject import Subject
from lflow.models.base import Learner
from lflow.tasks import TASKS, Outcome, Settings, perform
from lflow.tasks.picture import omitted, rows_picture
from lflow.training import checkpoint
from lflow.training.config import DataChoice
from lflow.training.pictures import LOST, PAPER, as_bytes
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.test_cli import answer
from tests.test_commands_learn import one_line
from tests.test_comparison import subject
from tests.test_models import prepared
from tests.test_tasks import run  # noqa: F401

# --- what is not finite -------------------------------------------------------------------------------------


class Losing:
    """A model that makes of the first data points what is not finite, and for the rest is another."""

    def __init__(self, learner: Learner, lost: int) -> None:
        self.learner, self.lost = learner, lost

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.learner, name)
        if name not in {task.method for task in TASKS.values()}:
            return found

        def method(*given: Any, **named: Any) -> Tensor:
            made = found(*given, **named)
            made[: self.lost] = torch.nan
            return made

        return method


@pytest.mark.parametrize("task", TASKS)
def test_what_is_not_finite_is_counted_and_left_out_of_the_numbers(task: str) -> None:
    sound = subject({"binary": False})
    settings = Settings(num=6, num_chains=2, chain_steps=2, num_points=3)
    lost: Any = Losing(sound.learner, 2)
    outcome = perform(task, Subject(lost, sound.choice), settings)
    assert int((~outcome.whole).sum()) == 2
    assert all(np.isfinite([score.value, *score.beside.values()]).all() for score in outcome.scores)
    if outcome.scores and task != "anomaly":
        assert "4 " in outcome.scores[0].about
    lost.lost = 6
    with pytest.raises(RuntimeError, match="nothing that the model made is finite"):
        perform(task, Subject(lost, sound.choice), settings)


def test_scores_are_of_what_is_finite() -> None:
    sound = subject({})
    lost: Any = Losing(sound.learner, 2)
    outcome = perform("reconstruct", Subject(lost, sound.choice), Settings(num=6))
    away = (outcome.rows["reconstruction"] - outcome.rows["original"])[2:].double().square().mean()
    assert outcome.scores[0].value == pytest.approx(float(away), rel=1e-5)


@pytest.mark.parametrize("task", ["inpaint", "recover"])
def test_chains_that_cannot_move_have_made_nothing(task: str) -> None:
    choice = DataChoice(source="two_moons", limit=200)
    learner = lflow.models.get("flow").build((2,))
    settings = Settings(num=4, num_chains=2, chain_steps=2)
    assert bool(perform(task, Subject(learner, choice), settings).whole.all())
    for parameter in learner.parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(RuntimeError, match="nothing that the model made is finite"):
        perform(task, Subject(learner, choice), settings)


def test_a_mask_that_hides_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="hides nothing: give it a greater --share"):
        perform("inpaint", subject({}), Settings(num=2, mask="random", share=0.0))


def test_weights_that_are_lost_are_one_line(tmp_path: Path, say: Any) -> None:
    lflow.train({"model": "latent_flow", "preset": "digits_gaussian", "max_steps": 1}, tmp_path / "run")
    found = checkpoint.read(checkpoint.find(tmp_path / "run"))
    for tensor in found.tensors.values():
        if tensor.is_floating_point():
            tensor.fill_(torch.nan)
    file = tmp_path / "lost.safetensors"
    checkpoint.write(file, found)
    for task in TASKS:
        out = tmp_path / f"{task}.png"
        one_line(say("generate", file, "--task", task, "--num", "3", "--out", out), 1, "is finite")
        assert not out.exists()


# --- parts and seeds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "method", "sizes"),
    [("interpolate", "interpolate", [1] * 4), ("anomaly", "anomaly_score", [3, 1] * 2)],
)
def test_rows_are_taken_as_they_fit_each_part_with_its_seed(
    task: str, method: str, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an anomaly the data, and as many points that are mixed of them."""
    asked = subject({})
    calls: list[tuple[int, int]] = []
    inner = getattr(asked.learner, method)

    def counted(x: Tensor, *given: Any, seed: int) -> Any:
        calls.append((len(x), seed))
        return inner(x, *given, seed=seed)

    monkeypatch.setattr(asked.learner, method, counted)
    monkeypatch.setattr(type(asked.learner), "rows_at_once", 3)
    asked.seed = 5
    outcome = perform(task, asked, Settings(num=4, num_points=2))
    assert len(outcome.whole) == 4
    assert [size for size, _ in calls] == sizes
    (_, first), (_, second), *_ = calls
    assert first == 5
    assert second != 5


@pytest.mark.parametrize("task", ["interpolate", "anomaly"])
@pytest.mark.parametrize(
    ("name", "draws"), [("hvae", True), ("latent_flow", True), ("vae", False), ("lae", False)]
)
def test_the_seed_is_that_of_a_chain(
    name: str, draws: bool, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same data whatever the seed, which else has their order."""
    monkeypatch.setattr(DataSet, "first_of_shuffle", lambda found, num, seed: found.take(torch.arange(num)))
    learner = prepared(name, "digits")[0].eval()
    chosen = lflow.models.get_class(name).presets["digits"]
    made = []
    for seed in (0, 0, 1):
        asked = Subject(learner, DataChoice(source="digits", **chosen.data_options, limit=50), seed=seed)
        arrays = perform(task, asked, Settings(num=4, num_points=3)).arrays
        made.append(arrays["between" if task == "interpolate" else "scores"])
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2]) == (not draws)


# --- what was asked for -------------------------------------------------------------------------------------


def test_anomalies_are_judged_on_the_points_that_were_asked_for(tmp_path: Path, say: Any) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    seen = subject({"held_out": 4})
    outcome = perform("anomaly", seen, Settings(num=60))
    is_anomaly, scores = outcome.arrays["is_anomaly"], outcome.arrays["scores"]
    assert torch.equal(is_anomaly, outcome.arrays["classes"] == 4)
    assert 0 < int(is_anomaly.sum()) < len(is_anomaly) == 60
    assert bool((scores.diff() >= 0).all())
    by_name = {score.name: score for score in outcome.scores}
    assert by_name["AUPRC"].value == pytest.approx(average_precision_score(is_anomaly, scores))
    assert by_name["AUROC"].value == pytest.approx(roc_auc_score(is_anomaly, scores))
    assert by_name["AUROC"].unit == ""
    assert f"{int(is_anomaly.sum())} of 60 test data points" in by_name["AUROC"].about
    assert outcome.notes == []
    few = perform("anomaly", seen, Settings(num=1))
    assert "raise --num" in few.notes[0]
    assert few.scores == []  # one point is neither ranked nor mixed
    assert outcome.marked is not None
    assert torch.equal(outcome.marked, is_anomaly)
    whole = perform("anomaly", subject({}), Settings(num=2))
    assert "is_anomaly" not in whole.arrays


def test_fewer_than_were_asked_for_and_one_are_said_so(
    run: Path,
    tmp_path: Path,
    say: Any,
) -> None:
    words = ("generate", run, "--out", tmp_path / "a.json", "--force", "--task")
    said = say(*words, "reconstruct", "--num", "100000").out.splitlines()
    assert said[0].startswith(f"{tmp_path / 'a.json'}: 355 reconstructions of {run}")
    assert said[1].endswith("not for the 100,000 asked for")
    report = answer(say(*words, "interpolate", "--num", "100000", "--json"))
    assert report["notes"] == [
        f"the test data are enough for {report['num']} interpolations, not for the 100,000 asked for"
    ]
    said = say(*words, "inpaint", "--num", "1", "--num-chains", "1").out
    assert ": 1 filled-in data point of" in said
    assert "rows: original, " in said
    assert "of one test data point, by one chain" in said


@pytest.mark.parametrize("name", ["latent_flow", "ebm", "coopflow"])
def test_data_of_another_shape_are_refused_by_every_method(name: str) -> None:
    learner: Any = lflow.models.get(name).build((1, 8, 8), 17)
    small, hidden = torch.zeros(2, 1, 6, 6), torch.ones(1, 6, 6)
    calls = {
        "reconstruct": (small,),
        "interpolate": (small, small, 3),
        "inpaint": (small, hidden),
        "recover": (small, 0.5),
        "anomaly_score": (small,),
    }
    for method, given in calls.items():
        if hasattr(learner, method):
            with pytest.raises(ValueError, match=r"have the shape \(1, 8, 8\), not \(1, 6, 6\)"):
                getattr(learner, method)(*given)
    with pytest.raises(ValueError, match=r"\(2,\), not \(3,\)"):
        lflow.models.get("flow").build((2,)).anomaly_score(torch.zeros(4, 3))  # type: ignore[operator]


def test_grey_is_refused_where_data_are_black_and_white() -> None:
    learner: Any = lflow.models.get("latent_flow", likelihood="bernoulli").build((1, 8, 8), 2)
    x = torch.ones(2, 1, 8, 8)
    x[0, 0, 0, 0] = 0.3
    hidden = torch.zeros(1, 8, 8)
    hidden[0, 0, 0] = 1
    for method, given in (
        ("reconstruct", (x,)),
        ("interpolate", (-x.sign(), x, 3)),
        ("anomaly_score", (x,)),
        ("inpaint", (x, torch.zeros_like(hidden))),
    ):
        with pytest.raises(ValueError, match="black, -1, and white, 1, with nothing between"):
            getattr(learner, method)(*given)
    assert learner.inpaint(x, hidden, 1, 0, 1).shape == (2, 1, 1, 8, 8)  # what is grey is missing
    assert learner.recover(x + 0.1, 0.5, num_chains=1, num_steps=1).shape == (2, 1, 1, 8, 8)


# --- pictures -----------------------------------------------------------------------------------------------


def no_data() -> Tensor:
    raise AssertionError("images are drawn on nothing")


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.asarray(image).reshape(-1, 3).tolist()}


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 20), (1, 1, 1)])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_is_a_cross(shape: tuple[int, ...], value: float) -> None:
    images = torch.rand(3, *shape)
    sound = as_bytes(images[[0, 2]])
    images[1, 0, 0, 0] = value
    drawn = as_bytes(images)
    assert np.array_equal(drawn[[0, 2]], sound)
    height, width = shape[1:]
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert tuple(drawn[1, y, x]) == LOST
    assert {tuple(pixel) for pixel in drawn[1].reshape(-1, 3)} <= {LOST, PAPER}
    assert height == 1 or tuple(drawn[1, 0, width // 2]) == PAPER


def test_tiles_are_enlarged_by_a_whole_number_beside_the_names_of_their_rows() -> None:
    x = torch.rand(20, 1, 8, 8) * 2 - 1
    outcome = Outcome({"original": x, "chain 1": -x}, torch.ones(20, dtype=torch.bool), [], {})
    image = np.asarray(rows_picture(outcome, no_data))
    above = as_bytes(x)[:, :, :, 0]
    # Both rows of the first sixteen, and then of the last four, are below one another, enlarged eight times.
    left = next(k for k in range(image.shape[1]) if np.array_equal(image[8:72, k : k + 64, 0], big(above[0])))
    assert left > 50
    assert np.array_equal(image[8:72, left + 67 : left + 131, 0], big(above[1]))
    assert np.array_equal(image[75:139, left : left + 64, 0], big(as_bytes(-x)[0, :, :, 0]))
    gap = 8 + 2 * 67 + 16
    assert np.array_equal(image[gap : gap + 64, left : left + 64, 0], big(above[16]))
    for top in (8, 75, gap, gap + 67):  # a name beside each
        assert (image[top : top + 64, : left - 4] < 100).any()
    assert (image[:, left - 4 : left] == PAPER).all()


def big(image: Any) -> Any:
    return np.kron(image, np.ones((8, 8), np.uint8))


def test_a_ranking_shows_both_ends_and_says_what_it_omits() -> None:
    x = torch.rand(100, 1, 8, 8)
    scores = torch.arange(100.0)
    outcome = Outcome({"ranked": x}, torch.ones(100, dtype=torch.bool), [], {}, ranking=scores)
    assert omitted(outcome) == ["the picture shows the first 32 and the last 32 of 100"]
    shown = [*range(32), *range(68, 100)]
    short = Outcome({"ranked": x[shown]}, outcome.whole[shown], [], {}, ranking=scores[shown])
    assert omitted(short) == []
    assert rows_picture(outcome, no_data) == rows_picture(short, no_data)
    other = short._replace(ranking=scores[shown] + 7)
    assert rows_picture(other, no_data) != rows_picture(short, no_data)
    alone = Outcome({"ranked": x[:1]}, outcome.whole[:1], [], {}, ranking=scores[:1])
    assert rows_picture(alone, no_data).width < 250


@pytest.mark.parametrize("kind", ["results", "path", "ranking"])
def test_points_are_panels_of_one_view(kind: str) -> None:
    known = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    x, lost = known[:5], known[5:10].clone()
    lost[0], lost[1] = torch.nan, 1e30
    rows = {"original": x, "seen": x, "chain 1": lost, "mean": x} if kind != "ranking" else {"ranked": x}
    whole = torch.tensor([False, True, True, True, True])
    outcome = Outcome(rows, whole, [], {}, path=kind == "path")
    if kind == "ranking":
        outcome = outcome._replace(ranking=torch.arange(5.0))
    image = rows_picture(outcome, lambda: known)
    assert image.size[0] == (3 * 316 + 16 if kind == "results" else 492)
    assert 400 < image.size[1] < 700
    assert len(colours(image)) > 20
    moved = {name: each + 1 for name, each in rows.items()}
    assert rows_picture(outcome._replace(rows=moved), lambda: known) != image


def test_vectors_have_no_picture() -> None:
    rows = {"original": torch.zeros(2, 3), "made": torch.zeros(2, 3)}
    with pytest.raises(ValueError, match=r"no picture of data of the shape \(3,\)"):
        rows_picture(Outcome(rows, torch.ones(2, dtype=torch.bool), [], {}), no_data)


def test_the_rows_of_a_restoration_are_named() -> None:
    rows = perform("inpaint", subject({}), Settings(num=2, num_chains=10, chain_steps=2))
    named = list(rows.rows)
    assert named[:2] == ["original", "what the model saw (missing: grey)"]
    assert named[2:10] == [f"chain {k}" for k in range(1, 9)]
    assert named[10:] == ["mean of 10 chains", "their spread (black: 0, white: 1 or more)"]
    assert rows.notes == ["of 10 chains the picture shows the first 8"]
    one = perform("recover", subject({}), Settings(num=2, num_chains=1, chain_steps=2))
    assert list(one.rows) == ["original", "what the model saw", "chain 1"]


def test_what_is_lost_is_counted_in_text_and_json(
    run: Path,
    tmp_path: Path,
    say: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind: Any = type(lflow.load(run))
    made = kind.reconstruct

    def losing(self: Any, x: Tensor, seed: int = 0) -> Tensor:
        found: Tensor = made(self, x, seed)
        return found.index_fill(0, torch.tensor([1]), torch.nan)

    monkeypatch.setattr(kind, "reconstruct", losing)
    words = ("generate", run, "--task", "reconstruct", "--num", "4", "--force", "--out", tmp_path / "a.png")
    report = answer(say(*words, "--json"))
    assert (report["num"], report["lost"]) == (4, 1)
    assert report["scores"][0]["value"] > 0
    assert "1 of 4 is not finite, and left out of the numbers" in say(*words).out.splitlines()
    with Image.open(tmp_path / "a.png") as image:
        assert LOST in colours(image)
