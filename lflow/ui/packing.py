"""What the player shows, as bytes: clouds over time, a picture to lay under them, numbers, and words.

A `Scene` knows frames, not samplers: how its arrays came about is the caller's business. `pack` turns it,
or a scene of images (image_grid.py), into the bytes that assets/player/decode.js reads. Knows nothing of
Streamlit.

The bytes: magic `LFP1`, header length (uint32, little-endian), a JSON header, padding to a multiple of 8, and
sections that each start at a multiple of 8. The header names every section as {"offset", "shape", "dtype"},
counted from the first section.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAGIC = b"LFP1"
ALIGNMENT = 8
REACH = 1.5  # positions are kept within the view grown to this many times its size
NOT_DRAWN = -32768  # the int16 that stands for a particle farther out, or not finite
MAX_PANELS = 4
Add = Callable[[NDArray[Any]], int]
"""Keeps an array among the sections, and gives its number."""


@dataclass(frozen=True, kw_only=True)
class AnyPanel:
    """What every panel has, whatever it shows."""

    label: str
    colour_light: str  # on a light page, as #rrggbb
    colour_dark: str  # on a dark page
    captions: Sequence[str]  # one a frame
    banner: str = ""  # what the reader must know from some frame on, such as why the run diverged
    banner_frame: int | None = None

    def words(self, frames: int) -> dict[str, Any]:
        """This part of the header."""
        if len(self.captions) != frames:
            raise ValueError(f"panel {self.label!r}: {len(self.captions)} captions for {frames} frames")
        return {
            "label": self.label,
            "colour_light": self.colour_light,
            "colour_dark": self.colour_dark,
            "captions": list(self.captions),
            "banner": self.banner,
            "banner_frame": None if self.banner_frame is None else int(self.banner_frame),
        }


@dataclass(frozen=True, kw_only=True)
class Panel(AnyPanel):
    """One cloud. Grids have row 0 at the lowest y; their cells divide the scene's bounds evenly."""

    positions: ArrayLike  # (frames, particles, 2)
    density: ArrayLike | None = None  # (rows, columns): the target
    energy: ArrayLike | None = None  # (rows, columns): drawn as contours
    flow: ArrayLike | None = None  # (frames, rows, columns): the density of the continuous-time flow
    marginal_x: ArrayLike | None = None  # the target's marginal density at cell centres along x
    marginal_y: ArrayLike | None = None
    proposal: ArrayLike | None = None  # (4, rows, columns): mean step (x, y) and its deviation (x, y)
    proposal_name: str = "the next step"  # what the proposal is of, in the middle of a sentence


@dataclass(frozen=True)
class Line:
    """A level that a metric is compared with: a floor, a closed form, or a band around one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """One curve of a metric, in the colour of its panel. Not a number where it is undefined."""

    label: str
    values: ArrayLike  # (frames,)
    panel: int
    dash: bool = False


@dataclass(frozen=True)
class Metric:
    """A small chart of numbers over time."""

    label: str
    unit: str
    series: tuple[Series, ...]
    log: bool = False
    lines: tuple[Line, ...] = ()
    help: str = ""


@dataclass(frozen=True, kw_only=True)
class AnyScene:
    """What every scene has, whatever its panels show. They share the frames and the clock."""

    steps: ArrayLike  # (frames,): the step that each frame shows
    panels: Sequence[AnyPanel]
    metrics: Sequence[Metric]
    alt: str  # what is seen, in words
    loop_seconds: float = 8.0
    step_word: str = "step"
    many: ClassVar[str]
    """What there is much of in a panel: fewer of them make a smaller scene."""

    def least_size(self) -> int:
        """The bytes of what moves, known before anything is packed."""
        raise NotImplementedError

    def pack_panels(self, frames: int, add: Add) -> dict[str, Any]:
        """The part of the header that tells of the panels; ValueError says what is wrong with them."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Scene(AnyScene):
    """Clouds over one target each, all within the same bounds."""

    bounds: tuple[tuple[float, float], tuple[float, float]]  # ((x0, x1), (y0, y1))
    panels: Sequence[Panel]
    can_place: bool = False
    can_draw: bool = False
    trails: bool = True
    many = "particles"

    def least_size(self) -> int:
        return sum(np.size(panel.positions) * 2 for panel in self.panels)

    def pack_panels(self, frames: int, add: Add) -> dict[str, Any]:
        bounds = _checked_bounds(self.bounds)
        return {
            "bounds": bounds,
            "reach": REACH,
            "panels": [_pack_panel(panel, bounds, frames, add) for panel in self.panels],
            "can_place": self.can_place,
            "can_draw": self.can_draw,
            "trails": self.trails,
        }


class _Sections:
    """Collects arrays into one aligned body and says where each one lies."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.table: list[dict[str, Any]] = []

    def add(self, array: NDArray[Any]) -> int:
        """Append an array; its number in the header's table."""
        raw = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        self.table.append({"offset": self.size, "shape": list(array.shape), "dtype": array.dtype.name})
        padded = raw + b"\0" * (-len(raw) % ALIGNMENT)
        self.chunks.append(padded)
        self.size += len(padded)
        return len(self.table) - 1


def pack(scene: AnyScene, max_bytes: int = 24_000_000) -> bytes:
    """The scene as bytes; ValueError says what is wrong with it, or that it is too large."""
    steps = np.asarray(scene.steps)
    if steps.ndim != 1 or len(steps) == 0:
        raise ValueError(f"steps must be one number a frame, at least one; got the shape {steps.shape}")
    if not 1 <= len(scene.panels) <= MAX_PANELS:
        raise ValueError(f"the player shows 1 to {MAX_PANELS} panels, not {len(scene.panels)}")
    if not 0 < scene.loop_seconds < float("inf"):
        raise ValueError(f"loop_seconds must be positive and finite, not {scene.loop_seconds}")
    _check_size(scene.least_size(), max_bytes, scene.many)

    sections = _Sections()
    header = {
        "steps": sections.add(steps.astype(np.int32)),
        **scene.pack_panels(len(steps), sections.add),
        "metrics": [_pack_metric(metric, scene, len(steps), sections.add) for metric in scene.metrics],
        "alt": scene.alt,
        "loop_seconds": float(scene.loop_seconds),
        "step_word": scene.step_word,
        "sections": sections.table,
    }
    body = b"".join(sections.chunks)
    digest = blake2b(body, digest_size=8)
    digest.update(json.dumps(header).encode())
    text = json.dumps({"id": digest.hexdigest(), **header}, allow_nan=False).encode()
    start = MAGIC + len(text).to_bytes(4, "little") + text
    payload = start + b"\0" * (-len(start) % ALIGNMENT) + body
    _check_size(len(payload), max_bytes, scene.many)
    return payload


def _check_size(size: int, max_bytes: int, many: str) -> None:
    if size > max_bytes:
        raise ValueError(
            f"the scene takes {size / 1e6:.1f} MB and {max_bytes / 1e6:.1f} MB are allowed: "
            f"record fewer frames or show fewer {many}"
        )


def _checked_bounds(bounds: tuple[tuple[float, float], tuple[float, float]]) -> list[list[float]]:
    pairs = np.asarray(bounds, dtype=float)
    if pairs.shape != (2, 2) or not np.isfinite(pairs).all() or not (pairs[:, 0] < pairs[:, 1]).all():
        raise ValueError(f"bounds must be ((x0, x1), (y0, y1)), finite and increasing; got {bounds}")
    return [[float(low), float(high)] for low, high in pairs]


def _pack_panel(panel: Panel, bounds: list[list[float]], frames: int, add: Add) -> dict[str, Any]:
    name = f"panel {panel.label!r}"
    positions = np.asarray(panel.positions)
    if positions.ndim != 3 or positions.shape[::2] != (frames, 2) or positions.shape[1] < 1:
        raise ValueError(
            f"{name}: positions must have the shape ({frames} frames, particles, 2); got {positions.shape}"
        )
    packed: dict[str, Any] = {
        **panel.words(frames),
        "positions": add(_quantise(positions, bounds)),
        "proposal_name": panel.proposal_name,
        **dict.fromkeys(("density", "energy", "flow", "marginal_x", "marginal_y", "proposal")),
    }
    if panel.density is not None:
        packed["density"] = add(_density_bytes(_density(panel.density, 2, f"{name}: density")))
    if panel.energy is not None:
        packed["energy"] = add(_energy(panel.energy, name))
    if panel.proposal is not None:
        packed["proposal"] = add(_proposal(panel.proposal, name))
    if panel.flow is not None:
        flow = _density(panel.flow, 3, f"{name}: flow")
        if len(flow) != frames:
            raise ValueError(f"{name}: flow has {len(flow)} frames, positions have {frames}")
        packed["flow"] = add(_density_bytes(flow))
    for field, marginal in (("marginal_x", panel.marginal_x), ("marginal_y", panel.marginal_y)):
        if marginal is not None:
            packed[field] = add(_density(marginal, 1, f"{name}: {field}"))
    return packed


def _density(values: ArrayLike, dimensions: int, name: str) -> NDArray[np.float32]:
    """A density: finite, not negative, of so many dimensions with at least two cells each."""
    grid = np.asarray(values, dtype=np.float32)
    if grid.ndim != dimensions or min(grid.shape[-2:]) < 2:
        raise ValueError(f"{name} must have {dimensions} dimensions of two cells or more; got {grid.shape}")
    if not np.isfinite(grid).all() or (grid < 0).any():
        raise ValueError(f"{name} must be finite and not negative")
    return grid


def _energy(values: ArrayLike, name: str) -> NDArray[np.float32]:
    """An energy, infinite where it likes: contours leave such cells out."""
    grid = _as_float32(values)
    if grid.ndim != 2 or min(grid.shape) < 2:
        raise ValueError(f"{name}: energy must be a grid (rows, columns); got the shape {grid.shape}")
    return grid


def _proposal(values: ArrayLike, name: str) -> NDArray[np.float32]:
    """Means and deviations of a step, not finite where there is none."""
    grid = _as_float32(values)
    if grid.ndim != 3 or len(grid) != 4 or min(grid.shape) < 2:
        raise ValueError(f"{name}: proposal must have the shape (4, rows, columns); got {grid.shape}")
    if (grid[2:] < 0).any():
        raise ValueError(f"{name}: the deviations of a proposal must not be negative")
    return grid


def _as_float32(values: ArrayLike) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is treated so
        return np.asarray(values).astype(np.float32)


def _quantise(positions: NDArray[Any], bounds: list[list[float]]) -> NDArray[np.int16]:
    """Positions over the grown view as -32767..32767, and NOT_DRAWN twice for a particle out of it."""
    middle = np.array([(low + high) / 2 for low, high in bounds])
    half = np.array([(high - low) / 2 * REACH for low, high in bounds])
    packed = np.empty(positions.shape, dtype=np.int16)
    for frame, at in enumerate(positions):  # a frame at a time: the floats of a whole run need not fit twice
        scaled = (at.astype(np.float64) - middle) / half * 32767
        seen = (np.abs(scaled) <= 32767).all(axis=-1, keepdims=True)  # a comparison with NaN is false
        packed[frame] = np.where(seen, np.rint(np.where(seen, scaled, 0)), NOT_DRAWN)
    return packed


def _density_bytes(grid: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Square roots of the density, each grid's peak at 255: eight bits then reach far into the tails."""
    peak = grid.max(axis=(-2, -1), keepdims=True)
    rooted: NDArray[np.float32] = np.sqrt(grid / np.where(peak > 0, peak, 1))
    return np.rint(255 * rooted).astype(np.uint8)


def _pack_metric(metric: Metric, scene: AnyScene, frames: int, add: Add) -> dict[str, Any]:
    curves = []
    for series in metric.series:
        name = f"metric {metric.label!r}, series {series.label!r}"
        values = _as_float32(series.values)
        if values.shape != (frames,):
            raise ValueError(f"{name}: {values.shape} values for {frames} frames")
        if not 0 <= series.panel < len(scene.panels):
            raise ValueError(f"{name}: there is no panel {series.panel}")
        values = np.where(np.isfinite(values), values, np.float32(np.nan))
        curve = {"label": series.label, "panel": series.panel, "dash": series.dash}
        curves.append({**curve, "values": add(values)})
    lines = []
    for line in metric.lines:
        numbers = [line.value, *(edge for edge in (line.low, line.high) if edge is not None)]
        if not np.isfinite(numbers).all():
            raise ValueError(f"metric {metric.label!r}: the line {line.label!r} is not finite")
        band = None if line.low is None or line.high is None else [float(line.low), float(line.high)]
        lines.append({"label": line.label, "value": float(line.value), "band": band})
    return {
        "label": metric.label,
        "unit": metric.unit,
        "log": metric.log,
        "help": metric.help,
        "series": curves,
        "lines": lines,
    }
