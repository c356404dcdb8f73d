"""The flow by maximum likelihood: its exact likelihood comes near the data's entropy, and bits fall."""

import math
from pathlib import Path

import pytest
import torch

import lflow
from lflow import data, energies, models
from lflow.draws import Draws
from lflow.metrics import sliced_wasserstein2
from lflow.models.flow import FlowLearner
from lflow.training.config import make_config

SMALL = {"name": "flow", "flow_depth": 4, "flow_width": 32, "components": 6, "flow_rate": 0.005}


def trained(source: str, folder: Path, num_steps: int, **model: object) -> FlowLearner:
    training = {"num_steps": num_steps, "batch_size": 128, "warmup": 20, "ema": 0.0, "num_samples": 4}
    config = {"model": {**SMALL, **model}, "data": source, "training": training, "seed": 1}
    found = lflow.train(config, folder)
    assert isinstance(found, FlowLearner)
    return found


@pytest.mark.parametrize(("name", "num_steps", "most"), [("rings", 300, 0.6), ("two_moons", 200, 0.1)])
def test_exact_likelihood_falls_to_the_entropy_and_no_lower(
    tmp_path: Path, name: str, num_steps: int, most: float
) -> None:
    energy = energies.get(name)
    x = energy.sample(4000, torch.Generator().manual_seed(7))
    log_p = -energy(x) - energy.log_normaliser()
    learner = trained(name, tmp_path / "run", num_steps, coupling="mixture")
    # The mean of log p - log q over draws of p is the divergence of q from p: never below 0, but for noise.
    gap = log_p - learner.log_prob(x)
    error = gap.std() / len(x) ** 0.5
    assert -4 * error < gap.mean() < most - 4 * error
    normal = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov())
    gain = learner.log_prob(x) - normal.log_prob(x)
    assert gain.mean() > 0.03 + 4 * gain.std() / len(x) ** 0.5, "no better than a Gaussian"
    draws = learner.synthesize(2000, seed=1)
    assert torch.equal(draws, learner.synthesize(2000, seed=1))
    assert sliced_wasserstein2(draws, x[:2000]) < 0.35


def test_bits_of_digits_fall(tmp_path: Path) -> None:
    x = data.load("digits", "test").x
    uniform = math.log2(17)
    learner = trained("digits", tmp_path / "run", 40, flow_depth=2, flow_width=16)
    bits = learner.validate(x, Draws(0, 0))["bits_per_dim"]
    assert bits < uniform - 1.2
    assert float(bits) == pytest.approx(-float(learner.log_prob(x).mean()) / (64 * math.log(2)), abs=0.01)
    shuffled = x.flatten(1)[:, torch.randperm(64, generator=torch.Generator().manual_seed(0))].view_as(x)
    assert (learner.anomaly_score(shuffled) > learner.anomaly_score(x)).float().mean() > 0.95
    check_images(learner, x)
    again = lflow.load(tmp_path / "run")
    assert torch.equal(again.log_prob(x[:5]), learner.log_prob(x[:5]))


def check_images(learner: FlowLearner, x: torch.Tensor) -> None:
    """Samples have the data's grey values, and a path between two images begins and ends at them."""
    sampled = learner.synthesize(20)
    steps = (sampled + 1) * 8
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-5)
    assert sampled.abs().max() <= 1
    path = learner.interpolate(x[:3], x[3:6], 5)
    assert path.shape == (3, 5, 1, 8, 8)
    torch.testing.assert_close(path[:, 0], x[:3])
    torch.testing.assert_close(path[:, -1], x[3:6])


def test_flow_plus_plus_learns_with_all_its_options(tmp_path: Path) -> None:
    options = {"layout": "flow++", "coupling": "mixture", "blocks": 1, "flow_width": 8, "components": 2}
    options |= {"flow_depth": 1, "attention": True, "dropout": 0.2, "dequantisation": "variational"}
    learner = trained("digits", tmp_path / "run", 10, **options)
    x = data.load("digits", "test", limit=100).x
    start = models.get("flow", **options).build((1, 8, 8), 17).eval()
    start.initialise(x, Draws(0, 0))
    bits = [float(each.validate(x, Draws(0, 0))["bits_per_dim"]) for each in (start, learner)]
    assert bits[1] < bits[0] - 0.1


def test_a_step_reaches_every_weight() -> None:
    options = {
        "layout": "flow++",
        "flow_depth": 1,
        "blocks": 1,
        "flow_width": 4,
        "dequantisation": "variational",
    }
    learner = models.get("flow", attention=True, **options).build((1, 8, 8), 17)
    for weight in learner.parameters():  # away from the zeros of the last layers
        weight.data.add_(0.1)
    losses = learner.training_step(data.load("digits", limit=8).x, Draws(0, 0)).losses
    losses["nll"].backward()
    assert [name for name, weight in learner.named_parameters() if weight.grad is None] == []


def test_the_likelihood_takes_its_noise_from_the_draws() -> None:
    torch.manual_seed(0)
    learner = models.get("flow", flow_depth=1, flow_width=4).build((1, 8, 8), 17)
    x = data.load("digits", limit=8).x
    halves = [learner.flow.log_prob(x[4 * k : 4 * k + 4], Draws(0, 3, rank=k, world_size=2)) for k in (0, 1)]
    torch.testing.assert_close(torch.cat(halves), learner.flow.log_prob(x, Draws(0, 3)))
    assert not torch.equal(learner.log_prob(x, seed=1), learner.log_prob(x, seed=2))


@pytest.mark.parametrize("name", models.get_class("flow").presets)
def test_presets_are_settings_of_data_that_there_are(name: str) -> None:
    config = make_config({"model": "flow", "preset": name})
    assert data.describe(config.data.source)
    assert config.model.config()["coupling"] == "mixture"


def test_a_flow_of_one_number_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        models.get("flow").build((1,))
