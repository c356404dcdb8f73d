"""What takes no model: the mean of the training data, and the one of them that is nearest to what is seen.

Every error of a task stands beside theirs. Knows nothing of models.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lflow.data import DataSet
from lflow.evaluation.likelihood import grey_share, mean_and_error
from lflow.evaluation.subject import Score

MEAN, NEAREST = "the mean of the training data", "the nearest of the training data"
_BLOCK = 256
_MOST_KNOWN = 2**27  # numbers of training data that are compared with: half a gigabyte


def guesses(known: DataSet, seen: Tensor, visible: Tensor) -> dict[str, Tensor]:
    """Two at each of n data points, (n, *shape), by their names: from what is visible of them (ones and
    zeros, like seen) and known data, of which no more than are compared with go to where seen is."""
    first = known.batch(slice(max(1, _MOST_KNOWN // math.prod(known.shape))), seen.device)
    flat = first.flatten(1)
    chosen = []
    for x, shown in zip(seen.flatten(1).split(_BLOCK), visible.flatten(1).split(_BLOCK), strict=True):
        distance = shown @ flat.T.square() - 2 * (shown * x) @ flat.T
        chosen.append(distance.argmin(1))
    return {MEAN: mean_of(known).to(seen).expand_as(seen), NEAREST: first[torch.cat(chosen)]}


def denoised(known: DataSet, y: Tensor, noise: float) -> dict[str, Tensor]:
    """E[x | y] of y = x + N(0, noise²), (n, *shape), by its name: of images where pixels are independent and
    have the grey values of known data, of points where x is one of these."""
    if known.levels is None:
        first = known.batch(slice(_BLOCK**2), y.device).to(y)
        near = torch.cat(
            [torch.softmax(-_squares(part, first) / (2 * noise**2), 1) for part in y.split(_BLOCK)]
        )
        return {"the training data, weighted by the noise": near @ first}
    values = known.values[: max(1, _MOST_KNOWN // (8 * math.prod(known.shape)))].to(y.device)
    total, mean = torch.zeros_like(y), torch.zeros_like(y)
    nearest = (y.abs() - 1).clamp_min(0)  # a density far from every grey value would be zero
    for level in range(known.levels):
        grey = 2 * level / (known.levels - 1) - 1
        share = grey_share(values, level, known.levels, y.dtype)
        weight = share * torch.exp((nearest.square() - (y - grey).square()) / (2 * noise**2))
        total, mean = total + weight, mean + weight * grey
    return {"independent pixels": mean / total}


def _squares(y: Tensor, known: Tensor) -> Tensor:
    return (y[:, None] - known).square().sum(2)


def mean_of(known: DataSet) -> Tensor:
    """The mean of data, (*shape), float64 on the CPU."""
    parts = [slice(begin, begin + _BLOCK) for begin in range(0, len(known), _BLOCK)]
    return torch.stack([known.batch(part).double().sum(0) for part in parts]).sum(0) / len(known)


def squared_error(made: Tensor, x: Tensor, where: Tensor) -> Tensor:
    """Of each x the mean squared error of a number, over those where `where` is one: (n,)."""
    weight = where.flatten(1).to(x.dtype)
    return ((made - x).flatten(1).square() * weight).sum(1) / weight.sum(1).clamp_min(1)


def compared(
    name: str, made: Tensor, x: Tensor, where: Tensor, rivals: dict[str, Tensor], about: str
) -> Score:
    """The mean squared error of what was made, beside that of its rivals, each (n, *shape)."""
    errors = squared_error(made, x, where).cpu().double()
    error = mean_and_error(errors)[1] if len(x) > 1 else None
    beside = {k: float(squared_error(each, x, where).cpu().double().mean()) for k, each in rivals.items()}
    return Score(name, float(errors.mean()), error, "squared error", beside, about)
