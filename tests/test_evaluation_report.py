"""What `evaluate` finds, on models whose law is known: closed forms, and other libraries' figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from lflow import data, energies
from lflow.data import DataSet
from lflow.evaluation import likelihood, nearness, outliers
from lflow.evaluation.report import report, table
from lflow.evaluation.subject import BATCHES, Score, Subject
from lflow.evaluation.synthesis import synthesize
from lflow.models.base import Learner, Model
from lflow.training.config import DataChoice
from tests.statistics import LIMIT, one_thread  # noqa: F401  (for every test here)

LAW = energies.get("gaussian")


@dataclass(frozen=True)
class Settings(Model):
    """Of a model that is made by hand."""

    name = "by hand"
    temperature: float = 1.0


class ByHand(Learner):
    """Samples of a law, shifted; what else it offers is put on it."""

    def __init__(
        self, draw: Callable[[int, torch.Generator], Tensor], shape: tuple[int, ...] = (2,), **more: Any
    ):
        super().__init__(Settings(**more), shape)
        self.draw = draw
        self.weight = nn.Parameter(torch.zeros(()))

    def synthesize(self, n: int, seed: int = 0) -> Tensor:
        return self.draw(n, torch.Generator().manual_seed(1000 + seed))


def plane(shift: float = 0.0, **more: Any) -> ByHand:
    return ByHand(lambda n, generator: LAW.sample(n, generator) + shift, **more)


def subject(learner: Learner, **more: Any) -> Subject:
    return Subject(learner, DataChoice(source="gaussian"), **{"num": 400, "limit": 1000, **more})


def by_name(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


# --- likelihood ---------------------------------------------------------------------------------------------


def test_the_likelihood_of_the_datas_own_law_is_its_negative_entropy() -> None:
    learner = plane()
    learner.log_prob = lambda x: -LAW(x) - LAW.log_normaliser()
    (score,) = likelihood.exact(subject(learner, limit=5000))
    covariance = torch.cov(LAW.sample(200_000, torch.Generator().manual_seed(0)).double().T)
    entropy = 0.5 * float(torch.logdet(2 * math.pi * math.e * covariance))
    assert score.error is not None
    assert abs(score.value + entropy) < LIMIT * score.error + 0.01
    assert score.beside["the data's own law"] == pytest.approx(score.value, abs=1e-5)


def test_a_wrong_density_is_less_likely_than_the_datas_own_law() -> None:
    learner = plane()
    learner.log_prob = lambda x: -LAW(x - 0.5) - LAW.log_normaliser()
    (score,) = likelihood.exact(subject(learner))
    assert score.error is not None
    assert score.value < score.beside["the data's own law"] - LIMIT * score.error


def test_an_energy_in_the_plane_is_normalised_on_a_grid() -> None:
    learner = plane(temperature=0.5)
    learner.energy = lambda x: 0.5 * LAW(x) + 3.0  # exp(-U/T) is the law, up to a factor
    mean, divergence = likelihood.on_grid(subject(learner))
    assert mean.value == pytest.approx(mean.beside["the data's own law"], abs=1e-3)
    assert divergence.value == pytest.approx(0.0, abs=1e-3)
    wrong = plane(temperature=1.0)
    wrong.energy = learner.energy
    assert likelihood.on_grid(subject(wrong))[1].value > 0.1


class Linear(nn.Module):
    """x = A z + b + σε: log p(x) is a Gaussian's. Of a prior that is not normalised Z is e^1.5."""

    def __init__(self, normalised: bool = True) -> None:
        super().__init__()
        self.normalised = normalised

    def log_base(self, z: Tensor) -> Tensor:
        return -(z.square().sum(1) + z.shape[1] * math.log(2 * math.pi)) / 2

    def draw_base(self, n: int, draws: Any) -> Tensor:
        return draws.normal((n, 2))

    def tilt(self, z: Tensor) -> Tensor:
        return torch.full((len(z),), 0.0 if self.normalised else 1.5)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("measure", [likelihood.weighted, likelihood.annealed])
def test_the_likelihood_of_a_linear_model(
    measure: Callable[[Subject], list[Score]], normalised: bool
) -> None:
    matrix, sigma = torch.tensor([[1.0, 0.2], [0.0, 0.7]]), 0.5
    learner = plane()
    learner.prior = Linear(normalised)

    def log_likelihood(x: Tensor, z: Tensor) -> Tensor:
        error = (x - z @ matrix.T).square().sum(1) / sigma**2
        return -(error + 2 * math.log(2 * math.pi * sigma**2)) / 2

    learner.log_likelihood = log_likelihood
    learner.draw_given = lambda z, draws: z @ matrix.T
    asked = subject(learner, limit=40)
    (score,) = measure(asked)
    law = torch.distributions.MultivariateNormal(torch.zeros(2), matrix @ matrix.T + sigma**2 * torch.eye(2))
    truth = float(law.log_prob(asked.unseen.all().x).mean())
    assert score.value == pytest.approx(truth, abs=0.03)
    assert (likelihood.LESS_LOG_Z in score.about) != normalised
    assert measure(subject(plane())) == []


def test_independent_pixels_are_counted() -> None:
    learner = plane()
    asked = Subject(learner, DataChoice(source="digits", binary=True), limit=50)
    x = asked.unseen.all().x
    white = ((asked.training.all().x > 0).double().sum(0) + 0.5) / (len(asked.training) + 1)
    law = torch.distributions.Bernoulli(white)
    expected = float(law.log_prob((x > 0).double()).flatten(1).sum(1).mean())
    assert likelihood.independent_log_likelihood(asked.training, x) == pytest.approx(expected)


# --- samples ------------------------------------------------------------------------------------------------


def test_samples_of_the_datas_own_law_are_at_the_floor() -> None:
    for score in nearness.of_samples(subject(plane(), limit=0)):
        assert score.error is not None
        assert abs(score.value - score.beside[nearness.FLOOR]) < 3 * score.error, score


def test_samples_of_another_law_are_not() -> None:
    found = by_name(nearness.of_samples(subject(plane(shift=1.5), limit=0)))
    assert set(found) == {"sliced W2", "MMD", "1-NN accuracy"}
    for score in found.values():
        assert score.error is not None
        assert score.value > score.beside[nearness.FLOOR] + 5 * score.error, score
    # Two laws that differ by a shift of (δ, δ) are δ√2/√2 = δ apart.
    assert found["sliced W2"].value == pytest.approx(1.5, abs=0.1)


def test_lost_samples_are_told_and_nothing_else() -> None:
    def draw(n: int, generator: torch.Generator) -> Tensor:
        x = LAW.sample(n, generator)
        x[: n // 4] = torch.nan
        return x

    (score,) = nearness.of_samples(subject(ByHand(draw)))
    assert (score.name, score.value) == ("lost samples", 0.25)


def test_too_few_data_are_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="7 data points to compare samples with are too few"):
        nearness.of_samples(subject(plane(), limit=7))


def test_pictures_are_compared_in_the_features_of_a_classifier(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LFLOW_CACHE", str(tmp_path))
    monkeypatch.setattr("lflow.evaluation.extractor._STEPS", 30)
    digits = data.open("digits", "train").all().x

    def real(n: int, generator: torch.Generator) -> Tensor:
        return digits[torch.randint(len(digits), (n,), generator=generator)]

    def blurred(n: int, generator: torch.Generator) -> Tensor:
        return torch.nn.functional.avg_pool2d(real(n, generator), 3, 1, 1)

    asked = {"choice": DataChoice(source="digits"), "num": 200}
    good, bad = (
        by_name(nearness.of_samples(Subject(ByHand(draw, (1, 8, 8)), **asked))) for draw in (real, blurred)
    )
    assert list(good) == ["Fréchet distance (lflow digits classifier)", "KID", "1-NN accuracy"]
    for name, score in good.items():
        assert score.error is not None
        assert abs(score.value - score.beside[nearness.FLOOR]) < 5 * score.error
        assert bad[name].value > score.value + 20 * score.error


def test_many_samples_come_in_parts_and_the_first_are_those_of_the_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lflow.evaluation.synthesis._MOST_NUMBERS", 200)
    told: list[tuple[int, int]] = []
    found = synthesize(plane(), 250, 3, lambda done, of: told.append((done, of)))
    assert told == [(0, 250), (100, 250), (200, 250)]
    assert torch.equal(found[:100], plane().synthesize(100, 3))
    assert len(found.unique(dim=0)) == 250


# --- anomalies ----------------------------------------------------------------------------------------------


def with_outliers(shift: float, n: int = 400) -> Subject:
    """Two labels, of which the second was held out and lies apart."""
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(n, 2, generator=generator), (torch.arange(n) % 5 == 0).long()
    x[labels == 1] += shift
    asked = Subject(plane(), DataChoice(source="gaussian", held_out=1))
    asked.__dict__["test"] = DataSet("test", x, labels)
    known = torch.randn(500, 2, generator=generator)
    asked.__dict__["training"] = DataSet("training", known, torch.zeros(500, dtype=torch.long))
    return asked


def test_anomalies_are_ranked_beside_base_rate_and_plain_scores() -> None:
    asked = with_outliers(2.0)
    assert outliers.ranked(asked) == []  # no score
    asked.learner.anomaly_score = lambda x, seed: x.sum(1)
    precision, chance = outliers.ranked(asked)
    x, labels = asked.test.all()
    area = roc_auc_score(labels.numpy(), x.sum(1).numpy())
    assert chance.value == pytest.approx(area)
    assert (precision.beside["base rate"], chance.beside["base rate"]) == (0.2, 0.5)
    assert set(precision.beside) == {"base rate", "PCA", "k-NN"}
    # Hanley and McNeil 1982: the standard error of an area under a curve.
    positive, negative = 80, 320
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positive - 1) * (q1 - area**2) + (negative - 1) * (q2 - area**2)
    assert chance.error == pytest.approx((variance / (positive * negative)) ** 0.5, rel=0.3)


def test_without_a_label_held_out_nothing_is_an_anomaly() -> None:
    asked = subject(plane())
    asked.learner.anomaly_score = lambda x: x.sum(1)
    assert outliers.ranked(asked) == []


def test_a_report_asks_what_a_model_offers() -> None:
    learner = plane()
    assert list(by_name(report(subject(learner)))) == ["sliced W2", "MMD", "1-NN accuracy"]
    learner.log_prob = lambda x: -LAW(x) - LAW.log_normaliser()
    scores = report(subject(learner))
    assert scores[0].name == "log-likelihood"
    lines = table(scores).splitlines()
    assert lines[0].startswith("log-likelihood: -")
    assert "± 0.0" in lines[0]
    assert lines[1].startswith("  beside the data's own law -")
    assert f"mean over {BATCHES} batches of 400 samples" in table(scores)
