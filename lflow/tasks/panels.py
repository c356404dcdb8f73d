"""Points in the plane: a panel for each thing that is shown of them, on data drawn faintly, and a legend.

Knows nothing of images, and of what made the points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lflow.training.pictures import INK, PAPER, TEXT

Colour = tuple[int, int, int]

_KNOWN, _FRAME, _LINK = (212, 211, 205), (138, 138, 138), (176, 176, 172)
_ORIGINAL, _RESULT, _TO = INK, (213, 94, 0), (0, 158, 115)
_FINE = 2  # drawn so many times larger, and made smaller for smooth edges
_SIDE, _ALONE, _GAP, _TITLE, _LINE, _COLUMNS = 300, 460, 16, 20, 18, 3
_WIDER = 1.2  # than the bulk of the data


class Points(NamedTuple):
    """What is shown: rows by name, (n, 2) each, originals first; scores that order them, (n,), or None;
    whether the rows lie on a way from the first to the last; the data that they are drawn on, (m, 2)."""

    rows: Mapping[str, Tensor]
    ranking: Tensor | None
    path: bool
    known: Tensor


class Mark(NamedTuple):
    """Points, (n, 2), how they are drawn, and what the legend calls them; colours one, or one a point."""

    points: Tensor
    colours: Sequence[Colour]
    radius: float
    name: str = ""
    filled: bool = True


class Panel(NamedTuple):
    """A title, marks from below to above, and lines, (n, k, 2), under all but the first of them."""

    title: str
    marks: Sequence[Mark]
    lines: Tensor


def in_panels(shown: Points) -> Image.Image:
    """The picture. Points that are not finite, or outside of the frame, are counted in a panel's title."""
    known = Mark(shown.known, [_KNOWN], 1.3, "training data")
    if shown.ranking is not None:
        panels = [_ranked(shown, known, shown.ranking)]
    elif shown.path:
        panels = [_paths(shown, known)]
    else:
        panels = _results(shown, known)
    return _Board(panels, next(iter(shown.rows.values())), shown.known).drawn()


def _ranked(shown: Points, known: Mark, ranking: Tensor) -> Panel:
    (name, points), n = next(iter(shown.rows.items())), len(ranking)
    shades = [_between(_ORIGINAL, _RESULT, k / max(n - 1, 1)) for k in range(n)]
    found = ranking[ranking.isfinite()]
    none = torch.empty(0, 2)
    legend = [Mark(none, [shades[0]], 4, f"the most ordinary, score {float(found[0]):.3g}")]
    if n > 1:
        legend.append(Mark(none, [shades[-1]], 4, f"the least ordinary, score {float(found[-1]):.3g}"))
    return Panel(name, [known, Mark(points, shades, 4), *legend], torch.empty(0, 2, 2))


def _paths(shown: Points, known: Mark) -> Panel:
    """Lines from end to end through what the model made, and the data at their ends."""
    (_, start), *between, (_, end) = shown.rows.items()
    made = torch.stack([each for _, each in between], 1)
    marks = [
        known,
        Mark(made.flatten(0, 1), [_RESULT], 2, "what the model made between"),
        Mark(start, [_ORIGINAL], 5, "from", filled=False),
        Mark(end, [_TO], 5, "to", filled=False),
    ]
    return Panel("from end to end", marks, made)


def _results(shown: Points, known: Mark) -> list[Panel]:
    (name, original), *rest = shown.rows.items()
    return [
        Panel(
            title,
            [
                known,
                Mark(original, [_ORIGINAL], 3.5, name, filled=False),
                Mark(points, [_RESULT], 2.5, "what the title names"),
            ],
            torch.stack([original, points], 1),
        )
        for title, points in rest
    ]


def _between(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


class _Board:
    """Panels in one view, side by side, and under them the legend."""

    def __init__(self, panels: Sequence[Panel], original: Tensor, known: Tensor) -> None:
        self.panels = panels
        self.side = (_ALONE if len(panels) == 1 else _SIDE) * _FINE
        self.font = ImageFont.load_default(12 * _FINE)
        low, high = known[known.isfinite().all(1)].quantile(torch.tensor([0.01, 0.99]), 0)
        kept = original[original.isfinite().all(1)]
        low, high = torch.minimum(low, kept.amin(0)), torch.maximum(high, kept.amax(0))
        self.centre, self.half = (low + high) / 2, max(float((high - low).max()), 1e-6) / 2 * _WIDER

    def drawn(self) -> Image.Image:
        """The picture."""
        columns = min(_COLUMNS, len(self.panels))
        rows = math.ceil(len(self.panels) / columns)
        across, down = self.side + _GAP * _FINE, self.side + (_GAP + _TITLE) * _FINE
        legend = [mark for mark in self.panels[0].marks if mark.name]
        size = columns * across + _GAP * _FINE, rows * down + (len(legend) * _LINE + 2 * _GAP) * _FINE
        board = Image.new("RGB", size, PAPER)
        draw = ImageDraw.Draw(board)
        for k, panel in enumerate(self.panels):
            left, top = _GAP * _FINE + k % columns * across, _GAP * _FINE + k // columns * down
            draw.text((left, top), self._title(panel), fill=TEXT, font=self.font)
            board.paste(self._panel(panel), (left, top + _TITLE * _FINE))
        for k, mark in enumerate(legend):
            middle = rows * down + (_GAP + k * _LINE + _LINE / 2) * _FINE
            self._dot(draw, (_GAP + 6) * _FINE, middle, mark, mark.colours[0], max(mark.radius, 2.5))
            at = (_GAP + 18) * _FINE, middle
            draw.text(at, mark.name, fill=TEXT, font=self.font, anchor="lm")
        return board.resize((board.width // _FINE, board.height // _FINE), Image.Resampling.LANCZOS)

    def _title(self, panel: Panel) -> str:
        points = torch.cat([mark.points for mark in panel.marks[1:]])
        finite = points[points.isfinite().all(1)]
        outside = int((self._placed(finite).sub(self.side / 2).abs() > self.side / 2).any(1).sum())
        lost = len(points) - len(finite)
        said = [f"{count:,} {what}" for count, what in ((outside, "outside"), (lost, "not finite")) if count]
        return f"{panel.title} ({', '.join(said)})" if said else panel.title

    def _panel(self, panel: Panel) -> Image.Image:
        """A picture of its own, so that nothing leaves the frame."""
        image = Image.new("RGB", (self.side, self.side), PAPER)
        draw = ImageDraw.Draw(image)
        for k, mark in enumerate(panel.marks):
            if k == 1:
                for line in self._placed(panel.lines[panel.lines.flatten(1).isfinite().all(1)]).tolist():
                    draw.line([tuple(each) for each in line], fill=_LINK, width=_FINE)
            each = list(mark.colours) * (len(mark.points) if len(mark.colours) == 1 else 1)
            for (x, y), colour in zip(self._placed(mark.points).tolist(), each, strict=True):
                if math.isfinite(x) and math.isfinite(y):
                    self._dot(draw, x, y, mark, colour, mark.radius)
        draw.rectangle((0, 0, self.side - 1, self.side - 1), outline=_FRAME, width=_FINE)
        return image

    def _placed(self, points: Tensor) -> Tensor:
        """(..., 2) in pixels; far away is only a little outside."""
        up = torch.tensor([1.0, -1.0])
        return ((points - self.centre) / self.half * up).clamp(-3, 3).add(1).mul(self.side / 2)

    def _dot(
        self, draw: ImageDraw.ImageDraw, x: float, y: float, mark: Mark, colour: Colour, radius: float
    ) -> None:
        r = radius * _FINE
        fill = colour if mark.filled else None
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=colour, width=round(1.5 * _FINE))
