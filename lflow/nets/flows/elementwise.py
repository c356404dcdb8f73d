"""Monotone maps of single numbers, whose parameters a coupling takes from a net.

Each says how many parameters a number needs and with which it starts. This file has the affine ones.
"""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from lflow.nets.flows.bijection import Mapped


class Elementwise(Protocol):
    """x -> z and log dz/dx, each (n, channels, ...); parameters: (n, channels, k, ...), k of them each."""

    @property
    def start(self) -> tuple[float, ...]:
        """The k parameters before anything is learned."""

    def to_latent(self, x: Tensor, parameters: Tensor) -> Mapped: ...

    def to_data(self, z: Tensor, parameters: Tensor) -> Mapped: ...


def soft_clip(a: Tensor, bound: float) -> Tensor:
    """a / (1 + |a| / bound): like a near 0, and never beyond the bound."""
    return a / (1 + a.abs() / bound)


class BoundedAffine:
    """z = exp(s) x + b with s = soft_clip(a, bound); parameters (b, a)."""

    start = (0.0, 0.0)

    def __init__(self, bound: float = 3.0) -> None:
        self.bound = bound

    def _log_scale(self, raw: Tensor) -> Tensor:
        return soft_clip(raw, self.bound)

    def to_latent(self, x: Tensor, parameters: Tensor) -> Mapped:
        shift, raw = parameters.unbind(2)
        log_scale = self._log_scale(raw)
        return x * log_scale.exp() + shift, log_scale

    def to_data(self, z: Tensor, parameters: Tensor) -> Mapped:
        shift, raw = parameters.unbind(2)
        log_scale = self._log_scale(raw)
        return (z - shift) * (-log_scale).exp(), -log_scale


class SigmoidAffine(BoundedAffine):
    """z = sigmoid(a + 2) x + b, as in Glow and LFLOW: never stretches, and shrinks without a bound."""

    def _log_scale(self, raw: Tensor) -> Tensor:
        return F.logsigmoid(raw + 2)
