"""Energy nets: one number U(x) a point, for targets p(x) ∝ exp(-U(x)/T).

Smooth by default, so that second derivatives exist; they know nothing of how they are sampled or learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from lflow.nets.blocks import (
    Shape,
    activation,
    doubling,
    downsampler,
    halvings,
    hidden_sizes,
    image_shape,
    mlp,
    single_width,
)

RESIDUAL_OUTPUTS = 100


class EnergyNet(nn.Module):
    """The sum of a net's outputs, (n, *shape) -> (n,)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.net(x)
        return outputs.flatten(1).sum(1)


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions beside one that skips them, each activated; their sum halved by averaging."""

    def __init__(self, channels_in: int, channels_out: int, act: str) -> None:
        super().__init__()
        self.through = nn.Sequential(
            nn.Conv2d(channels_in, channels_in, 3, padding=1),
            activation(act),
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
            activation(act),
        )
        self.past = nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, padding=1), activation(act))
        self.halve = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.halve(self.through(x) + self.past(x))
        return halved


def energy_net(
    shape: Shape, kind: str = "mlp", width: int | Sequence[int] = 64, activation: str = "silu"
) -> EnergyNet:
    """A net for an energy, (n, *shape) -> (n,).

    Args:
        shape: (dim,) of vectors or (c, h, w) of images.
        kind: "mlp" takes any shape; "conv" halves an image with strides; "residual" is CoopFlow's EBM_res
            (17.13 million parameters at width 128 on 3 × 32 × 32).
        width: of an mlp the width of two hidden layers, or the widths of all; of the others the channels
            after the first layer, which double with each halving up to 8 times as many.
        activation: a name in `lflow.nets.ACTIVATIONS`.

    Raises:
        ValueError: an unknown kind or activation, or a shape or width that the kind cannot take.

    Example:
        >>> lflow.nets.energy_net((2,), width=(32, 64, 64, 64), activation="leaky_relu_0.05")  # AniLA's rings
    """
    if kind == "mlp":
        sizes = [math.prod(shape), *hidden_sizes(width), 1]
        return EnergyNet(nn.Sequential(nn.Flatten(), *mlp(sizes, activation)))
    if kind == "conv":
        layers, features = downsampler(shape, single_width(width, kind), activation)
        return EnergyNet(nn.Sequential(*layers, nn.Linear(features, 1)))
    if kind == "residual":
        return EnergyNet(_residual(shape, single_width(width, kind), activation))
    raise ValueError(f"kind of an energy net must be mlp, conv or residual, got {kind!r}")


def _residual(shape: Shape, width: int, act: str) -> nn.Module:
    channels, *size = image_shape(shape, "residual")
    sizes = halvings(*size)
    widths = doubling(width, len(sizes))
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), activation(act)]
    layers += [ResidualBlock(now, after, act) for now, after in pairwise(widths)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], RESIDUAL_OUTPUTS, sizes[-1]))
