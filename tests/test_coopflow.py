"""CoopFlow: who learns from what, the chain as published and as coded, and a fixed point in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lflow import data, models
from lflow.draws import Draws
from lflow.energies.custom import FromCallable
from lflow.models import coopflow
from lflow.models.coopflow import LARGEST_MOVE, ClippedDescent, CoopFlow, CoopFlowLearner
from lflow.models.coopflow_presets import PRESETS
from lflow.models.data_flow import DataFlow
from lflow.nets.flows import Flow
from lflow.nets.flows.actnorm import ActNorm
from lflow.nets.flows.logit import ClampedLogit
from lflow.noise import StepNoise
from lflow.training import checkpoint
from lflow.training.folder import RunFolder
from lflow.training.loop import resume, train
from lflow.training.parallel import World
from lflow.training.weights import Weights
from tests.statistics import (
    LIMIT,
    largest,
    one_thread,  # noqa: F401  (for every test here)
    z_of_variance,
)

ALONE = World(0, 1, torch.device("cpu"))


def learner_of(shape: tuple[int, ...] = (2,), levels: int | None = None, **settings: Any) -> CoopFlowLearner:
    """A small pair, the same at every call."""
    small = {"flow_depth": 2, "flow_width": 8, "width": 8, "chain_steps": 3} | settings
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CoopFlow(**small).build(shape, levels)


def points(n: int = 50) -> Tensor:
    return data.load("gaussian_mixture", limit=n).x


def flat(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


# --- who learns from what -------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", ["paper", "as_coded"])
def test_each_loss_teaches_its_own_part_alone(noise: str) -> None:
    learner, x = learner_of(noise=noise), points()
    learner.initialise(x, Draws(0, 0))
    for loss, taught, other in (("energy", learner.net, learner.flow), ("flow", learner.flow, learner.net)):
        learner.zero_grad(set_to_none=True)
        learner.training_step(x, Draws(0, 1)).losses[loss].backward()
        assert all(p.grad is not None for p in taught.parameters() if p.requires_grad)
        assert all(p.grad is None for p in other.parameters())


def test_what_is_learned_from_carries_no_gradient() -> None:
    learner, draws = learner_of(), Draws(0, 0)
    proposed = learner.proposals(5, draws)
    revised = learner.revise(proposed, draws)
    assert not proposed.requires_grad
    assert not revised.requires_grad
    assert not torch.equal(proposed, revised)
    assert all(p.requires_grad for p in learner.parameters())


def test_losses_are_those_of_the_paper() -> None:
    """-(mean f(data) - mean f(x̃)) and -mean log q(x̃), of the x̃ that the same draws give."""
    learner, x = learner_of(chain_steps=7), points()
    learner.initialise(x, Draws(0, 0))
    draws = Draws(3, 4)
    revised = learner.revise(learner.proposals(len(x), draws), draws)
    losses = learner.training_step(x, Draws(3, 4)).losses
    with torch.no_grad():
        torch.testing.assert_close(
            losses["energy"], learner.energy(x).mean() - learner.energy(revised).mean()
        )
        torch.testing.assert_close(losses["flow"], -learner.log_prob_flow(revised).mean())


def test_the_pair_begins_at_what_the_flow_proposes() -> None:
    learner = learner_of()
    torch.testing.assert_close(
        learner.synthesize(4, seed=2),
        learner.revise(learner.propose(4, seed=2), skipped(learner, 4, seed=2)),
    )
    none = learner_of(chain_steps=0)
    assert torch.equal(none.synthesize(4, seed=2), none.propose(4, seed=2))


def skipped(learner: CoopFlowLearner, n: int, seed: int) -> Draws:
    """The draws of a seed after those of n proposals."""
    draws = learner.fresh_draws(seed)
    draws.normal((n, *learner.shape))
    return draws


def test_two_processes_propose_and_revise_what_one_does() -> None:
    learner = learner_of()
    whole = learner.revise(learner.proposals(8, draws := Draws(1, 2)), draws)
    shares = [Draws(1, 2, rank=rank, world_size=2) for rank in (0, 1)]
    parts = [learner.revise(learner.proposals(4, share), share) for share in shares]
    torch.testing.assert_close(torch.cat(parts), whole)


# --- the schedule ---------------------------------------------------------------------------------------


def test_pretraining_then_freezing_then_both() -> None:
    settings = {"start": "pretrained", "pretrain_steps": 3, "freeze_steps": 4, "flow_every": 2}
    learner, x = learner_of(**settings), points()
    learner.initialise(x, Draws(0, 0))
    weights = Weights(learner, ema=0.0)
    moved = []
    for step in range(12):
        before = flat(learner.flow), flat(learner.net)
        found = learner.training_step(x, Draws(0, step))
        weights.descend(torch.stack(list(found.losses.values())).sum(), 1.0, ALONE)
        after = flat(learner.flow), flat(learner.net)
        moved.append("".join(" fn"[k + 1] for k in (0, 1) if not torch.equal(before[k], after[k])))
        if step < 3:
            torch.testing.assert_close(found.losses["energy"], torch.zeros(()))
    assert moved == ["f"] * 3 + ["n"] * 4 + ["fn", "n"] * 2 + ["fn"]


def test_a_pretrained_flow_has_learned_from_data() -> None:
    """The loss of a step of pretraining is that of maximum likelihood."""
    learner, x = learner_of(start="pretrained"), points()
    learner.initialise(x, Draws(0, 0))
    found = learner.training_step(x, Draws(0, 0)).losses["flow"]
    torch.testing.assert_close(found.detach(), -learner.log_prob_flow(x).mean())


def test_no_weights_are_the_best_while_the_flow_is_pretrained() -> None:
    learner, x = learner_of(start="pretrained", pretrain_steps=3, freeze_steps=1), points()
    learner.initialise(x, Draws(0, 0))
    assert learner.validate(x, Draws(0, 3))["sliced_w2"] == math.inf
    assert bool(learner.validate(x, Draws(0, 4))["sliced_w2"].isfinite())


# --- the chain ------------------------------------------------------------------------------------------


def test_the_published_step_is_half_delta_squared() -> None:
    """On a flat energy T steps add noise of variance T δ²; 40,000 numbers, of which half as much is seen."""
    delta, count = 0.03, 30
    learner = learner_of(step_size=delta**2 / 2, chain_steps=count)
    nn.init.zeros_(learner.net.net[-1].weight)  # type: ignore[arg-type]
    start = torch.zeros(20_000, 2)
    moved = learner.revise(start, Draws(0, 0))
    variance = count * delta**2
    assert largest(z_of_variance(moved, variance)) < LIMIT < largest(z_of_variance(moved, variance / 2))


def as_the_authors_coded(x: np.ndarray, slope: Any, step_size: float, count: int) -> np.ndarray:
    """Their loop, from main_cifar_pretrain.py, with f = -U."""
    for _ in range(count):
        delta = np.clip(-0.5 * step_size**2 * -slope(x), -0.1, 0.1)
        x = np.clip(x - delta, -1.0, 1.0)
    return x


def test_as_coded_is_the_authors_loop() -> None:
    delta, centre = 0.9, 0.7
    learner = learner_of((1, 8, 8), 17, noise="as_coded", step_size=delta**2 / 2, chain_steps=6)
    learner.net = Quadratic((1, 8, 8), centre)  # type: ignore[assignment]
    start = 2 * torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
    wanted = as_the_authors_coded(start.numpy(), lambda x: x - centre, delta, 6)
    torch.testing.assert_close(learner.revise(start, Draws(0, 0)), torch.from_numpy(wanted))
    other = learner.revise(start, Draws(1, 5))
    torch.testing.assert_close(other, learner.revise(start, Draws(0, 0)), rtol=0, atol=0)  # no noise at all


@pytest.mark.parametrize("reach", [1.0, 4.0])
def test_as_coded_moves_no_further_than_it_says(reach: float) -> None:
    steep = FromCallable(lambda x: -50 * x.square().sum(1), 2, ())
    mover = ClippedDescent(torch.tensor(reach))
    x = reach * (2 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) - 1)
    noise = StepNoise(torch.full_like(x, 1e6))
    state = mover.init(x, steep, noise)
    for temperature in (0.0, 1.0):
        moved, info = mover.step(state, steep, torch.tensor(0.5), temperature, noise)
        assert float((moved.x - x).abs().max()) == pytest.approx(LARGEST_MOVE * reach)
        assert float(moved.x.abs().max()) <= reach
        assert info.gradient_evaluations == 1
    unbounded = x - 0.5 * steep.grad(x)
    assert float((unbounded - x).abs().max()) > 10 * reach


def test_points_have_a_box_of_their_own() -> None:
    learner, x = learner_of(noise="as_coded", step_size=10.0), points()
    learner.initialise(x, Draws(0, 0))
    assert float(learner.reach) == pytest.approx(1.1 * float(x.abs().max()))
    assert float(learner.revise(100 * x, Draws(0, 0)).abs().max()) <= float(learner.reach)


# --- images ---------------------------------------------------------------------------------------------


def test_the_logit_is_undone_and_nothing_shrinks() -> None:
    """The released code maps back by 2 sigmoid(z) - 1: after three rounds a pixel is 0.73 of what it was."""
    x = data.load("digits", limit=40).x
    learner = learner_of((1, 8, 8), 17)
    learner.initialise(x, Draws(0, 0))
    between = 0.98 * x
    back = learner.flow.flow.to_data(learner.flow.flow.to_latent(between)[0])[0]
    torch.testing.assert_close(back, between, rtol=0, atol=1e-4)
    logit, right, released = ClampedLogit(), between, between
    for _ in range(3):
        right = logit.to_data(logit.to_latent(right)[0])[0]
        released = 2 * logit.to_latent(released)[0].sigmoid() - 1
    torch.testing.assert_close(right, between, rtol=0, atol=1e-5)
    torch.testing.assert_close(released, 0.9**3 * between, rtol=0, atol=1e-5)


def test_images_stay_images() -> None:
    """Proposals have the data's grey values, and x̃ does not leave [-1, 1], where log q would be -∞."""
    x = data.load("digits", limit=40).x
    learner = learner_of((1, 8, 8), 17, step_size=0.1)
    learner.initialise(x, Draws(0, 0))
    proposed = learner.propose(30)
    grey = (proposed + 1) / 2 * 16
    torch.testing.assert_close(grey, grey.round(), rtol=0, atol=1e-4)
    assert float(learner.revise(proposed, Draws(0, 0)).abs().max()) == 1.0
    assert bool(learner.training_step(x, Draws(0, 1)).losses["flow"].isfinite())


# --- a fixed point in closed form -----------------------------------------------------------------------


class Quadratic(nn.Module):
    """U = Σ_i a_i (x_i - b_i)²/2, from a = 1."""

    def __init__(self, shape: tuple[int, ...], centre: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(shape))
        self.centre = nn.Parameter(torch.full(shape, centre))

    def forward(self, x: Tensor) -> Tensor:
        return (self.slope * (x - self.centre).square() / 2).flatten(1).sum(1)


MEAN, STD, STEP = torch.tensor([1.0, -1.0]), 1.0, 0.3


def gaussian_pair(noise: str, chain_steps: int, num_steps: int) -> tuple[float, CoopFlowLearner]:
    """A quadratic energy and a Gaussian flow that learn from N(mean, std²): the last a, and both."""
    rates = {"energy_rate": 0.05, "flow_rate": 0.05}
    learner = learner_of(noise=noise, step_size=STEP, chain_steps=chain_steps, **rates)
    learner.net = Quadratic((2,), 0.0)  # type: ignore[assignment]
    learner.flow = DataFlow(Flow((2,), ActNorm(2)))
    learner.reach.fill_(6.0)
    weights, slopes = Weights(learner, ema=0.0), []
    for step in range(num_steps):
        draws = Draws(0, step)
        found = learner.training_step(MEAN + STD * draws.normal((500, 2)), draws)
        weights.descend(torch.stack(list(found.losses.values())).sum(), 35 / (35 + step), ALONE)
        slopes.append(learner.net.slope.detach().clone())
    return float(torch.stack(slopes[-50:]).mean()), learner


def test_a_gaussian_pair_matches_moments_while_its_energy_is_another_density() -> None:
    """A flow that can follow the chain has its stationary law, and the pair generates the data's.

    ULA's stationary variance is 1/(a (1 - ha/2)): for it to be σ², U must have a = (1 - √(1 - 2h/σ²))/h, 1.23
    here, where the data's own energy has 1/σ² = 1. To within 0.1, and the moments to within 0.06.
    """
    slope, learner = gaussian_pair("paper", chain_steps=2, num_steps=250)
    assert slope == pytest.approx((1 - math.sqrt(1 - 2 * STEP / STD**2)) / STEP, abs=0.1)
    assert slope - 1 / STD**2 > 0.12
    pair = learner.synthesize(20_000)
    torch.testing.assert_close(pair.mean(0), MEAN, rtol=0, atol=0.06)
    torch.testing.assert_close(pair.std(0), torch.full((2,), STD), rtol=0, atol=0.06)


def test_without_noise_a_flow_that_can_follow_leaves_the_energy_nothing_to_do() -> None:
    """Descent moves the law unless U is flat where it is: a = 0, whatever the data. To within 0.1."""
    slope, _ = gaussian_pair("as_coded", chain_steps=20, num_steps=200)
    assert slope == pytest.approx(0.0, abs=0.1)


# --- presets and validation -----------------------------------------------------------------------------


def test_the_paper_s_networks_build() -> None:
    """The energy has the paper's 17.13 million weights, and the flow about its 28.78 million."""
    learner = models.get("coopflow", **PRESETS["cifar10_paper"].model).build((3, 32, 32), 256)
    assert isinstance(learner, CoopFlowLearner)
    counts = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (learner.net, learner.flow)]
    assert counts[0] == pytest.approx(17.13, abs=0.005)
    assert counts[1] == pytest.approx(28.78, rel=0.2)


def test_a_step_of_the_paper_s_networks_in_small() -> None:
    small = {"flow_depth": 2, "flow_width": 8, "blocks": 1, "components": 2, "width": 4, "chain_steps": 2}
    settings = dict(PRESETS["cifar10_paper"].model) | small
    x = data.load("flowers", limit=4).x[:, :, ::4, ::4]
    learner = models.get("coopflow", **settings).build(tuple(x.shape[1:]), 256)
    learner.initialise(x, Draws(0, 0))
    losses = learner.training_step(x, Draws(0, 0)).losses
    torch.stack(list(losses.values())).sum().backward()
    assert all(bool(loss.isfinite()) for loss in losses.values())
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in learner.parameters())


def test_dropout_is_off_while_the_flow_proposes() -> None:
    settings = dict(PRESETS["cifar10_paper"].model) | {"flow_depth": 2, "flow_width": 8, "blocks": 1}
    learner = CoopFlow(**settings | {"components": 2, "dropout": 0.5, "width": 4}).build((3, 8, 8), 256)
    for p in learner.flow.parameters():
        nn.init.normal_(p, 0, 0.1)
    assert learner.training
    torch.testing.assert_close(learner.propose(3), learner.propose(3), rtol=0, atol=0)
    assert learner.flow.training


def test_a_lost_sample_has_no_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, x = learner_of(), points()
    learner.initialise(x, Draws(0, 0))
    whole = learner.validate(x, Draws(0, 0))
    assert all(bool(value.isfinite()) for value in whole.values())
    monkeypatch.setattr(learner, "revise", lambda x, draws, **rest: x.masked_fill(x > 0, math.nan))
    found = learner.validate(x, Draws(0, 0))
    assert found["sliced_w2"] == math.inf == found["mmd"]
    assert found["sliced_w2/flow"] == whole["sliced_w2/flow"]


def test_the_preset_of_the_paper_is_the_paper_s() -> None:
    settings = coopflow.PRESETS["cifar10_paper"]
    assert settings.model["step_size"] == pytest.approx(0.00045)
    assert replace(models.get("coopflow", **settings.model)).chain_steps == 30


def test_a_pretrained_run_has_a_best_once_there_is_a_pair(tmp_path: Path) -> None:
    settings = {"name": "coopflow", "pretrain_steps": 2, "freeze_steps": 0, "chain_steps": 2}
    training = {"batch_size": 8, "validate_every": 1, "checkpoint_every": 1}
    preset = "gaussian_mixture_pretrained"
    config = {"model": settings, "preset": preset, "training": training, "data": {"limit": 80}}
    train({**config, "max_steps": 2}, tmp_path / "run", "cpu")
    assert not RunFolder(tmp_path / "run").best.exists()
    resume(tmp_path / "run", 4, "cpu")
    assert checkpoint.read(RunFolder(tmp_path / "run").best).step > 2
