"""Decoded pictures on the disk: made once, read as they are from then on, without decoding.

One safetensors file a set, written beside its place and moved there whole. A file that cannot be read is made
again. Knows nothing of where pictures come from.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lflow.data.dataset import DataSet
from lflow.data.pictures import Bytes

_VERSION = 1
_REPORT_EVERY = 256

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Rows:
    """What a source has: the label of each picture, and the pictures in their order, each with its name."""

    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    pictures: Iterator[tuple[str, Bytes]]


def folder() -> Path:
    """Where decoded data are kept: LFLOW_CACHE, or else .cache/lflow in the home folder."""
    named = os.environ.get("LFLOW_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "lflow"


def place(name: str, key: object) -> Path:
    """The file of what is made from a key: what JSON can hold, and what tells it from everything else."""
    digest = hashlib.sha256(json.dumps([_VERSION, name, key]).encode()).hexdigest()[:20]
    return folder() / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[-60:]}-{digest}.safetensors"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside the path, which takes its place when it is whole. OSError says what to do."""
    part = path.with_name(f"{path.stem}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None:  # a source's own, which says what it is
            raise
        raise OSError(
            f"{path.parent} cannot be written ({error.strerror}): name another folder in LFLOW_CACHE"
        ) from None


def kept(name: str, key: object, decode: Callable[[], Rows], progress: Progress | None) -> DataSet:
    """The data set of a key: from its file, or decoded now and kept.

    progress is called with (pictures done, pictures in all). OSError where the file cannot be written.
    """
    path = place(name, key)
    found = _read(path, name)
    if found is None:
        rows = decode()
        with replacing(path) as part, part.open("wb") as file:
            _write_rows(file, rows, progress or (lambda done, total: None))
        found = _read(path, name)
    if found is None:
        raise OSError(f"{path} cannot be read back after it was written")
    return found


def _read(path: Path, name: str) -> DataSet | None:
    """The data set in a file, its bytes mapped and not read; None where there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            values: Tensor = file.get_tensor("values")
            labels: Tensor = file.get_tensor("labels")
            label_names = json.loads(file.metadata()["label_names"])
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None
    return DataSet(name, values, labels, 256, tuple(label_names))


def _write_rows(file: BinaryIO, rows: Rows, progress: Progress) -> None:
    """A safetensors file, picture by picture: whatever the number, one picture is in memory."""
    total = len(rows.labels)
    shape: tuple[int, ...] | None = None
    for done, (name, picture) in enumerate(rows.pictures):
        if shape is None:
            shape = picture.shape
            file.write(_header(rows, shape))
            file.write(rows.labels.astype("<i8").tobytes())
        file.write(_alike(picture, shape, name).tobytes())
        if done % _REPORT_EVERY == 0:
            progress(done, total)
    progress(total, total)


def _header(rows: Rows, shape: tuple[int, ...]) -> bytes:
    number, size = len(rows.labels), int(np.prod(shape))
    entries = {
        "__metadata__": {"label_names": json.dumps(rows.label_names)},
        "labels": {"dtype": "I64", "shape": [number], "data_offsets": [0, 8 * number]},
        "values": {
            "dtype": "U8",
            "shape": [number, *shape],
            "data_offsets": [8 * number, (8 + size) * number],
        },
    }
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)  # the numbers start at a multiple of eight bytes
    return struct.pack("<Q", len(text)) + text


def _alike(picture: Bytes, shape: tuple[int, ...], name: str) -> Bytes:
    """The picture in the shape of the first. ValueError, naming it, where it has another size or colours."""
    if picture.shape[1:] != shape[1:]:
        height, width = picture.shape[1:]
        raise ValueError(
            f"{name} has {width} by {height} pixels and the first picture {shape[2]} by {shape[1]}: "
            "choose one size for all, as --size 32 does"
        )
    if picture.shape[0] > shape[0]:
        raise ValueError(f"{name} is in colour and the first picture is grey: choose grey or colour for all")
    return np.broadcast_to(picture, shape)
