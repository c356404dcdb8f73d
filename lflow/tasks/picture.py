"""A picture of what a task made: named rows of images, or panels of points. Knows nothing of models."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lflow.tasks.base import Outcome
from lflow.tasks.panels import Points, in_panels
from lflow.training.pictures import PAPER, TEXT, as_bytes, picture

BEHIND = 1000
"""Training data that points are drawn on."""
_MOST = 64  # data points in a picture
_TILE, _GAP, _COLUMNS, _BETWEEN = 64, 3, 16, 16
_LETTERS, _LINE, _MARGIN = 18, 15, 8  # of a row's name
_MARK = (213, 94, 0)
_SIZE = 12


def rows_picture(outcome: Outcome, known: Callable[[], Tensor]) -> Image.Image:
    """Rows of images below one another, each with its name, sixteen columns at a time; panels of points.

    Samples alone need no name. known: asked for the data that points are drawn on, (m, 2). ValueError for
    vectors of another dimension.
    """
    shown = torch.tensor(_shown(len(outcome.whole)))
    rows = {name: each.cpu() for name, each in outcome.rows.items()}
    first = next(iter(rows.values()))
    if len(rows) == 1 and outcome.ranking is None:
        return picture(first)
    rows = {name: each[shown] for name, each in rows.items()}
    ranking, marked = (
        None if each is None else each.cpu()[shown] for each in (outcome.ranking, outcome.marked)
    )
    if first.ndim == 4:
        return _Sheet(rows, ranking, marked).drawn()
    if first.shape[1:] != (2,):
        raise ValueError(f"there is no picture of data of the shape {tuple(first.shape[1:])}")
    return in_panels(Points(rows, ranking, outcome.path, known().cpu()))


def omitted(outcome: Outcome) -> list[str]:
    """A sentence about the data points that are not in the picture, where there are such."""
    n = len(outcome.whole)
    if n <= _MOST or (len(outcome.rows) == 1 and outcome.ranking is None):
        return []
    return [f"the picture shows the first {_MOST // 2} and the last {_MOST // 2} of {n:,}"]


def _shown(n: int) -> list[int]:
    return list(range(n)) if n <= _MOST else [*range(_MOST // 2), *range(n - _MOST // 2, n)]


class _Sheet:
    """Where rows of images, their names and their scores are on the paper."""

    def __init__(self, rows: Mapping[str, Tensor], ranking: Tensor | None, marked: Tensor | None) -> None:
        self.images = [as_bytes(each) for each in rows.values()]
        self.names = [textwrap.wrap(name, _LETTERS) for name in rows]
        self.scores = None if ranking is None else ranking.tolist()
        self.marked = None if marked is None else marked.tolist()
        self.font = ImageFont.load_default(_SIZE)
        self.n, height, width, _ = self.images[0].shape
        self.enlarged = max(1, round(_TILE / max(height, width)))
        self.width, self.height = width * self.enlarged, height * self.enlarged
        self.columns = min(_COLUMNS, self.n)
        self.left = (
            round(max(self.font.getlength(line) for name in self.names for line in name)) + 2 * _MARGIN
        )
        self.pitch = max(self.height, _LINE * max(map(len, self.names))) + _GAP
        self.captions = 0 if ranking is None else _LINE
        self.block = len(rows) * (self.pitch + self.captions)
        self.ends = 0 if ranking is None or self.n == 1 else _LINE + 4

    def drawn(self) -> Image.Image:
        """The picture."""
        blocks = math.ceil(self.n / self.columns)
        width = self.left + max(self.columns * (self.width + _GAP), 130 if self.ends else 0) + _MARGIN
        height = 2 * _MARGIN + 2 * self.ends + blocks * self.block + (blocks - 1) * _BETWEEN
        sheet = Image.new("RGB", (width, height), PAPER)
        draw = ImageDraw.Draw(sheet)
        for block in range(blocks):
            for row, name in enumerate(self.names):
                top = _MARGIN + self.ends + block * (self.block + _BETWEEN)
                top += row * (self.pitch + self.captions)
                self._name(draw, name, top)
                for column in range(min(self.columns, self.n - block * self.columns)):
                    left = self.left + column * (self.width + _GAP)
                    k = block * self.columns + column
                    sheet.paste(self._tile(self.images[row][k]), (left, top))
                    if self.marked is not None and self.marked[k]:
                        corner = left + self.width - 1, top + self.height - 1
                        draw.rectangle(((left, top), corner), outline=_MARK, width=3)
                    if self.scores is not None:
                        self._score(draw, self.scores[k], (left + self.width // 2, top + self.height + 2))
        if self.ends:
            last = self.left + ((self.n - 1) % self.columns + 1) * (self.width + _GAP) - _GAP
            last = max(last, self.left + 115)
            most = "the most ordinary" + "; framed: held out of training" * (self.marked is not None)
            self._write(draw, most, (self.left, _MARGIN), "la")
            self._write(draw, "the least ordinary", (last, height - _MARGIN), "rd")
        return sheet

    def _tile(self, image: NDArray[np.uint8]) -> Image.Image:
        return Image.fromarray(image).resize((self.width, self.height), Image.Resampling.NEAREST)

    def _name(self, draw: ImageDraw.ImageDraw, lines: list[str], top: int) -> None:
        middle = top + self.height / 2
        for k, line in enumerate(lines):
            at = self.left - _MARGIN, middle + (k - (len(lines) - 1) / 2) * _LINE
            self._write(draw, line, at, "rm")
        if self.scores is not None:
            self._write(draw, "score", (self.left - _MARGIN, top + self.height + 2), "ra")

    def _score(self, draw: ImageDraw.ImageDraw, score: float, at: tuple[float, float]) -> None:
        self._write(draw, f"{score:.3g}" if math.isfinite(score) else "not finite", at, "ma")

    def _write(self, draw: ImageDraw.ImageDraw, text: str, at: tuple[float, float], anchor: str) -> None:
        draw.text(at, text, fill=TEXT, font=self.font, anchor=anchor)
