"""Which data sets there are by name, what is known of each, and how one is opened.

The one place that reads what a user calls a data set: a name, or else a file, a folder or a hub id.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from PIL import Image

from lflow import energies
from lflow.data import bundled, points
from lflow.data.dataset import Data, DataSet
from lflow.data.pictures import Look, render
from lflow.spec import Parameter

SPLITS = ("train", "test")
_SPLIT = Parameter("split", "train", choices=SPLITS)
_SIZE = Parameter("size", 32, 1, 1024)
_LIMIT = Parameter("limit", 1000, 1, 100_000_000)
_SEED = Parameter("seed", 0, 0, 2**62)


@dataclass(frozen=True)
class Description:
    """What is known of a named data set without reading it: for pages. `levels` is None for points."""

    name: str
    title: str
    shape: tuple[int, ...]
    levels: int | None
    number: Mapping[str, int]
    source: str
    licence: str


_BUNDLED: dict[str, tuple[Description, Callable[[str], DataSet]]] = {
    "digits": (
        Description(
            "digits",
            "Handwritten digits",
            (1, 8, 8),
            17,
            {"train": 1442, "test": 355},
            "scikit-learn load_digits: the test set of the UCI optical recognition of handwritten digits",
            "CC BY 4.0",
        ),
        bundled.digits,
    ),
}


def names() -> tuple[str, ...]:
    """The named data sets: points first, then images."""
    return (*points.names(), *_BUNDLED)


def describe(name: str) -> Description:
    """What is known of a named data set. ValueError for another name, with the nearest known one."""
    if name in _BUNDLED:
        return _BUNDLED[name][0]
    if name in points.names():
        title = energies.get_class(name).title
        return Description(
            name, title, (2,), None, points.NUMBER, "exact draws from the energy of the name", "MIT"
        )
    raise ValueError(_unknown(name))


def open(
    name: str,
    split: str = "train",
    size: int | None = None,
    grey: bool | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> DataSet:
    """A data set by name, its pictures kept as bytes.

    split: "train" or "test". size: the side of the square that the centre of a picture is cropped and scaled
    to. grey: True for one channel, False for three; None leaves either as it is. limit: the first `limit` in
    an order that the seed fixes, or as many draws.
    ValueError where there is no such data set, and for an option that it cannot have.

    >>> digits = lflow.data.open("digits", split="test")
    """
    _SPLIT.check(split)
    size = None if size is None else _SIZE.check(size)
    limit = None if limit is None else _LIMIT.check(limit)
    seed = _SEED.check(seed)
    if name in points.names():
        if size is not None or grey is not None:
            raise ValueError(f"{name} is a set of points: it has no size and no colours")
        return points.draw(name, split, limit, seed)
    if name not in _BUNDLED:
        raise ValueError(_unknown(name))
    data = _in_look(_BUNDLED[name][1](split), Look(size, grey))
    return data if limit is None else data.first_of_shuffle(limit, seed)


def load(
    name: str,
    split: str = "train",
    size: int | None = None,
    grey: bool | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Data:
    """All of `open(...)` as floats: x in [-1, 1], (n, c, h, w), or points (n, 2); labels (n,).

    >>> x, labels = lflow.data.load("digits")
    """
    return open(name, split, size, grey, limit, seed).all()


def _in_look(data: DataSet, look: Look) -> DataSet:
    channels, *sides = data.shape
    fits = look.size is None or sides == [look.size, look.size]
    if fits and (look.grey is None or look.grey == (channels == 1)):
        return data
    assert data.levels is not None
    scaled = (data.values * (255 / (data.levels - 1))).round().to(torch.uint8)
    arrays = (array[0] if channels == 1 else array.transpose(1, 2, 0) for array in scaled.numpy())
    values = [torch.tensor(render(Image.fromarray(array), look)) for array in arrays]
    return DataSet(data.name, torch.stack(values), data.labels, 256, data.label_names)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(str(name), names(), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"there is no data set named {name!r}.{hint} Known: {', '.join(names())}"
