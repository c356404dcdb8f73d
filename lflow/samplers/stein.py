"""Stein variational gradient descent: a deterministic contrast to every chain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import StepNoise
from lflow.samplers.base import Info, Sampler, registry
from lflow.samplers.langevin import OverdampedState

MAX_PARTICLES = 4000
_FOR_MEDIAN = 500  # particles whose distances give the median: all pairs of many take longer than the step


@registry.register("svgd")
@dataclass(frozen=True)
class SVGD(Sampler):
    """Stein variational gradient descent: particles go downhill together and push each other apart.

    x_i' = x_i + (h/n) Σ_j [T ∇_{x_j} k(x_j, x_i) - k(x_j, x_i) ∇U(x_j)],  k = exp(-|x - y|²/w)

    with w the median squared distance (of the first 500) over log(n + 1). No noise: the same start gives the
    same end. It costs n², so it takes at most 4,000 particles.
    (Liu & Wang 2016, arXiv 1608.04471)

    Raises:
        ValueError: more particles than 4,000.
    """

    title = "SVGD"
    formula = (
        r"x_i' = x_i + \tfrac hn \sum_j \left[T\,\nabla_{x_j} k(x_j, x_i) - k(x_j, x_i)\,\nabla U(x_j)\right]"
    )
    reference = "Liu & Wang 2016, arXiv 1608.04471"

    def work(self, num_chains: int) -> float:
        return max(1.0, num_chains / 20)

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> OverdampedState:
        if len(x) > MAX_PARTICLES:
            raise ValueError(
                f"svgd compares every pair: take at most {MAX_PARTICLES:,} particles, not {len(x):,}"
            )
        return OverdampedState(x, energy.grad(x))

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        flat, grad, count = state.x.flatten(1), state.grad.flatten(1), len(state.x)
        squared = torch.cdist(flat, flat).square()
        some = squared[:_FOR_MEDIAN, :_FOR_MEDIAN]
        width = some.median() / math.log(count + 1) + torch.finfo(flat.dtype).eps
        kernel = torch.exp(squared * (-1 / width))
        near, downhill = (kernel @ torch.cat([flat, grad], 1)).chunk(2, 1)
        # Σ_j ∇_{x_j} k(x_j, x_i) = (2/w) Σ_j k_ij (x_i - x_j).
        apart = (2 / width) * (flat * kernel.sum(1, keepdim=True) - near)
        moved = (temperature * apart - downhill) / count
        x = state.x + h * moved.reshape(state.x.shape)
        grad = energy.grad(x)
        return OverdampedState(x, grad), Info(gradient_evaluations=1, grad=grad)
