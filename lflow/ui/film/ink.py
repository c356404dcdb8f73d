"""Colours, type, numbers and antialiased strokes of a picture. Knows nothing of what is drawn.

Sizes are in CSS pixels times a ratio, as in the player.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from lflow.paths import static_dir
from lflow.ui.theme import INK, PAPER

Colour = tuple[int, int, int]
Points = Iterable[Sequence[float]] | NDArray[np.float64]

_FINER = 3
_CAPITALS = 0.727  # their height in Inter, as a part of the size
_TABULAR = ["tnum"] if features.check("raqm") else None  # figures of one width, where Pillow can ask for them


class Tick(NamedTuple):
    """A number on an axis."""

    value: float
    text: str


def parse_colour(text: str) -> Colour:
    """#rrggbb as three numbers."""
    return (int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))


def mix(start: Colour, end: Colour, share: float) -> Colour:
    """The colour that lies at a share of the way from one to another."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
    return (red, green, blue)


@dataclass(frozen=True)
class Ink:
    """The colours of a page, light or dark."""

    dark: bool

    @property
    def paper(self) -> Colour:
        return parse_colour(PAPER[self.dark])

    @property
    def ink(self) -> Colour:
        return parse_colour(INK[self.dark])

    @property
    def quiet(self) -> Colour:
        return mix(self.paper, self.ink, 0.62)

    @property
    def border(self) -> Colour:
        return mix(self.paper, self.ink, 0.2)

    @property
    def shade(self) -> Colour:
        """The target's density at its peak: a neutral grey-blue."""
        return (74, 94, 122) if self.dark else (150, 170, 196)


class Type:
    """A typeface at a size and a weight, in which text is measured and written.

    Letters are drawn finer than the picture and then reduced: at small sizes they else stand unevenly.
    """

    def __init__(self, size: float, weight: int = 400) -> None:
        self.size, self.weight = size, weight

    def length(self, text: str) -> float:
        """The width of a text."""
        return sum(font.getlength(run, features=_TABULAR) for font, run in self._runs(text)) / _FINER

    def write(
        self,
        picture: Image.Image,
        at: tuple[float, float],
        text: str,
        colour: Colour,
        anchor: str = "ls",
        halo: Colour | None = None,
    ) -> None:
        """Write on a picture. anchor: l, m or r for x; t (top), m (middle) or s (baseline) for y."""
        x = at[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * self.length(text)
        y = at[1] + {"t": 1.0, "m": 0.5, "s": 0.0}[anchor[1]] * _CAPITALS * self.size
        left, top = math.floor(x - 0.3 * self.size), math.floor(y - 1.2 * self.size)
        size = (math.ceil(self.length(text) + self.size), math.ceil(1.8 * self.size))
        for thick, fill in ((0.3 * self.size / 2, halo), (0.0, colour)):
            if fill is None:
                continue
            mask = Image.new("L", (size[0] * _FINER, size[1] * _FINER))
            draw, along = ImageDraw.Draw(mask), (x - left) * _FINER
            for font, run in self._runs(text):
                place = (along, (y - top) * _FINER)
                wide = thick * _FINER
                draw.text(place, run, 255, font, "ls", features=_TABULAR, stroke_width=wide)
                along += font.getlength(run, features=_TABULAR)
            picture.paste(fill, (left, top), mask.reduce(_FINER))

    def wrap(self, text: str, width: float) -> list[str]:
        """The text in lines of at most this width."""
        lines: list[str] = []
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.length(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def shorten(self, text: str, width: float) -> str:
        """The text, cut where it is too long."""
        if self.length(text) <= width:
            return text
        while len(text) > 1 and self.length(f"{text}…") > width:
            text = text[:-1].rstrip()
        return f"{text}…"

    def _runs(self, text: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        """Pieces of the text, each with a font that has its characters."""
        fonts = _fonts(self.size * _FINER, self.weight)
        chosen = [fonts[_font_of(character)] for character in text]
        pairs = groupby(zip(chosen, text, strict=True), key=lambda pair: pair[0])
        return [(font, "".join(character for _, character in run)) for font, run in pairs]


@lru_cache(maxsize=64)
def _fonts(size: float, weight: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    """Inter in its three files, and a font with the signs of mathematics where there is one."""
    fonts = [ImageFont.truetype(str(file), size) for file in _inter()]
    for font in fonts:
        font.set_variation_by_axes([weight])
    spec = find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        signs = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        fonts.append(ImageFont.truetype(str(signs), size))
    return tuple(fonts)


def _inter() -> list[Path]:
    return [static_dir() / f"inter-{part}.woff2" for part in ("latin", "greek", "latin-ext")]


@lru_cache(maxsize=1024)
def _font_of(character: str) -> int:
    """Which of the fonts has a character; the first where none has."""
    for number, font in enumerate(_fonts(16.0, 400)):
        if character.isspace() or bytes(font.getmask(character)) != bytes(font.getmask("\uffff")):
            return number
    return 0


class Stencil:
    """Antialiased shapes in one colour: a mask, drawn larger than the picture that it is laid on."""

    def __init__(self, width: int, height: int, finer: int = 3) -> None:
        self.finer = finer
        self._mask = Image.new("L", (width * finer, height * finer))
        self._draw = ImageDraw.Draw(self._mask)

    def line(self, points: Points, width: float, strength: float = 1.0) -> None:
        """A line through points, in pixels of the picture."""
        finer = self.finer
        path = [(float(x) * finer, float(y) * finer) for x, y in points]
        self._draw.line(path, round(255 * strength), max(1, round(width * finer)), joint="curve")

    def segments(self, pairs: NDArray[np.float64], width: float, strength: float = 1.0) -> None:
        """Lines of their own, (n, 2 ends, 2): where they meet, they look like one."""
        fill, thick = round(255 * strength), max(1, round(width * self.finer))
        for ends in (pairs.reshape(-1, 4) * self.finer).tolist():
            self._draw.line(ends, fill, thick)

    def dot(self, x: float, y: float, radius: float, strength: float = 1.0) -> None:
        """A disc."""
        x, y, radius = x * self.finer, y * self.finer, radius * self.finer
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), round(255 * strength))

    def lay(self, picture: Image.Image, at: tuple[int, int], colour: Colour) -> None:
        """Lay the shapes on a picture, the upper left corner at a pixel."""
        picture.paste(colour, at, self.mask())

    def mask(self) -> Image.Image:
        """The shapes in pixels of the picture, 255 where they cover one wholly."""
        return self._mask.reduce(self.finer)


def dashed(points: Sequence[tuple[float, float]], on: float, off: float) -> list[list[tuple[float, float]]]:
    """The pieces of a line that a dash pattern shows, by length along the line."""
    pieces: list[list[tuple[float, float]]] = []
    passed, period = 0.0, on + off
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.hypot(x1 - x0, y1 - y0)
        at = 0.0
        while at < length:
            into = (passed + at) % period
            reach = min(length - at, (on if into < on else period) - into + 1e-9)
            if into < on:
                ends = [
                    (x0 + (x1 - x0) * part / length, y0 + (y1 - y0) * part / length)
                    for part in (at, at + reach)
                ]
                if pieces and pieces[-1][-1] == ends[0]:
                    pieces[-1].append(ends[1])
                else:
                    pieces.append(ends)
            at += reach
        passed += length
    return pieces


def format_number(value: float, figures: int = 3) -> str:
    """Some figures, with a true minus sign."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if size != 0 and (size >= 1e5 or size < 1e-3):
        mantissa, exponent = f"{value:.{max(0, figures - 2)}e}".split("e")
        text = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    else:
        decimals = 0 if size == 0 else max(0, figures - 1 - math.floor(math.log10(size)))
        text = f"{value:.{min(decimals, 4)}f}"
    return text.replace("-", "−")


def nice_ticks(low: float, high: float, count: float) -> list[Tick]:
    """About `count` round numbers within [low, high], with as many decimals as they need."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor for factor in (1, 2, 5, 10) if factor * power >= rough) * power
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [index * step for index in range(first, last + 1)]
    plain = 1e-4 <= step < 1e5
    texts = [f"{value + 0.0:.{decimals}f}" if plain else format_number(value) for value in values]
    return [Tick(value, text.replace("-", "−")) for value, text in zip(values, texts, strict=True)]
