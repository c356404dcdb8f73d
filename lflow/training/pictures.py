"""A picture of samples: a grid of images, or points in the plane. Knows nothing of models."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

PAPER, INK, TEXT, LOST = (250, 250, 248), (38, 70, 110), (26, 26, 26), (160, 20, 20)
_GAP, _SIDE, _MARGIN = 2, 480, 1.1


def picture(samples: Tensor, view: Tensor | None = None) -> Image.Image:
    """Samples (n, c, h, w) in [-1, 1], or (n, 2), as an image; what is not finite is crossed or left out.

    view: points that decide what is in the picture; None for the samples. ValueError for vectors of another
    dimension.
    """
    if samples.ndim == 4:
        return tiled(samples, math.ceil(math.sqrt(len(samples))))
    if samples.ndim == 2 and samples.shape[1] == 2:
        return _points(samples, samples if view is None else view)
    raise ValueError(f"there is no picture of samples of the shape {tuple(samples.shape[1:])}")


def as_bytes(images: Tensor) -> np.ndarray:
    """Images (n, c, h, w) in [-1, 1] as (n, h, w, 3) bytes; what is out of range is cut off, and one that is
    not finite is a cross, which nobody takes for an image."""
    scaled = ((images.nan_to_num(-1.0).clamp(-1, 1) + 1) * 127.5).round()
    colour = scaled.expand(-1, 3, -1, -1) if images.shape[1] == 1 else scaled
    found = colour.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)
    lost = ~images.flatten(1).isfinite().all(1).cpu().numpy()
    found[lost] = _cross(*found.shape[1:3])
    return found


def _cross(height: int, width: int) -> np.ndarray:
    """From corner to corner, (height, width, 3)."""
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)
    near = np.minimum(abs(x - y), abs(x + y - 1)) <= 0.51 / max(height - 1, width - 1, 1)
    return np.where(near[..., None], LOST, PAPER).astype(np.uint8)


def tiled(samples: Tensor, columns: int) -> Image.Image:
    """Images (n, c, h, w) row by row, enlarged where they are small; between them one sees through."""
    images = as_bytes(samples)
    n, height, width, _ = images.shape
    rows = math.ceil(n / columns)
    canvas = np.empty((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 4), np.uint8)
    canvas[:] = (*PAPER, 0)
    for k, image in enumerate(images):
        top, left = _GAP + k // columns * (height + _GAP), _GAP + k % columns * (width + _GAP)
        canvas[top : top + height, left : left + width, :3] = image
        canvas[top : top + height, left : left + width, 3] = 255
    enlarged = max(1, round(_SIDE / max(canvas.shape[:2])))
    size = canvas.shape[1] * enlarged, canvas.shape[0] * enlarged
    return Image.fromarray(canvas).resize(size, Image.Resampling.NEAREST)


def _points(samples: Tensor, view: Tensor) -> Image.Image:
    points, seen = (each[each.isfinite().all(1)].cpu().numpy() for each in (samples, view))
    image = Image.new("RGB", (_SIDE, _SIDE), PAPER)
    if not len(seen):
        return image
    # The bulk decides the view: one stray point would shrink all others to a dot.
    low, high = np.quantile(seen, [0.01, 0.99], axis=0)
    centre, half = (low + high) / 2, max(float((high - low).max()), 1e-6) / 2 * _MARGIN
    across = ((points - centre) / half * [1, -1] + 1) / 2 * _SIDE
    draw = ImageDraw.Draw(image)
    for x, y in across[(np.abs(across - _SIDE / 2) <= _SIDE / 2).all(1)]:
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=INK)
    return image
