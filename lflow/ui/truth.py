"""What is known of a target: its density on the picture, its marginals, exact draws, and their floors.

Knows an energy and a temperature, nothing of samplers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.energies.grid import density_on_grid, energy_on_grid
from lflow.metrics import exact_floor, mode_mass, sliced_wasserstein2

GRID = 128
PROJECTIONS = 16
_DRAWS_SEED = 20_000


@dataclass(frozen=True)
class Truth:
    """The target exp(-U/T) as the pages show it. Grids have index [row = y, column = x].

    `density`, the marginals, the draws and what follows from them are None at temperature zero.
    """

    energy_grid: Tensor
    density: Tensor | None
    marginal_x: Tensor | None
    marginal_y: Tensor | None
    draws: Tensor | None
    floor: tuple[float, float] | None
    """Mean and standard deviation of the sliced W2 between two exact samples of the cloud's size."""
    mean_energy: float | None
    mode_shares: Tensor | None


def distance(a: Tensor, b: Tensor) -> Tensor:
    """The pages' distance: sliced W2 over 16 directions."""
    return sliced_wasserstein2(a, b, num_projections=PROJECTIONS)


def find_truth(energy: Energy, temperature: float, num_chains: int) -> Truth:
    """Work out the truth for a cloud of `num_chains` particles in the plane."""
    values = energy_on_grid(energy, energy.bounds, GRID)
    if temperature == 0:
        return Truth(values.T, None, None, None, None, None, None, None)
    (x0, x1), (y0, y1) = energy.bounds
    if temperature == 1 and energy.log_z is not None:
        density = torch.exp(-values - energy.log_z)
    else:
        density = density_on_grid(energy, energy.bounds, GRID, temperature)
    generator = torch.Generator().manual_seed(_DRAWS_SEED)
    draws = energy.sample(num_chains, generator, temperature)

    def sample(n: int, generator: torch.Generator) -> Tensor:
        return energy.sample(n, generator, temperature)

    mean, std = exact_floor(distance, sample, num_chains, repeats=4, seed=_DRAWS_SEED + 1)
    many = energy.sample(20_000, generator, temperature)
    return Truth(
        energy_grid=values.T,
        density=density.T,
        marginal_x=density.sum(1) * (y1 - y0) / GRID,
        marginal_y=density.sum(0) * (x1 - x0) / GRID,
        draws=draws,
        floor=(float(mean), float(std)),
        mean_energy=float(energy(many).mean()),
        mode_shares=None if energy.modes is None else mode_mass(many, energy.modes),
    )
