"""The importance-weighted protocol against exact likelihoods, and what shows a proposal that does not fit."""

import math

import pytest
import torch
from torch import Tensor, nn

from lflow import models
from lflow.draws import Draws
from lflow.evaluation import annealed, importance, likelihood
from lflow.evaluation.annealed import Annealing, LatentModel
from lflow.evaluation.importance import Proposal, fitted, log_likelihood
from lflow.evaluation.subject import Subject
from lflow.models.latent_flow import LatentFlow, LatentFlowLearner
from lflow.training.config import DataChoice
from tests.latent_cases import LATENT, PRIORS, linear_case
from tests.statistics import LIMIT, one_thread  # noqa: F401  (a fixture)


@pytest.fixture(autouse=True)
def one_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is enough where there is one mode."""
    monkeypatch.setattr(importance, "FITS", 1)


@pytest.mark.parametrize("prior", PRIORS)
def test_likelihood_of_a_linear_model(prior: str) -> None:
    case = linear_case(prior, sigma=0.2)
    x = case.draw(60)
    found = log_likelihood(case.learner, x)
    away = found.log_mean - case.likelihood(x)
    # The fit is exact, so that the weights are those of a Gaussian under a Student law, and they are bounded.
    assert found.effective_sample_size.min() > 700
    assert found.standard_error.max() < 0.02
    error = math.hypot(float(found.standard_error.square().mean() / len(x)) ** 0.5, found.shared_error)
    assert abs(float(away.mean())) < LIMIT * error
    assert 0.5 < float(away.var() / found.standard_error.square().mean()) < 2
    assert (found.shared_error > 0) is (prior == "ebm")
    if prior == "ebm":  # without log Z, as if the prior were normalised
        assert abs(float(away.mean()) + case.log_z) > 3 * LIMIT * error


def test_a_fit_is_the_posterior_where_that_is_gaussian() -> None:
    case = linear_case("flow", sigma=0.2)
    x = case.draw(5)
    found = fitted(case.learner, x, Draws(0, 0))
    means = torch.stack([case.posterior_mean(each) for each in x])
    assert (found.mean - means).abs().max() < 0.01 * case.precision().inverse().diagonal().sqrt().min()
    covariances = (found.factor @ found.factor.mT).double()
    assert (covariances - case.precision().inverse()).abs().max() < 1e-3


def prior_itself(model: LatentModel, x: Tensor, draws: Draws) -> Proposal:
    """A proposal that has not seen x."""
    return Proposal(torch.zeros(len(x), LATENT), torch.eye(LATENT).expand(len(x), -1, -1))


def test_a_wrong_proposal_lies_below_and_shows() -> None:
    case = linear_case("gaussian", sigma=0.05)
    x = case.draw(60)
    right, wrong = log_likelihood(case.learner, x), log_likelihood(case.learner, x, propose=prior_itself)
    exact = case.likelihood(x)
    assert right.effective_sample_size.min() > 700 > 50 > wrong.effective_sample_size.mean()
    assert float((exact - right.log_mean).mean()) < 0.01
    assert float((exact - wrong.log_mean).mean()) > 3
    # Many weights bring any proposal near: each is unbiased.
    many = log_likelihood(case.learner, x[:2], 500_000, propose=prior_itself)
    assert ((many.log_mean - exact[:2]).abs() < LIMIT * many.standard_error).all()


def test_a_factor_without_its_volume_is_off_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    case = linear_case("gaussian", sigma=0.2)
    x = case.draw(20)
    monkeypatch.setattr(Proposal, "_log_volume", lambda self: torch.zeros(len(self.mean)))
    away = log_likelihood(case.learner, x).log_mean - case.likelihood(x)
    volume = float(torch.linalg.slogdet(case.precision())[1]) / 2
    assert away.tolist() == pytest.approx([volume] * 20, abs=0.1)
    assert abs(volume) > 1


def curved_digits() -> tuple[LatentFlowLearner, Tensor]:
    """Black and white pixels, an mlp with two hidden layers, and 30 draws of it."""
    torch.manual_seed(0)
    learner = LatentFlow(prior="gaussian", latent_dim=4, likelihood="bernoulli", width=32).build((1, 6, 6), 2)
    for layer in learner.decoder.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.data *= 2.5  # a net that is as curved as one that has learned
    draws = Draws(1, 0)
    with torch.no_grad():
        return learner, learner.draw_given(learner.prior.draw_base(30, draws), draws)


def test_agreement_with_annealing_on_a_curved_model() -> None:
    learner, x = curved_digits()
    found = log_likelihood(learner, x)
    other = annealed.log_likelihood(learner, x, Annealing(100, 16, "mala"))
    error = (found.standard_error.square() + other.standard_error.square()).sqrt()
    assert float(((found.log_mean - other.log_mean) / error).abs().mean()) < 1.5
    assert (
        abs(float((found.log_mean - other.log_mean).mean()))
        < LIMIT * float(error.square().mean() / 30) ** 0.5
    )
    assert found.standard_error.mean() < 0.5 * other.standard_error.mean()


def test_a_mode_that_no_fit_finds_is_missing_without_a_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    class Square(nn.Module):
        """g(z) = z²: two modes, mirrored."""

        def forward(self, z: Tensor) -> Tensor:
            return z.square()

    learner = LatentFlow(prior="gaussian", latent_dim=1, sigma=0.1).build((1,))
    learner.decoder.net = Square()
    x = torch.full((20, 1), 2.0)
    grid = torch.linspace(-8, 8, 40_001)[:, None]
    joint = learner.log_joint(x[:1].expand(len(grid), 1), grid).double()
    exact = float(joint.logsumexp(0)) + math.log(16 / 40_000)
    found = log_likelihood(learner, x)
    monkeypatch.setattr(importance, "FITS", 3)
    several = log_likelihood(learner, x)
    assert (exact - found.log_mean).tolist() == pytest.approx([math.log(2)] * 20, abs=0.06)
    assert found.effective_sample_size.min() > 500
    # Fits from other starts find both.
    assert several.log_mean.tolist() == pytest.approx([exact] * 20, abs=0.1)
    chains = annealed.log_likelihood(learner, x, Annealing(100, 64, "mala")).log_mean.mean()
    assert abs(float(chains) - exact) < 0.2


def test_the_seed_and_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    case = linear_case("gaussian")
    x = case.draw(3)
    one, again, other = (log_likelihood(case.learner, x, 50, seed).log_mean for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    monkeypatch.setattr(importance, "_MOST_ROWS", 80)
    x = case.draw(11)  # two parts, whose weights are drawn in several goes
    whole = log_likelihood(case.learner, x, 50)
    assert whole.log_mean.shape == (11,)
    assert float((whole.log_mean - case.likelihood(x)).abs().max()) < 0.5
    assert log_likelihood(case.learner, x[:1], 50).log_mean.shape == (1,)
    assert all(parameter.grad is None for parameter in case.learner.parameters())


def test_the_report_names_the_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "FITS", 2)
    learner = models.get("vae", latent_dim=2, width=4).build((1, 8, 8), 17)
    (score,) = likelihood.weighted(Subject(learner, DataChoice(source="digits", limit=50), limit=20))
    assert "a mixture of 2 Student laws" in score.about
    assert "Gaussian" not in score.about


def test_progress_ends_where_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    case = linear_case("gaussian")
    x = case.draw(11)
    monkeypatch.setattr(importance, "_MOST_ROWS", 80)
    monkeypatch.setattr(importance, "_FIT_STEPS", 5)
    monkeypatch.setattr(annealed, "_MOST_ROWS", 10)
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    log_likelihood(case.learner, x, 50, tell=tell)
    assert told == [(k, len(told)) for k in range(1, len(told) + 1)]
    told.clear()
    annealed.log_likelihood(case.learner, x, Annealing(num_temperatures=4, num_chains=2), tell=tell)
    assert told == [(k, len(told)) for k in range(1, len(told) + 1)]
