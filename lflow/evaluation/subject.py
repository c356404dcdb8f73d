"""What is evaluated: a trained model, the data that it learned from, data that it has not seen, its samples.

Knows nothing of what is measured on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from lflow import data
from lflow.data import DataSet
from lflow.evaluation.synthesis import synthesize
from lflow.models.base import Learner
from lflow.training.config import DataChoice

_FEWEST = 20  # data points in a batch
BATCHES = 5
"""Batches of samples that are compared with data, for the spread between them."""


class Score(NamedTuple):
    """A number about a model, with its standard error, and the numbers to hold it against, by their names."""

    name: str
    value: float
    error: float | None
    unit: str
    beside: Mapping[str, float]
    about: str
    """In a sentence what was measured, and on how much."""


def _nothing(what: str, done: int, total: int) -> None:
    """Nobody listens."""


def numbered_as(names: tuple[str, ...], found: DataSet) -> DataSet:
    """The data with their labels numbered as in `names`, and labels that are not there after those.

    Splits may number the words in their labels each in its own way, where one lacks some. ValueError where
    neither names all that the other does.
    """
    own = found.label_names
    if own == names:
        return found
    if not (own and names) or not (set(own) <= set(names) or set(names) <= set(own)):
        raise ValueError(f"the splits of {found.name} do not name the same labels")
    every = (*names, *(name for name in own if name not in names))
    numbers = torch.tensor([every.index(name) for name in own])
    return replace(found, labels=numbers[found.labels], label_names=every)


@dataclass
class Subject:
    """A model and its data.

    num: samples in a batch, at most. limit: data points of the test split, at most; 0 for all.
    tell(what, done, total) is called before what may take long.
    """

    learner: Learner
    choice: DataChoice
    num: int = 1000
    limit: int = 0
    seed: int = 0
    tell: Callable[[str, int, int], None] = field(default=_nothing)

    @cached_property
    def training(self) -> DataSet:
        """What it learned from, and what chose its best checkpoint."""
        found = data.open(self.choice.source, "train", **self.choice.options())
        return self._seen(found)

    @cached_property
    def test(self) -> DataSet:
        """Data that it has not seen, of a label that was held out too."""
        look = {name: value for name, value in self.choice.options().items() if name != "limit"}
        found = data.open(self.choice.source, "test", limit=self.limit or None, **look)
        return numbered_as(self.training.label_names, found)

    @cached_property
    def unseen(self) -> DataSet:
        """Data that it has not seen, of the kind that it learned."""
        return self._seen(self.test)

    def _seen(self, found: DataSet) -> DataSet:
        held_out = self.choice.held_out
        return found if held_out < 0 else found.take(found.labels != held_out)

    @property
    def size(self) -> int:
        """How many points a batch of samples, of test data, and of training data has. ValueError for few."""
        size = min(self.num, len(self.unseen), len(self.training) // BATCHES)
        if size < _FEWEST:
            raise ValueError(f"{size} data points to compare samples with are too few: at least {_FEWEST}")
        return size

    @cached_property
    def samples(self) -> Tensor:
        """Samples for all batches, (BATCHES · size, *shape), on the CPU."""
        return synthesize(
            self.learner, BATCHES * self.size, self.seed, lambda done, of: self.tell("samples", done, of)
        )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.learner.device
