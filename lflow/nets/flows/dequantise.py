"""From grey values to the numbers in between, whose density a flow can have.

A pixel with `levels` grey values is one of as many numbers from -1 to 1. Its cell is an interval of width
2 / levels, and the cells fill [-1, 1]. For x' drawn in the cell of x with density q(x' | x),
log P(x) ≥ E[log p(x') - log q(x' | x)].
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lflow.nets.flows.bijection import Chain
from lflow.nets.flows.design import CouplingDesign
from lflow.nets.flows.flow import standard_normal
from lflow.nets.flows.folding import Checkerboard, Image, Squeeze, squeeze_of
from lflow.nets.flows.gated import GatedConv

CONTEXT_CHANNELS = 32
NUM_STEPS = 4


class UniformDequantisation(nn.Module):
    """x' uniform in its cell."""

    noise: ClassVar[str] = "uniform"
    """What `forward` needs: uniform or normal numbers of the shape of x."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def initialise(self, x: Tensor, noise: Tensor) -> None:
        """Nothing here depends on data."""

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """x', (n, c, h, w), and log q(x' | x), (n,)."""
        log_q = x[0].numel() * math.log(self.levels / 2)
        return in_cell(x, noise, self.levels), x.new_full((len(x),), log_q)


class VariationalDequantisation(nn.Module):
    """x' in its cell as a flow says that has seen x: Flow++'s dequantisation.

    The place within the cell is sigmoid(u), where u is a conditional flow's image of normal numbers. Four
    steps with gated nets, as published; all else is as the design says.
    """

    noise: ClassVar[str] = "normal"

    def __init__(self, shape: Image, levels: int, design: CouplingDesign) -> None:
        super().__init__()
        self.levels = levels
        self.fold: Checkerboard | Squeeze | None = Checkerboard() if shape[2] % 2 == 0 else squeeze_of(shape)
        channels = self.fold.shape(shape)[0] if self.fold else shape[0]
        self.context = nn.Sequential(
            nn.Conv2d(channels, CONTEXT_CHANNELS, 3, padding=1),
            *[GatedConv(CONTEXT_CHANNELS, design.dropout) for _ in range(3)],
        )
        gated = dataclasses.replace(design, net="gated")
        self.flow = Chain(gated.steps(channels, NUM_STEPS, CONTEXT_CHANNELS))

    def initialise(self, x: Tensor, noise: Tensor) -> None:
        """Set the activation normalisations."""
        with torch.no_grad():
            self.flow.initialise(self._folded(noise), self.context(self._folded(x / 2)))

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """x', (n, c, h, w), and log q(x' | x), (n,)."""
        folded, log_det = self.flow.to_latent(self._folded(noise), self.context(self._folded(x / 2)))
        u = self.fold.unfold(folded) if self.fold else folded
        log_slope = F.logsigmoid(u) + F.logsigmoid(-u) + math.log(2 / self.levels)
        log_q = standard_normal(noise) - log_det - log_slope.flatten(1).sum(1)
        return in_cell(x, u.sigmoid(), self.levels), log_q

    def _folded(self, x: Tensor) -> Tensor:
        return self.fold.fold(x) if self.fold else x


def in_cell(x: Tensor, place: Tensor, levels: int) -> Tensor:
    """The number at a place in [0, 1) of the cell of each grey value."""
    return 2 * ((x + 1) / 2 * (levels - 1)).round().add(place) / levels - 1


def quantise(x: Tensor, levels: int) -> Tensor:
    """The grey value, from -1 to 1, in whose cell each number lies; the outer ones take what lies beyond."""
    return ((x + 1) / 2 * levels).floor().clamp(0, levels - 1) * (2 / (levels - 1)) - 1
