"""What AniLA's variants sample, in closed form, on N(0,1) and along the radius of four rings.

γ(x) = 1/max(1, |U'|/b), or its smooth form. With the drift g and the noise √2 s of a variant (per unit of h),
the density without flux is s^-2 exp(-∫ g/s²): e^-U for the corrected ones. Knows nothing of chains.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from lflow.energies import get as get_energy
from lflow.papers.line import LineLaw
from lflow.samplers.anila import VARIANTS

SMOOTH = "corrected_smooth"
LAWS = (*VARIANTS, SMOOTH)
REFERENCES = ("ula", "tamed_ula", "mala", "hmc")
TUNING_SEED = 1000
BINS = 160
RANGE = {"line": (-4.0, 4.0), "rings": (0.2, 4.8)}
RADII = (1, 2, 3, 4)
_CELLS = 60_000
_WALLS = (0.0, 1.5, 2.5, 3.5, 6.0)  # between the rings


@cache
def variant_law(part: str, method: str, b: float) -> LineLaw:
    """The law of a variant ("truth" and the exact ones: e^-U): of x on the line, of the radius on the rings.

    On the rings the mass is a quarter a ring, as at the start: a run is too short for rings to exchange mass.
    """
    low, high = (-8.0, 8.0) if part == "line" else (0.0, 6.0)
    points = low + (high - low) * (torch.arange(_CELLS, dtype=torch.float64) + 0.5) / _CELLS
    if part == "line":
        return LineLaw.from_log(points, _log_density(method, points.square() / 2, points, b, points))
    rings = get_energy("rings")
    plane = torch.stack([points, torch.zeros_like(points)], 1)
    found = _log_density(method, rings(plane), rings.grad(plane)[:, 0], b, points) + points.log()
    density = torch.zeros_like(found)
    for inside in _rings(points):
        density[inside] = torch.softmax(found[inside], 0) / len(RADII) / (points[1] - points[0])
    return LineLaw(points, density)


def _rings(points: Tensor) -> list[Tensor]:
    return [(points >= low) & (points < high) for low, high in pairwise(_WALLS)]


def _log_density(method: str, energy: Tensor, slope: Tensor, b: float, points: Tensor) -> Tensor:
    scaled = slope.abs() / b
    gamma = 1 / scaled.clamp_min(1.0)
    width = points[1] - points[0]
    if method == "paper":
        return -energy - gamma.log()
    if method == "toy_code":
        return -2 * gamma.log() - (slope / gamma).cumsum(0) * width
    if method == "flowers_code":
        return -2 * gamma.log() - (slope / gamma.square()).cumsum(0) * width
    return -energy


@cache
def ring_laws() -> tuple[LineLaw, ...]:
    """The law of the radius given the ring, of each ring."""
    law = variant_law("rings", "truth", 1.0)
    return tuple(
        LineLaw(law.points[inside], law.density[inside] * len(RADII)) for inside in _rings(law.points)
    )


def within_rings(radius: Tensor) -> float:
    """W2 of the radii to e^f given the ring, as the root mean square over the rings.

    The shares of the rings, which no short run sets right, are left out, and rings without points; every law
    here is round, so the distance along the radius is the distance in the plane.
    """
    parts = list(zip(_rings(radius.clamp_max(5.99)), ring_laws(), strict=True))
    squares = [law.w2(radius[inside]) ** 2 for inside, law in parts if inside.any()]
    return float(sum(squares) / len(squares)) ** 0.5


def offsets(radius: Tensor) -> Tensor:
    """How far each radius is from the nearest ridge."""
    return radius - radius.round().clamp(RADII[0], RADII[-1])


def core(values: Tensor, part: str) -> Tensor:
    """Near a mode: within a quarter of a standard deviation on the line, half of one on the rings."""
    return values.abs() < 0.25 if part == "line" else offsets(values).abs() < 0.075
