"""From the lines of a run's metrics to curves: a panel for each quantity, training and validation together.

Knows nothing of how they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

TRAINING, VALIDATION = "training", "validation"
_LOSS = "loss/"
_SPLITS = {"train": TRAINING, "validation": VALIDATION}
_NOT_QUANTITIES = ("step", "seconds", "split")
_MOST_POINTS = 150  # of a curve: with more, neighbours are averaged
_SETTLED = 0.05  # share of the steps whose values may lie beyond the chart: losses often fall from far above


Point = tuple[int, float]


class Series(NamedTuple):
    """A curve: means over `each` neighbouring lines, and how far these go."""

    name: str
    steps: list[int]
    values: list[float]
    low: list[float]
    high: list[float]
    each: int


class Panel(NamedTuple):
    """What is known of a quantity. `best`, step and value, where the run is judged by it."""

    quantity: str
    series: list[Series]
    best: Point | None

    @property
    def title(self) -> str:
        """The quantity as people write it."""
        return self.quantity.replace("_", " ")


def panels(lines: Sequence[dict[str, Any]], best_metric: str | None = None) -> list[Panel]:
    """The quantities of a run: first the one that it is judged by, then losses, then all others.

    A loss and the metric of its name are one quantity, and so are `energy/data` and `energy/chains`.
    best_metric: None where the run does not say.
    """
    found: dict[str, dict[str, list[Point]]] = {}
    losses = set()
    for line in lines:
        for name, value in line.items():
            if name in _NOT_QUANTITIES:
                continue
            quantity, curve = _parts(name, _SPLITS[line["split"]])
            if name.startswith(_LOSS):
                losses.add(quantity)
            points = found.setdefault(quantity, {}).setdefault(curve, [])
            if value is not None:
                points.append((line["step"], value))

    def order(quantity: str) -> tuple[bool, bool]:
        return quantity != best_metric, quantity not in losses

    return [_panel(name, found[name], name == best_metric) for name in sorted(found, key=order)]


def _parts(name: str, split: str) -> tuple[str, str]:
    """The quantity that a metric's name stands for, and the name of its curve."""
    quantity, slash, part = name.removeprefix(_LOSS).partition("/")
    return quantity, (part if split == TRAINING else f"{part}, {split}") if slash else split


def _panel(quantity: str, curves: dict[str, list[Point]], is_best: bool) -> Panel:
    series = [_series(name, points) for name, points in curves.items() if points]
    seen = curves.get(VALIDATION) if is_best else None
    best = min(seen, key=lambda point: point[1]) if seen else None
    return Panel(quantity, series, best)


def _series(name: str, points: list[Point]) -> Series:
    each = math.ceil(len(points) / _MOST_POINTS)
    groups = [points[k : k + each] for k in range(0, len(points), each)]
    values = [[value for _, value in group] for group in groups]
    return Series(
        name,
        [group[-1][0] for group in groups],
        [math.fsum(group) / len(group) for group in values],
        [min(group) for group in values],
        [max(group) for group in values],
        each,
    )


def domain(panel: Panel) -> tuple[float, float]:
    """The values that a chart of the panel spans: all but those of the first few steps."""
    last = max((series.steps[-1] for series in panel.series), default=0)
    shown = [
        value
        for series in panel.series
        for step, low, high in zip(series.steps, series.low, series.high, strict=True)
        if step > _SETTLED * last or len(series.steps) < 5
        for value in (low, high)
    ]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    room = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return low - room, high + room
