"""A learned linear map of the channels: at each pixel of an image, a 1 × 1 convolution.

Reference: Kingma and Dhariwal, Glow (2018), section 3.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lflow.nets.flows.bijection import Bijection, Mapped


class LULinear(Bijection):
    """z = W x with W = P L (U + diag(sign · exp(s))), so that log |det W| is the sum of s.

    P is a fixed permutation, L has ones on its diagonal and U zeros. They start as the factors of a random
    orthogonal matrix.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.log_scale = nn.Parameter(diagonal.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    @property
    def weight(self) -> Tensor:
        """W, (channels, channels)."""
        lower, upper = self._factors()
        return self.permutation @ lower @ upper

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        with torch.autocast(x.device.type, enabled=False):  # its inverse needs all digits
            z = _rows(self.weight @ _columns(x), x)
        return z, self._log_det(x)

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        lower, upper = self._factors()
        with torch.autocast(z.device.type, enabled=False):
            inner = torch.linalg.solve_triangular(
                lower, self.permutation.T @ _columns(z), upper=False, unitriangular=True
            )
            x = torch.linalg.solve_triangular(upper, inner, upper=True)
        return _rows(x, z), -self._log_det(z)

    def _factors(self) -> tuple[Tensor, Tensor]:
        diagonal = self.sign * self.log_scale.exp()
        lower = self.lower.tril(-1) + torch.eye(len(diagonal), dtype=diagonal.dtype, device=diagonal.device)
        return lower, self.upper.triu(1) + diagonal.diag()

    def _log_det(self, x: Tensor) -> Tensor:
        return (math.prod(x.shape[2:]) * self.log_scale.sum()).expand(len(x))


def _columns(x: Tensor) -> Tensor:
    """The channels of every pixel of a batch as the columns of a matrix."""
    return x.movedim(1, 0).flatten(1)


def _rows(columns: Tensor, like: Tensor) -> Tensor:
    return columns.unflatten(1, like.movedim(1, 0).shape[1:]).movedim(0, 1)
