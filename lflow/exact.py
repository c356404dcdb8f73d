"""Exact draws of a target, what as many others show beside them, and the target's mean energy.

Knows an energy and a temperature, nothing of samplers and pages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.metrics.distances import sliced_wasserstein2_frames

PROJECTIONS = 16
_DRAWS_SEED = 20_000
_REPEATS = 60


class Floor(NamedTuple):
    """The distance of fresh exact samples, as many as the cloud has, to the draws it is compared with."""

    mean: float
    low: float
    high: float
    """97.5 % of exact samples come closer than this."""


class Exact(NamedTuple):
    """Draws to compare a cloud with, the floor of their distance, and many draws, to take means over."""

    draws: Tensor
    floor: Floor
    many: Tensor
    mean_energy: float


def exact(energy: Energy, num_chains: int, temperature: float = 1.0) -> Exact:
    """What is known by exact draws, for a cloud of that size. ValueError where the energy has none."""

    def sample(n: int, generator: torch.Generator) -> Tensor:
        return energy.sample(n, generator, temperature)

    draws, many = sample(num_chains, _generator(0)), sample(20_000, _generator(2))
    return Exact(draws, _floor(draws, sample, num_chains), many, float(energy(many).mean()))


def _generator(stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(_DRAWS_SEED + stream)


def _floor(draws: Tensor, sample: Callable[[int, torch.Generator], Tensor], n: int) -> Floor:
    generator = _generator(1)
    repeats = _REPEATS if n <= 5000 else _REPEATS // 3
    clouds = torch.stack([sample(n, generator) for _ in range(repeats)])
    away = sliced_wasserstein2_frames(clouds, draws, num_projections=PROJECTIONS)
    low, high = torch.quantile(away, torch.tensor([0.025, 0.975], dtype=away.dtype)).tolist()
    return Floor(float(away.mean()), low, high)
