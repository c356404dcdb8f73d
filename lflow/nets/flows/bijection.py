"""Invertible maps that know their log-determinant, and maps that are made of others.

All act on a batch, (n, *shape), and on its first dimension after the batch: the components of a vector, the
channels of an image. They know nothing of densities.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Mapped = tuple[Tensor, Tensor]
"""Where a batch is mapped to, (n, *shape), and log |det J| of each point, (n,)."""


class Bijection(nn.Module):
    """Base of the maps between data x and latents z. `context` is what a conditional map depends on."""

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        """z and log |det ∂z/∂x|."""
        raise NotImplementedError

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        """x and log |det ∂x/∂z|: the inverse of `to_latent`."""
        raise NotImplementedError

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Set what depends on data, and return the z of x."""
        return self.to_latent(x, context)[0]


class Chain(Bijection):
    """One map after another, in the order from data to latents."""

    maps: Sequence[Bijection]

    def __init__(self, maps: Sequence[Bijection]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(maps)  # type: ignore[assignment]

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        total = x.new_zeros(len(x))
        for each in self.maps:
            x, log_det = each.to_latent(x, context)
            total = total + log_det
        return x, total

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        total = z.new_zeros(len(z))
        for each in reversed(self.maps):
            z, log_det = each.to_data(z, context)
            total = total + log_det
        return z, total

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        for each in self.maps:
            x = each.initialise(x, context)
        return x


class FirstHalf(Bijection):
    """A map of the first half of the channels; the others are latents as they are."""

    def __init__(self, inner: Bijection) -> None:
        super().__init__()
        self.inner = inner

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        first, rest = x.chunk(2, dim=1)
        first, log_det = self.inner.to_latent(first, context)
        return torch.cat([first, rest], dim=1), log_det

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        first, rest = z.chunk(2, dim=1)
        first, log_det = self.inner.to_data(first, context)
        return torch.cat([first, rest], dim=1), log_det

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        first, rest = x.chunk(2, dim=1)
        return torch.cat([self.inner.initialise(first, context), rest], dim=1)
