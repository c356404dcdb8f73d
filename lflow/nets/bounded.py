"""Numbers between two bounds, learned or fixed. They know nothing of what they scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Bounded(nn.Module):
    """low + (high - low) · sigmoid(raw): so many numbers in (low, high), all of them `start` at first.

    raw is a parameter where they are learned and a buffer where they are not. ValueError, about `name`, for a
    start outside, or on an edge, from which nothing is learned.
    """

    def __init__(
        self,
        name: str,
        start: float,
        high: float,
        shape: Sequence[int] = (),
        learned: bool = True,
        low: float = 0.0,
    ) -> None:
        super().__init__()
        inside = low < start < high if learned else low <= start <= high
        if not inside:
            ends = ", ends left out, where it is learned" if learned else ""
            raise ValueError(f"{name} must be between {low:g} and {high:g}{ends}, got {start:g}")
        self.low, self.high = low, high
        share = (start - low) / (high - low)
        raw = torch.logit(torch.full(tuple(shape), share, dtype=torch.float64))
        raw = raw.to(torch.get_default_dtype())
        if learned:
            self.raw = nn.Parameter(raw)
        else:
            self.register_buffer("raw", raw)

    def forward(self) -> Tensor:
        """The numbers."""
        return self.low + (self.high - self.low) * torch.sigmoid(self.raw)
