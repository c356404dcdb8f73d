"""A normalizing flow: an invertible map that turns data into standard normal numbers, and so has a density.

log p(x) = log N(z; 0, I) + log |det ∂z/∂x|. It knows nothing of how it learns.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lflow.nets.blocks import Shape
from lflow.nets.flows.bijection import Bijection, Mapped


class Flow(Bijection):
    """A map and the density that it gives; z has the shape of x.

    Example:
        >>> flow = lflow.nets.flows.RealNVP(2)
        >>> flow.log_prob(flow.sample(5)).shape
        torch.Size([5])
    """

    def __init__(self, shape: Shape, inner: Bijection) -> None:
        super().__init__()
        self.shape, self.inner = tuple(shape), inner

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        return self.inner.to_latent(x, context)

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        return self.inner.to_data(z, context)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) of continuous data, (n, *shape) -> (n,)."""
        z, log_det = self.to_latent(x)
        return standard_normal(z) + log_det

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws, (n, *shape), without a gradient."""
        like = next(self.parameters())
        where = generator.device if generator else like.device
        z = torch.randn(n, *self.shape, generator=generator, device=where, dtype=like.dtype)
        return self.to_data(z.to(like.device))[0]

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Set every activation normalisation from data, once, and return the z of x."""
        was = self.training
        self.eval()
        z = self.inner.initialise(x, context)
        self.train(was)
        return z


def standard_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I) of each point, (n,)."""
    flat = z.flatten(1)
    return -(flat.square().sum(1) + flat.shape[1] * math.log(2 * math.pi)) / 2
