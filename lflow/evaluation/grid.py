"""How good is a learned energy in the plane? Its normaliser on a grid, and by it likelihood and divergence.

Knows the learned energy as a function on points, and the data's law by its own energy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lflow.energies.base import Bounds, Energy
from lflow.energies.grid import energy_on_grid

_EDGE = 16  # the edge of the grid is a sixteenth of its width on each side


class OnGrid(NamedTuple):
    """A learned energy beside the law of the data; 0-dim float64, in nats.

    log_z: log ∫ exp(-U/T) over the grid.
    kl: KL(data ‖ exp(-U/T)/Z), the mean log-density of the data minus the model's.
    edge: share of exp(-U/T) at the edge of the grid. Where it is not next to nothing, mass lies beyond the
        grid, perhaps without end: then `kl` is of the density cut off there, and the true one is larger.
    """

    log_z: Tensor
    kl: Tensor
    edge: Tensor

    def log_likelihood(self, energy: Callable[[Tensor], Tensor], x: Tensor, temperature: float) -> Tensor:
        """Mean of log exp(-U(x)/T)/Z over points x, (n, 2)."""
        with torch.no_grad():
            return -energy(x).double().mean() / temperature - self.log_z


def against(
    energy: Callable[[Tensor], Tensor],
    data: Energy,
    temperature: float = 1.0,
    bounds: Bounds | None = None,
    size: int = 400,
) -> OnGrid:
    """The energy U, (n, 2) -> (n,), against the law exp(-U_data) of the data, on `size` cells an axis.

    bounds: of the grid; the data's own, twice as wide, if not given: the model may have mass where the data
    have none. The relative error is of order (cell/feature)²/24. ValueError if the data are not in the plane,
    or if U is not a number somewhere.

    Example:
        >>> against(model.energy, lflow.energies.get("rings")).kl
    """
    if data.dim != 2:
        raise ValueError(f"a grid is for energies in the plane, and {data.name} has {data.dim} dimensions")
    box = bounds or tuple((1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low) for low, high in data.bounds)
    cell = math.log(math.prod((high - low) / size for low, high in box))
    # Networks keep to their own precision; sums do not.
    learned = -energy_on_grid(lambda x: energy(x.float()).double(), box, size) / temperature
    if learned.isnan().any():
        raise ValueError("the learned energy is not a number at some points of the grid")
    log_z = learned.logsumexp((0, 1)) + cell
    truth = -energy_on_grid(data, box, size)
    share = torch.softmax(truth.flatten(), 0).reshape(size, size)
    kl = torch.special.xlogy(share, share).sum() - cell - (share * (learned - log_z)).sum()
    rim = size // _EDGE
    inner = torch.exp(learned - learned.logsumexp((0, 1)))[rim:-rim, rim:-rim].sum()
    return OnGrid(log_z, kl, (1 - inner).clamp_min(0))
