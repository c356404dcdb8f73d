"""A normalizing flow of data as they come, points or images with grey values, and the settings that build it.

What every model with a flow of its data shares. It knows nothing of how the flow learns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lflow.draws import Draws
from lflow.models.base import Model
from lflow.nets.flows import (
    CouplingDesign,
    Flow,
    Glow,
    RealNVP,
    UniformDequantisation,
    VariationalDequantisation,
    quantise,
)
from lflow.nets.flows.folding import Image
from lflow.spec import param

DEQUANTISATION_BLOCKS = 2


class DataFlow(nn.Module):
    """A flow, and for images with grey values the dequantisation that it needs (None for others)."""

    def __init__(
        self, flow: Flow, dequantisation: UniformDequantisation | VariationalDequantisation | None = None
    ) -> None:
        super().__init__()
        self.flow, self.dequantisation = flow, dequantisation

    def log_prob(self, x: Tensor, draws: Draws) -> Tensor:
        """log p(x) of points; of images a lower bound on log P(x), (n,), unbiased for its mean over draws."""
        if self.dequantisation is None:
            return self.flow.log_prob(x)
        between, log_q = self.dequantisation(x, self._noise(x, draws))
        return self.flow.log_prob(between) - log_q

    def initialise(self, x: Tensor, draws: Draws) -> None:
        """Set every activation normalisation from data."""
        if self.dequantisation is not None:
            noise = self._noise(x, draws)
            self.dequantisation.initialise(x, noise)
            with torch.no_grad():
                x = self.dequantisation(x, noise)[0]
        self.flow.initialise(x)

    @torch.no_grad()
    def sample(self, n: int, draws: Draws) -> Tensor:
        """n draws, (n, *shape): of images with grey values, such images."""
        return self.as_data(self.flow.to_data(draws.normal((n, *self.flow.shape)))[0])

    def as_data(self, x: Tensor) -> Tensor:
        """What the flow makes, as data are: of images with grey values, the grey value of each number."""
        return x if self.dequantisation is None else quantise(x, self.dequantisation.levels)

    @property
    def shrink(self) -> float:
        """What turns a grey value into the middle of its cell; 1 where data are as the flow has them."""
        return 1.0 if self.dequantisation is None else 1 - 1 / self.dequantisation.levels

    def bits_per_dim(self, log_prob: Tensor) -> Tensor:
        """The mean number of bits that a pixel of an image takes."""
        return -log_prob.mean() / (math.prod(self.flow.shape) * math.log(2))

    def _noise(self, x: Tensor, draws: Draws) -> Tensor:
        assert self.dequantisation is not None
        return draws.normal(x.shape) if self.dequantisation.noise == "normal" else draws.uniform(x.shape)


@dataclass(frozen=True)
class FlowSettings(Model):
    """The settings of a model's flow: RealNVP for points; for images Glow or Flow++."""

    layout: str = param(
        "glow", choices=("glow", "flow++"), help="of images: Glow's levels, or Flow++'s scales and nets"
    )
    coupling: str = param(
        "affine", choices=("affine", "sigmoid", "mixture"), help="what a coupling does to a number"
    )
    flow_depth: int = param(6, 1, 64, help="couplings; of images, in a level")
    flow_width: int = param(64, 1, 1024, log=True, help="of the couplings' nets")
    flow_levels: int = param(3, 1, 8, advanced=True, help="of Glow, at most: as many as sides are even")
    components: int = param(8, 1, 64, advanced=True, help="of a mixture coupling")
    blocks: int = param(10, 1, 32, advanced=True, help="of Flow++: gated blocks in a coupling's net")
    attention: bool = param(False, advanced=True, help="of Flow++: self-attention in every block")
    dropout: float = param(0.0, 0.0, 0.9, advanced=True, help="of Flow++: share of features left out")
    dequantisation: str = param(
        "uniform", choices=("uniform", "variational"), advanced=True, help="of images with grey values"
    )
    flow_rate: float = param(1e-3, 1e-7, 1.0, log=True, help="learning rate of the flow, by Adam")
    flow_clip: float = param(0.0, 0.0, 1e6, advanced=True, help="largest norm of its gradient; 0 for any")

    def make_flow(self, shape: tuple[int, ...], levels: int | None = None) -> DataFlow:
        """The flow for data of that shape, with `levels` grey values a pixel. ValueError if there is none."""
        if len(shape) == 1:
            return DataFlow(self._of_vectors(shape[0]))
        channels, height, width = shape
        size = (channels, height, width)
        return DataFlow(self._of_images(size), self._dequantisation(size, levels) if levels else None)

    def _of_vectors(self, dim: int) -> RealNVP:
        hidden, mixed = (self.flow_width, self.flow_width), dim > 2
        return RealNVP(
            dim, self.flow_depth, hidden, self.coupling, linear=mixed, num_components=self.components
        )

    def _of_images(self, shape: Image) -> Glow:
        design = self._design(self.blocks)
        if self.layout == "glow":
            return Glow(shape, self.flow_levels, self.flow_depth, **vars(design))
        # CoopFlow's ((0, 4), (2, 3)) at a depth of 4.
        scales = ((0, self.flow_depth), (self.flow_depth // 2, max(self.flow_depth - 1, 1)))
        return Glow(shape, scales=scales, **vars(design))

    def _dequantisation(self, shape: Image, levels: int) -> UniformDequantisation | VariationalDequantisation:
        if self.dequantisation == "uniform":
            return UniformDequantisation(levels)
        return VariationalDequantisation(shape, levels, self._design(DEQUANTISATION_BLOCKS))

    def _design(self, num_blocks: int) -> CouplingDesign:
        net = "conv" if self.layout == "glow" else "gated"
        return CouplingDesign(
            self.coupling,
            self.flow_width,
            self.components,
            net=net,
            num_blocks=num_blocks,
            attention=self.attention,
            dropout=self.dropout,
        )
