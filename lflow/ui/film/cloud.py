"""Particles, trails and level lines of a view. Positions are in pixels of the view, y pointing down."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lflow.ui.film.ink import Stencil

Floats = NDArray[np.float64]

BINS = 60
_SUBPIXELS = 4  # positions of a dot within a pixel, each axis: motion stays smooth at small sizes
_MASK_BUDGET = 1.3e6  # mask pixels a frame, all dots together
_TRAIL_FRAMES = 12
_TRAIL_PARTICLES = 150


class Dots(NamedTuple):
    """How a particle looks: the logarithm of what its dot lets through, (phases, size, size)."""

    reach: int
    veils: NDArray[np.float32]


@lru_cache(maxsize=16)
def make_dots(particles: int, width: int, height: int, ratio: float) -> Dots:
    """Few particles are large soft dots, many are fine dust; together their ink stays about the same."""
    side = min(width, height) / ratio
    wanted = min(4.2, max(0.7, 2.1 * (2000 / particles) ** 0.32)) * min(1, 0.55 + side / 1000)
    limit = max(1, math.floor((math.sqrt(_MASK_BUDGET / particles) - 1) / 2))
    radius = min(wanted * ratio, limit)
    share = particles * math.pi * radius**2 / (width * height)
    alpha = min(0.75, max(0.12, 0.12 / share))
    reach = math.ceil(radius)
    softness = 0.5 + 0.25 * radius
    offsets = np.arange(-reach, reach + 1)
    centres = (np.arange(_SUBPIXELS) + 0.5) / _SUBPIXELS - 0.5
    away = np.abs(offsets - centres[:, None])  # (phases, size) along one axis
    distance = np.hypot(away[:, None, :, None], away[None, :, None, :])  # phase y, phase x, row, column
    coverage = np.clip((radius + softness / 2 - distance) / softness, 0, 1)
    veils = np.log1p(-alpha * coverage).reshape(_SUBPIXELS**2, -1)
    return Dots(reach, veils.astype(np.float32))


def let_through(points: Floats, dots: Dots, width: int, height: int) -> Floats:
    """What of the ground remains visible under the dots, (height, width) in 0..1."""
    reach = dots.reach
    seen = ((points >= -reach) & (points < [width + reach, height + reach])).all(axis=1)
    here = points[seen]
    cell = np.floor(here).astype(np.int64)
    phase = ((here - cell) * _SUBPIXELS).astype(np.int64)
    row_length = width + 4 * reach
    first = (cell[:, 1] + reach) * row_length + cell[:, 0] + reach  # of a ground that is larger all around
    size = np.arange(2 * reach + 1)
    offsets = (size[:, None] * row_length + size).ravel()
    where = (first[:, None] + offsets).ravel()
    weights = dots.veils[phase[:, 1] * _SUBPIXELS + phase[:, 0]].ravel()
    cells = (height + 4 * reach) * row_length
    veil = np.bincount(where, weights, minlength=cells).reshape(-1, row_length)
    edge = 2 * reach
    through: Floats = np.exp(veil[edge : edge + height, edge : edge + width])
    return through


def counts(points: Floats, width: int, height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many points lie in each bin along x and, upwards, along y."""
    along_x, along_y = (points / [width, height] * BINS).T
    x = along_x[(along_x >= 0) & (along_x < BINS)]
    y = along_y[(along_y >= 0) & (along_y < BINS)]
    found = np.bincount(x.astype(np.int64), minlength=BINS), np.bincount(y.astype(np.int64), minlength=BINS)
    return found[0], found[1][::-1]


def draw_trails(stencil: Stencil, frames: Floats, frame: int, ratio: float) -> None:
    """The last frames of some particles as fading lines, the same particles all along.

    frames: (frames, particles, 2); what is not a number is left out.
    """
    particles = frames.shape[1]
    count = min(particles, _TRAIL_PARTICLES)
    chosen = np.arange(count) * particles // count
    for start in range(max(0, frame - _TRAIL_FRAMES), frame):
        ends = np.stack([frames[start, chosen], frames[start + 1, chosen]], axis=1)
        age = (frame - start) / _TRAIL_FRAMES
        stencil.segments(
            ends[np.isfinite(ends).all(axis=(1, 2))], 1.1 * ratio, 0.55 * max(0.0, 1.05 - age) ** 1.5
        )


# For each of the 16 ways that four corners can lie above the level: one or two pairs of edges to join.
# Edges: 0 below, 1 right, 2 above, 3 left. Corners as bits: 1 lower left, 2 lower right, 4 upper right,
# 8 upper left.
_FIRST = [(-1, -1), (3, 0), (0, 1), (3, 1), (1, 2), (3, 0), (0, 2), (3, 2)]
_FIRST += [(2, 3), (2, 0), (0, 1), (2, 1), (1, 3), (1, 0), (0, 3), (-1, -1)]
_SECOND = {5: (1, 2), 10: (2, 3)}
_JOINED = np.array([_FIRST, [_SECOND.get(shape, (-1, -1)) for shape in range(16)]])


def level_lines(values: NDArray[np.floating], level: float, width: int, height: int) -> Floats:
    """The level line of a grid (row 0 lowest, values at cell centres) as segments (n, 2 ends, 2)."""
    grid = np.asarray(values, dtype=np.float64)
    rows, columns = grid.shape
    corners = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    shape = sum(((corner > level).astype(np.int64) << bit) for bit, corner in enumerate(corners))
    lower_left, lower_right, upper_right, upper_left = corners
    y, x = np.mgrid[0 : rows - 1, 0 : columns - 1].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        finite = np.isfinite(lower_left + lower_right + upper_right + upper_left)
        crossings = np.stack(
            [
                np.stack([x + (level - lower_left) / (lower_right - lower_left), y], -1),
                np.stack([x + 1, y + (level - lower_right) / (upper_right - lower_right)], -1),
                np.stack([x + (level - upper_left) / (upper_right - upper_left), y + 1], -1),
                np.stack([x, y + (level - lower_left) / (upper_left - lower_left)], -1),
            ]
        )
    found = []
    for table in _JOINED:
        edges = table[shape]  # (rows - 1, columns - 1, 2)
        row, column = np.nonzero((edges[..., 0] >= 0) & finite)
        ends = edges[row, column]
        found.append(np.stack([crossings[ends[:, k], row, column] for k in (0, 1)], axis=1))
    lines = np.concatenate(found)
    return np.stack(
        [(lines[..., 0] + 0.5) / columns * width, (1 - (lines[..., 1] + 0.5) / rows) * height], axis=-1
    )


# Heights above the lowest energy: close together where the mass is, then ever wider.
_ENERGY_STEPS = (0.5, 1, 2, 4, 6, 9, 14, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def energy_levels(values: NDArray[np.floating]) -> list[float]:
    """The energies at which contours are drawn."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return []
    lowest, reach = float(finite.min()), float(np.ptp(finite))
    steps = [part * reach for part in (0.1, 0.3, 0.5, 0.7, 0.9)] if reach < 2 else _ENERGY_STEPS
    return [lowest + step for step in steps if step < reach]
