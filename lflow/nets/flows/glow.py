"""Multiscale flows of images: Glow's levels, or Flow++'s scales.

References: Kingma and Dhariwal, Glow (2018); Ho et al., Flow++ (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lflow.nets.flows.bijection import Bijection, Chain, FirstHalf
from lflow.nets.flows.design import CouplingDesign
from lflow.nets.flows.flow import Flow
from lflow.nets.flows.folding import Checkerboard, Folded, Image, Squeeze, squeeze_of
from lflow.nets.flows.logit import ClampedLogit


class Glow(Flow):
    """A flow of images, (n, c, h, w); latents have the same shape, since levels are packed back.

    A level squeezes two by two pixels into channels, takes its steps, and hands the first half of the
    channels to the next level. Levels end where a side is odd.

    Args:
        shape: (c, h, w), any but a single number.
        num_levels: levels at most.
        num_steps: steps a level: activation normalisation, 1 × 1 convolution, coupling.
        scales: Flow++'s layout in place of levels: for each scale (steps on channels, steps on a
            checkerboard). CoopFlow's is ((0, 4), (2, 3)).
        logit: data lie in [-1, 1], where the flow begins with a clamped logit; else on the whole line.
        options: the settings of `CouplingDesign`: coupling, width, net, attention, dropout, ...

    Raises:
        ValueError: a shape that cannot be split or folded so, or an unknown option's value.

    Example:
        >>> flow = lflow.nets.flows.Glow((1, 8, 8), num_levels=2, coupling="mixture")
        >>> flow.sample(4).shape
        torch.Size([4, 1, 8, 8])
    """

    def __init__(
        self,
        shape: Image,
        num_levels: int = 3,
        num_steps: int = 4,
        scales: Sequence[tuple[int, int]] | None = None,
        logit: bool = True,
        **options: Any,
    ) -> None:
        if len(shape) != 3 or shape == (1, 1, 1):
            raise ValueError(f"a flow of images needs a shape (c, h, w) of two numbers or more, got {shape}")
        design = CouplingDesign(**options)
        maps: list[Bijection] = [ClampedLogit()] if logit else []
        if scales is None:
            maps.append(_level(shape, num_levels, num_steps, design))
        else:
            maps.append(_scale(shape, list(scales), design))
        super().__init__(shape, Chain(maps))


def _level(shape: Image, num_levels: int, num_steps: int, design: CouplingDesign) -> Bijection:
    fold = squeeze_of(shape)
    channels, height, width = fold.shape(shape) if fold else shape
    maps = design.steps(channels, num_steps)
    if num_levels > 1 and height % 2 == 0 and width % 2 == 0:
        half = (channels // 2, height, width)
        maps.append(FirstHalf(_level(half, num_levels - 1, num_steps, design)))
    return Folded(fold, Chain(maps)) if fold else Chain(maps)


def _scale(shape: Image, scales: list[tuple[int, int]], design: CouplingDesign) -> Bijection:
    (on_channels, on_checkerboard), *further = scales
    channels, height, width = shape
    if on_channels and channels < 2:
        raise ValueError("steps on channels need two channels; begin with a checkerboard")
    maps = design.steps(channels, on_channels)
    if on_checkerboard:
        board = Checkerboard()
        maps.append(Folded(board, Chain(design.steps(board.shape(shape)[0], on_checkerboard))))
    if further:
        if height % 2 or width % 2:
            raise ValueError(f"a further scale needs even sides, got {height} by {width}")
        squeeze = Squeeze()
        squeezed = squeeze.shape(shape)
        half = (squeezed[0] // 2, *squeezed[1:])
        maps.append(Folded(squeeze, FirstHalf(_scale(half, further, design))))
    return Chain(maps)
