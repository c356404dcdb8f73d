"""What is known of a target: its density on the picture, its marginals, exact draws, and their floors.

Knows an energy and a temperature, nothing of samplers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.energies.grid import energy_on_grid
from lflow.metrics import mode_mass
from lflow.metrics.distances import sliced_wasserstein2_frames

GRID = 128
PROJECTIONS = 16
_DRAWS_SEED = 20_000
_REPEATS = 60


class Floor(NamedTuple):
    """The distance of fresh exact samples, as many as the cloud has, to the draws it is compared with."""

    mean: float
    low: float
    high: float
    """97.5 % of exact samples come closer than this."""


@dataclass(frozen=True)
class Truth:
    """The target exp(-U/T) as the pages show it. Grids have index [row = y, column = x].

    All but the energy are None at temperature zero, and where the mass reaches too far to be known.
    """

    energy_grid: Tensor
    density: Tensor | None = None
    marginal_x: Tensor | None = None
    marginal_y: Tensor | None = None
    draws: Tensor | None = None
    floor: Floor | None = None
    mean_energy: float | None = None
    mode_shares: Tensor | None = None
    unknown: str = ""
    """Why the target is not known, where it is not."""


def find_truth(energy: Energy, temperature: float, num_chains: int) -> Truth:
    """Work out the truth for a cloud of `num_chains` particles in the plane."""
    values = energy_on_grid(energy, energy.bounds, GRID)
    if temperature == 0:
        return Truth(values.T)
    try:
        draws = energy.sample(num_chains, _generator(0), temperature)
    except ValueError as error:
        return Truth(values.T, unknown=str(error))

    def sample(n: int, generator: torch.Generator) -> Tensor:
        return energy.sample(n, generator, temperature)

    many = sample(20_000, _generator(2))
    density, ((x0, x1), (y0, y1)) = _density(energy, temperature, values), energy.bounds
    return Truth(
        values.T,
        density=density,
        marginal_x=None if density is None else density.sum(0) * (y1 - y0) / GRID,
        marginal_y=None if density is None else density.sum(1) * (x1 - x0) / GRID,
        draws=draws,
        floor=_floor(draws, sample, num_chains),
        mean_energy=float(energy(many).mean()),
        mode_shares=None if energy.modes is None else mode_mass(many, energy.modes),
    )


def _generator(stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(_DRAWS_SEED + stream)


def _floor(draws: Tensor, sample: Callable[[int, torch.Generator], Tensor], n: int) -> Floor:
    generator = _generator(1)
    repeats = _REPEATS if n <= 5000 else _REPEATS // 3
    clouds = torch.stack([sample(n, generator) for _ in range(repeats)])
    away = sliced_wasserstein2_frames(clouds, draws, num_projections=PROJECTIONS)
    low, high = torch.quantile(away, torch.tensor([0.025, 0.975], dtype=away.dtype)).tolist()
    return Floor(float(away.mean()), low, high)


def _density(energy: Energy, temperature: float, values: Tensor) -> Tensor | None:
    """The density on the picture; None where the normaliser is not known."""
    try:
        return torch.exp(-values.T / temperature - energy.log_normaliser(temperature))
    except ValueError:
        return None
