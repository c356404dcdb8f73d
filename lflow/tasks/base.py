"""What a task is, how it is set, and what comes out. Knows nothing of any one task, and of no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lflow.evaluation.subject import Score, Subject
from lflow.spec import Declared, param

MASKS = ("centre", "left", "random")


@dataclass(frozen=True)
class Settings(Declared):
    """What is done to data before a model sees them, and how long it may take."""

    name = "task"

    num: int = param(16, 1, 10_000_000, log=True, help="data points of the test split, or samples")
    mask: str = param("centre", choices=MASKS, help="what is missing: centre block, left half, random share")
    share: float = param(0.5, 0.0, 1.0, help="of the numbers, that a random mask hides")
    noise: float = param(0.5, 1e-3, 100.0, log=True, help="deviation of the noise that is taken out again")
    num_chains: int = param(4, 1, 1000, log=True, help="chains for each data point, whose spread is shown")
    chain_steps: int = param(
        0, 0, 1_000_000, unit="steps", help="of a chain, 20 or more to adapt its step; 0 for the model's own"
    )
    num_points: int = param(8, 2, 100, help="from one end of an interpolation to the other")

    def missing(self, x: Tensor, seed: int) -> Tensor:
        """What is hidden of each x, (n, *shape), bool: of images the same in every channel."""
        sizes = x.shape[2:] if x.ndim == 4 else x.shape[1:]
        if self.mask == "random":
            generator = torch.Generator().manual_seed(seed)
            hidden = torch.rand(len(x), *sizes, generator=generator) < self.share
        else:
            hidden = torch.zeros(sizes, dtype=torch.bool)
            hidden[tuple(self._span(size, axis, len(sizes)) for axis, size in enumerate(sizes))] = True
            hidden = hidden.expand(len(x), *sizes)
        return (hidden[:, None] if x.ndim == 4 else hidden).expand(x.shape).to(x.device)

    def _span(self, size: int, axis: int, axes: int) -> slice:
        """Where along an axis is hidden: the middle half of each, or the first half of the last."""
        half = (size + 1) // 2
        if self.mask == "centre":
            return slice((size - half) // 2, (size - half) // 2 + half)
        return slice(half) if axis == axes - 1 else slice(None)


class Outcome(NamedTuple):
    """What a task made.

    rows: by what they show, one below the other, (n, *shape) each. whole: (n,), bool, for which data points
    all that the model made is finite; the scores are of those. scores: how good it is, each beside what takes
    no model. arrays: all that was made. notes: sentences about what was asked for and is not so. ranking:
    (n,), the scores that the data points are in the order of. marked: (n,), bool, those of the label that was
    held out, where one was. path: whether the rows lie on a way from the first to the last.
    """

    rows: Mapping[str, Tensor]
    whole: Tensor
    scores: Sequence[Score]
    arrays: Mapping[str, Tensor | NDArray[np.str_]]
    notes: Sequence[str] = ()
    ranking: Tensor | None = None
    marked: Tensor | None = None
    path: bool = False

    @property
    def lost(self) -> int:
        """How many data points are not finite."""
        return int((~self.whole).sum())


@dataclass(frozen=True)
class Task:
    """A use of a model: by its name, the method that a model needs for it, what is done, what comes of each
    of `num`, and the settings that matter for it."""

    name: str
    method: str
    about: str
    noun: str
    perform: Callable[[Subject, Settings], Outcome]
    uses: tuple[str, ...] = ("num",)
