"""Many samples of a trained model, drawn in parts that fit into memory. Knows nothing of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lflow.draws import SYNTHESIS, Draws
from lflow.models.base import Learner

_MOST_NUMBERS = 2**20  # of a part: 341 colour images of 32 pixels


def synthesize(
    learner: Learner, num: int, seed: int = 0, tell: Callable[[int, int], None] | None = None
) -> Tensor:
    """num samples, (num, *shape), on the CPU: as many as fit at once are `learner.synthesize(num, seed)`.

    Those that follow come from seeds that the first one gives. tell(done, num) is called before each part.

    Example:
        >>> synthesize(lflow.load("runs/first"), 10_000).shape
        torch.Size([10000, 1, 8, 8])
    """
    size = max(1, _MOST_NUMBERS // math.prod(learner.shape))
    made = []
    for part, own in parts(num, size, seed, tell):
        made.append(learner.synthesize(part.stop - part.start, own).detach().cpu())
    return torch.cat(made)


def parts(
    num: int, size: int, seed: int, tell: Callable[[int, int], None] | None = None
) -> Iterator[tuple[slice, int]]:
    """Rows of num, `size` at once, each with a seed of its own, the first with the seed itself."""
    for place, begin in enumerate(range(0, num, size)):
        if tell is not None:
            tell(begin, num)
        yield slice(begin, min(begin + size, num)), _seed(seed, place)


def _seed(seed: int, place: int) -> int:
    """The seed of a part: the first has the seed itself."""
    if place == 0:
        return seed
    return int(Draws(seed, place, use=SYNTHESIS).integers(2**31, (1,)))
