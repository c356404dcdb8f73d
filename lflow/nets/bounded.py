"""Numbers between zero and a bound, learned or fixed. They know nothing of what they scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Bounded(nn.Module):
    """high · sigmoid(raw): so many numbers in (0, high), all of them `start` at first.

    raw is a parameter where they are learned and a buffer where they are not. ValueError for a start outside,
    or on an edge, from which nothing is learned.
    """

    def __init__(self, start: float, high: float, shape: Sequence[int] = (), learned: bool = True) -> None:
        super().__init__()
        inside = 0 < start < high if learned else 0 <= start <= high
        if not inside:
            learn = ", to be learned," if learned else ""
            raise ValueError(f"a number between 0 and {high:g}{learn} cannot start at {start:g}")
        self.high = high
        raw = torch.logit(torch.full(tuple(shape), start / high, dtype=torch.float64))
        raw = raw.to(torch.get_default_dtype())
        if learned:
            self.raw = nn.Parameter(raw)
        else:
            self.register_buffer("raw", raw)

    def forward(self) -> Tensor:
        """The numbers."""
        return self.high * torch.sigmoid(self.raw)
