"""A scale and a shift of each channel, set once from data so that they begin with mean 0 and variance 1.

Reference: Kingma and Dhariwal, Glow (2018).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lflow.nets.flows.bijection import Bijection, Mapped

SMALLEST_STD = 1e-3
"""A channel that varies less is not blown up any further."""


class ActNorm(Bijection):
    """z = exp(s) x + b, by channel. The identity until `initialise` has seen data."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Choose s and b so that each channel of this batch has mean 0 and variance 1."""
        by_channel = x.detach().movedim(1, 0).flatten(1)
        std, mean = torch.std_mean(by_channel, dim=1, correction=0)
        with torch.no_grad():
            self.log_scale.copy_(-std.clamp_min(SMALLEST_STD).log())
            self.shift.copy_(-mean * self.log_scale.exp())
        return self.to_latent(x)[0]

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        z = x * self._along(self.log_scale.exp(), x) + self._along(self.shift, x)
        return z, self._log_det(x)

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        x = (z - self._along(self.shift, z)) * self._along((-self.log_scale).exp(), z)
        return x, -self._log_det(z)

    def _along(self, parameter: Tensor, x: Tensor) -> Tensor:
        return parameter.view(-1, *[1] * (x.ndim - 2))

    def _log_det(self, x: Tensor) -> Tensor:
        return (math.prod(x.shape[2:]) * self.log_scale.sum()).expand(len(x))
