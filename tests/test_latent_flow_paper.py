"""`paper latent-flow`: its jobs, what one of them finds, and that its sentences follow from the numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score

from lflow import data
from lflow.papers import figure, latent_flow, one_protocol
from lflow.papers.experiment import Config, Findings, Record, key
from lflow.papers.latent_flow import LONGER
from lflow.papers.latent_flow_findings import MEASURES
from tests.statistics import one_thread  # noqa: F401  (a fixture)


@pytest.fixture
def with_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_protocol, "is_at_hand", lambda name: True)


@pytest.fixture
def without_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_protocol, "is_at_hand", lambda name: False)


def made_up(config: Config, accuracy: dict[str, float], precision: dict[str, float]) -> Findings:
    """What a run might find: set levels, and a little that depends on the seed."""
    jitter = 0.01 * np.random.default_rng(len(key(config)) + config["seed"]).standard_normal()
    method = config["method"]
    if config["part"] == "anomaly":
        level = precision[method] + jitter
        scores = ("distance",) if method in ("pca", "knn") else ("joint", "likelihood", "error")
        return {"base_rate": 0.1, **dict.fromkeys(scores, level)}
    found: Findings = dict.fromkeys(MEASURES, accuracy[method] + jitter)
    found |= {name: [0.1 + jitter] * len(LONGER) for name in ("squared_error", "log_joint")}
    found["gap"] = None if method == "ebm" else 0.3
    cloud = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).tolist()
    return found | {"points": {"inferred": cloud, "prior": cloud, "labels": [0] * 20}}


def concluded(quick: bool, accuracy: dict[str, float], precision: dict[str, float]) -> Findings:
    jobs = latent_flow.jobs(quick, 5)
    assert len({key(job.config) for job in jobs}) == len(jobs)
    records = [Record(job.config, made_up(job.config, accuracy, precision), 1.0) for job in jobs]
    return latent_flow.conclude(records)


APART = {"gaussian": 0.8, "flow": 0.52, "ebm": 0.6}
PRECISION = {"gaussian": 0.3, "flow": 0.5, "ebm": 0.4, "pca": 0.6, "knn": 0.9}


def test_sentences_say_what_the_numbers_say(with_mnist: None, tmp_path: Path) -> None:
    findings = concluded(False, APART, PRECISION)
    said = " ".join(findings["sentences"])
    assert "by the nearest neighbour the flow is nearer to chance than N(0, I)" in said
    assert "MNIST, a subset of 10,000 and one seed, 20 numbers in z" in said
    assert "One seed: no test of the difference." in said
    assert "No model's score reaches the distance to the 5th neighbour" in said
    assert "flow, log p(x, z) minus N(0, I), log p(x, z): 0.2" in said
    assert "base rate 0.100" in said
    assert "lie apart by N(0, I) 0.30 ± 0.00, flow 0.30 ± 0.00." in said
    files = figure.save(lambda: latent_flow.draw(findings), tmp_path)
    assert all(file.stat().st_size > 10_000 for file in files)


def test_where_nothing_differs_nothing_is_claimed(without_mnist: None) -> None:
    same = dict.fromkeys(APART, 0.5)
    findings = concluded(False, same, dict.fromkeys(PRECISION, 0.3) | {"pca": 0.2, "knn": 0.25})
    said = " ".join(findings["sentences"])
    assert "nearer to chance than" not in said.replace(
        "neither the flow nor N(0, I) is told to be nearer", ""
    )
    assert "not told apart" in said
    assert "MNIST is left out" in said
    assert "MNIST, a subset" not in said


def test_a_first_look_leaves_mnist_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def never(name: str) -> bool:
        raise AssertionError("a first look asks for no files")

    monkeypatch.setattr(one_protocol, "is_at_hand", never)
    findings = concluded(True, APART, PRECISION)
    assert "MNIST is left out" in findings["sentences"][-1]
    assert all(file.exists() for file in figure.save(lambda: latent_flow.draw(findings), tmp_path))


def test_where_mnist_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any) -> None:
        raise OSError("mnist is not on this machine")

    monkeypatch.setattr(data, "open", nowhere)
    assert {job.config["data"] for job in latent_flow.jobs(False, 2)} == {"digits"}


SMALL: Config = {"data": "digits", "latent_dim": 2, "rate": 0.01, "seed": 0, "steps": 3, "temperatures": 3}


def test_a_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_flow, "LONGER", (1, 2))
    found = latent_flow.work(SMALL | {"part": "compare", "method": "flow", "points": 5})
    assert len(found["points"]["inferred"]) == len(found["points"]["prior"]) == 355
    assert all(0 <= found[name] <= 1 for name in ("nearest", "classifier", "acceptance"))
    assert len(found["squared_error"]) == len(found["log_joint"]) == 2
    assert found["log_likelihood"] < 0 < found["sliced_w2"]


def test_a_digit_left_out_is_not_learned_from_and_is_ranked() -> None:
    found = latent_flow.work(SMALL | {"part": "anomaly", "method": "ebm", "held_out": 4})
    labels = data.load("digits", "test").labels
    assert found["base_rate"] == pytest.approx(float((labels == 4).double().mean()))
    assert all(0 < found[score] <= 1 for score in ("joint", "likelihood", "error"))


def test_plain_scores_are_those_of_another_library() -> None:
    config = SMALL | {"part": "anomaly", "method": "pca", "held_out": 4, "latent_dim": 8}
    found = latent_flow.work(config)
    learned = latent_flow.Batches(latent_flow.make_config(latent_flow._settings(config)), torch.device("cpu"))
    known = torch.cat([learned.whole(step) for step in range(learned.per_pass)])
    assert not any((known == row).flatten(1).all(1).any() for row in learned.validation()[:20])
    x, labels = data.load("digits", "test")
    fitted = PCA(8).fit(learned.training().flatten(1).numpy())
    flat = x.flatten(1).numpy()
    error = np.square(flat - fitted.inverse_transform(fitted.transform(flat))).sum(1)
    expected = average_precision_score((labels == 4).numpy(), error)
    assert found["distance"] == pytest.approx(expected, abs=1e-6)
    assert 4 not in _labels_of(learned.training())


def _labels_of(rows: torch.Tensor) -> set[int]:
    """The labels of training images, found again among all."""
    x, labels = data.load("digits", "train")
    table = {image.numpy().tobytes(): int(label) for image, label in zip(x, labels, strict=True)}
    return {table[row.numpy().tobytes()] for row in rows}
