"""A data set in memory: bytes as they were decoded, and batches of float32 made from them.

Knows nothing of files or of where the data come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_TEST_SHARE = 0.2


class Data(NamedTuple):
    """Everything at once: x is float32, (n, c, h, w) in [-1, 1] or points (n, 2); labels are int64, (n,)."""

    x: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class DataSet:
    """Images kept as uint8, one of `levels` grey values a channel, or points kept as float32.

    values: uint8 (n, c, h, w) with 0 <= value < levels, or float32 (n, 2) where levels is None. labels: int64
    (n,), all zero where the data have none; `label_names` says in words what they count, where it is known.
    """

    name: str
    values: Tensor
    labels: Tensor
    levels: int | None = None
    label_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one of them: (c, h, w), or (2,)."""
        return tuple(self.values.shape[1:])

    def batch(
        self, indices: Tensor | Sequence[int] | slice, device: torch.device | str | None = None
    ) -> Tensor:
        """The chosen ones, float32 on the device: 2 value / (levels - 1) - 1 in [-1, 1], or the points.

        >>> data.batch(torch.randint(len(data), (64,)), "cpu")
        """
        if isinstance(indices, slice):
            chosen = self.values[indices].clone()
        else:  # several times faster than indexing
            chosen = self.values.index_select(0, torch.as_tensor(indices, device="cpu"))
        chosen = chosen.to(device)  # bytes travel: a quarter of what floats would be
        return chosen if self.levels is None else chosen.float().mul_(2 / (self.levels - 1)).sub_(1)

    def take(self, indices: Tensor | Sequence[int] | slice) -> DataSet:
        """The data set of the chosen ones."""
        return replace(self, values=self.values[indices], labels=self.labels[indices])

    def first_of_shuffle(self, limit: int, seed: int) -> DataSet:
        """The first `limit` in an order that the seed fixes; all of them where there are fewer."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return self.take(order[:limit])

    def in_black_and_white(self) -> DataSet:
        """The same with two levels: white from half of the full brightness on."""
        assert self.levels is not None
        return replace(self, values=(2 * self.values.int() >= self.levels - 1).to(torch.uint8), levels=2)

    def all(self, device: torch.device | str | None = None) -> Data:
        """Everything at once, as floats."""
        return Data(self.batch(slice(None), device), self.labels.to(device))


def split_rows(labels: NDArray[Any], split: str) -> NDArray[np.int64]:
    """The rows of a split, ascending, of data that come without one: of each label a fifth is for testing.

    The choice is fixed: it depends on the labels alone. A label with fewer than five rows has none to test.
    """
    generator = np.random.default_rng(0)
    for_testing = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        for_testing[rows[: int(_TEST_SHARE * len(rows))]] = True
    return np.flatnonzero(for_testing if split == "test" else ~for_testing)
