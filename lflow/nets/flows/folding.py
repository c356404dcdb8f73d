"""Space to channels: how an image is folded so that its channels can be mixed and split.

A fold moves pixels and changes none, so its log-determinant is 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lflow.nets.flows.bijection import Bijection, Mapped

Image = tuple[int, int, int]


class Squeeze:
    """Each block of `rows` × `columns` pixels becomes one, with as many times the channels."""

    def __init__(self, rows: int = 2, columns: int = 2) -> None:
        self.rows, self.columns = rows, columns

    def shape(self, shape: Image) -> Image:
        """The shape that an image has once it is folded."""
        channels, height, width = shape
        return channels * self.rows * self.columns, height // self.rows, width // self.columns

    def fold(self, x: Tensor) -> Tensor:
        blocks = x.unflatten(3, (-1, self.columns)).unflatten(2, (-1, self.rows))
        return blocks.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)

    def unfold(self, z: Tensor) -> Tensor:
        blocks = z.unflatten(1, (-1, self.rows, self.columns))
        return blocks.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)


class Checkerboard:
    """The white squares' channels, then the black squares': half as wide, with twice the channels."""

    def shape(self, shape: Image) -> Image:
        """The shape that an image has once it is folded. ValueError if it cannot be."""
        channels, height, width = shape
        if width % 2:
            raise ValueError(f"a checkerboard needs an even width, got {width}")
        return 2 * channels, height, width // 2

    def fold(self, x: Tensor) -> Tensor:
        left, right = x.unflatten(3, (-1, 2)).unbind(4)
        odd = _odd_rows(x)
        return torch.cat([torch.where(odd, right, left), torch.where(odd, left, right)], dim=1)

    def unfold(self, z: Tensor) -> Tensor:
        white, black = z.chunk(2, dim=1)
        odd = _odd_rows(z)
        pairs = torch.stack([torch.where(odd, black, white), torch.where(odd, white, black)], dim=4)
        return pairs.flatten(3)


def _odd_rows(x: Tensor) -> Tensor:
    return (torch.arange(x.shape[2], device=x.device) % 2 == 1)[:, None]


def squeeze_of(shape: Image) -> Squeeze | None:
    """How an image is squeezed: two by two where both sides are even.

    An image of one channel with an odd side is folded by the smallest factor of a side, since one channel
    cannot be split. None where neither applies.
    """
    channels, height, width = shape
    if height % 2 == 0 and width % 2 == 0:
        return Squeeze()
    if channels > 1 or height * width == 1:
        return None
    factor = min(k for k in range(2, max(height, width) + 1) if height % k == 0 or width % k == 0)
    return Squeeze(1, factor) if width % factor == 0 else Squeeze(factor, 1)


class Folded(Bijection):
    """A map of a folded image; latents have the image's shape again."""

    def __init__(self, fold: Squeeze | Checkerboard, inner: Bijection) -> None:
        super().__init__()
        self.fold, self.inner = fold, inner

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        z, log_det = self.inner.to_latent(self.fold.fold(x), context)
        return self.fold.unfold(z), log_det

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        x, log_det = self.inner.to_data(self.fold.fold(z), context)
        return self.fold.unfold(x), log_det

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.fold.unfold(self.inner.initialise(self.fold.fold(x), context))
