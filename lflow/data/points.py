"""Point sets in the plane: exact draws from every energy that has them, by the energy's name."""

from __future__ import annotations

import torch

from lflow import energies
from lflow.data.dataset import DataSet
from lflow.energies.base import Energy

NUMBER = {"train": 20_000, "test": 5_000}


def names() -> tuple[str, ...]:
    """The energies whose default is in the plane."""
    return tuple(name for name in energies.names() if _default(name).dim == 2)


def _default(name: str) -> Energy:
    return energies.get(name)


def draw(name: str, split: str, number: int | None, seed: int) -> DataSet:
    """Independent draws at temperature one; the splits of one seed are independent of each other too."""
    count = NUMBER[split] if number is None else number
    generator = torch.Generator().manual_seed(2 * seed + (split == "test"))
    points = _default(name).sample(count, generator)
    return DataSet(name, points, torch.zeros(count, dtype=torch.int64))
