"""Which data points a step learns from: shuffled passes, a function of the seed and the step alone.

A run that is resumed needs no state from here, and each process takes its share of the same global batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lflow import data
from lflow.draws import SHUFFLING, Draws
from lflow.training.config import Config

_MOST_VALIDATION, _FEWEST = 1000, 20


class Batches:
    """The data of a run: a tenth of the training split, at most 1,000, is kept for validation.

    Of crops that overlap (textures, patches), training sees the neighbours of those that are kept. ValueError
    if there are fewer data points than a batch has, or none of the label that is to be held out.
    """

    def __init__(self, config: Config, device: torch.device, rank: int = 0, world_size: int = 1) -> None:
        choice, self.seed = config.data, config.seed
        self.data = data.open(choice.source, "train", **choice.options())
        self.device, self.rank, self.world_size = device, rank, world_size
        self.batch_size = config.training.batch_size
        if self.batch_size % world_size:
            raise ValueError(f"a batch of {self.batch_size} cannot be shared by {world_size} processes")
        kept = torch.arange(len(self.data))
        if choice.held_out >= 0:
            kept = kept[self.data.labels != choice.held_out]
            if len(kept) == len(self.data):
                raise ValueError(f"{choice.source} has no label {choice.held_out} to hold out")
        if len(kept) < _FEWEST:
            raise ValueError(f"{choice.source} has {len(kept)} data points, and training needs {_FEWEST}")
        order = kept[_permutation(len(kept), 0, 0)]
        size = min(_MOST_VALIDATION, len(order) // 10)
        self._validation, self._training = order[:size], order[size:]
        self.per_pass = len(self._training) // self.batch_size
        if not self.per_pass:
            raise ValueError(
                f"{choice.source} has {len(self._training)} data points to train on, fewer than a batch of "
                f"{self.batch_size}: lower batch_size"
            )

    def at(self, step: int) -> Tensor:
        """This process's share of the batch of a step, (n, *shape)."""
        each = self.batch_size // self.world_size
        return self._rows(self._indices(step)[self.rank * each : (self.rank + 1) * each])

    def whole(self, step: int) -> Tensor:
        """The global batch of a step."""
        return self._rows(self._indices(step))

    def training(self) -> Tensor:
        """All data points that training sees."""
        return self._rows(self._training)

    def validation(self) -> Tensor:
        """The data points that training does not see."""
        return self._rows(self._validation)

    def passes(self, step: int) -> int:
        """Whole passes over the data before that step."""
        return step // self.per_pass

    def _indices(self, step: int) -> Tensor:
        turn, place = divmod(step, self.per_pass)
        order = _permutation(len(self._training), self.seed, turn)
        return self._training[order[place * self.batch_size : (place + 1) * self.batch_size]]

    def _rows(self, indices: Tensor) -> Tensor:
        return self.data.batch(indices, self.device)


def _permutation(n: int, seed: int, turn: int) -> Tensor:
    return torch.randperm(n, generator=Draws(seed, turn, use=SHUFFLING).generator)
