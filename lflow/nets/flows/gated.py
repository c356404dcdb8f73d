"""The net of Flow++'s couplings: gated residual convolutions, with self-attention and dropout as options.

Reference: Ho et al., Flow++ (2019), section 3.3.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

NUM_HEADS = 4


class GatedNet(nn.Module):
    """A convolution in, `num_blocks` gated blocks, a convolution out; (n, in, h, w) -> (n, out, h, w).

    `context`, (n, context_channels, h, w), enters every block. ValueError if attention cannot share the
    width among its heads.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        width: int = 96,
        num_blocks: int = 10,
        attention: bool = False,
        dropout: float = 0.0,
        context_channels: int = 0,
    ) -> None:
        if attention and width % NUM_HEADS:
            raise ValueError(f"attention needs a width that {NUM_HEADS} heads can share, got {width}")
        super().__init__()
        self.first = weight_norm(nn.Conv2d(channels_in, width, 3, padding=1))
        self.blocks = nn.ModuleList(
            _Block(width, attention, dropout, context_channels) for _ in range(num_blocks)
        )
        self.last = nn.Conv2d(width, channels_out, 3, padding=1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x, context)
        outputs: Tensor = self.last(x)
        return outputs


class GatedConv(nn.Module):
    """Convolution, context, dropout, and a gate: a · sigmoid(b)."""

    def __init__(self, width: int, dropout: float = 0.0, context_channels: int = 0) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv2d(2 * width, width, 3, padding=1))
        self.gate = weight_norm(nn.Conv2d(2 * width, 2 * width, 1))
        self.dropout = nn.Dropout2d(dropout)
        self.context = weight_norm(nn.Conv2d(2 * context_channels, width, 1)) if context_channels else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.conv(_both_signs(x))
        if self.context is not None and context is not None:
            x = x + self.context(_both_signs(context))
        return F.glu(self.gate(self.dropout(_both_signs(x))), dim=1)


class _Attention(nn.Module):
    """Self-attention over the pixels, and a gate; channels last."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.project = weight_norm(nn.Linear(width, 3 * width, bias=False))
        self.gate = weight_norm(nn.Linear(width, 2 * width))

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(1, 2)
        projected = self.project(pixels + _position_code(pixels))
        key, value, query = projected.unflatten(2, (3, NUM_HEADS, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return F.glu(self.gate(seen.transpose(1, 2).flatten(2)), dim=2).view_as(x)


class _Block(nn.Module):
    def __init__(self, width: int, attention: bool, dropout: float, context_channels: int) -> None:
        super().__init__()
        self.conv = GatedConv(width, dropout, context_channels)
        self.norm = nn.LayerNorm(width)
        self.attention = _Attention(width, dropout) if attention else None
        self.norm_attention = nn.LayerNorm(width) if attention else None

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        x = (x + self.conv(x, context)).movedim(1, 3)
        x = self.norm(x)
        if self.attention is not None and self.norm_attention is not None:
            x = self.norm_attention(x + self.attention(x))
        return x.movedim(3, 1)


def _both_signs(x: Tensor) -> Tensor:
    """elu of x and of -x: what both halves of a number's range have to say."""
    return F.elu(torch.cat([x, -x], dim=1))


def _position_code(pixels: Tensor) -> Tensor:
    """Sines and cosines of each pixel's number, (pixels, width)."""
    count, width = pixels.shape[1:]
    steps = torch.arange(width // 2, dtype=pixels.dtype, device=pixels.device)
    rates = torch.exp(-math.log(1e4) * steps / max(width // 2 - 1, 1))
    angles = torch.arange(count, dtype=pixels.dtype, device=pixels.device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
