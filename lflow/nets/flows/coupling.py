"""Half of the channels are mapped, number by number, as the other half says.

Reference: Dinh et al., Density estimation using Real NVP (2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lflow.nets.flows.bijection import Bijection, Mapped
from lflow.nets.flows.elementwise import BoundedAffine, Elementwise, SigmoidAffine
from lflow.nets.flows.mixture import MixtureOfLogistics


class Coupling(Bijection):
    """z_kept = x_kept, z_changed = f(x_changed; net(x_kept)).

    The net's outputs lie number by number: the parameters of the first changed channel, of the second, ...
    """

    kept: Tensor
    changed: Tensor
    order: Tensor

    def __init__(self, kept: Tensor, net: nn.Module, transform: Elementwise) -> None:
        """kept: (channels,) bool, which channels stay."""
        super().__init__()
        indices = torch.arange(len(kept), device=kept.device)
        self.register_buffer("kept", indices[kept], persistent=False)
        self.register_buffer("changed", indices[~kept], persistent=False)
        self.register_buffer("order", torch.cat([self.kept, self.changed]).argsort(), persistent=False)
        self.net, self.transform = net, transform

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        kept, changed = x.index_select(1, self.kept), x.index_select(1, self.changed)
        z, log_slope = self.transform.to_latent(changed, self._settings(kept, context))
        return self._joined(kept, z), log_slope.flatten(1).sum(1)

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        kept, changed = z.index_select(1, self.kept), z.index_select(1, self.changed)
        x, log_slope = self.transform.to_data(changed, self._settings(kept, context))
        return self._joined(kept, x), log_slope.flatten(1).sum(1)

    def _settings(self, kept: Tensor, context: Tensor | None) -> Tensor:
        outputs: Tensor = self.net(kept) if context is None else self.net(kept, context)
        return outputs.to(kept.dtype).unflatten(1, (len(self.changed), -1))

    def _joined(self, kept: Tensor, changed: Tensor) -> Tensor:
        return torch.cat([kept, changed], dim=1).index_select(1, self.order)


def make_transform(coupling: str, num_components: int, bound: float = 3.0) -> Elementwise:
    """What a coupling does to a number, by name. ValueError if there is none of that name."""
    if coupling == "affine":
        return BoundedAffine(bound)
    if coupling == "sigmoid":
        return SigmoidAffine()
    if coupling == "mixture":
        return MixtureOfLogistics(num_components, bound)
    raise ValueError(f"coupling must be affine, sigmoid or mixture, got {coupling!r}")


def first_half(channels: int) -> Tensor:
    """(channels,) bool: true in the first half, which is the smaller one of an odd number."""
    return torch.arange(channels, device="cpu") < channels // 2


def start_at(layer: nn.Linear | nn.Conv2d, start: tuple[float, ...]) -> None:
    """Let a coupling net's last layer begin by giving each number the same parameters, whatever it sees."""
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor(start).repeat(len(layer.bias) // len(start)))
