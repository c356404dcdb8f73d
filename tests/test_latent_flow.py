"""Latent flows: the chain against its exact law, losses against distributions, and what broke elsewhere."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

import lflow
from lflow import samplers, steps
from lflow.draws import Draws
from lflow.models import get, get_class
from lflow.models.latent_flow import LatentFlow, LatentFlowLearner
from lflow.models.latent_priors import EnergyPrior
from lflow.papers.learn import learn
from lflow.short_run import short_run
from lflow.training.config import make_config
from tests.latent_cases import DIM, LATENT, PRIORS, Case, linear_case
from tests.statistics import LIMIT, largest, one_thread, z_of_mean  # noqa: F401  (a fixture)

N = 8_000
H, K = 0.02, 20


def distance_from(z: Tensor, mean: Tensor, covariance: Tensor) -> float:
    """The largest of all first and second moments' distances from a Gaussian's, in standard errors."""
    white = torch.linalg.solve(torch.linalg.cholesky(covariance), (z.double() - mean).T).T
    pairs = white[:, :, None] * white[:, None, :] - torch.eye(LATENT, dtype=torch.float64)
    return max(largest(z_of_mean(white, 0.0)), largest(z_of_mean(pairs.flatten(1), 0.0)))


def one_point(case: Case) -> Tensor:
    return case.draw(1, seed=5)[0]


@pytest.mark.parametrize("prior", PRIORS)
def test_inference_has_the_law_of_its_short_chain(prior: str) -> None:
    case = linear_case(prior, step_size=H, num_steps=K)
    x = one_point(case)
    z = case.learner.infer(x.expand(N, DIM), 1)
    assert distance_from(z, *case.chain_law(x, H, K)) < LIMIT
    # What the chain would be with s taken for h, with s² for s²/2, without noise, and once it has converged.
    posterior = case.posterior_mean(x), case.precision().inverse()
    wrong = [case.chain_law(x, 2 * H, K), case.chain_law(x, H / 2, K), posterior]
    assert min(distance_from(z, *law) for law in wrong) > 2 * LIMIT


@pytest.mark.parametrize("prior", PRIORS)
def test_long_adjusted_chains_reach_the_posterior(prior: str) -> None:
    case = linear_case(prior)
    x = one_point(case)
    data, start = x.expand(N, DIM), torch.randn(N, LATENT, generator=torch.Generator().manual_seed(0))
    mala, rule = samplers.get("mala"), steps.get("constant", step_size=0.1)

    def energy(z: Tensor) -> Tensor:
        return -case.learner.log_joint(data, z)

    run = short_run(energy, start, mala, rule, 60, Draws(2, 0))
    assert run.acceptance is not None
    assert 0.4 < run.acceptance < 0.95
    posterior = case.posterior_mean(x), case.precision().inverse()
    assert distance_from(run.x, *posterior) < LIMIT
    assert distance_from(run.x, case.mean, posterior[1]) > 10 * LIMIT  # a prior that forgets x


@pytest.mark.parametrize("prior", PRIORS)
def test_priors_draw_from_their_densities(prior: str) -> None:
    case = linear_case(prior, prior_step_size=0.05)
    drawn = case.learner.prior.sample(N, Draws(4, 0))
    law = MultivariateNormal(case.mean, case.covariance)
    known = case.learner.log_prior(drawn[:50]).double() - case.log_z
    torch.testing.assert_close(known, law.log_prob(drawn[:50].double()), rtol=0, atol=1e-4)
    if (
        prior == "ebm"
    ):  # its chains stop at 60 steps and are not adjusted: compare with an exact stationary law
        eigenvalue = 1 / case.covariance[0, 0]
        assert distance_from(drawn, case.mean, case.covariance / (1 - 0.05 * eigenvalue / 2)) < LIMIT
    assert (distance_from(drawn, case.mean, case.covariance) < LIMIT) is (prior != "ebm")


def test_likelihood_has_its_constant() -> None:
    case = linear_case("gaussian", sigma=0.3)
    x, z = case.draw(10), torch.randn(10, LATENT, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean = case.learner.decoder.mean(z)
    expected = Independent(Normal(mean, 0.3), 1).log_prob(x)
    torch.testing.assert_close(case.learner.log_likelihood(x, z), expected, rtol=1e-5, atol=1e-4)


def small(prior: str, **settings: object) -> LatentFlowLearner:
    torch.manual_seed(0)
    chosen = LatentFlow(prior=prior, latent_dim=4, width=8, flow_width=8, energy_width=8, num_steps=5)
    return replace(chosen, prior_num_steps=5, **settings).build((1, 8, 8), 17)  # type: ignore[arg-type]


def images(n: int) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1


def gradients(learner: LatentFlowLearner, loss: Tensor) -> list[Tensor]:
    learner.zero_grad()
    loss.backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in learner.parameters()]


@pytest.fixture
def float64() -> object:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("prior", PRIORS)
def test_gradient_is_that_of_the_likelihoods_at_a_fixed_z(prior: str, float64: object) -> None:
    learner, x = small(prior), images(6).double()
    for parameter in learner.parameters():  # a flow begins with zeros, at which gradients vanish
        parameter.data += 0.1 * torch.randn(parameter.shape)
    step = learner.training_step(x, Draws(0, 3))
    found = gradients(learner, torch.stack(list(step.losses.values())).sum())
    draws = Draws(0, 3)
    z = learner.infer(x, draws)
    assert not z.requires_grad
    loss = -Independent(Normal(learner.decoder.mean(z), 0.3), 3).log_prob(x).mean()
    if prior == "flow":
        base, log_det = learner.prior.flow.to_latent(z)  # type: ignore[union-attr, operator]
        loss = loss - (Independent(Normal(torch.zeros(4), 1.0), 1).log_prob(base) + log_det).mean()
    if prior == "ebm":
        energy = learner.prior.energy  # type: ignore[union-attr]
        loss = loss + energy(z).mean() - energy(learner.prior.sample(6, draws)).mean()  # type: ignore[operator]
    for one, other in zip(found, gradients(learner, loss), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert all(p.requires_grad for p in learner.parameters())


def test_the_coded_loss_is_the_published_one_on_another_scale() -> None:
    x = images(6)
    published, coded = (small("gaussian", loss=name) for name in ("published", "coded"))
    one, other = (gradients(m, m.training_step(x, Draws(0, 0)).losses["decoder"]) for m in (published, coded))
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(2 * 0.3**2 * mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("n", [1, 7])
def test_a_batch_of_one_and_a_last_partial_batch(prior: str, n: int) -> None:
    learner, x = small(prior), images(n)
    learner.initialise(x, Draws(0, 0))
    step = learner.training_step(x, Draws(0, 0))
    assert all(loss.isfinite() and loss.ndim == 0 for loss in step.losses.values())
    assert learner.infer(x).shape == (n, 4)
    assert learner.reconstruct(x).shape == x.shape
    assert learner.anomaly_score(x).shape == (n,)


def test_shares_of_a_batch_teach_what_the_whole_does() -> None:
    learner, x = small("ebm"), images(8)
    whole = gradients(learner, torch.stack(list(learner.training_step(x, Draws(0, 2)).losses.values())).sum())
    shares = []
    for rank, part in enumerate(x.chunk(2)):
        losses = learner.training_step(part, Draws(0, 2, rank=rank, world_size=2)).losses
        shares.append(gradients(learner, torch.stack(list(losses.values())).sum()))
    for one, *others in zip(whole, *shares, strict=True):
        torch.testing.assert_close(one, torch.stack(others).mean(0), rtol=1e-4, atol=1e-5)


def test_inference_without_noise_is_a_descent(float64: object) -> None:
    learner, x = small("flow", noise="off"), images(3).double()
    z = Draws(9, 0, use=102).normal((3, 4)).double()
    for _ in range(5):
        z.requires_grad_(True)
        error = (x - learner.decoder.mean(z)).square().sum()
        energy = error / (2 * 0.3**2) - learner.prior.log_prob(z).sum()
        z = (z - 0.005 * torch.autograd.grad(energy, z)[0]).detach()
    torch.testing.assert_close(learner.infer(x, 9), z, rtol=1e-9, atol=1e-9)
    assert not torch.equal(learner.infer(x, 9), replace_noise(learner, "on").infer(x, 9))


def replace_noise(learner: LatentFlowLearner, noise: str) -> LatentFlowLearner:
    other = replace(learner.settings, noise=noise).build(learner.shape)
    other.load_state_dict(learner.state_dict())
    return other


@pytest.mark.parametrize("prior", PRIORS)
def test_what_a_trained_model_does(prior: str) -> None:
    learner, x = small(prior), images(20)
    found = learner.validate(x, Draws(0, 0))
    assert all(math.isfinite(value) for value in found.values())
    assert found[learner.best] >= 0
    assert 0 <= found["latent_two_sample_accuracy"] <= 1
    samples = learner.synthesize(6, seed=2)
    assert samples.shape == (6, 1, 8, 8)
    assert samples.abs().max() <= 1
    assert torch.equal(samples, learner.synthesize(6, seed=2))
    assert not torch.equal(samples, learner.synthesize(6, seed=3))
    between = learner.interpolate(x[:4], x[4:8], 5)
    assert between.shape == (4, 5, 1, 8, 8)
    ends = learner.infer(x[:8], 0).chunk(2)
    torch.testing.assert_close(between[:, 0], learner.decoder.mean(ends[0]))
    torch.testing.assert_close(between[:, -1], learner.decoder.mean(ends[1]))
    z = learner.infer(x, 0)
    torch.testing.assert_close(learner.anomaly_score(x, 0), -learner.log_joint(x, z))
    assert not any(each.requires_grad for each in (samples, between, z))


def shape_of(preset: str) -> tuple[int, ...]:
    data = get_class("latent_flow").presets[preset].data
    return {"digits": (1, 8, 8), "mnist": (1, 28, 28), "celeba": (3, 64, 64)}.get(data, (3, 32, 32))


@pytest.mark.parametrize("preset", get_class("latent_flow").presets)
def test_presets_build_and_take_a_step(preset: str) -> None:
    config = make_config({"model": "latent_flow", "preset": preset})
    learner = replace(config.model, num_steps=2, prior_num_steps=2).build(shape_of(preset), 256)  # type: ignore[call-arg]
    x = torch.zeros(1, *shape_of(preset))
    losses = learner.training_step(x, Draws(0, 0)).losses
    torch.stack(list(losses.values())).sum().backward()
    parts = learner.parts()
    assert set(parts) == ({"decoder"} if config.model.prior == "gaussian" else {"decoder", "prior"})  # type: ignore[attr-defined]
    assert all(p.grad is not None for part in parts.values() for p in part.module.parameters())


def test_published_settings() -> None:
    settings = get_class("latent_flow").presets["svhn_paper"]
    model = get("latent_flow", **settings.model)
    assert isinstance(model, LatentFlow)
    assert model.step_size == pytest.approx(0.1**2 / 2)
    assert model.prior_step_size == pytest.approx(0.4**2 / 2)
    assert (model.sigma, model.num_steps, model.latent_dim, model.noise) == (0.3, 20, 100, "on")
    learner = model.build((3, 32, 32))
    layers = [tuple(p.shape) for p in learner.decoder.net.parameters() if p.ndim == 4]
    assert layers == [(100, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 3, 4, 4)]
    energy = replace(model, prior="ebm").build((3, 32, 32)).prior
    assert isinstance(energy, EnergyPrior)
    assert [tuple(p.shape) for p in energy.energy.parameters() if p.ndim == 2] == [
        (200, 100),
        (200, 200),
        (1, 200),
    ]


def test_what_it_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="prior must be one of gaussian, flow, ebm"):
        LatentFlow(prior="vae")
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        LatentFlow(latent_dim=1).build((2,))


def test_learning_in_memory_ends_where_training_does(tmp_path: Path) -> None:
    chosen = {"name": "latent_flow", "width": 8, "flow_width": 8, "latent_dim": 4, "num_steps": 3}
    training = {"num_steps": 4, "batch_size": 400, "decay": 0.9, "ema": 0.5}  # a pass has three batches
    config = {"model": chosen, "data": "digits", "training": training, "seed": 5}
    trained, learned = lflow.train(config, tmp_path / "run", device="cpu"), learn(config)
    for name, weight in trained.state_dict().items():
        assert torch.equal(weight, learned.state_dict()[name]), name
