"""What is known of a target: its density on the picture, its marginals, and what exact draws say of it.

Knows an energy and a temperature, nothing of samplers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.energies.grid import energy_on_grid
from lflow.exact import Floor, exact
from lflow.metrics import mode_mass

GRID = 128


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
        known = exact(energy, num_chains, temperature)
    except ValueError as error:
        return Truth(values.T, unknown=str(error))
    density, ((x0, x1), (y0, y1)) = _density(energy, temperature, values), energy.bounds
    return Truth(
        values.T,
        density=density,
        marginal_x=None if density is None else density.sum(0) * (y1 - y0) / GRID,
        marginal_y=None if density is None else density.sum(1) * (x1 - x0) / GRID,
        draws=known.draws,
        floor=known.floor,
        mean_energy=known.mean_energy,
        mode_shares=None if energy.modes is None else mode_mass(known.many, energy.modes),
    )


def _density(energy: Energy, temperature: float, values: Tensor) -> Tensor | None:
    """The density on the picture; None where the normaliser is not known."""
    try:
        return torch.exp(-values.T / temperature - energy.log_normaliser(temperature))
    except ValueError:
        return None
