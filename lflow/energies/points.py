"""A user's own points: reading them from CSV or NPY, and their kernel density.

Knows nothing of the energy classes, of samplers and of pages.
"""

from __future__ import annotations

import io
import math
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MAX_BYTES = 20_000_000
MAX_POINTS = 5_000
MIN_POINTS = 10
# Beyond this, squares overflow in float32, in which chains run.
MAX_MAGNITUDE = 1e15
# Pairs of a particle and a point held at once, in some six arrays of 4 to 8 bytes each: below 200 MB. On a
# CPU a tenth stays in its cache, which is three times faster; compiled, the loop is unrolled and kept short.
MAX_PAIRS = 4_000_000
CACHED_PAIRS = 400_000

Array = NDArray[np.float64]


def read_points(source: bytes | str | os.PathLike[str], name: str = "") -> Array:
    """Read points in the plane, float64 (n, 2), from CSV or NPY: the bytes of a file, or its path.

    CSV may be separated by commas, semicolons, tabs or blanks, with a header or without; lines that begin
    with # are skipped. More than 5,000 points are thinned to 5,000, drawn without replacement with a fixed
    seed and kept in order. Raises ValueError, with one sentence that holds `name` and the row (a line of the
    text, an index of the array), for anything but two columns of ten or more finite numbers in at most
    20 MB; nothing is ever unpickled.

    >>> read_points(b"x,y\\n" + b"1.5,2\\n0,1\\n" * 5).shape
    (10, 2)
    """
    if isinstance(source, bytes | bytearray | memoryview):
        content, label = bytes(source), name or "the file"
        _refuse_large(len(content), label)
    else:
        label = name or Path(source).name or "the file"
        if Path(source).exists() and not Path(source).is_file():
            raise ValueError(f"{label} is not a file")
        try:
            _refuse_large(Path(source).stat().st_size, label)
            content = Path(source).read_bytes()
        except OSError as error:
            raise ValueError(f"{label} cannot be opened: {error.strerror}") from None
    if not content.strip():
        raise ValueError(f"{label} is empty")
    suffix = Path(label).suffix.lower()
    if content.startswith(b"\x93NUMPY"):
        points = _read_npy(content, label)
        rows: Sequence[int] = range(len(points))
    elif content.startswith(b"PK") or suffix in (".npy", ".npz"):
        raise ValueError(f"{label} is not an .npy file; save one array with numpy.save")
    else:
        points, rows = _read_csv(content, label)
    return _checked(points, label, rows)


def _refuse_large(size: int, label: str) -> None:
    if size > MAX_BYTES:
        raise ValueError(f"{label} has {size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read")


def _read_npy(content: bytes, label: str) -> Array:
    file = io.BytesIO(content)
    try:
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = header[np.lib.format.read_magic(file)](file)
    except Exception:  # numpy's parser of a hostile header raises whatever Python's tokenizer does
        raise ValueError(f"{label} has a damaged .npy header") from None
    if dtype.hasobject:
        raise ValueError(f"{label} holds Python objects, which are never loaded; save an array of numbers")
    if dtype.kind not in "fiu":
        raise ValueError(f"{label} holds values of type {dtype}; save real numbers")
    # Before numpy allocates what the header asks for.
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell() or min(shape, default=0) < 0:
        raise ValueError(f"{label} is cut short: its header says {shape}")
    if len(shape) not in (1, 2):
        raise ValueError(f"{label} has an array of shape {shape}; a table (n, 2) is needed")
    _refuse_columns(shape[1] if len(shape) == 2 else 1, label)
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False), dtype=np.float64)


def _read_csv(content: bytes, label: str) -> tuple[Array, Sequence[int]]:
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"{label} is neither CSV text nor an .npy file")
    start = list(islice(_lines(text), 2))
    if not start:
        raise ValueError(f"{label} is empty")
    # From the second line, as the first may be a header in words.
    separator = next((mark for mark in ";\t," if mark in start[-1][1]), None)
    header = not any(_is_number(cell) for cell in _cells(start[0][1], separator))
    # Flat arrays: millions of short rows as Python lists would take a hundred times the file.
    values, rows = array("d"), array("q")
    for row, line in islice(_lines(text), int(header), None):
        cells = _cells(line, separator)
        _refuse_columns(len(cells), label, f" in row {row}" if rows else "")
        values.extend(_parse(cells, row, label))
        rows.append(row)
    return np.array(values, dtype=np.float64).reshape(-1, 2), rows


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for row, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield row, line.strip(" \r\n")


def _cells(line: str, separator: str | None) -> list[str]:
    # A limit, as a file may be one line of millions of cells.
    cells = [cell.strip().strip('"') for cell in line.split(separator, 100)]
    # Where commas do not separate, they are decimal commas.
    return cells if separator == "," else [cell.replace(",", ".") for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse(cells: list[str], row: int, label: str) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        wrong = next(cell for cell in cells if not _is_number(cell))
        said = f"the text {wrong[:30]!r}" if wrong else "an empty cell"
        raise ValueError(f"{label} has {said} in row {row}; only numbers are read") from None


def _refuse_columns(columns: int, label: str, where: str = "") -> None:
    if columns == 1:
        raise ValueError(f"{label} has one column{where}; two are needed")
    if columns != 2:
        raise ValueError(f"{label} has {columns} columns{where}; keep two")


def _checked(points: Array, label: str, rows: Sequence[int]) -> Array:
    if len(points) < MIN_POINTS:
        raise ValueError(f"{label} has {len(points)} points; at least {MIN_POINTS} are needed")
    bad = ~(np.abs(points) <= MAX_MAGNITUDE).all(axis=1)
    if bad.any():
        first = int(bad.argmax())
        what = "a value beyond 1e15" if np.isfinite(points[first]).all() else "NaN or infinity"
        raise ValueError(f"{label} has {what} in row {rows[first]}")
    if len(points) > MAX_POINTS:
        kept = np.random.default_rng(0).choice(len(points), MAX_POINTS, replace=False)
        points = points[np.sort(kept)]
    if (points == points[0]).all():
        raise ValueError(f"all points of {label} are equal")
    return points


@dataclass(frozen=True, eq=False)
class PointCloud:
    """The kernel density of points (m, 2): U(x) = -log (1/m) Σ_i N(x; p_i, diag(h²)).

    Scott's rule, times `bandwidth`: h_j = bandwidth · std_j · m^(-1/6) on axis j. An axis on which all points
    agree takes the other's h. Raises ValueError unless the points are finite, at least two and not all equal,
    and the bandwidth is positive.

    >>> cloud = PointCloud(torch.randn(100, 2, dtype=torch.float64))
    >>> cloud.energy(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    points: Tensor
    bandwidth: float = 1.0
    scale: Tensor = field(init=False, repr=False)
    """The bandwidth h of each axis, float64 (2,)."""
    _placed: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        points = self.points
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or not bool(points.isfinite().all()):
            raise ValueError(
                f"the points must be finite and of shape (m, 2), m > 1, not {tuple(points.shape)}"
            )
        if bool((points == points[0]).all()):
            raise ValueError("all points are equal")
        if not 0 < self.bandwidth < math.inf:
            raise ValueError(f"the bandwidth must be positive and finite, not {self.bandwidth}")
        points = points.detach().to("cpu", torch.float64)
        spread = points.std(0)
        spread = torch.where(spread > 1e-9 * spread.max(), spread, spread.max())
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "scale", spread * (self.bandwidth * len(points) ** (-1 / 6)))

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """The range of the points, grown on each side by 3.5 bandwidths and 5 % of the range."""
        low, high = self.points.min(0).values, self.points.max(0).values
        margin = 3.5 * self.scale + 0.05 * (high - low)
        return tuple(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))

    def energy(self, x: Tensor) -> Tensor:
        """U(x), (n, 2) -> (n,). Autograd through it keeps all n·m pairs; `grad` keeps none."""
        return torch.cat([energy for energy, _ in self._chunks(x, want_gradient=False)])

    def grad(self, x: Tensor) -> Tensor:
        """∇U(x) = Σ_i w_i (x - p_i) / h², (n, 2) -> (n, 2), with w the posterior of the kernels at x."""
        return torch.cat([gradient for _, gradient in self._chunks(x)])

    def energy_and_grad(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """U(x) and ∇U(x) for little more than the price of one."""
        energies, gradients = zip(*self._chunks(x), strict=True)
        return torch.cat(energies), torch.cat(gradients)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Exact draws (n, 2), float32, on the generator's device: a point, plus h·ξ."""
        device = generator.device if generator is not None else torch.device("cpu")
        points, scale = self._on(device, torch.float32)
        rows = torch.randint(len(points), (n,), generator=generator, device=device)
        return points[rows] + scale * torch.randn(n, 2, generator=generator, device=device)

    def _on(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Points and scale where the particles are, copied once: a step must not wait for the host."""
        placed = self._placed.get((device, dtype))
        if placed is None:
            # A tensor made in inference mode could never serve autograd later.
            with torch.inference_mode(False):
                placed = self.points.to(device, dtype), self.scale.to(device, dtype)
            self._placed[device, dtype] = placed
        return placed

    def _chunks(self, x: Tensor, want_gradient: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
        points, scale = self._on(x.device, x.dtype)
        normaliser = scale.log().sum() + math.log(2 * math.pi * len(points))
        pairs = CACHED_PAIRS if x.device.type == "cpu" and not torch.compiler.is_compiling() else MAX_PAIRS
        for part in torch.split(x, max(1, pairs // len(points))):
            # Differences, not |x|² - 2x·p + |p|²: with points far from 0 the latter cancels in float32.
            first = (part[:, :1] - points[:, 0]) / scale[0]
            second = (part[:, 1:] - points[:, 1]) / scale[1]
            logits = -0.5 * (first.square() + second.square())
            energy = normaliser - torch.logsumexp(logits, 1)
            if want_gradient:
                weights = torch.softmax(logits, 1)
                gradient = torch.stack([(weights * first).sum(1), (weights * second).sum(1)], 1) / scale
            else:
                gradient = energy
            yield energy, gradient
