"""How far a cloud is from a density, cell by cell: the Kullback-Leibler divergence on a grid, in 1-D and 2-D.

Knows the density by its energy, as a function on points, and nothing of how the cloud was made. Results are
float64 tensors on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lflow.energies.grid import energy_on_grid

# Points along an axis of a cell over which the density is averaged.
_FINE = 8

Bounds = Sequence[tuple[float, float]]


def kl_on_grid(
    samples: Tensor, energy: Callable[[Tensor], Tensor], bounds: Bounds, cells: int = 64
) -> Tensor:
    """KL(histogram of the samples ‖ the density exp(-U)), both as shares of the cells of a grid, in nats.

    Σ_c q_c log(q_c/p_c),  q_c the share of the samples in the bounds that lie in cell c, p_c the mass of
    exp(-U) there, normalised in the bounds (8 points of a cell along an axis).

    samples: (n,), (n, 1) or (n, 2); those outside the bounds are left out. energy: U, (n, dim) -> (n,), up to
    a constant. cells: along an axis. Returns a 0-dim tensor: infinite where samples lie in a cell without
    mass. Even exact samples show about (cells with mass - 1)/2n: `kl_floor`. Raises ValueError for points
    that are not finite, none in the bounds, and other dimensions.

    >>> kl_on_grid(torch.randn(10_000), lambda x: x.square().sum(1) / 2, [(-4.0, 4.0)])   # near 0.003
    """
    points = samples.detach().cpu().double()
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or points.shape[1] != len(bounds) or len(bounds) not in (1, 2):
        raise ValueError(
            f"samples must be points of as many dimensions as there are bounds, 1 or 2: their shape is "
            f"{tuple(samples.shape)}, and there are {len(bounds)} bounds"
        )
    if not points.isfinite().all():
        raise ValueError(f"{int((~points.isfinite()).any(1).sum())} samples are not finite: drop them first")
    low, high = torch.tensor(bounds, dtype=torch.float64).T
    index = ((points - low) / (high - low) * cells).floor().long()
    index = index[((index >= 0) & (index < cells)).all(1)]
    if not len(index):
        raise ValueError("none of the samples lies in the bounds")
    flat = index[:, 0] if len(bounds) == 1 else index[:, 0] * cells + index[:, 1]
    counts = torch.bincount(flat, minlength=cells ** len(bounds)).double()
    return _divergence(counts, _masses(energy, bounds, cells))


def kl_floor(
    energy: Callable[[Tensor], Tensor],
    n: int,
    bounds: Bounds,
    cells: int = 64,
    repeats: int = 20,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """What `kl_on_grid` shows for n exact samples: mean and standard deviation over `repeats` >= 2 of them.

    The cells are drawn from their masses: no sampler is needed. Raises ValueError for fewer
    repeats.

    >>> mean, std = kl_floor(lambda x: x.square().sum(1) / 2, 10_000, [(-4.0, 4.0)])
    """
    if repeats < 2:
        raise ValueError(f"a spread needs at least 2 repeats, not {repeats}")
    masses = _masses(energy, bounds, cells)
    cumulative = masses.cumsum(0)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(repeats):
        level = torch.rand(n, generator=generator, dtype=torch.float64) * cumulative[-1]
        cell = torch.searchsorted(cumulative, level, right=True).clamp_max(len(masses) - 1)
        found.append(_divergence(torch.bincount(cell, minlength=len(masses)).double(), masses))
    values = torch.stack(found)
    return values.mean(), values.std()


def _masses(energy: Callable[[Tensor], Tensor], bounds: Bounds, cells: int) -> Tensor:
    """The share of exp(-U) in each cell, of the mass in the bounds; the first axis moves slowest."""
    exponent = -energy_on_grid(energy, bounds, cells * _FINE)
    exponent = torch.where(exponent.isnan(), -torch.inf, exponent)
    weight = torch.exp(exponent - exponent.max())
    if len(bounds) == 1:
        masses = weight.reshape(cells, _FINE).sum(1)
    else:
        masses = weight.reshape(cells, _FINE, cells, _FINE).sum((1, 3)).flatten()
    return masses / masses.sum()


def _divergence(counts: Tensor, masses: Tensor) -> Tensor:
    share = counts / counts.sum()
    return (torch.special.xlogy(share, share) - torch.special.xlogy(share, masses)).sum().clamp_min(0.0)
