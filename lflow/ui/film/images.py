"""A grid of images, drawn crisp, as the player draws it (assets/player/images.js). Knows no clock."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from lflow.ui.film.ink import Ink, parse_colour
from lflow.ui.film.panel import draw_banner
from lflow.ui.image_grid import ImagePanel, ImageScene

LEFT, BOTTOM, STRIP = 0, 6, 6  # CSS pixels around the grid
_LEAST_GAP, _EVEN_PIXEL = 2, 3
_MOST_GAP = 1 / 6  # of an image's width


def grid_of(count: int) -> tuple[int, int]:
    """Columns and rows: as square as the number of images allows."""
    columns = math.ceil(math.sqrt(count))
    return columns, math.ceil(count / columns)


def aspect(scene: ImageScene) -> float:
    """The height that a grid may need over its width, whatever the gaps come to."""
    count, height, width = np.shape(scene.panels[0].images)[1:4]
    columns, rows = grid_of(count)
    tall = rows * height / width
    return max(tall / columns, (tall + (rows - 1) * _MOST_GAP) / (columns + (columns - 1) * _MOST_GAP))


class PanelPicture:
    """A panel at a place of the picture; left and top are those of its grid, all in pixels."""

    def __init__(
        self, scene: ImageScene, panel: ImagePanel, ink: Ink, left: int, top: int, width: int, ratio: float
    ) -> None:
        self.panel, self.ink, self.ratio = panel, ink, ratio
        self.left, self.top, self.width = left, top, width
        self.height = round(width * aspect(scene))
        self.colour = parse_colour(panel.colour_dark if ink.dark else panel.colour_light)
        self.images = np.asarray(panel.images)
        count, height, across = self.images.shape[1:4]
        self.columns, _ = grid_of(count)
        least = round(_LEAST_GAP * ratio)
        free = width - least * (self.columns - 1)
        pixel = free // (self.columns * across)
        cell = pixel * across if pixel >= _EVEN_PIXEL else free // self.columns
        self.cell = cell, round(cell * height / across)
        over = (width - self.columns * cell) // max(1, self.columns - 1)
        self.gap = min(over, max(least, round(cell * _MOST_GAP)))

    def corner(self, number: int) -> tuple[int, int]:
        """The upper left corner of an image, in pixels of the grid."""
        row, column = divmod(number, self.columns)
        return column * (self.cell[0] + self.gap), row * (self.cell[1] + self.gap)

    def draw_still(self, picture: Image.Image) -> None:
        """Nothing in a grid stands still."""

    def draw_frame(self, picture: Image.Image, frame: int) -> None:
        """Draw the images of a frame, and the banner."""
        view = Image.new("RGB", (self.width, self.height), self.ink.paper)
        for number, image in enumerate(self.images[frame]):
            drawn = Image.fromarray(image).convert("RGB").resize(self.cell, Image.Resampling.NEAREST)
            view.paste(drawn, self.corner(number))
        if self.panel.banner_frame is not None and frame >= self.panel.banner_frame:
            draw_banner(view, self.panel.banner, self.ink, self.ratio)
        picture.paste(view, (self.left, self.top))
