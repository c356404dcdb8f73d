"""What every model's tasks are held to; what a task reports, and the commands that ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import lflow
from lflow import cli, tasks
from lflow.data import DataSet
from lflow.draws import Draws
from lflow.evaluation import plain, reconstruction
from lflow.evaluation.plain import MEAN, NEAREST, compared, guesses
from lflow.evaluation.subject import Subject, numbered_as
from lflow.models import coopflow
from lflow.models.base import Learner
from lflow.tasks import TASKS, Settings, offered, perform
from lflow.tasks.picture import rows_picture
from lflow.training.config import DataChoice
from tests import toy_model  # noqa: F401  (the model "toy")
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.test_cli import answer
from tests.test_commands_learn import one_line
from tests.test_models import prepared, runnable

CASES = runnable()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A descent of few steps: what is tested here holds of any."""
    monkeypatch.setattr(coopflow, "NUM_STEPS", 2)


def same(a: Tensor, b: Tensor) -> bool:
    """Bit for bit, also where neither is a number."""
    return torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0))


def ready(name: str, preset: str) -> tuple[Learner, Tensor]:
    learner, x = prepared(name, preset)
    return learner.eval(), x[:3]


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_what_fills_in_holds_what_is_seen(name: str, preset: str) -> None:
    learner, x = ready(name, preset)
    if "inpaint" not in offered(learner):
        pytest.skip("it cannot")
    learned = [parameter.requires_grad for parameter in learner.parameters()]
    mask = Settings(mask="left").missing(x[:1], 0)[0]
    hidden = mask.expand(len(x), *mask.shape)
    made = learner.inpaint(x, mask, 2, 5, 2)
    assert made.shape == (3, 2, *learner.shape)
    assert not made.requires_grad
    for k in range(2):
        assert torch.equal(made[:, k][~hidden], x[~hidden])
    assert not torch.equal(made[:, 0], made[:, 1])
    assert same(learner.inpaint(x, mask, 2, 5, 2), made)
    assert not same(learner.inpaint(x, mask, 2, 6, 2), made)
    # What is missing has no say, whatever stands there.
    assert same(learner.inpaint(x.masked_fill(hidden, torch.nan), mask.float(), 2, 5, 2), made)
    assert torch.equal(learner.inpaint(x, torch.zeros(learner.shape), 2, 5, 2)[:, 1], x)
    free = learner.inpaint(x, torch.ones_like(x), 2, 5, 2)
    assert same(learner.inpaint(torch.zeros_like(x), torch.ones_like(x), 2, 5, 2), free)
    assert learner.inpaint(x[:1], mask, 1, 5, 2).shape == (1, 1, *learner.shape)
    assert [parameter.requires_grad for parameter in learner.parameters()] == learned


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_what_takes_out_noise(name: str, preset: str) -> None:
    learner, x = ready(name, preset)
    if "recover" not in offered(learner):
        pytest.skip("it cannot")
    made = learner.recover(x, 0.4, num_chains=2, seed=5, num_steps=2)
    assert made.shape == (3, 2, *learner.shape)
    assert bool(made.isfinite().all())
    assert not made.requires_grad
    moved = learner.recover(x, 0.4, num_chains=2, seed=5, num_steps=10)  # time to be a grey value away
    assert not torch.equal(moved[:, 0], moved[:, 1])
    hidden = Settings(mask="centre").missing(x, 0)
    both = learner.recover(x, 0.4, hidden, 2, 5, 2)
    assert same(learner.recover(x.masked_fill(hidden, torch.nan), 0.4, hidden, 2, 5, 2), both)
    assert not same(learner.recover(x, 0.4, hidden, 2, 6, 2), both)
    assert learner.recover(x[:1], 0.4, num_chains=1, num_steps=2).shape == (1, 1, *learner.shape)


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_the_other_tasks(name: str, preset: str) -> None:
    learner, x = ready(name, preset)
    possible = offered(learner)
    assert "synthesize" in possible
    for n in (1, 3):
        if "reconstruct" in possible:
            made = learner.reconstruct(x[:n], seed=5)
            assert made.shape == (n, *learner.shape)
            assert not made.requires_grad
            assert torch.equal(learner.reconstruct(x[:n], seed=5), made)
        if "interpolate" in possible:
            between = learner.interpolate(x[:n], x[:n].flip(0), 4)
            assert between.shape == (n, 4, *learner.shape)
            assert torch.equal(learner.interpolate(x[:n], x[:n].flip(0), 4), between)
        if "anomaly" in possible:
            score = learner.anomaly_score(x[:n])
            assert score.shape == (n,)
            assert bool(score.isfinite().all())
            assert not score.requires_grad


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_every_task_that_is_offered_is_done(name: str, preset: str) -> None:
    learner, _ = ready(name, preset)
    chosen = lflow.models.get_class(name).presets[preset]
    look = {**chosen.data_options, "limit": 50}
    subject = Subject(learner, DataChoice(source=chosen.data, **look), limit=20)
    for task in offered(learner):
        outcome = perform(task, subject, Settings(num=2, num_chains=2, chain_steps=2, num_points=3))
        assert all(len(row) == 2 for row in outcome.rows.values()), task
        assert rows_picture(outcome, lambda: subject.training.batch(slice(50))).width > 100
        for score in outcome.scores:
            assert score.beside
            assert score.about
    for task in set(TASKS) - set(offered(learner)):
        with pytest.raises(ValueError, match=f"{name} cannot {task}; it can: synthesize"):
            perform(task, subject, Settings(num=2))


def test_a_reconstruction_that_takes_long_is_of_few_data(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, _ = ready("coopflow", "digits")
    found = Subject(learner, DataChoice(source="digits", limit=50), limit=30)
    monkeypatch.setattr(coopflow, "NUM_STEPS", 10_000)
    asked: list[int] = []
    monkeypatch.setattr(learner, "reconstruct", lambda x, seed: (asked.append(len(x)), x)[1])
    (score,) = reconstruction.of_data(found)
    assert sum(asked) == 8
    assert "8 test data points" in score.about
    assert "generate --task reconstruct" in score.about


def test_many_rows_are_taken_in_parts_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, _ = ready("ebm", "two_moons")
    told: list[tuple[str, int, int]] = []
    found = Subject(
        learner, DataChoice(source="two_moons", limit=50), limit=20, tell=lambda *words: told.append(words)
    )
    monkeypatch.setattr(type(learner), "rows_at_once", 4)
    for task in ("inpaint", "recover"):
        made = perform(task, found, Settings(num=5, num_chains=2, chain_steps=2)).arrays["made"]
        assert made.shape == (5, 2, 2)
        assert ("data points", 4, 5) in told
        told.clear()


@pytest.mark.parametrize(("preset", "count"), [("digits", 3), ("digits_as_coded", 1)])
def test_chains_that_draw_nothing_are_one_and_have_no_spread(preset: str, count: int) -> None:
    learner, _ = ready("coopflow", preset)
    found = Subject(learner, DataChoice(source="digits", limit=50), limit=20)
    outcome = perform("recover", found, Settings(num=2, num_chains=3, chain_steps=2))
    assert outcome.arrays["made"].shape[1] == count
    assert ("chain 2" in outcome.rows) == (count > 1)
    assert [score.name for score in outcome.scores][1:] == ["spread"] * (count > 1)
    assert ("one chain, which has no spread" in outcome.scores[0].about) == (count == 1)


def test_most_models_can_most() -> None:
    can = {name: offered(prepared(name, preset)[0]) for name, preset in CASES}
    every = ("latent_flow", "coopflow", "vae", "hvae", "langevin_vae", "lae", "clae")
    assert [set(can[name]) for name in every] == [set(TASKS)] * len(every)
    assert set(can["flow"]) == set(TASKS) - {"reconstruct"}
    assert set(can["ebm"]) == set(TASKS) - {"reconstruct", "interpolate"}


LATENT = ("latent_flow", "vae", "hvae", "langevin_vae", "lae", "clae")


@pytest.mark.parametrize("name", LATENT)
def test_photographs_have_256_grey_values(name: str) -> None:
    """Every latent model with the law of grey values: it learns, fills in and takes out noise."""
    torch.manual_seed(0)
    x = torch.randint(256, (4, 1, 4, 4)) / 127.5 - 1
    settings = {"likelihood": "logistic", "latent_dim": 2, "width": 8}
    learner = lflow.models.get(name, **settings).build((1, 4, 4), 256)
    learner.initialise(x, Draws(0, 0))
    losses = learner.training_step(x, Draws(0, 0)).losses
    assert all(bool(loss.isfinite()) for loss in losses.values())
    made = learner.eval().recover(x, 0.2, num_chains=2, num_steps=2)
    assert made.shape == (4, 2, 1, 4, 4)
    assert bool(made.isfinite().all())
    assert learner.inpaint(x, torch.ones(1, 4, 4), 1, 0, 2).shape == (4, 1, 1, 4, 4)


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_a_step_in_bfloat16_is_that_of_float32_nearly(name: str, preset: str) -> None:
    """As on CUDA if nothing is said: losses in float32, and near what they are without."""
    found = []
    for wanted in (False, True):
        learner, x = prepared(name, preset)
        with torch.autocast("cpu", torch.bfloat16, enabled=wanted):
            losses = learner.training_step(x, Draws(5, 3)).losses
        torch.stack([loss.float() for loss in losses.values()]).sum().backward()
        grown = [p.grad for p in learner.parameters() if p.grad is not None]
        assert all(bool(grad.isfinite().all()) for grad in grown)
        found.append({key: loss.detach().float() for key, loss in losses.items()})
    for key, loss in found[0].items():
        assert float(found[1][key]) == pytest.approx(float(loss), rel=0.05, abs=0.1), key


# --- masks, and what takes no model -------------------------------------------------------------------------


def test_masks() -> None:
    x = torch.zeros(3, 2, 8, 8)
    centre = Settings().missing(x, 0)
    assert bool(centre[:, :, 2:6, 2:6].all())
    assert int(centre.sum()) == 3 * 2 * 16
    left = Settings(mask="left").missing(x, 0)
    assert bool(left[..., :4].all())
    assert int(left.sum()) == 3 * 2 * 32
    random = Settings(mask="random", share=0.3).missing(torch.zeros(400, 2, 8, 8), 1)
    assert torch.equal(random[:, 0], random[:, 1])
    assert not torch.equal(random[0], random[1])
    assert abs(float(random.double().mean()) - 0.3) < 4.5 * (0.21 / (400 * 64)) ** 0.5
    assert torch.equal(Settings(mask="random", share=0.3).missing(torch.zeros(400, 2, 8, 8), 1), random)
    assert Settings().missing(torch.zeros(1, 2), 0).tolist() == [[True, False]]
    assert Settings().missing(torch.zeros(1, 1, 3, 3), 0).sum() == 4


def test_what_takes_no_model_is_what_scikit_learn_finds() -> None:
    from sklearn.neighbors import NearestNeighbors

    generator = torch.Generator().manual_seed(0)
    known, x = torch.randn(200, 6, generator=generator), torch.randn(300, 6, generator=generator)
    visible = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0, 1.0]).expand(300, 6)
    found = guesses(points_of(known), x, visible)
    shown = visible[0] > 0
    nearest = NearestNeighbors(n_neighbors=1).fit(known[:, shown]).kneighbors(x[:, shown])[1][:, 0]
    assert torch.equal(found[NEAREST], known[torch.from_numpy(nearest)])
    torch.testing.assert_close(found[MEAN][0], known.mean(0))
    score = compared("error", found[MEAN], x, visible == 0, found, "")
    assert score.value == pytest.approx(float((known.mean(0) - x)[:, ~shown].square().mean()), rel=1e-5)
    assert score.beside[MEAN] == pytest.approx(score.value)


def points_of(x: Tensor) -> DataSet:
    return DataSet("known", x, torch.zeros(len(x), dtype=torch.int64), None)


def test_no_more_of_the_training_data_is_moved_than_is_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_MOST_KNOWN", 60)
    moved: list[int] = []
    inner = DataSet.batch

    def batch(known: DataSet, indices: Any, device: Any = None) -> Tensor:
        made = inner(known, indices, device)
        moved.extend([] if device is None else [len(made)])
        return made

    monkeypatch.setattr(DataSet, "batch", batch)
    known, x = torch.randn(1000, 6), torch.zeros(3, 6)
    found = guesses(points_of(known), x, torch.ones(3, 6))
    assert moved == [10]
    torch.testing.assert_close(found[MEAN][0], known.mean(0))  # of all
    assert bool((known[:10] == found[NEAREST][0]).all(1).any())


def test_labels_in_words_are_told_by_their_names() -> None:
    found = DataSet("words", torch.zeros(4, 2), torch.tensor([0, 1, 1, 0]), None, ("cat", "eel"))
    seen = numbered_as(("ape", "cat", "dog", "eel"), found)
    assert seen.labels.tolist() == [1, 3, 3, 1]
    assert seen.label_names == ("ape", "cat", "dog", "eel")
    more = numbered_as(("eel",), found)
    assert (more.labels.tolist(), more.label_names) == ([1, 0, 0, 1], ("eel", "cat"))
    for names in (("ape", "cat"), ()):
        with pytest.raises(ValueError, match="do not name the same labels"):
            numbered_as(names, found)


# --- the commands -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A latent flow that has hardly learned."""
    path = tmp_path_factory.mktemp("tasks") / "latent"
    config = {"model": "latent_flow", "preset": "digits_gaussian", "max_steps": 3}
    lflow.train(config, path)
    return path


def test_generate_inpaints(run: Path, tmp_path: Path, say: Any) -> None:
    words = ("generate", run, "--task", "inpaint", "--mask", "left", "--num", "5", "--seed", "3", "--out")
    report = answer(say(*words, tmp_path / "a.npz", "--json"))
    assert (report["num"], report["shape"], report["task"]) == (5, [1, 8, 8], "inpaint")
    error, spread = report["scores"]
    assert set(error["beside"]) == {MEAN, NEAREST}
    assert "without p(x|z)'s own noise" in spread["about"]
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        x, made, where = (torch.from_numpy(arrays[name]) for name in ("x", "made", "where"))
        assert json.loads(str(arrays["config"]))["model"]["name"] == "latent_flow"
    test = lflow.data.open("digits", "test").first_of_shuffle(5, 3).all().x
    assert torch.equal(x, test)
    assert torch.equal(where, torch.arange(8).lt(4).expand(5, 1, 8, 8))
    away = (made.mean(1) - x)[where].double().square().mean()
    assert error["value"] == pytest.approx(float(away), rel=1e-5)
    assert spread["value"] == pytest.approx(float(made.std(1)[where].square().mean().sqrt()), rel=1e-5)
    mean = lflow.data.open("digits", "train").all().x.mean(0)
    assert error["beside"][MEAN] == pytest.approx(float((mean - x)[where].square().mean()), rel=1e-4)
    assert say(*words, tmp_path / "a.png").code == 0
    with Image.open(tmp_path / "a.png") as image:
        assert image.height > image.width  # original, seen, four chains, their mean and spread
    assert say(*words, tmp_path / "a.json").code == 0
    kept = json.loads((tmp_path / "a.json").read_text())
    assert kept["scores"] == report["scores"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--task", "paint"), "there is no task 'paint'; there are: synthesize, reconstruct"),
        (("--task", "reconstruct", "--mask", "left"), "--mask is not for reconstruct"),
        (("--task", "inpaint", "--share", "0.2"), "--share is for --mask random"),
        (("--task", "inpaint", "--mask", "random", "--share", "0"), "hides nothing"),
        (("--task", "inpaint", "--mask", "top"), "mask must be one of centre, left, random"),
        (("--task", "recover", "--noise", "0"), "noise must be between"),
        (("--task", "inpaint", "--out", "many.npy"), "let --out end in .npz"),
    ],
)
def test_bad_arguments_of_a_task(
    run: Path, tmp_path: Path, say: Any, words: tuple[str, ...], sentence: str, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    one_line(say("generate", run, "--out", "a.json", "--num", "2", *words), 2, sentence)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_says_what_it_can(tmp_path: Path, say: Any) -> None:
    lflow.train({"model": "toy", "preset": "rings", "max_steps": 2}, tmp_path / "toy")
    said = say("generate", tmp_path / "toy", "--task", "inpaint", "--out", tmp_path / "a.png")
    one_line(said, 2, "a model of the kind toy cannot inpaint; it can: synthesize")


def test_progress_is_told_through_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(cli.time, "monotonic", lambda: now)
    tell = cli.teller(True)
    for what, seconds in (("a", 0.5), ("a", 0.7), ("a", 1.0), ("a", 2.5), ("b", 0.5), ("b", 1.0)):
        now += seconds
        tell(what, 1, 2000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["a: 1 of 2,000", "a: 1 of 2,000", "b: 1 of 2,000"]
    cli.teller(False)("a", 1, 2)
    assert capsys.readouterr().err == ""


def test_there_is_one_name_for_each_task() -> None:
    assert list(TASKS) == ["synthesize", "reconstruct", "interpolate", "inpaint", "recover", "anomaly"]
    with pytest.raises(ValueError, match="there is no task"):
        tasks.find("paint")
