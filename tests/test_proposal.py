"""The Gaussian that a step is drawn from, against many steps drawn by the sampler itself from one place."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lflow
from lflow import samplers, steps
from lflow.energies.base import Energy
from lflow.noise import NORMAL, Draw, StepNoise
from lflow.samplers.anila import VARIANTS, AniLA
from lflow.samplers.base import Sampler
from lflow.samplers.midpoint import RandomizedMidpoint
from lflow.samplers.proposal import has_proposal, proposal, proposal_grid
from tests.statistics import LIMIT, largest, one_thread, z_of_mean, z_of_variance  # noqa: F401

DRAWS = 20_000
H, TEMPERATURE = 0.05, 0.7
PLACE = torch.tensor([[1.3, -0.8]], dtype=torch.float64)  # where the gradients of both coordinates are large

EVERY = [samplers.get(name) for name in samplers.names() if name != "anila"]
EVERY += [
    AniLA(variant=variant, elementwise=elementwise, smooth=smooth)
    for variant in VARIANTS
    for elementwise in (False, True)
    for smooth in (False, True)
]
GAUSSIAN = [sampler for sampler in EVERY if sampler.gaussian_proposal]


class Banana(Energy):
    """A curved valley whose coordinates depend on each other, in float64."""

    dim = 2
    bounds = ((-3.0, 3.0), (-3.0, 3.0))

    def __call__(self, x: Tensor) -> Tensor:
        return x[:, 0].square() / 2 + 2 * (x[:, 1] - x[:, 0].square() / 2).square()


ENERGY = Banana()


@dataclass(frozen=True)
class MiscalledMidpoint(RandomizedMidpoint):
    """Says that its step is Gaussian, which is not so: its gradient is taken at a random place."""

    gaussian_proposal = True


@dataclass(frozen=True)
class MiscalledSigns(AniLA):
    """Leaves out of its proposal the random signs that move the step."""

    gaussian_proposal = True


def one_step(sampler: Sampler, xi: Tensor, generator: torch.Generator) -> Tensor:
    """Where steps from PLACE lead with these ξ, all taken, whatever else the sampler draws."""
    x = PLACE.expand(len(xi), 2)

    def extra() -> tuple[Tensor, ...]:
        return tuple(_draw(draw, x, generator) for draw in sampler.extra(ENERGY))

    state = sampler.init(x, ENERGY, StepNoise(torch.zeros_like(x), extra()), TEMPERATURE)
    end: Tensor = sampler.step(state, ENERGY, H, TEMPERATURE, StepNoise(xi, extra()))[0].x
    return end


def _draw(draw: Draw, x: Tensor, generator: torch.Generator) -> Tensor:
    if draw == NORMAL:
        return torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return torch.ones(len(x), *draw.per_chain, dtype=x.dtype)  # an accept step takes every proposal


def deviation_from_draws(sampler: Sampler) -> float:
    """The largest z of means, variances and the covariance of 20,000 steps: five comparisons.

    A standard error is 0.7 % of a standard deviation for the means, 1 % of the variances.
    """
    generator = torch.Generator().manual_seed(0)
    ends = one_step(sampler, torch.randn(DRAWS, 2, generator=generator, dtype=torch.float64), generator)
    mean, std = proposal(sampler, PLACE, ENERGY, H, TEMPERATURE)
    centred = ends - mean
    return max(
        largest(z_of_mean(ends, mean[0])),
        largest(z_of_variance(ends, std[0] ** 2, mean=mean[0])),
        largest(z_of_mean(centred.prod(1, keepdim=True), 0.0)),
    )


@pytest.mark.parametrize("sampler", GAUSSIAN, ids=str)
def test_mean_and_deviation_are_those_of_many_steps(sampler: Sampler) -> None:
    assert deviation_from_draws(sampler) < LIMIT


@pytest.mark.parametrize("sampler", GAUSSIAN, ids=str)
def test_a_step_is_linear_in_its_noise(sampler: Sampler) -> None:
    ends = [one_step(sampler, torch.full((1, 2), size, dtype=torch.float64), zeros()) for size in (0, 1, 2)]
    once, twice = ends[1] - ends[0], ends[2] - ends[0]
    torch.testing.assert_close(twice, 2 * once, rtol=1e-9, atol=1e-12)


def zeros() -> Any:
    """A generator that repeats the same extra draws."""
    return torch.Generator().manual_seed(1)


@pytest.mark.parametrize(
    "wrong",
    [MiscalledMidpoint(), MiscalledSigns(variant="corrected", elementwise=True, threshold=5.0)],
    ids=str,
)
def test_a_step_that_is_not_that_gaussian_is_found_out(wrong: Sampler) -> None:
    assert deviation_from_draws(wrong) > 2 * LIMIT


def test_which_samplers_say_so() -> None:
    names = {sampler.name for sampler in GAUSSIAN}
    assert names == {"ula", "sgld", "mala", "anila", "random_walk", "tamed_ula"}
    assert not AniLA(variant="corrected", elementwise=True).gaussian_proposal


def test_gradient_noise_widens_the_proposal_of_sgld() -> None:
    """By hand: std² = 2hT + h²σ²."""
    _, std = proposal(samplers.get("sgld", gradient_noise=3.0), PLACE, ENERGY, H, TEMPERATURE)
    expected = (2 * H * TEMPERATURE + (H * 3.0) ** 2) ** 0.5
    torch.testing.assert_close(std, torch.full_like(std, expected))


def test_what_is_no_gaussian_has_no_proposal() -> None:
    data = lflow.energies.get("logistic_regression")
    assert not has_proposal(samplers.get("sgld"), data, 1.0)  # a minibatch's gradient
    assert has_proposal(samplers.get("ula"), data, 1.0)
    assert not has_proposal(samplers.get("ula"), ENERGY, 0.0)
    with pytest.raises(ValueError, match="a step of hmc at T = 1 is not one Gaussian"):
        proposal(samplers.get("hmc"), PLACE, ENERGY, H, 1.0)
    assert proposal_grid(samplers.get("hmc"), steps.get("constant"), ENERGY, 1.0) is None


def test_a_grid_holds_the_step_at_each_cell_centre() -> None:
    """ULA on U = (x² + 9 y²)/2 by hand: the mean step is -h ∇U, the deviation √(2hT)."""
    energy = lflow.energies.from_expression("x**2/2 + 9*y**2/2", bounds=((-2, 2), (-1, 1)))
    grid = proposal_grid(samplers.get("ula"), steps.get("constant", step_size=H), energy, 0.5, size=8)
    assert grid is not None
    x = -2 + (np.arange(8) + 0.5) / 2
    y = -1 + (np.arange(8) + 0.5) / 4
    np.testing.assert_allclose(grid[0], np.broadcast_to(-H * x, (8, 8)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(grid[1], np.broadcast_to(-H * 9 * y[:, None], (8, 8)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(grid[2:], H**0.5, rtol=1e-5)


def test_the_anisotropic_rule_on_ula_is_the_printed_anila() -> None:
    energy = lflow.energies.get("rings")
    rule = steps.get("anisotropic", step_size=H, threshold=2.0)
    by_rule = proposal_grid(samplers.get("ula"), rule, energy, 1.0)
    by_sampler = proposal_grid(AniLA(threshold=2.0), steps.get("constant", step_size=H), energy, 1.0)
    assert by_rule is not None
    assert by_sampler is not None
    np.testing.assert_allclose(by_rule, by_sampler, rtol=1e-4, atol=1e-5)
    assert by_rule[2].min() < 0.5 * by_rule[2].max()
