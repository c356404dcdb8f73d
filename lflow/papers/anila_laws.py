"""What AniLA's variants sample, in closed form: on three targets on a line, along the radius of four rings.

γ(x) = 1/max(1, |U'|/b), or its smooth form 1/√(1 + (U'/b)²). With the drift g and the noise √2 s of a
variant (per unit of h), the density without flux is s^-2 exp(-∫ g/s²): e^-U for the corrected ones. Knows
nothing of chains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from lflow.energies import get as get_energy
from lflow.energies.base import Energy
from lflow.papers.dynamical_system_laws import target as pair
from lflow.papers.line import LineLaw
from lflow.samplers.anila import VARIANTS

SMOOTH = "corrected_smooth"
LAWS = (*VARIANTS, SMOOTH)
REFERENCES = ("ula", "tamed_ula", "mala", "hmc")
TUNING_SEED = 1000
BINS = 160
RANGE = {"line": (-4.0, 4.0), "pair": (-4.0, 4.0), "steep": (-2.0, 2.0), "rings": (0.2, 4.8)}
ON_LINE = ("line", "pair", "steep")
RADII = (1, 2, 3, 4)
_WIDTH = 5e-4  # of a cell: what is near a mode, and the walls, begin and end between two cells
_WALLS = (0.0, 1.5, 2.5, 3.5, 6.0)  # between the rings
_PAIR = 1.5  # where its modes lie, at ±


@dataclass(frozen=True)
class Place:
    """A target on which laws are compared: its energy, and what of x (or of the radius) is near a mode."""

    energy: Callable[[], Energy]
    near: Callable[[Tensor], Tensor]


PLACES = {
    "line": Place(lambda: get_energy("gaussian", dim=1), lambda x: x.abs() < 0.25),
    "pair": Place(lambda: pair()[0], lambda x: (x.abs() - _PAIR).abs() < 0.125),
    "steep": Place(lambda: get_energy("quartic", dim=1), lambda x: x.abs() < 0.145),
    "rings": Place(lambda: get_energy("rings"), lambda radius: offsets(radius).abs() < 0.075),
}
"""N(0,1), the pair of modes ½N(±1.5, ½²), x⁴, and the rings. Near: a quarter σ; of the rings half of one."""


BIASED = ("paper", "toy_code", "flowers_code")
"""The variants whose law is another than e^-U, and depends on the threshold."""


def variant_law(part: str, method: str, b: float, smooth: bool = False) -> LineLaw:
    """The law of a variant ("truth" and the exact ones: e^-U): of x on a line, of the radius on the rings.

    On the rings the mass is a quarter a ring, as at the start: a run is too short for rings to exchange mass.
    """
    return _law(part, method, b, smooth) if method in BIASED else _law(part, "truth", 1.0, False)


@lru_cache(maxsize=16)  # b is any number, and a law holds half a megabyte
def _law(part: str, method: str, b: float, smooth: bool) -> LineLaw:
    low, high = (-8.0, 8.0) if part in ON_LINE else (0.0, 6.0)
    cells = round((high - low) / _WIDTH)
    points = low + (high - low) * (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    energy, slope = _along(part, points)
    found = _log_density(method, energy, slope, b, points, smooth)
    if part in ON_LINE:
        return LineLaw.from_log(points, found)
    found = found + points.log()
    density = torch.zeros_like(found)
    for inside in _rings(points):
        density[inside] = torch.softmax(found[inside], 0) / len(RADII) / (points[1] - points[0])
    return LineLaw(points, density)


def _along(part: str, points: Tensor) -> tuple[Tensor, Tensor]:
    """U and its slope along the line, or along a ray from the centre of the rings."""
    at = points[:, None] if part in ON_LINE else torch.stack([points, torch.zeros_like(points)], 1)
    energy = PLACES[part].energy()
    return energy(at), energy.grad(at)[:, 0]


@cache
def mean_slope(part: str) -> float:
    """The mean of |∇U| over the target: a threshold b far below shrinks steps about mean_slope/b times."""
    law = variant_law(part, "truth", 1.0)
    return float((_along(part, law.points)[1].abs() * law.density).sum()) * law.width


def steep_share(part: str, b: float) -> float:
    """The mass of the target where |∇U| > b: there the step shrinks."""
    law = variant_law(part, "truth", 1.0)
    return float(law.density[_along(part, law.points)[1].abs() > b].sum()) * law.width


def _rings(points: Tensor) -> list[Tensor]:
    return [(points >= low) & (points < high) for low, high in pairwise(_WALLS)]


def _log_density(
    method: str, energy: Tensor, slope: Tensor, b: float, points: Tensor, smooth: bool
) -> Tensor:
    scaled = slope.abs() / b
    gamma = (1 + scaled.square()).rsqrt() if smooth else 1 / scaled.clamp_min(1.0)
    width = points[1] - points[0]
    if method == "paper":
        return -energy - gamma.log()
    if method == "toy_code":
        return -2 * gamma.log() - _integral(slope / gamma, width)
    if method == "flowers_code":
        return -2 * gamma.log() - _integral(slope / gamma.square(), width)
    return -energy


def _integral(values: Tensor, width: Tensor) -> Tensor:
    """Of a function known at the middles of cells, up to the middle of each."""
    return (values.cumsum(0) - values / 2) * width


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
    """Near a mode: within a quarter of a standard deviation on a line, half of one on the rings."""
    return PLACES[part].near(values)


def distance(part: str, positions: Tensor) -> float:
    """W2 of points (n, dim) to the target, without what no short run sets right: the shares of its modes.

    On a line, where every target is even, the points are taken together with their mirror images; on the
    rings each ring counts by itself.
    """
    if part == "rings":
        return within_rings(positions.double().norm(dim=1))
    x = positions[:, 0].double()
    return variant_law(part, "truth", 1.0).w2(torch.cat([x, -x]))
