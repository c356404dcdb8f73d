"""The networks of Salimans, Kingma & Welling 2015 (arXiv 1410.6460), which HVAE's authors took over.

Three 5 × 5 convolutions at stride 2 and a hidden layer of 450; and the same way back.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from lflow.nets.blocks import Shape, activation, image_shape

_HIDDEN = 450
_LEVELS = 3


def strided_encoder(shape: Shape, out_dim: int, width: int, act: str) -> nn.Module:
    """(n, *shape) -> (n, out_dim), of width, 2 width and 2 width channels: 16, 32, 32 as published."""
    channels, sizes = _plan(shape, width)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(channels):
        layers += [nn.Conv2d(fan_in, fan_out, 5, stride=2, padding=2), activation(act)]
    features = channels[-1] * math.prod(sizes[-1])
    hidden = [nn.Linear(features, _HIDDEN), activation(act), nn.Linear(_HIDDEN, out_dim)]
    return nn.Sequential(*layers, nn.Flatten(), *hidden)


def strided_generator(latent_dim: int, shape: Shape, width: int, act: str) -> list[nn.Module]:
    """The layers of (n, latent_dim) -> (n, *shape)."""
    channels, sizes = _plan(shape, width)
    features = (channels[-1], *sizes[-1])
    layers: list[nn.Module] = [nn.Linear(latent_dim, _HIDDEN), activation(act)]
    layers += [nn.Linear(_HIDDEN, math.prod(features)), activation(act), nn.Unflatten(1, features)]
    for (fan_in, fan_out), (small, large) in zip(
        pairwise(channels[::-1]), pairwise(sizes[::-1]), strict=True
    ):
        odd = (large[0] - 2 * small[0] + 1, large[1] - 2 * small[1] + 1)
        layers += [
            nn.ConvTranspose2d(fan_in, fan_out, 5, stride=2, padding=2, output_padding=odd),
            activation(act),
        ]
    return layers[:-1]


def _plan(shape: Shape, width: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Channels and sizes from the image down: 28, 14, 7 and 4 pixels a side of MNIST."""
    first, height, wide = image_shape(shape, "strided")
    sizes = [(height, wide)]
    for _ in range(_LEVELS):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return [first, width, 2 * width, 2 * width], sizes
