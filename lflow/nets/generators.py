"""Generators: from a latent vector to a datum, images in [-1, 1]. They know nothing of noise or of priors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from lflow.nets.blocks import (
    Shape,
    activation,
    halvings,
    hidden_sizes,
    image_shape,
    mlp,
    single_width,
    without_layer_norm,
)
from lflow.nets.strided import strided_generator


def generator(
    latent_dim: int,
    shape: Shape,
    kind: str = "mlp",
    width: int | Sequence[int] = 64,
    activation: str = "silu",
    bounded: bool = True,
    layer_norm: bool = False,
) -> nn.Module:
    """A net for g(z), (n, latent_dim) -> (n, *shape).

    Args:
        shape: (c, h, w) of images, or (dim,) of vectors, which have no bounds.
        kind: "mlp"; "conv", transposed convolutions that double an image from 4 to 7 pixels a side to its
            size: with "leaky_relu_0.2" LFLOW's generator for SVHN (32 × 32) and CelebA (64 × 64); or
            "strided", HVAE's (width 16).
        width: of an mlp the width of two hidden layers, or the widths of all; of "conv" an eighth of the
            first layer's channels, which halve with each doubling; of "strided" the last layer's channels.
        activation: a name in `lflow.nets.ACTIVATIONS`.
        bounded: whether images end in a tanh: not where the output is log odds.
        layer_norm: before each activation, of an mlp.

    Raises:
        ValueError: an unknown kind or activation, or a shape, width or norm that the kind cannot take.
    """
    ending = [nn.Tanh()] if bounded and len(shape) > 1 else []
    if kind == "mlp":
        layers = mlp([latent_dim, *hidden_sizes(width), math.prod(shape)], activation, layer_norm)
        return nn.Sequential(*layers, nn.Unflatten(1, shape), *ending)
    without_layer_norm(layer_norm, kind)
    if kind == "conv":
        return nn.Sequential(*_upsampling(latent_dim, shape, single_width(width, kind), activation), *ending)
    if kind == "strided":
        return nn.Sequential(
            *strided_generator(latent_dim, shape, single_width(width, kind), activation), *ending
        )
    raise ValueError(f"kind of a generator must be mlp, conv or strided, got {kind!r}")


def _upsampling(latent_dim: int, shape: Shape, width: int, act: str) -> list[nn.Module]:
    channels, *size = image_shape(shape, "conv")
    sizes = halvings(*size)[::-1]
    now = 8 * width
    layers: list[nn.Module] = [
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, now, sizes[0]),
        activation(act),
    ]
    for level, (small, large) in enumerate(pairwise(sizes), start=2):
        after = channels if level == len(sizes) else max(now // 2, width)
        odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
        layers += [
            nn.ConvTranspose2d(now, after, 4, stride=2, padding=1, output_padding=odd),
            activation(act),
        ]
        now = after
    return layers[:-1]
