"""Annealed importance sampling against exact likelihoods, and what gives it away where it is wrong."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lflow.evaluation.annealed import Annealing, LogMean, bounds, log_likelihood, log_normaliser
from lflow.models.latent_flow import LatentFlow, LatentFlowLearner
from tests.latent_cases import DIM, PRIORS, Bowl, linear_case
from tests.statistics import LIMIT, one_thread  # noqa: F401  (a fixture)

LONG = Annealing(num_temperatures=80, num_chains=8, sampler="mala")


def distance(found: LogMean, exact: Tensor) -> float:
    """How far the mean over points lies from the truth, in its standard errors.

    The log of a mean of weights lies below, on average by half its variance: that is put right first.
    """
    away = found.log_mean + found.standard_error.square() / 2 - exact
    error = math.hypot(float(away.std()) / len(away) ** 0.5, found.shared_error)
    return abs(float(away.mean())) / error


@pytest.mark.parametrize(
    ("prior", "sampler"), [("gaussian", "mala"), ("gaussian", "hmc"), ("flow", "mala"), ("ebm", "mala")]
)
def test_likelihood_of_a_linear_model(prior: str, sampler: str) -> None:
    case = linear_case(prior)
    x = case.draw(60)
    exact = case.likelihood(x)
    found = log_likelihood(case.learner, x, replace(LONG, sampler=sampler))
    assert distance(found, exact) < LIMIT
    # The stated error is the error, within what the variance of 60 points shows; and it is small.
    squares = (found.log_mean - exact).square().mean()
    stated = found.standard_error.square().mean() + found.shared_error**2
    assert 0.4 < float(squares / stated) < 2.5
    assert float(stated) ** 0.5 < 0.35
    assert found.effective_sample_size.mean() > 5
    if prior == "ebm":  # without log Z, as if the prior were normalised
        wrong = found._replace(log_mean=found.log_mean + log_normaliser(case.learner.prior, LONG).log_mean)
        assert distance(wrong, exact) > 3 * LIMIT


def test_a_likelihood_without_its_constant_is_off_by_it() -> None:
    case = linear_case("gaussian")
    x = case.draw(60)
    constant = DIM * math.log(2 * math.pi * case.sigma**2) / 2
    whole = case.learner.log_likelihood
    case.learner.log_likelihood = lambda x, z: whole(x, z) + constant  # type: ignore[method-assign]
    found = log_likelihood(case.learner, x, LONG)
    assert distance(found, case.likelihood(x)) > 3 * LIMIT
    assert distance(found, case.likelihood(x) + constant) < LIMIT


def test_a_path_of_too_few_steps_shows() -> None:
    case = linear_case("gaussian", sigma=0.1)
    x = case.draw(60)
    short, long = (log_likelihood(case.learner, x, replace(LONG, num_temperatures=k)) for k in (1, 200))
    assert distance(long, case.likelihood(x)) < LIMIT
    assert short.effective_sample_size.mean() < 2
    below = case.likelihood(x) - short.log_mean
    assert float(below.mean()) > 10  # where the long path's is a fraction of one
    assert float((case.likelihood(x) - long.log_mean).mean().abs()) < 0.3


def test_weights_are_unbiased_however_short_the_path() -> None:
    case = linear_case("flow", sigma=1.0)
    x = case.draw(3)
    found = log_likelihood(case.learner, x, Annealing(num_temperatures=3, num_chains=8_000, sampler="mala"))
    away = (found.log_mean - case.likelihood(x)) / found.standard_error
    assert float(away.abs().max()) < LIMIT
    assert float(found.standard_error.max()) < 0.06
    assert float(found.effective_sample_size.min()) > 300


def test_bounds_enclose_the_likelihood_and_a_short_path_opens_them() -> None:
    case = linear_case("gaussian", sigma=0.2)
    gaps = []
    for num_temperatures in (5, 100):
        found = bounds(case.learner, 100, replace(LONG, num_temperatures=num_temperatures))
        gaps.append(float((found.upper - found.lower).mean()))
        assert float((found.upper - found.lower).mean()) > 0
    assert gaps[1] < 0.5 < 1.5 < gaps[0]


def test_bounds_lie_on_both_sides_of_the_exact_value() -> None:
    case = linear_case("gaussian", sigma=0.2)
    kept: list[Tensor] = []
    draw = case.learner.draw_given

    def remember(z: Tensor, draws: object) -> Tensor:
        kept.append(draw(z, draws))  # type: ignore[arg-type]
        return kept[-1]

    case.learner.draw_given = remember  # type: ignore[method-assign, assignment]
    found = bounds(case.learner, 100, replace(LONG, num_temperatures=8))
    exact = case.likelihood(kept[0])
    for side in (exact - found.lower, found.upper - exact):
        assert float(side.mean()) > LIMIT * float(side.std()) / len(side) ** 0.5


def test_bounds_need_exact_draws() -> None:
    with pytest.raises(ValueError, match="exact draws"):
        bounds(linear_case("ebm").learner, 5)


def test_normaliser_of_an_energy_prior() -> None:
    case = linear_case("ebm")
    found = log_normaliser(case.learner.prior, replace(LONG, num_temperatures=20))
    assert abs(float(found.log_mean) - case.log_z) < LIMIT * float(found.standard_error)
    assert float(found.standard_error) < 0.02
    assert abs(case.log_z) > 20 * float(found.standard_error)  # so that none at all would be seen


class Curved(nn.Module):
    """A generator in the plane that no Gaussian law describes."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.stack([z[:, 0], z[:, 0].square() - z[:, 1], torch.sin(2 * z[:, 1])], 1)


def curved(prior: str) -> LatentFlowLearner:
    torch.manual_seed(1)
    learner = LatentFlow(prior=prior, latent_dim=2, sigma=0.4, flow_width=8, flow_depth=2).build((3,))
    learner.decoder.net = Curved()
    for parameter in learner.prior.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    if prior == "ebm":
        learner.prior.energy = Bowl()
    return learner


@pytest.mark.parametrize("prior", PRIORS)
@torch.no_grad()
def test_likelihood_of_a_curved_model_by_quadrature(prior: str) -> None:
    learner = curved(prior)
    axis = torch.linspace(-8, 8, 401)
    grid = torch.cartesian_prod(axis, axis)
    log_cell = 2 * math.log(float(axis[1] - axis[0]))
    log_prior = learner.log_prior(grid).double()
    log_z = float(log_prior.logsumexp(0)) + log_cell
    assert (abs(log_z) < 0.03) is (prior != "ebm")
    z = torch.randn(30, 2, generator=torch.Generator().manual_seed(2)) * 0.8
    x = Curved()(z)
    rows = [learner.log_likelihood(each.expand(len(grid), 3), grid).double() for each in x]
    exact = torch.stack([(log_prior + row).logsumexp(0) for row in rows]) + log_cell - log_z
    found = log_likelihood(learner, x, replace(LONG, num_chains=16))
    assert distance(found, exact) < LIMIT
    assert float((found.log_mean - exact).abs().mean()) < 0.3


def test_settings_say_what_they_are() -> None:
    assert Annealing(num_temperatures=4, power=2.0).betas() == [0.0, 1 / 16, 1 / 4, 9 / 16, 1.0]
    with pytest.raises(ValueError, match="sampler must be one of"):
        Annealing(sampler="ula")
