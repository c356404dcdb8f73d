"""A picture of what a task made: a row of images for each thing that it shows, or a panel of points.

Knows nothing of tasks.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor

from lflow.training.pictures import PAPER, picture, tiled

_COLUMNS = 16


def rows_picture(rows: Mapping[str, Tensor]) -> Image.Image:
    """Rows (n, c, h, w) in [-1, 1] below one another, sixteen columns at a time; of points panels from left
    to right, in one view. ValueError for vectors of another dimension."""
    values = [each.cpu() for each in rows.values()]
    if len(values) == 1:
        return picture(values[0])
    if values[0].ndim != 4:
        together = torch.cat(values)
        panels = [picture(each, together) for each in values]
        image = Image.new("RGB", (sum(panel.width + 4 for panel in panels), panels[0].height), PAPER)
        for k, panel in enumerate(panels):
            image.paste(panel, (k * (panel.width + 4), 0))
        return image
    columns = min(_COLUMNS, len(values[0]))
    blank = torch.full_like(values[0][:1], 1.0)
    parts = []
    for begin in range(0, len(values[0]), columns):
        for each in values:
            part = each[begin : begin + columns]
            parts.append(torch.cat([part, blank.expand(columns - len(part), -1, -1, -1)]))
    return tiled(torch.cat(parts), columns)
