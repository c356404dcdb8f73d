"""Encoders and classifiers: from a datum to a vector. They know nothing of what the vector is for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from lflow.nets.blocks import (
    Shape,
    activation,
    downsampler,
    hidden_sizes,
    mlp,
    single_width,
    without_layer_norm,
)
from lflow.nets.strided import strided_encoder


def encoder(
    shape: Shape,
    out_dim: int,
    kind: str = "mlp",
    width: int | Sequence[int] = 64,
    activation: str = "silu",
    layer_norm: bool = False,
) -> nn.Module:
    """A net (n, *shape) -> (n, out_dim).

    Args:
        shape: (dim,) of vectors or (c, h, w) of images.
        kind: "mlp" takes any shape; "conv" halves an image with strides; "strided" is
            HVAE's (16 channels).
        width: of an mlp the width of two hidden layers, or the widths of all; of "conv" the channels after
            the first layer, which double with each halving up to 8 times as many; of "strided" those of the
            first of three layers.
        activation: a name in `lflow.nets.ACTIVATIONS`.
        layer_norm: before each activation, of an mlp.

    Raises:
        ValueError: an unknown kind or activation, or a shape, width or norm that the kind cannot take.
    """
    if kind == "mlp":
        sizes = [math.prod(shape), *hidden_sizes(width), out_dim]
        return nn.Sequential(nn.Flatten(), *mlp(sizes, activation, layer_norm))
    without_layer_norm(layer_norm, kind)
    if kind == "conv":
        layers, features = downsampler(shape, single_width(width, kind), activation)
        return nn.Sequential(*layers, nn.Linear(features, out_dim))
    if kind == "strided":
        return strided_encoder(shape, out_dim, single_width(width, kind), activation)
    raise ValueError(f"kind of an encoder must be mlp, conv or strided, got {kind!r}")


class Classifier(nn.Module):
    """Features of a datum and a linear head on them.

    features(x): (n, *shape) -> (n, 2 · width); forward(x): (n, *shape) -> logits (n, num_classes).
    """

    def __init__(self, trunk: nn.Module, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.num_features = num_features
        self.head = nn.Linear(num_features, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """What the head sees: (n, num_features)."""
        found: Tensor = self.trunk(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def classifier(shape: Shape, num_classes: int, width: int = 32) -> Classifier:
    """A classifier, convolutional where the shape is an image's, with 2 · width features."""
    kind = "conv" if len(shape) == 3 else "mlp"
    trunk = nn.Sequential(encoder(shape, 2 * width, kind, width), activation("silu"))
    return Classifier(trunk, 2 * width, num_classes)
