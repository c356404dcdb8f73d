"""Filling in and taking out noise against closed forms, where all is Gaussian; and a wrong law is seen."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lflow.draws import Draws
from lflow.models.coopflow import CoopFlow
from lflow.models.ebm import EBM
from lflow.models.flow import MaximumLikelihoodFlow
from lflow.models.latent import LatentLearner
from lflow.models.latent_flow import LatentFlowLearner
from lflow.models.restoring import seen_of
from lflow.nets import decoders
from lflow.nets.decoders import BernoulliDecoder, Decoder, GaussianDecoder, LogisticDecoder
from tests.latent_cases import DIM, PRIORS, Case, linear_case
from tests.statistics import LIMIT, largest, one_thread, z_of_mean, z_of_variance  # noqa: F401

CHAINS = 1500
MASK = torch.tensor([1, 0, 0, 1, 0])  # of the five numbers of a point


class Adjusted(LatentFlowLearner):
    """A latent flow whose chains are those of a model that has none of its own."""

    infer_by = LatentLearner.infer_by


def adjusted(prior: str) -> Case:
    case = linear_case(prior)
    case.learner.__class__ = Adjusted
    return case


def conditioned(mean: Tensor, covariance: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of x ~ N(mean, covariance) given y = x + N(0, diag(noise)); infinite: not seen."""
    seen = noise.isfinite()
    gain = covariance[:, seen] @ (covariance[seen][:, seen] + noise[seen].diag()).inverse()
    return mean + gain @ (y - mean)[seen], covariance - gain @ covariance[seen]


def law_of_means(case: Case) -> tuple[Tensor, Tensor]:
    """Of E[x | z], z ~ the prior."""
    return case.weight @ case.mean + case.bias, case.weight @ case.covariance @ case.weight.T


@pytest.mark.parametrize("prior", PRIORS)
def test_what_is_missing_of_a_linear_model(prior: str) -> None:
    case = adjusted(prior)
    x = 3 * case.draw(1)  # so far out that it moves what is not seen
    made = case.learner.inpaint(x, MASK, CHAINS, num_steps=100)[0].double()
    noise = torch.where(MASK > 0, torch.inf, torch.tensor(case.sigma**2)).double()
    mean, covariance = conditioned(*law_of_means(case), x[0].double(), noise)
    hidden = MASK > 0
    assert largest(z_of_mean(made, mean)[hidden]) < LIMIT
    assert largest(z_of_variance(made, covariance.diag(), mean)[hidden]) < LIMIT
    assert torch.equal(made[:, ~hidden].float(), x[:, ~hidden].expand(CHAINS, -1))
    if prior == "flow":
        return  # what is wrong is as wrong as elsewhere, and takes long
    # The prior, as if nothing had been seen, lies far from it.
    wrong = case.learner.inpaint(x, torch.ones(DIM), CHAINS, num_steps=100)[0].double()
    assert largest(z_of_mean(wrong, mean)[hidden]) > 3 * LIMIT
    assert largest(z_of_variance(wrong, covariance.diag(), wrong.mean(0))[hidden]) > 3 * LIMIT


def test_noise_on_a_linear_model() -> None:
    case = adjusted("gaussian")
    x, noise = 3 * case.draw(1), 0.8
    made = case.learner.recover(x, noise, num_chains=CHAINS)[0].double()
    # E[x | z, y] moves by σ²y + noise² E[x | z], and its mean over z given y is E[x | y].
    mean, covariance = law_of_means(case)
    of_x = covariance + case.sigma**2 * torch.eye(DIM).double()
    found, _ = conditioned(mean, of_x, x[0].double(), torch.full((DIM,), noise**2).double())
    assert largest(z_of_mean(made, found)) < LIMIT
    wrong, _ = conditioned(mean, of_x, x[0].double(), torch.full((DIM,), (2 * noise) ** 2).double())
    assert largest(z_of_mean(made, wrong)) > 3 * LIMIT


def test_the_latent_flows_own_chain_is_short_and_grows_towards_the_posterior() -> None:
    case = linear_case("gaussian", step_size=0.01)
    x = 3 * case.draw(1)
    noise = torch.where(MASK > 0, torch.inf, torch.tensor(case.sigma**2)).double()
    mean, _ = conditioned(*law_of_means(case), x[0].double(), noise)
    away = [
        largest(z_of_mean(case.learner.inpaint(x, MASK, CHAINS, num_steps=count)[0], mean)[MASK > 0])
        for count in (None, 400)
    ]
    assert away[0] > 3 * LIMIT > LIMIT > away[1]


class Quadratic(nn.Module):
    """U(x) = xᵀPx/2, as a network."""

    def __init__(self, precision: Tensor) -> None:
        super().__init__()
        self.precision = nn.Parameter(precision)

    def forward(self, x: Tensor) -> Tensor:
        return ((x @ self.precision) * x).sum(1) / 2


PRECISION = torch.tensor([[2.0, -1.2], [-1.2, 1.5]])


def test_an_energy_fills_in_and_takes_out_noise() -> None:
    temperature, noise = 0.5, 0.6
    chosen = EBM(sampler="mala", step_size=0.1, chain_steps=80, temperature=temperature)
    learner = chosen.build((2,))
    learner.net = Quadratic(PRECISION)
    covariance = temperature * PRECISION.double().inverse()
    y = torch.tensor([[1.9, -1.4]])
    made = learner.inpaint(y, torch.tensor([0, 1]), CHAINS)[0].double()
    seen = torch.tensor([0.0, torch.inf]).double()
    mean, within = conditioned(torch.zeros(2).double(), covariance, y[0].double(), seen)
    assert largest(z_of_mean(made[:, 1:], mean[1:])) < LIMIT
    assert largest(z_of_variance(made[:, 1:], within.diag()[1:], mean[1:])) < LIMIT
    assert largest(z_of_mean(made[:, 1:], 0.0)) > 3 * LIMIT
    made = learner.recover(y, noise, num_chains=CHAINS)[0].double()
    seen = torch.full((2,), noise**2).double()
    mean, within = conditioned(torch.zeros(2).double(), covariance, y[0].double(), seen)
    assert largest(z_of_mean(made, mean)) < LIMIT
    assert largest(z_of_variance(made, within.diag(), mean)) < LIMIT
    # As if T were 1 in the term of the noise.
    wrong, _ = conditioned(torch.zeros(2).double(), covariance, y[0].double(), seen / temperature)
    assert largest(z_of_mean(made, wrong)) > 3 * LIMIT


def test_a_step_too_large_for_little_noise_is_shortened() -> None:
    learner = EBM(step_size=0.5, chain_steps=50).build((2,))
    learner.net = Quadratic(PRECISION)
    y = torch.tensor([[0.9, -0.4]])
    made = learner.recover(y, 0.01, num_chains=50)
    assert float((made - y).abs().max()) < 0.1


def test_a_flow_fills_in_by_its_density() -> None:
    torch.manual_seed(0)
    learner = MaximumLikelihoodFlow(flow_depth=2, flow_width=4).build((3,))
    points = torch.randn(500, 3) @ torch.tensor([[1.0, 0.6, 0.0], [0.0, 0.8, 0.5], [0.0, 0.0, 0.7]]) + 0.3
    learner.initialise(points, Draws(0, 0))
    flow = learner.flow.flow  # before it learns, an affine map
    origin, *axes = flow.to_data(torch.cat([torch.zeros(1, 3), torch.eye(3)]))[0].detach().double()
    along = torch.stack([axis - origin for axis in axes], 1)
    # A rotation, so that its numbers depend on one another.
    turn = torch.linalg.qr(torch.randn(3, 3))[0]
    learner.flow.flow.log_prob = lambda x: type(flow).log_prob(flow, x @ turn)  # type: ignore[method-assign]
    law = turn.double() @ origin, turn.double() @ along @ along.T @ turn.double().T
    x = torch.tensor([[1.0, 2.5, 2.8]])
    made = learner.inpaint(x, torch.tensor([1, 0, 0]), CHAINS)[0].double()
    mean, within = conditioned(*law, x[0].double(), torch.tensor([torch.inf, 0.0, 0.0]).double())
    assert largest(z_of_mean(made[:, :1], mean[:1])) < LIMIT
    assert largest(z_of_variance(made[:, :1], within.diag()[:1], mean[:1])) < LIMIT
    assert largest(z_of_mean(made[:, :1], law[0][:1])) > 3 * LIMIT


def pair(**settings: Any) -> Any:
    learner = CoopFlow(step_size=0.02, chain_steps=5, flow_depth=2, flow_width=4, **settings).build((2,))
    learner.net = Quadratic(torch.diag(torch.tensor([1.0, 2.0])))
    learner.reach.fill_(4.0)
    return learner


def test_descent_through_the_chain_is_that_of_a_linear_one() -> None:
    learner = pair(noise="as_coded")
    y, count = torch.tensor([[0.8, -0.3], [0.1, 0.4]]), 30
    seen, draws = seen_of(y, (2,), torch.tensor([0, 1])), Draws(3, 0)
    start = learner.proposals(2, Draws(3, 0))
    through = (1 - 0.02 * torch.tensor([1.0, 2.0])) ** 5  # of the chain, for each number
    starts, ends = learner._matched(seen, draws, count)
    wanted = y / through + (1 - 2 * 0.05 * through**2) ** count * (start - y / through)
    torch.testing.assert_close(starts[:, 0], wanted[:, 0])
    torch.testing.assert_close(starts[:, 1], start[:, 1])  # what is missing pulls nothing
    torch.testing.assert_close(ends, starts * through)
    assert torch.equal(learner.inpaint(y, torch.tensor([0, 1]))[:, :, 0], y[:, :1].expand(2, 4))


def test_no_steps_are_none_for_every_model() -> None:
    learner = pair(noise="as_coded")
    y, mask = torch.tensor([[0.8, -0.3], [0.1, 0.4]]), torch.tensor([0, 1])
    starts, _ = learner._matched(seen_of(y, (2,), mask), Draws(3, 0), 0)
    assert torch.equal(starts, learner.proposals(2, Draws(3, 0)))
    case = adjusted("gaussian")
    drawn = case.learner.prior.sample(2, Draws(3, 0))
    found = case.learner.infer_by(lambda z: z.sum(1), 2, Draws(3, 0), 0)
    assert torch.equal(found, drawn)


def test_a_descent_takes_as_many_rows_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, count = pair(noise="as_coded"), 30
    y = torch.linspace(-1, 1, 14).view(7, 2)
    seen, sizes = seen_of(y, (2,), torch.tensor([0, 1])), []
    monkeypatch.setattr(type(learner), "rows_at_once", 3)
    inner = learner._matched_part
    monkeypatch.setattr(learner, "_matched_part", lambda s, *rest: sizes.append(len(s.y)) or inner(s, *rest))
    starts, ends = learner._matched(seen, Draws(3, 0), count)
    assert sizes == [3, 3, 1]
    through = (1 - 0.02 * torch.tensor([1.0, 2.0])) ** 5
    torch.testing.assert_close(ends, starts * through)


def test_a_long_descent_takes_few_rows_at_once() -> None:
    chosen = CoopFlow(net="conv", width=4, chain_steps=30, flow_levels=2, flow_depth=1, flow_width=4)
    assert chosen.build((1, 8, 8), 17).rows_at_once == 2**20 // (64 * 30)


@pytest.mark.parametrize("part", [2**22, 2**10])
def test_noise_on_many_grey_values_is_a_sum_over_each(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64 and by differences of the distribution function; also far out, and in parts."""
    monkeypatch.setattr(decoders, "_MOST_NUMBERS", part)
    decoder, noise = LogisticDecoder(nn.Identity(), 256), 0.3
    y = torch.linspace(-1.5, 1.5, 21).repeat(2, 1)
    output = torch.linspace(-2, 2, 42).view(2, 21).requires_grad_()
    asked = 0
    inner = decoder.log_prob_of_all

    def counted(output: Tensor) -> Tensor:
        nonlocal asked
        asked += 1
        return inner(output)

    monkeypatch.setattr(decoder, "log_prob_of_all", counted)
    log_prob, mean = decoder.noisy_each(y, output, noise)
    assert log_prob.shape == mean.shape == y.shape
    (gradient,) = torch.autograd.grad(log_prob.sum(), output)
    assert asked == (1 if part > 2**20 else 2 * 11)  # not once a grey value; in parts again for the gradient
    far, values = output.detach().double().requires_grad_(), torch.linspace(-1, 1, 256).double()
    scale = decoder.log_scale.detach().double().exp()
    edges = (values[:-1] + 1 / 255 - far[..., None]) / scale
    ends = torch.zeros_like(edges[..., :1]), torch.ones_like(edges[..., :1])
    cells = torch.cat([ends[0], edges.sigmoid(), ends[1]], -1).diff()
    weights = cells * torch.exp(-((y.double()[..., None] - values) ** 2) / (2 * noise**2))
    wanted = (weights.sum(-1) / math.sqrt(2 * math.pi * noise**2)).log()
    torch.testing.assert_close(log_prob.double(), wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        mean.double(), (weights * values).sum(-1) / weights.sum(-1), rtol=1e-4, atol=1e-4
    )
    (exact,) = torch.autograd.grad(wanted.sum(), far)
    torch.testing.assert_close(gradient.double(), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("noise", ["paper", "as_coded"])
def test_a_pair_reconstructs(noise: str) -> None:
    learner = pair(noise=noise)
    y = torch.tensor([[0.8, -0.3], [0.1, 0.4], [-0.5, 0.2]])
    torch.testing.assert_close(learner.reconstruct(y), y, atol=1e-3, rtol=0)
    assert float((learner.synthesize(3) - y).abs().max()) > 0.1
    between = learner.interpolate(y[:1], y[1:2], 4)
    assert between.shape == (1, 4, 2)
    if noise == "as_coded":  # else fresh noise moves the ends
        torch.testing.assert_close(between[0, [0, -1]], y[:2], atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    "decoder",
    [
        GaussianDecoder(nn.Identity(), 0.4),
        BernoulliDecoder(nn.Identity()),
        LogisticDecoder(nn.Identity(), 5),
    ],
    ids=["gaussian", "bernoulli", "logistic"],
)
def test_the_law_of_a_noisy_number(decoder: Decoder) -> None:
    noise, y = 0.3, torch.linspace(-5, 5, 4001, dtype=torch.float64)[:, None].requires_grad_()
    log_prob, mean = decoder.noisy_each(y, torch.full_like(y, 0.4), noise)
    assert float(log_prob.detach().exp().sum() * 10 / 4000) == pytest.approx(1, abs=1e-3)
    # Tweedie's formula, by autograd: E[x | y] = y + noise² d/dy log p(y).
    (score,) = torch.autograd.grad(log_prob.sum(), y)
    torch.testing.assert_close(mean, y + noise**2 * score, atol=1e-6, rtol=0)


def test_refusals() -> None:
    learner = linear_case("gaussian").learner
    x = torch.zeros(2, DIM)
    shades = MaximumLikelihoodFlow(flow_depth=1, flow_width=4, flow_levels=1).build((1, 4, 4), 2)
    for words, call in {
        "black and white": lambda: shades.recover(torch.zeros(2, 1, 4, 4), 0.5),
        "does not fit": lambda: learner.inpaint(x, torch.ones(DIM + 1)),
        "have the shape": lambda: learner.inpaint(torch.zeros(2, 3), torch.ones(3)),
        "standard deviation": lambda: learner.recover(x, -1.0),
        "a standard deviation": lambda: learner.recover(x, math.nan),
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
