"""Which data sets there are, and how one is opened.

The one place that reads what a user calls a data set: a name, a path that exists, or an id of the hub.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lflow.data import bundled, cache, flowers, folder, hub, parquet, points
from lflow.data.cache import Progress, Rows
from lflow.data.dataset import Data, DataSet, split_rows
from lflow.data.descriptions import HUB_SETS, IMAGES, Description, of_points
from lflow.data.hub import HubSet
from lflow.data.pictures import Look, render
from lflow.spec import Parameter, did_you_mean

_NAME = Parameter("the name of a data set", "", high=4096)
_SPLIT = Parameter("split", "train", choices=("train", "test"))
_SIZE = Parameter("size", 32, 1, 1024)
_GREY = Parameter("grey", False)
_LIMIT = Parameter("limit", 1000, 1, 100_000_000)
_SEED = Parameter("seed", 0, 0, 2**62)

_BUNDLED = {
    "digits": bundled.digits,
    "faces": bundled.faces,
    "textures": bundled.textures,
    "patches": bundled.patches,
}


def names() -> tuple[str, ...]:
    """The named data sets: points first, then pictures."""
    return (*points.names(), *IMAGES)


def describe(name: str) -> Description:
    """What is known of a named data set, read from nowhere. ValueError for another, with the nearest name.

    >>> lflow.data.describe("cifar10").shape
    (3, 32, 32)
    """
    if name in IMAGES:
        return IMAGES[name]
    if name in points.names():
        return of_points(name)
    raise ValueError(_unknown(name))


def open(
    name: str,
    split: str = "train",
    size: int | None = None,
    grey: bool | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    binary: bool = False,
) -> DataSet:
    """A data set, its pictures kept as bytes: decoded the first time, and from the cache after that.

    name: one of `names()`; the path of a parquet file, or of a folder of pictures whose sub-folders are their
    labels; or the id owner/name of a data set on the Hugging Face hub. split: "train" or "test"; of data that
    do not say which is which a fixed fifth of each label is for testing. size: the centre square of each
    picture, scaled to so many pixels a side. grey: True for one channel, False for three; None leaves either
    as it is. limit: the first so many in an order that the seed fixes; of points and flowers, so many drawn
    from the seed. progress is called with (pictures decoded, pictures in all). binary: black and white, white
    from half of full brightness on.

    ValueError where there is no such data set or a file is not as it should be, naming it; OSError where one
    cannot be read, downloaded or kept, saying where to put it.

    >>> digits = lflow.data.open("digits", split="test")
    """
    data = _opened(name, split, size, grey, limit, seed, progress)
    if binary and data.levels is None:
        raise ValueError(f"{name} is a set of points: it has no black and white")
    return data.in_black_and_white() if binary else data


def _opened(
    name: str,
    split: str,
    size: int | None,
    grey: bool | None,
    limit: int | None,
    seed: int,
    progress: Progress | None,
) -> DataSet:
    name, split = _NAME.check(name), _SPLIT.check(split)
    look = Look(None if size is None else _SIZE.check(size), None if grey is None else _GREY.check(grey))
    limit = None if limit is None else _LIMIT.check(limit)
    seed = _SEED.check(seed)
    if name in points.names():
        if look != Look():
            raise ValueError(f"{name} is a set of points: it has no size and no colours")
        return points.draw(name, split, limit, seed)
    if name == "flowers":
        number = limit or flowers.NUMBER[split]
        key = [split, number, seed]
        return _in_look(cache.kept(name, key, lambda: flowers.rows(split, number, seed), progress), look)
    data = _given(name, split, look, progress)
    return _in_look(data if limit is None else data.first_of_shuffle(limit, seed), look)


def _given(name: str, split: str, look: Look, progress: Progress | None) -> DataSet:
    """The whole split of what is not drawn; what is decoded for it is decoded in the look."""
    if name in _BUNDLED:
        return _BUNDLED[name](split)
    if name in HUB_SETS:
        return _from_hub(HUB_SETS[name], name, split, look, progress)
    if _is_path(name):
        return _from_path(Path(name).expanduser(), split, look, progress)
    if hub.is_hub_id(name):
        return _from_hub(HubSet(name), name.replace("/", "--"), split, look, progress)
    raise ValueError(_unknown(name))


def load(
    name: str,
    split: str = "train",
    size: int | None = None,
    grey: bool | None = None,
    limit: int | None = None,
    seed: int = 0,
    binary: bool = False,
) -> Data:
    """All of `open(...)` as floats: x in [-1, 1], (n, c, h, w), or points (n, 2); labels (n,).

    >>> x, labels = lflow.data.load("digits")
    """
    return open(name, split, size, grey, limit, seed, binary=binary).all()


def _from_hub(hub_set: HubSet, stem: str, split: str, look: Look, progress: Progress | None) -> DataSet:
    look = Look(look.size or hub_set.size, look.grey)
    files = hub.local_files(stem, split)
    # What came from the hub is known by its name there, so that it opens without a network from then on.
    source = _identity(files) if files else [hub_set.id, hub_set.config, split]

    def decode() -> Rows:
        return parquet.rows(files or hub.download(hub_set, stem, split), look)

    return cache.kept(stem, [source, look.size, look.grey], decode, progress)


def _from_path(path: Path, split: str, look: Look, progress: Progress | None) -> DataSet:
    decode: Callable[[], Rows]
    if path.is_dir():
        own_splits = folder.has_splits(path)
        root = path / split if own_splits else path
        files = folder.files(root)
        # Numbered over both splits: a label that one of them lacks does not shift the others.
        roots = [path / each for each in ("train", "test")] if own_splits else [path]
        labels = sorted({name for each in roots for name in folder.label_names(each, folder.files(each))})

        def decode() -> Rows:
            return folder.rows(root, files, look, labels)
    elif path.suffix == ".parquet":
        own_splits, files, labels = False, [path], []

        def decode() -> Rows:
            return parquet.rows(files, look)
    else:
        raise ValueError(f"{path} is neither a folder of pictures nor a parquet file")
    data = cache.kept(
        path.name or "folder", [_identity(files), labels, look.size, look.grey], decode, progress
    )
    if own_splits:
        return data
    rows = split_rows(data.labels.numpy(), split)
    if len(rows) == 0:
        raise ValueError(f"{path} has too few pictures of each label to keep a fifth for testing")
    return data.take(torch.from_numpy(rows))


def _identity(files: list[Path]) -> list[object]:
    """What changes when a file does."""
    found = [(file.resolve(), file.stat()) for file in files]
    return [[str(path), status.st_size, status.st_mtime_ns] for path, status in found]


def _is_path(text: str) -> bool:
    """Whether a text plainly is a path, and of something that exists: a bare word never is."""
    if not (text.endswith(".parquet") or "/" in text or os.sep in text):
        return False
    try:
        return Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # no path: too long, with a null character, of no user
        return False


def _in_look(data: DataSet, look: Look) -> DataSet:
    channels, *sides = data.shape
    same_size = look.size is None or sides == [look.size, look.size]
    if same_size and (look.grey is None or look.grey == (channels == 1)):
        return data
    assert data.levels is not None
    shades = np.rint(data.values.numpy() * (255 / (data.levels - 1))).astype(np.uint8)
    arrays = (array[0] if channels == 1 else array.transpose(1, 2, 0) for array in shades)
    pictures = np.stack([render(Image.fromarray(array), look) for array in arrays])
    return DataSet(data.name, torch.from_numpy(pictures), data.labels, 256, data.label_names)


def _unknown(name: str) -> str:
    if name.startswith(("/", "./", "../", "~")):
        return f"there is no folder of pictures and no parquet file {name}"
    hint = did_you_mean(name, names())
    return (
        f"there is no data set named {name!r}.{hint} Known: {', '.join(names())}; or the path of a folder of "
        "pictures or of a parquet file, or an id owner/name of the Hugging Face hub"
    )
