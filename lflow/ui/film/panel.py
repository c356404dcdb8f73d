"""One cloud over its target, with marginals at the edges, as the player draws it.

What never changes is drawn once, by `draw_still`; `draw_frame` adds what a frame shows. Knows no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lflow.ui.film import cloud
from lflow.ui.film.ink import Ink, Stencil, Type, dashed, mix, nice_ticks, parse_colour
from lflow.ui.packing import REACH, Panel, Scene

LEFT, BOTTOM, STRIP = 34, 20, 42  # CSS pixels around the view
_FLOW_LEVELS = (0.05, 0.25, 0.5, 0.75)  # parts of the peak at which the exact flow is drawn


def aspect(scene: Scene) -> float:
    """The height of a view over its width: as the bounds have it, unless that is very long."""
    (x0, x1), (y0, y1) = scene.bounds
    return min(1.25, max(0.55, (y1 - y0) / (x1 - x0)))


@dataclass(frozen=True)
class Strip:
    """Where a marginal density is drawn: at the top (across), or at the right."""

    across: bool
    reach: float  # of the coordinate
    length: int  # pixels along the view
    depth: int
    unit: float  # pixels a unit of density

    @property
    def size(self) -> tuple[int, int]:
        return (self.length, self.depth) if self.across else (self.depth, self.length)

    def place(self, along: float, high: float) -> tuple[float, float]:
        """A pixel of the strip, from how far along the view and how high over its edge."""
        return (along, self.depth - 1 - high) if self.across else (high, self.length - along)

    def line(self, density: NDArray[np.floating]) -> list[list[tuple[float, float]]]:
        """The density as a line, in pieces: where there is nothing, it would only thicken the frame."""
        pieces: list[list[tuple[float, float]]] = [[]]
        for index, high in enumerate((density * self.unit).tolist()):
            if high > 0.5:
                pieces[-1].append(self.place((index + 0.5) / len(density) * self.length, high))
            elif pieces[-1]:
                pieces.append([])
        return [piece for piece in pieces if len(piece) > 1]


class PanelPicture:
    """A panel at a place of the picture; left and top are those of its view, all in pixels."""

    def __init__(
        self, scene: Scene, panel: Panel, ink: Ink, left: int, top: int, width: int, ratio: float
    ) -> None:
        self.panel, self.bounds, self.ink, self.ratio = panel, scene.bounds, ink, ratio
        self.trails = scene.trails
        self.left, self.top, self.width = left, top, width
        self.height = round(width * aspect(scene))
        self.colour = parse_colour(panel.colour_dark if ink.dark else panel.colour_light)
        self.frames = self._in_pixels()
        self.dots = cloud.make_dots(self.frames.shape[1], width, self.height, ratio)
        self.strips = tuple(
            _strip(values, self.bounds[axis], (width, self.height)[axis], round(STRIP * ratio), axis == 0)
            for axis, values in enumerate((panel.marginal_x, panel.marginal_y))
        )
        self.truth = self._truth()

    def _in_pixels(self) -> cloud.Floats:
        """Positions in pixels of the view; not a number for a particle too far out, as in the player."""
        low, high = np.array(self.bounds).T
        share = (np.asarray(self.panel.positions, dtype=np.float64) - low) / (high - low)
        near = (np.abs(share - 0.5) <= REACH / 2).all(axis=-1, keepdims=True)
        share = np.where(near, share, np.nan)
        return np.stack([share[..., 0] * self.width, (1 - share[..., 1]) * self.height], axis=-1)

    def _truth(self) -> list[Image.Image | None]:
        """The target's marginals as masks over the strips."""
        masks: list[Image.Image | None] = []
        for strip, values in zip(self.strips, (self.panel.marginal_x, self.panel.marginal_y), strict=True):
            if values is None:
                masks.append(None)
                continue
            stencil = Stencil(*strip.size)
            for piece in strip.line(np.asarray(values)):
                stencil.line(piece, 1.25 * self.ratio, 0.85)
            masks.append(stencil.mask())
        return masks

    def draw_still(self, picture: Image.Image) -> None:
        """Draw the density, the contours and the axes, and keep the view for the frames."""
        view = _density(self.panel.density, self.ink, (self.width, self.height))
        if self.panel.energy is not None:
            values, stencil = np.asarray(self.panel.energy), Stencil(self.width, self.height)
            for index, level in enumerate(cloud.energy_levels(values)):
                lines = cloud.level_lines(values, level, self.width, self.height)
                stencil.segments(lines, 0.75 * self.ratio, max(0.1, 0.3 - 0.02 * index))
            stencil.lay(view, (0, 0), self.ink.ink)
        self.ground = np.asarray(view, dtype=np.float32)
        picture.paste(view, (self.left, self.top))
        self._draw_axes(picture)

    def _draw_axes(self, picture: Image.Image) -> None:
        """A frame around the view, with few numbers."""
        ratio, ink, type = self.ratio, self.ink, Type(11 * self.ratio)
        draw = ImageDraw.Draw(picture)
        right, bottom = self.left + self.width, self.top + self.height
        line, tick = max(1, round(ratio)), round(3 * ratio)
        for k in range(1, line + 1):
            draw.rectangle((self.left - k, self.top - k, right + k - 1, bottom + k - 1), outline=ink.border)
        (x0, x1), (y0, y1) = self.bounds
        for value, text in nice_ticks(x0, x1, 5 if self.width > 320 * ratio else 4):
            x = round(self.left + (value - x0) / (x1 - x0) * self.width)
            draw.rectangle((x, bottom + line, x + line - 1, bottom + line + tick), fill=ink.border)
            type.write(picture, (x, bottom + 8 * ratio), text, ink.quiet, "mt")
        for value, text in nice_ticks(y0, y1, 5 if self.height > 320 * ratio else 4):
            y = round(self.top + (1 - (value - y0) / (y1 - y0)) * self.height)
            draw.rectangle((self.left - line - tick, y, self.left - line, y + line - 1), fill=ink.border)
            type.write(picture, (self.left - 7 * ratio, y), text, ink.quiet, "rm")

    def draw_frame(self, picture: Image.Image, frame: int) -> None:
        """Draw the cloud of a frame, the exact flow where there is one, the histograms and the banner."""
        points = self.frames[frame]
        through = cloud.let_through(points, self.dots, self.width, self.height)[..., None].astype(np.float32)
        pixels = self.ground * through + np.array(self.colour, dtype=np.float32) * (1 - through)
        view = Image.fromarray(np.rint(pixels).astype(np.uint8))
        if self.trails:
            stencil = Stencil(self.width, self.height, finer=2)
            cloud.draw_trails(stencil, self.frames, frame, self.ratio)
            stencil.lay(view, (0, 0), mix(self.colour, self.ink.ink, 0.35))
        flow = None if self.panel.flow is None else np.asarray(self.panel.flow)[frame]
        if flow is not None:
            self._draw_flow(view, flow)
        if self.panel.banner_frame is not None and frame >= self.panel.banner_frame:
            draw_banner(view, self.panel.banner, self.ink, self.ratio)
        picture.paste(view, (self.left, self.top))
        self._draw_marginals(picture, points, flow)

    def _draw_flow(self, view: Image.Image, flow: NDArray[np.floating]) -> None:
        """The density of the continuous-time flow as contours, on a halo that keeps them readable."""
        levels = [part * float(flow.max()) for part in _FLOW_LEVELS]
        lines = np.concatenate([cloud.level_lines(flow, level, self.width, self.height) for level in levels])
        for width, strength, colour in ((2.75, 0.6, self.ink.paper), (1.1, 1.0, self.ink.ink)):
            stencil = Stencil(self.width, self.height, finer=2)
            stencil.segments(lines, width * self.ratio, strength)
            stencil.lay(view, (0, 0), colour)

    def _draw_marginals(
        self, picture: Image.Image, points: cloud.Floats, flow: NDArray[np.floating] | None
    ) -> None:
        """Histograms whose areas are parts of all particles, so that lost ones are missed."""
        gap = max(1, round(self.ratio))
        for axis, (strip, truth, count) in enumerate(
            zip(self.strips, self.truth, cloud.counts(points, self.width, self.height), strict=True)
        ):
            image = Image.new("RGB", strip.size, self.ink.paper)
            _draw_histogram(
                image, strip, count, len(points), mix(self.ink.paper, self.colour, 0.55), self.ratio
            )
            if truth is not None:
                image.paste(self.ink.ink, (0, 0), truth)
            if flow is not None:
                sums = flow.sum(axis=axis)  # over rows for x, over columns for y
                density = sums / max(float(sums.sum()), 1e-300) * len(sums) / strip.reach
                stencil = Stencil(*strip.size, finer=2)
                for piece in strip.line(density):
                    for dash in dashed(piece, 4 * self.ratio, 3 * self.ratio):
                        stencil.line(dash, 1.25 * self.ratio, 0.85)
                stencil.lay(image, (0, 0), self.ink.ink)
            above = (self.left, self.top - gap - strip.depth)
            picture.paste(image, above if strip.across else (self.left + self.width + gap, self.top))


def draw_banner(view: Image.Image, text: str, ink: Ink, ratio: float) -> None:
    """Draw what the reader must know at the bottom of a view."""
    type, draw = Type(12.5 * ratio), ImageDraw.Draw(view)
    vermilion, pad, line = parse_colour("#D55E00"), 10 * ratio, 18 * ratio
    lines = type.wrap(text, view.width - 16 * ratio - 2 * pad - 4 * ratio)
    bottom = view.height - 8 * ratio
    top = bottom - 2 * pad - line * len(lines)
    box = (8 * ratio, top, view.width - 8 * ratio, bottom)
    draw.rounded_rectangle(box, 4 * ratio, ink.paper, mix(ink.paper, vermilion, 0.45), round(ratio))
    draw.rectangle((box[0], top, box[0] + 4 * ratio, bottom), vermilion)
    for number, said in enumerate(lines):
        at = (box[0] + 4 * ratio + pad, top + pad + line * (number + 0.5))
        type.write(view, at, said, ink.ink, "lm")


def _strip(values: object | None, bounds: Sequence[float], length: int, depth: int, across: bool) -> Strip:
    reach = bounds[1] - bounds[0]
    peak = float(np.max(np.asarray(values))) if values is not None else 0.0
    return Strip(across, reach, length, depth, 0.72 * depth / (peak or 3 / reach))


def _draw_histogram(
    image: Image.Image,
    strip: Strip,
    count: NDArray[np.int64],
    particles: int,
    colour: tuple[int, int, int],
    ratio: float,
) -> None:
    draw = ImageDraw.Draw(image)
    most = strip.depth - 2 * ratio
    highs = np.minimum(most, count * strip.unit * cloud.BINS / (particles * strip.reach)).round().tolist()
    edges = np.linspace(0, strip.length, cloud.BINS + 1).round().astype(int).tolist()
    for start, end, high in zip(edges, edges[1:], highs, strict=False):
        if high >= 1 and strip.across:
            draw.rectangle((start, strip.depth - high, end - 1, strip.depth - 1), colour)
        elif high >= 1:
            draw.rectangle((0, strip.length - end, high - 1, strip.length - 1 - start), colour)


def _density(values: object | None, ink: Ink, size: tuple[int, int]) -> Image.Image:
    """The target's density in shades from paper to grey-blue."""
    if values is None:
        return Image.new("RGB", size, ink.paper)
    grid = np.asarray(values, dtype=np.float32)[::-1]
    rooted = np.sqrt(grid / max(float(grid.max()), 1e-30))  # as the player has it: eight bits reach far
    smooth = np.asarray(Image.fromarray(rooted).resize(size, Image.Resampling.BICUBIC))
    share = 0.8 * np.clip(smooth, 0, 1)[..., None] ** 1.3
    paper, shade = np.array(ink.paper), np.array(ink.shade)
    return Image.fromarray(np.rint(paper + (shade - paper) * share).astype(np.uint8))
