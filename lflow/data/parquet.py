"""Pictures in parquet files, in the schema of the Hugging Face hub: read a row group at a time.

A picture is a column of structs with the `bytes` of an encoded file, or of such bytes themselves; its label
is a column of whole numbers or of words. Knows nothing of where the files come from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lflow.data.cache import Rows
from lflow.data.pictures import Look, decode

_PICTURE_COLUMNS = ("image", "img", "picture", "bytes")
_LABEL_COLUMNS = ("label", "labels", "fine_label", "class")
_BATCH = 256


def rows(files: Sequence[Path], look: Look) -> Rows:
    """The rows of the files, one after the other. ValueError, naming the file, for what is not in order."""
    opened = [_open(file) for file in files]
    columns = [_picture_column(file, table.schema_arrow) for file, table in zip(files, opened, strict=True)]
    labels, label_names = _labels(files, opened)
    if len(labels) == 0:
        raise ValueError(f"{files[0]} holds no pictures")

    def pictures() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for file, table, column in zip(files, opened, columns, strict=True):
            for row, content in enumerate(_contents(file, table, column)):
                name = f"row {row} of {file}"
                if content is None:
                    raise ValueError(f"{name} has no picture in it")
                yield name, decode(content, look, name)

    return Rows(labels, label_names, pictures())


def _open(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> ValueError:
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return ValueError(f"{file} cannot be read as a parquet file: {reason}")


def _picture_column(file: Path, schema: pa.Schema) -> str:
    def holds_bytes(kind: pa.DataType) -> bool:
        if pa.types.is_struct(kind):
            return kind.get_field_index("bytes") >= 0 and holds_bytes(kind.field("bytes").type)
        return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)

    found = [field.name for field in schema if holds_bytes(field.type)]
    if not found:
        raise ValueError(f"{file} has no column of pictures; its columns are: {', '.join(schema.names)}")
    return min(found, key=lambda name: (name not in _PICTURE_COLUMNS, found.index(name)))


def _contents(file: Path, table: pq.ParquetFile, column: str) -> Iterator[bytes | None]:
    """The encoded pictures: one row group is in memory at a time."""
    for group in range(table.num_row_groups):
        batches = table.iter_batches(_BATCH, row_groups=[group], columns=[column])
        while True:
            try:
                batch = next(batches, None)
                cells = [] if batch is None else batch.column(0).to_pylist()
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(file, error) from None
            if batch is None:
                break
            yield from (cell["bytes"] if isinstance(cell, dict) else cell for cell in cells)


def _labels(
    files: Sequence[Path], opened: Sequence[pq.ParquetFile]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """A number for each row, and what the numbers mean; all zero where no column looks like labels."""
    schema = opened[0].schema_arrow
    column = next((name for name in _LABEL_COLUMNS if _is_label(schema, name)), None)
    if column is None:
        return np.zeros(sum(table.metadata.num_rows for table in opened), dtype=np.int64), ()
    counted = pa.types.is_integer(schema.field(column).type)
    values: list[Any] = []
    for file, table in zip(files, opened, strict=True):
        try:
            cells = table.read(columns=[column]).column(column).cast(pa.int64() if counted else pa.string())
        except (pa.ArrowException, OSError, KeyError) as error:
            raise _unreadable(file, error) from None
        if cells.null_count:
            raise ValueError(f"{file} has a row without a label in its column {column!r}")
        values += cells.to_pylist()
    if counted:
        return np.array(values, dtype=np.int64), _class_names(schema, column)
    words, numbers = np.unique(values, return_inverse=True)
    return numbers.astype(np.int64), tuple(words.tolist())


def _is_label(schema: pa.Schema, name: str) -> bool:
    index = schema.get_field_index(name)
    if index < 0:
        return False
    kind = schema.field(index).type
    return pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...]:
    """What the hub's own metadata calls the labels; none where it does not say."""
    try:
        info = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(map(str, info["info"]["features"][column]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()
