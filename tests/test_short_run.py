"""A short chain: the steps of `simulate`, nothing learned by accident, everything differentiable."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lflow
from lflow import samplers, steps
from lflow.draws import Draws
from lflow.noise import StepNoise
from lflow.short_run import frozen, short_run


def rule(step_size: float = 0.1) -> steps.StepRule:
    return steps.get("constant", step_size=step_size)


def quadratic(x: Tensor) -> Tensor:
    return x.square().sum(1) / 2


def two_steps(net: nn.Module) -> Tensor:
    """Where two steps on a network of one output lead."""
    return short_run(lambda x: net(x)[:, 0], torch.zeros(3, 2), samplers.get("ula"), rule(), 2, Draws(0, 0)).x


class Kept(Draws):
    """Draws that remember what they gave."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, 0)
        self.given: list[StepNoise] = []

    def step_noise(self, x: Tensor, extra: object) -> StepNoise:
        self.given.append(super().step_noise(x, extra))  # type: ignore[arg-type]
        return self.given[-1]


@pytest.mark.parametrize("sampler", ["ula", "anila", "proximal"])
def test_a_short_run_is_a_run(sampler: str) -> None:
    target = lflow.energies.get("gaussian", dim=3)
    start, draws = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)), Kept(1)
    ours = short_run(target, start, samplers.get(sampler), rule(), 5, draws)
    noise = lflow.Noise(0, torch.stack([given.primary for given in draws.given[1:]]))
    theirs = lflow.simulate(
        target, sampler, step_size=0.1, num_steps=5, init=start, noise=noise, record_every=1
    )
    torch.testing.assert_close(ours.x, theirs.positions[-1])
    assert ours.gradient_evaluations == theirs.gradient_evaluations[-1]
    assert ours.starts is None
    kept = short_run(target, start, samplers.get(sampler), rule(), 5, Kept(1), keep=True)
    assert kept.starts is not None
    torch.testing.assert_close(kept.starts, theirs.positions[:-1])


@pytest.mark.parametrize("sampler", samplers.names())
def test_every_sampler_runs_short(sampler: str) -> None:
    start = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    chosen = samplers.get(sampler)
    done = short_run(lflow.energies.get("gaussian", dim=3), start, chosen, rule(), 2, Draws(0, 0))
    assert done.x.shape == start.shape
    assert (done.acceptance is not None) == chosen.has_accept_step


def test_a_chain_is_differentiable_through_every_step() -> None:
    start = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    end = short_run(quadratic, start, samplers.get("ula"), rule(), 6, Draws(0, 0)).x
    (slope,) = torch.autograd.grad(end.sum(), start)
    torch.testing.assert_close(slope, torch.full_like(slope, 0.9**6))  # x' = (1 - h) x + noise


def test_a_chain_teaches_nothing() -> None:
    net = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1))
    with frozen(net):
        assert not any(p.requires_grad for p in net.parameters())
        end = short_run(
            lambda x: net(x)[:, 0], torch.zeros(3, 2), samplers.get("ula"), rule(), 2, Draws(0, 0)
        ).x
    assert not end.requires_grad
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


def test_what_was_frozen_before_stays_so() -> None:
    net = nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    with frozen(net):
        pass
    assert (net.weight.requires_grad, net.bias.requires_grad) == (True, False)


def test_autocast_leaves_states_whole_and_losses_their_gradients() -> None:
    # Weights cast within a chain, without a graph, must not serve the loss: its gradient would be lost.
    net = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1))
    with torch.autocast("cpu", torch.bfloat16):
        with frozen(net):
            end = two_steps(net)
        loss = net(end).float().mean()
    assert end.dtype == torch.float32
    loss.backward()
    assert all(p.grad is not None for p in net.parameters())


def test_no_steps_are_the_start() -> None:
    start = torch.randn(3, 2)
    done = short_run(quadratic, start, samplers.get("mala"), rule(), 0, Draws(0, 0))
    assert torch.equal(done.x, start)
    assert done.acceptance is None


def test_a_rule_that_would_falsify_is_refused() -> None:
    with pytest.raises(ValueError, match="detailed balance"):
        short_run(
            quadratic, torch.zeros(2, 2), samplers.get("mala"), steps.get("anisotropic"), 2, Draws(0, 0)
        )
