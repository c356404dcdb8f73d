"""A distance between two clouds where one may hold points that a chain has lost."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def distance(measure: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """The measure of two clouds, (n, *shape) and (m, *shape), flattened on the CPU; infinite where a point is
    not finite."""
    if not (a.isfinite().all() and b.isfinite().all()):
        return torch.tensor(math.inf)
    return measure(a.flatten(1).cpu(), b.flatten(1).cpu())
