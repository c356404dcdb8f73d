"""How the couplings of an image's flow are built: which map, which net, how wide."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from lflow.nets.blocks import activation
from lflow.nets.flows.actnorm import ActNorm
from lflow.nets.flows.bijection import Bijection
from lflow.nets.flows.coupling import Coupling, first_half, make_transform, start_at
from lflow.nets.flows.gated import GatedNet
from lflow.nets.flows.linear import LULinear


@dataclass(frozen=True)
class CouplingDesign:
    """The settings of an image's couplings.

    coupling: "affine" (bounded), "sigmoid" (Glow's scale) or "mixture" (Flow++).
    net: "conv", three convolutions as in Glow; or "gated", Flow++'s, which the settings below it are for.
    width: channels of the net's hidden layers.
    num_components, bound: of a mixture; of the logarithm of a scale.
    """

    coupling: str = "affine"
    width: int = 64
    num_components: int = 8
    bound: float = 3.0
    net: str = "conv"
    num_blocks: int = 2
    attention: bool = False
    dropout: float = 0.0

    def steps(self, channels: int, num_steps: int, context_channels: int = 0) -> list[Bijection]:
        """`num_steps` times: activation normalisation, a matrix over the channels, a coupling."""
        steps: list[Bijection] = []
        for _ in range(num_steps):
            steps += [ActNorm(channels), LULinear(channels), self._coupling(channels, context_channels)]
        return steps

    def _coupling(self, channels: int, context_channels: int) -> Coupling:
        transform = make_transform(self.coupling, self.num_components, self.bound)
        kept = first_half(channels)
        num_kept = int(kept.sum())
        outputs = (channels - num_kept) * len(transform.start)
        net = self._net(num_kept, outputs, context_channels)
        last = net.last if isinstance(net, GatedNet) else net[-1]
        assert isinstance(last, nn.Conv2d)
        start_at(last, transform.start)
        return Coupling(kept, net, transform)

    def _net(self, inputs: int, outputs: int, context_channels: int) -> nn.Sequential | GatedNet:
        if self.net == "gated":
            options = self.width, self.num_blocks, self.attention, self.dropout, context_channels
            return GatedNet(inputs, outputs, *options)
        if self.net == "conv":
            return nn.Sequential(
                nn.Conv2d(inputs, self.width, 3, padding=1),
                activation("silu"),
                nn.Conv2d(self.width, self.width, 1),
                activation("silu"),
                nn.Conv2d(self.width, outputs, 3, padding=1),
            )
        raise ValueError(f"the net of a coupling must be conv or gated, got {self.net!r}")
