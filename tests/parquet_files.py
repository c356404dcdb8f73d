"""Parquet files of noise in the hub's schema, for tests."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

_RANDOM = np.random.default_rng(0)
_FEATURES = b'{"info": {"features": {"label": {"names": ["cat", "dog", "owl"]}}}}'


def noise(number: int, height: int = 12, width: int = 12, channels: int = 3) -> np.ndarray:
    shape = (number, height, width, channels) if channels > 1 else (number, height, width)
    return _RANDOM.integers(0, 256, shape).astype(np.uint8)


def encoded(array: np.ndarray, form: str = "png") -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, form)
    return out.getvalue()


def write(
    path: Path,
    pictures: Sequence[bytes | None],
    labels: Sequence[object] | None = None,
    column: str = "image",
) -> Path:
    """A parquet file in the hub's schema, two rows to a row group."""
    columns: dict[str, object] = {column: [{"bytes": content, "path": None} for content in pictures]}
    if labels is not None:
        columns["label"] = labels
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {name: pa.array(cells, kind if name == column else None) for name, cells in columns.items()}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({b"huggingface": _FEATURES}), path, row_group_size=2)
    return path


def bytes_of(arrays: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(arrays if arrays.ndim == 4 else arrays[..., None]).permute(0, 3, 1, 2)
