"""Where the next step of a particle may lead: the Gaussian that a sampler draws its step from, before any
accept step. Read off the step itself, so that nothing is declared twice. Knows nothing of pages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lflow.energies.base import Energy
from lflow.energies.grid import cell_centres
from lflow.noise import NORMAL, UNIFORM, StepNoise
from lflow.samplers.base import Sampler
from lflow.steps import StepRule


def has_proposal(sampler: Sampler, energy: Energy, temperature: float) -> bool:
    """Whether a step from a place is one Gaussian: not at T = 0, nor with a minibatch of its own."""
    batches = any(draw not in (NORMAL, UNIFORM) for draw in sampler.extra(energy))
    return sampler.gaussian_proposal and temperature > 0 and not batches


def proposal(
    sampler: Sampler, x: Tensor, energy: Energy, h: Any, temperature: float
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the next place, each of the shape of x, before any accept step.

    h is a number or a tensor per chain or coordinate, as a step-size rule gives it. ValueError where a step
    is not one Gaussian with independent coordinates.
    (Such a step is x' = mean + Σ_k std_k ζ_k over its independent normals: ξ, and the noise of a gradient.)

    Example:
        >>> U = lflow.energies.get("gaussian")
        >>> mean, std = proposal(lflow.samplers.get("ula"), torch.ones(1, 2), U, 0.02, temperature=1.0)
        >>> std
        tensor([[0.2000, 0.2000]])
    """
    if not has_proposal(sampler, energy, temperature):
        raise ValueError(f"a step of {sampler.name} at T = {temperature:g} is not one Gaussian")
    zero, one = torch.zeros_like(x), torch.ones_like(x)

    def step(primary: Tensor, gradient_noise: Tensor) -> Tensor:
        extra = _extra(sampler, energy, gradient_noise)
        state = sampler.init(x, energy, StepNoise(zero, extra), temperature)
        end: Tensor = sampler.step(state, energy, h, temperature, StepNoise(primary, extra))[0].x
        return end

    with torch.no_grad():
        mean = step(zero, zero)
        return mean, torch.hypot(step(one, zero) - mean, step(zero, one) - mean)


def _extra(sampler: Sampler, energy: Energy, normal: Tensor) -> tuple[Tensor, ...]:
    """The extra draws of a step: the given normals, and 1 for the uniform of an accept step."""
    taken = normal.new_ones(len(normal))  # log(1 - u) is -infinity at u = 1: every proposal is taken
    return tuple(normal if draw == NORMAL else taken for draw in sampler.extra(energy))


def proposal_grid(
    sampler: Sampler, rule: StepRule, energy: Energy, temperature: float, size: int = 64
) -> NDArray[np.float32] | None:
    """The proposals over the picture of an energy in the plane, for the first step of a rule.

    (4, size, size): mean - x along x and along y, then the standard deviations; rows are y, the lowest first,
    at the centres of the cells. None where a step is not one Gaussian.
    """
    if not has_proposal(sampler, energy, temperature):
        return None
    across, up = cell_centres(energy.bounds, size)
    x = torch.cartesian_prod(up, across).flip(1).float()
    zero = torch.zeros_like(x)
    still = StepNoise(zero, _extra(sampler, energy, zero))
    with torch.no_grad():
        grad = getattr(sampler.init(x, energy, still, temperature), "grad", None)
        h = rule.step_size_at(rule.init(x), torch.zeros(()), grad)
    mean, std = proposal(sampler, x, energy, h, temperature)
    return torch.cat([mean - x, std], 1).T.reshape(4, size, size).numpy()
