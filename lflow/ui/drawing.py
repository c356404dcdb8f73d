"""Strokes that a reader draws: as text that fits into a link, and as points that a kernel density smooths.

A stroke is a list of points (across, up) in the unit square of the picture. As text it is simplified and kept
to 8 bits a coordinate: base64url of a version, the number of strokes, and for each stroke the number of its
points and the points, two bytes each. Knows nothing of Streamlit, of energies and of samplers.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Strokes = list[list[tuple[float, float]]]
Bounds = Sequence[tuple[float, float]]
Array = NDArray[np.float64]

MAX_POINTS = 4_000  # of all strokes together: what the player sends at most
MAX_LENGTH = 1_500  # characters that a link carries
TOLERANCE = 1 / 255  # how far simplifying moves a stroke, beside half a level of rounding in each coordinate

_VERSION = 1
_LEVELS = 255
_MOST_BYTES = 3 + 4 * MAX_POINTS  # every stroke a dot
_DOT_RADIUS = 0.01  # of the view: a dot is as wide as the pen
_DOT_CORNERS = 12


def encode(strokes: Sequence[Sequence[tuple[float, float]]]) -> str:
    """The strokes as URL-safe text: each moves by TOLERANCE, and half a level a coordinate, at most.

    ValueError for no strokes, an empty one, points out of the unit square, or more than MAX_POINTS of them.

    >>> encode([[(0.0, 0.0), (1.0, 1.0)]])
    'AQABAAIAAP__'
    """
    checked = _checked(strokes)
    parts = [struct.pack(">BH", _VERSION, len(checked))]
    for stroke in checked:
        levels = np.rint(_simplified(stroke) * _LEVELS).astype(np.uint8)
        moved = np.ones(len(levels), dtype=bool)
        moved[1:] = (levels[1:] != levels[:-1]).any(axis=1)
        levels = levels[moved]
        parts += [struct.pack(">H", len(levels)), levels.tobytes()]
    return base64.urlsafe_b64encode(b"".join(parts)).decode().rstrip("=")


def decode(text: str) -> Strokes:
    """The strokes of a text that `encode` made; ValueError says what is wrong with any other."""
    if len(text) > math.ceil(_MOST_BYTES * 4 / 3):
        raise ValueError(f"the drawing has {len(text):,} characters, more than any drawing takes")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text) or len(text) % 4 == 1:
        raise ValueError("the drawing is damaged: it is not the text of a drawing")
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if content[0] != _VERSION:
        raise ValueError(f"the drawing is of version {content[0]}, and only version {_VERSION} is read")
    strokes, at = [], 3
    for _ in range(_whole(content, 1)):
        count = _whole(content, at)
        end = at + 2 + 2 * count
        if count == 0 or end > len(content):
            raise ValueError("the drawing is cut short" if count else "the drawing has an empty stroke")
        levels = np.frombuffer(content, np.uint8, 2 * count, at + 2).reshape(-1, 2)
        strokes.append([(float(across), float(up)) for across, up in levels / _LEVELS])
        at = end
    if not strokes:
        raise ValueError("the drawing has no strokes")
    if at != len(content):
        raise ValueError("the drawing has more after its last stroke")
    _refuse_many(strokes)
    return strokes


def points(
    strokes: Sequence[Sequence[tuple[float, float]]], bounds: Bounds, count: int = 400
) -> list[tuple[float, float]]:
    """`count` points along the strokes, equally far apart, in the coordinates of the bounds.

    A stroke gets its share of the points by its length, so that ink is mass. A stroke smaller than the pen is
    a dot: a circle as wide as the pen, since points that are all equal have no kernel density.

    >>> points([[(0.0, 0.5), (1.0, 0.5)]], ((-1.0, 1.0), (0.0, 1.0)), count=2)
    [(-0.5, 0.5), (0.5, 0.5)]
    """
    low, high = np.array(bounds, dtype=np.float64).T
    lines = [low + _with_width(stroke) * (high - low) for stroke in _checked(strokes)]
    # A jump from one stroke to the next has no length, and so no points.
    steps = np.concatenate([[0.0, *np.hypot(*np.diff(line, axis=0).T)] for line in lines])
    along, corners = np.cumsum(steps), np.concatenate(lines)
    wanted = (np.arange(count) + 0.5) / count * along[-1]
    after = np.searchsorted(along, wanted, side="right")
    part = ((wanted - along[after - 1]) / steps[after])[:, None]
    return [(float(x), float(y)) for x, y in corners[after - 1] * (1 - part) + corners[after] * part]


def _checked(strokes: Sequence[Sequence[tuple[float, float]]]) -> list[Array]:
    """The strokes as arrays (n, 2) in the unit square."""
    if len(strokes) == 0 or not all(len(stroke) for stroke in strokes):
        raise ValueError("a drawing needs a stroke, and each stroke a point")
    _refuse_many(strokes)
    arrays = [np.array(stroke, dtype=np.float64) for stroke in strokes]
    if not all(array.shape[1:] == (2,) for array in arrays):
        raise ValueError("a point of the drawing is a pair of numbers")
    if not all(((array >= 0) & (array <= 1)).all() for array in arrays):  # nor NaN
        raise ValueError("the drawing leaves the picture")
    return arrays


def _refuse_many(strokes: Sequence[Sequence[tuple[float, float]]]) -> None:
    if sum(map(len, strokes)) > MAX_POINTS:
        raise ValueError(f"the drawing has more than {MAX_POINTS:,} points")


def _whole(content: bytes, at: int) -> int:
    """Two bytes as a number."""
    if at + 2 > len(content):
        raise ValueError("the drawing is cut short")
    return int.from_bytes(content[at : at + 2], "big")


def _simplified(stroke: Array) -> Array:
    """Fewer points of the same stroke, within TOLERANCE of the others (Ramer, Douglas and Peucker)."""
    kept = np.zeros(len(stroke), dtype=bool)
    kept[[0, -1]] = True
    open_ends = [(0, len(stroke) - 1)]
    while open_ends:
        first, last = open_ends.pop()
        between = stroke[first + 1 : last]
        if len(between) == 0:
            continue
        away = _distance_to_segment(between, stroke[first], stroke[last])
        farthest = int(away.argmax())
        if away[farthest] > TOLERANCE:
            middle = first + 1 + farthest
            kept[middle] = True
            open_ends += [(first, middle), (middle, last)]
    return stroke[kept]


def _distance_to_segment(at: Array, start: Array, end: Array) -> Array:
    way = end - start
    share = np.clip((at - start) @ way / max(float(way @ way), np.finfo(float).tiny), 0, 1)
    away: Array = np.linalg.norm(at - start - share[:, None] * way, axis=1)
    return away


def _with_width(stroke: Array) -> Array:
    """The stroke, or a circle where it is smaller than the pen."""
    if np.ptp(stroke, axis=0).max() >= _DOT_RADIUS:
        return stroke
    angle = np.linspace(0, 2 * math.pi, _DOT_CORNERS + 1)
    return stroke[0] + _DOT_RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
