"""Pictures in a folder of one's own: each sub-folder is a label.

Where the folder holds the folders `train` and `test`, each is a split; what is hidden is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lflow.data.cache import Rows
from lflow.data.pictures import Bytes, Look, decode

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"))


def has_splits(folder: Path) -> bool:
    """Whether the folder says itself what is for training and what for testing."""
    return all((folder / split).is_dir() for split in ("train", "test"))


def files(folder: Path) -> list[Path]:
    """The picture files in it, in the order of their names. ValueError where there is none."""
    try:
        found = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in _SUFFIXES
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
            and path.is_file()
        )
    except OSError as error:
        raise OSError(f"{folder} cannot be read: {error.strerror}") from None
    if not found:
        raise ValueError(f"{folder} holds no pictures ({', '.join(sorted(_SUFFIXES))})")
    return found


def label_names(folder: Path, paths: Sequence[Path]) -> list[str]:
    """The label of each picture in words: its sub-folder, or "" in the folder itself."""
    inner = [path.relative_to(folder).parts for path in paths]
    return [parts[0] if len(parts) > 1 else "" for parts in inner]


def rows(folder: Path, paths: Sequence[Path], look: Look, names: Sequence[str]) -> Rows:
    """The pictures of a folder, their labels numbered as in `names`. ValueError, naming it, for one that
    cannot be read."""
    numbers = np.searchsorted(names, label_names(folder, paths))

    def pictures() -> Iterator[tuple[str, Bytes]]:
        for path in paths:
            try:
                content = path.read_bytes()
            except OSError as error:
                raise OSError(f"{path} cannot be read: {error.strerror}") from None
            yield str(path), decode(content, look, str(path))

    return Rows(numbers.astype(np.int64), tuple(names), pictures())
