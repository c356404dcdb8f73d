"""What the nets are built of: activations by name, plain stacks of layers, and how far an image is halved.

No batch norm anywhere: a chain that runs on a net must see each point alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from torch import nn

Shape = tuple[int, ...]
"""Of one datum: (dim,) of a vector, (c, h, w) of an image."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu_0.05": partial(nn.LeakyReLU, 0.05),
    "leaky_relu_0.2": partial(nn.LeakyReLU, 0.2),
}
"""The last three have no second derivative: not for chains that use one, nor for learning through a chain."""


def activation(name: str) -> nn.Module:
    """An activation by name. ValueError names the known ones."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]()


def is_smooth(name: str) -> bool:
    """Whether an activation has a second derivative, which learning through a chain uses."""
    return not isinstance(activation(name), nn.ReLU | nn.LeakyReLU)


def mlp(sizes: Sequence[int], act: str, layer_norm: bool = False) -> list[nn.Module]:
    """Linear layers of the sizes, in and out among them, with activations between: none after the last.

    layer_norm: normalise what each activation sees.
    """
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes[:-1]):
        layers += [nn.Linear(fan_in, fan_out), *activated(fan_out, act, layer_norm)]
    return [*layers, nn.Linear(sizes[-2], sizes[-1])]


def activated(width: int, act: str, layer_norm: bool = False) -> list[nn.Module]:
    """The activation of a layer of that width, after layer norm where it is wanted."""
    return [nn.LayerNorm(width), activation(act)] if layer_norm else [activation(act)]


def start_orthogonal(net: nn.Module) -> None:
    """Let linear and convolutional layers begin with orthogonal weights and without bias."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.orthogonal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def hidden_sizes(width: int | Sequence[int], depth: int = 2) -> list[int]:
    """The widths of the hidden layers: the given ones, or one width `depth` times."""
    return [width] * depth if isinstance(width, int) else list(width)


def single_width(width: int | Sequence[int], kind: str) -> int:
    """The one width of a net whose layers follow from it. ValueError where several are given."""
    if not isinstance(width, int):
        raise ValueError(f"a {kind} net takes one width, and only an mlp a width a layer; got {width!r}")
    return width


def without_layer_norm(layer_norm: bool, kind: str) -> None:
    """ValueError where layer norm is asked of a net that is no mlp."""
    if layer_norm:
        raise ValueError(f"layer norm is for an mlp, and not for a {kind} net")


def image_shape(shape: Shape, kind: str) -> tuple[int, int, int]:
    """(c, h, w) of a shape. ValueError where it is not an image's, or smaller than 8 by 8."""
    if len(shape) != 3 or min(shape[1:]) < 8:
        raise ValueError(f"a {kind} net needs images (c, h, w) of at least 8 by 8 pixels, got shape {shape}")
    channels, height, width = shape
    return channels, height, width


def halvings(height: int, width: int) -> list[tuple[int, int]]:
    """The sizes of an image halved until a side would fall below 4: 28 × 28 gives 28, 14 and 7."""
    sizes = [(height, width)]
    while min(sizes[-1]) >= 8:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def doubling(width: int, count: int) -> list[int]:
    """So many numbers of channels: each twice the one before, up to 8 times the first."""
    return [width * min(2**k, 8) for k in range(count)]


def downsampler(shape: Shape, width: int, act: str) -> tuple[list[nn.Module], int]:
    """Convolutions down an image, its channels doubling from `width` up to 8 of it, and the features' number.

    A 3 × 3 convolution, then one of 4 × 4 at stride 2 a halving; flattened.
    """
    channels, *size = image_shape(shape, "conv")
    sizes = halvings(*size)
    widths = doubling(width, len(sizes))
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), activation(act)]
    for now, after in pairwise(widths):
        layers += [nn.Conv2d(now, after, 4, stride=2, padding=1), activation(act)]
    return [*layers, nn.Flatten()], widths[-1] * math.prod(sizes[-1])
