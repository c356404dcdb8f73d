"""Flowers drawn from numbers: 32×32 in colour, eight kinds, as many as are asked for.

Every flower has a row of uniform random numbers, so the first of a larger set are those of a smaller one.
A picture is painted from back to front; every edge is a distance, so that it is smooth at any size.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from lflow.data.cache import Rows

NUMBER = {"train": 10_000, "test": 2_000}
SIZE = 32
_LAYERS, _LIGHTS, _COLUMNS = 4, 5, 64
_CHUNK = 64

Range = tuple[float, float]
Array = NDArray[np.floating]


@dataclass(frozen=True)
class Kind:
    """What the flowers of one kind have in common: ranges from which each draws. Lengths: half a side is 1.

    width: of a petal, as a share of the room that its neighbours leave. waist and tip: how fast a petal
    narrows at its ends (0.3 round, 1 pointed). shrink: length of a layer of petals over that of the one
    below. hue in turns; pale and dark: how much the tip is whiter, and the base darker, than the petal.
    """

    petals: Range
    length: Range
    width: Range
    waist: Range
    tip: Range
    layers: Range
    shrink: Range
    hue: Range
    saturation: Range
    value: Range
    pale: Range
    dark: Range
    heart: Range
    heart_hue: Range
    heart_value: Range


# fmt: off
KINDS = {
    "daisy": Kind((12, 20), (.68, .86), (.8, 1.), (.5, .7), (.25, .4), (1, 2), (.85, .95), (.1, .18),
                  (0., .08), (.94, 1.), (0., .3), (0., .1), (.2, .28), (.11, .14), (.9, 1.)),
    "sunflower": Kind((14, 20), (.76, .92), (1., 1.3), (.5, .7), (.7, 1.), (2, 2), (.8, .9), (.11, .145),
                      (.85, 1.), (.95, 1.), (0., .15), (.1, .35), (.34, .42), (.05, .08), (.25, .42)),
    "poppy": Kind((4, 5), (.76, .92), (.95, 1.1), (.8, 1.), (.3, .4), (2, 2), (.8, .9), (-.03, .06),
                  (.85, 1.), (.85, 1.), (0., .12), (.4, .8), (.13, .2), (.2, .7), (.1, .22)),
    "dahlia": Kind((11, 15), (.76, .9), (1., 1.25), (.6, .8), (.4, .7), (4, 4), (.7, .76), (.74, 1.14),
                   (.45, .9), (.85, 1.), (.15, .5), (.2, .5), (.06, .1), (.0, .14), (.5, .8)),
    "frangipani": Kind((5, 5), (.78, .92), (.84, .96), (.7, .9), (.5, .6), (1, 1), (1., 1.), (.09, .15),
                       (.7, 1.), (.97, 1.), (.9, 1.), (0., .1), (.03, .05), (.08, .12), (.85, 1.)),
    "cosmos": Kind((7, 9), (.78, .94), (.86, .96), (.8, 1.), (.28, .38), (1, 1), (1., 1.), (.82, .96),
                   (.35, .8), (.88, 1.), (.1, .5), (.05, .35), (.13, .18), (.12, .15), (.85, .98)),
    "forget-me-not": Kind((5, 5), (.64, .78), (.86, .96), (.8, 1.), (.42, .5), (1, 1), (1., 1.), (.54, .68),
                          (.4, .75), (.85, 1.), (.1, .35), (-.3, -.1), (.11, .15), (.12, .15), (.95, 1.)),
    "tulip": Kind((3, 3), (1., 1.15), (.5, .6), (.5, .6), (.45, .6), (1, 1), (1., 1.), (.78, 1.15),
                  (.65, .95), (.85, 1.), (.05, .45), (.1, .35), (.01, .01), (.2, .2), (.5, .5)),
}
# fmt: on
_TULIP = list(KINDS).index("tulip")
_BACKGROUNDS = np.array(
    [  # hue, saturation, value: low and high
        [(0.24, 0.40), (0.30, 0.75), (0.15, 0.60)],  # a meadow
        [(0.28, 0.45), (0.35, 0.80), (0.10, 0.35)],  # the shade of leaves
        [(0.50, 0.60), (0.15, 0.55), (0.55, 0.95)],  # the sky
        [(0.66, 0.80), (0.20, 0.50), (0.20, 0.55)],  # dusk
        [(0.07, 0.13), (0.15, 0.40), (0.50, 0.85)],  # sand
    ],
    dtype=np.float32,
)


class _Numbers:
    """The random numbers of some flowers, taken a column at a time, each (n, 1, 1): one for all pixels."""

    def __init__(self, table: Array) -> None:
        self._columns = iter(table.T[..., None, None])

    def between(self, low: float | Array, high: float | Array) -> Array:
        return low + (high - low) * next(self._columns)

    def from_ranges(self, ranges: Array) -> list[Array]:
        """One number for each of the ranges, (n, ranges, 2)."""
        return [self.between(low, high) for low, high in ranges.transpose(1, 2, 0)[..., None, None]]


def rows(split: str, number: int | None, seed: int) -> Rows:
    """So many flowers of a seed; the two splits of a seed have nothing in common."""
    count = NUMBER[split] if number is None else number
    table = np.random.default_rng([seed, split == "test"]).random((count, _COLUMNS), dtype=np.float32)
    labels = (table[:, 0] * len(KINDS)).astype(np.int64)
    chunks = (slice(start, start + _CHUNK) for start in range(0, count, _CHUNK))
    painted = (picture for some in chunks for picture in _paint(table[some, 1:], labels[some]))
    return Rows(labels, tuple(KINDS), (("flowers", picture) for picture in painted))


def _paint(table: Array, labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The pictures, uint8 (n, 3, size, size)."""
    axis = (np.arange(SIZE, dtype=np.float32) + 0.5) * (2 / SIZE) - 1
    x, y = axis[None, None, :], axis[None, :, None]
    canvas = np.empty((len(table), 3, SIZE, SIZE), dtype=np.float32)
    ranges = np.array([astuple(kind) for kind in KINDS.values()], dtype=np.float32)[labels]
    names = [field.name for field in fields(Kind)]
    for rows, paint in ((labels != _TULIP, _paint_rosette), (labels == _TULIP, _paint_tulip)):
        numbers = _Numbers(table[rows])
        ground = _paint_background(x, y, numbers)
        kind = dict(zip(names, numbers.from_ranges(ranges[rows]), strict=True))
        lit = 1 + 0.10 * (numbers.between(-1, 1) * x - y)  # from above, and a little from one side
        canvas[rows] = paint(ground, x, y, kind, numbers) * lit[:, None]
    return (canvas.clip(0, 1) * 255).round().astype(np.uint8)


def _paint_background(x: Array, y: Array, numbers: _Numbers) -> Array:
    """One colour running into another, with soft lights out of focus."""
    style = numbers.between(0, len(_BACKGROUNDS)).astype(int).ravel()
    near, far = (_colour(*numbers.from_ranges(_BACKGROUNDS[style])) for _ in range(2))
    turn = numbers.between(0, 2 * math.pi)
    slope = _smooth(0.5 + 0.4 * (x * np.cos(turn) + y * np.sin(turn)))[:, None]
    canvas = near + (far - near) * slope
    for _ in range(_LIGHTS):
        dx, dy = x - numbers.between(-1, 1), y - numbers.between(-1, 1)
        radius = numbers.between(0.12, 0.45)
        strength = numbers.between(0.05, 0.35) * _smooth((radius - np.hypot(dx, dy)) / 0.12 + 0.5)
        canvas += (0.25 + 0.9 * near - canvas) * strength[:, None]
    return canvas


def _paint_rosette(canvas: Array, x: Array, y: Array, kind: dict[str, Array], numbers: _Numbers) -> Array:
    """A flower seen from the front: leaves, rings of petals that shade those below, and the heart."""
    x, y = x - numbers.between(-0.14, 0.14), y - numbers.between(-0.14, 0.14)
    shade = np.hypot(x - 0.06, y - 0.12) / kind["length"]
    canvas = canvas * (1 - 0.4 * _smooth(1.6 - 1.4 * shade))[:, None]
    turn, squash = numbers.between(0, 2 * math.pi), numbers.between(0.78, 1)  # seen at an angle
    x, y = x * np.cos(turn) + y * np.sin(turn), (y * np.cos(turn) - x * np.sin(turn)) / squash
    radius, angle = np.hypot(x, y), np.arctan2(y, x) + numbers.between(0, 2 * math.pi)

    count = np.floor(numbers.between(2, 5))
    green = _colour(numbers.between(0.25, 0.4), numbers.between(0.4, 0.8), numbers.between(0.25, 0.6))
    along, across = _to_petal(radius, angle, count)
    leaf = _Petal(along, across, kind["length"] + 0.12, np.full_like(count, 0.2), 0.5, 0.8)
    canvas = leaf.over(canvas, leaf.colour(green, 0.2, 0.3), numbers.between(0, 2) > 1)

    petals = kind["petals"].round()
    base = _colour(kind["hue"], kind["saturation"], kind["value"])
    room = np.tan(math.pi / petals)
    for layer in range(_LAYERS):
        length = kind["length"] * kind["shrink"] ** layer
        along, across = _to_petal(radius, angle + layer * math.pi / petals, petals)
        widest = kind["waist"] / (kind["waist"] + kind["tip"]) * length * room
        petal = _Petal(along, across, length, kind["width"] * widest, kind["waist"], kind["tip"], room)
        painted = petal.colour(base, kind["pale"][:, None], kind["dark"][:, None])
        canvas = petal.over(canvas, painted * (0.94 + 0.04 * layer), layer < kind["layers"].round())
    return _paint_heart(canvas, radius, angle, kind)


def _paint_heart(canvas: Array, radius: Array, angle: Array, kind: dict[str, Array]) -> Array:
    size = kind["heart"]
    inside = (size - radius) * (SIZE / 2)
    seeds = np.sin(14 * radius / size + 2 * angle) * np.sin(9 * angle - 6 * radius / size)
    shade = (1.12 - 0.45 * (radius / size) ** 2 + 0.16 * seeds).clip(0.3, 1.4)
    colour = _colour(kind["heart_hue"], np.full_like(size, 0.85), kind["heart_value"]) * shade[:, None]
    canvas = canvas * (1 - 0.3 * _smooth(1 + inside / 4))[:, None]
    return canvas + (colour - canvas) * (inside + 0.5).clip(0, 1)[:, None]


def _paint_tulip(canvas: Array, x: Array, y: Array, kind: dict[str, Array], numbers: _Numbers) -> Array:
    """A tulip seen from the side: a stem, two leaves, two petals behind and one in front."""
    x = x - numbers.between(-0.2, 0.2) - numbers.between(-0.12, 0.12) * (y + 1) ** 2
    foot = numbers.between(0.1, 0.3)
    green = _colour(numbers.between(0.26, 0.4), numbers.between(0.45, 0.8), numbers.between(0.35, 0.65))
    stem = (np.minimum(0.055 - np.abs(x), y - foot) * (SIZE / 2) + 0.5).clip(0, 1)[:, None]
    canvas = canvas + (green * (0.95 - 3 * x[:, None]) - canvas) * stem
    for side in (-1, 1):
        lean, length = side * numbers.between(0.15, 0.5), numbers.between(0.7, 1.2)
        along, across = _from_foot(x, y, np.full_like(foot, 1.05), lean)
        leaf = _Petal(along, across, length, np.full_like(length, 0.15), 0.5, 0.8)
        canvas = leaf.over(canvas, leaf.colour(green, 0.15, 0.35))
    base = _colour(kind["hue"], kind["saturation"], kind["value"])
    opening = numbers.between(0.14, 0.34)
    for lean, light in ((-opening, 0.8), (opening, 0.84), (0 * opening, 1.0)):
        along, across = _from_foot(x, y, foot + 0.04, lean)
        width = kind["length"] * kind["width"] * 0.62
        petal = _Petal(along, across, kind["length"], width, kind["waist"], kind["tip"])
        painted = petal.colour(base, kind["pale"][:, None], kind["dark"][:, None])
        canvas = petal.over(canvas, painted * light)
    return canvas


class _Petal:
    """A petal from the origin along an axis: half as wide as `width` · t^waist (1-t)^tip, t = along/length.

    `inside` is about the distance in pixels to its edge, positive within. `room`, where its neighbours are as
    wide as it, is the slope of the seam between them.
    """

    def __init__(
        self,
        along: Array,
        across: Array,
        length: Array,
        width: Array,
        waist: Array | float,
        tip: Array | float,
        room: Array | float = math.inf,
    ) -> None:
        self.t = t = (along / length).clip(1e-3, 1 - 1e-3)
        peak = waist / (waist + tip)
        half = width * (t / peak) ** waist * ((1 - t) / (1 - peak)) ** tip
        slope = (half * (waist / t - tip / (1 - t)) / length).clip(-3, 3)
        distance = (half - np.abs(across)) / np.sqrt(1 + slope**2)
        self.inside = np.minimum(distance, np.minimum(along, length - along)) * (SIZE / 2)
        self.edge = np.abs(across) / np.maximum(np.minimum(half, room * np.maximum(along, 1e-3)), 1e-3)

    def colour(self, base: Array, pale: Array | float, dark: Array | float) -> Array:
        """From a darker foot to a paler tip, with a rib along the middle and shaded sides."""
        t = self.t[:, None]
        toned = base * (1 - dark * (1 - _smooth(2 * t))) + (1 - base) * pale * _smooth(1.6 * t - 0.6)
        relief = 1 - 0.22 * self.edge.clip(0, 1) ** 2 - 0.06 * np.exp(-40 * self.edge**2)
        return toned * relief[:, None]

    def over(self, canvas: Array, colour: Array, shown: NDArray[np.bool_] | bool = True) -> Array:
        """The canvas with the petal on it, and its soft shadow around it; only where it is shown."""
        covered = (self.inside + 0.5).clip(0, 1) * shown
        shadow = 0.25 * _smooth(1 + self.inside / 2.5) * shown
        canvas = canvas * (1 - shadow)[:, None]
        return canvas + (colour - canvas) * covered[:, None]


def _to_petal(radius: Array, angle: Array, petals: Array) -> tuple[Array, Array]:
    """Coordinates along and across the nearest of so many petals around the origin."""
    room = 2 * math.pi / petals
    offset = np.remainder(angle, room) - room / 2
    return radius * np.cos(offset), radius * np.sin(offset)


def _from_foot(x: Array, y: Array, foot: Array, lean: Array) -> tuple[Array, Array]:
    """Coordinates along and across an axis that rises from a foot and leans to a side."""
    up = foot - y
    return up * np.cos(lean) + x * np.sin(lean), x * np.cos(lean) - up * np.sin(lean)


def _colour(hue: Array, saturation: Array, value: Array) -> Array:
    """Red, green and blue, (n, 3, 1, 1), of hue, saturation and value."""
    k = np.remainder(np.stack([n + 6 * hue for n in (5, 3, 1)], 1), 6)
    return value[:, None] * (1 - saturation[:, None] * np.minimum(k, 4 - k).clip(0, 1))


def _smooth(t: Array) -> Array:
    t = t.clip(0, 1)
    return t * t * (3 - 2 * t)
