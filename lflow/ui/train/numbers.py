"""From the lines of a run's metrics to curves: a panel for each quantity, training and validation together.

Knows nothing of how they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

TRAINING, VALIDATION = "training", "validation"
_LOSS, _VALIDATES = "loss/", "validation"
_SPLITS = {"train": TRAINING, _VALIDATES: VALIDATION}
_NOT_QUANTITIES = ("step", "seconds", "split")
_MOST_POINTS = 150  # of a curve: with more, neighbours are averaged
_SETTLED = 0.05  # share of the steps whose values may lie beyond the chart: losses often fall from far above


TITLES = {
    "acceptance": "accepted share of proposals",
    "bits_per_dim": "bits a dimension",
    "condition_number": "condition number of GGᵀ",
    "energy": "mean energy",
    "energy_gap": "energy at data less at chains",
    "latent_two_sample_accuracy": "share of latents told from the prior",
    "log_joint": "log p(x, z) at the inferred z",
    "loss/contrast": "log p(z) at the sampler's z: loss of the energy",
    "loss/decoder": "loss of the decoder",
    "loss/energy": "energy at data less at the pair's samples",
    "loss/flow": "-log p of the pair's samples by the flow",
    "loss/noise": "noise of the updates, as a loss",
    "loss/penalty": "penalty on large energies",
    "loss/posterior": "-log p(x, z) at the encoder's z",
    "loss/potential": "-log p(x, z) along the chain",
    "loss/prior": "loss of the prior",
    "loss/sampler": "-log p(z) at the sampler's z: loss of the sampler",
    "mmd": "MMD of samples to data",
    "moved": "how far the chain moves samples",
    "nelbo": "bound on -log p in nats",
    "nll": "-log p in nats",
    "sampler_gap": "energy of inferred z less of the sampler's",
    "sliced_w2": "sliced W2 of samples to data",
    "squared_error": "squared error of reconstructions",
    "weight_rms": "root mean square of the last layer",
}
"""What a reader is told of the quantities of the models here; those of other models go by their names."""

Point = tuple[int, float]


class Series(NamedTuple):
    """A curve: means over `each` neighbouring lines, and how far these go."""

    name: str
    validates: bool
    steps: list[int]
    values: list[float]
    low: list[float]
    high: list[float]
    each: int


class Panel(NamedTuple):
    """What is known of a quantity. `best`, step and value, where the run is judged by it."""

    title: str
    series: list[Series]
    best: Point | None


def panels(lines: Sequence[dict[str, Any]], best_metric: str | None = None) -> list[Panel]:
    """The quantities of a run: first the one that it is judged by, then losses, then all others.

    A loss and the metric of its name are one quantity, and so are `energy/data` and `energy/chains`.
    best_metric: None where the run does not say.
    """
    points: dict[tuple[str, str], list[Point]] = {}
    for line in lines:
        for name, value in line.items():
            if name not in _NOT_QUANTITIES:
                of_curve = points.setdefault((name, line["split"]), [])
                if value is not None:
                    of_curve.append((line["step"], value))
    metrics = {name for name, _ in points}
    found: dict[str, dict[tuple[str, str], list[Point]]] = {}
    for (name, split), curve in points.items():
        quantity = name.partition("/")[0]
        if name.startswith(_LOSS):
            twin = name.removeprefix(_LOSS)
            quantity = twin if twin in metrics else name
        found.setdefault(quantity, {})[name, split] = curve

    def order(quantity: str) -> tuple[bool, bool]:
        is_loss = any(name.startswith(_LOSS) for name, _ in found[quantity])
        return quantity != best_metric, not is_loss

    return [_panel(name, found[name], name == best_metric) for name in sorted(found, key=order)]


def _panel(quantity: str, curves: dict[tuple[str, str], list[Point]], is_best: bool) -> Panel:
    series: dict[str, Series] = {}
    for (name, split), points in curves.items():
        part = "" if name.startswith(_LOSS) else name.partition("/")[2]
        label = part if part and part not in series else ", ".join(filter(None, (part, _SPLITS[split])))
        if points:
            series[label] = _series(label, split == _VALIDATES, points)
    seen = curves.get((quantity, _VALIDATES)) if is_best else None
    title = f"{quantity.removeprefix(_LOSS)} (loss)" if quantity.startswith(_LOSS) else quantity
    best = min(seen, key=lambda point: point[1]) if seen else None
    said = TITLES.get(quantity, title.replace("_", " "))
    return Panel(said, list(series.values()), best)


def _series(name: str, validates: bool, points: list[Point]) -> Series:
    each = math.ceil(len(points) / _MOST_POINTS)
    groups = [points[k : k + each] for k in range(0, len(points), each)]
    values = [[value for _, value in group] for group in groups]
    return Series(
        name,
        validates,
        [group[-1][0] for group in groups],
        [math.fsum(group) / len(group) for group in values],
        [min(group) for group in values],
        [max(group) for group in values],
        each,
    )


def last_step(panels: Sequence[Panel]) -> int:
    """The step of the newest numbers, which all charts of a run reach to."""
    return max((series.steps[-1] for panel in panels for series in panel.series), default=1)


def domain(panel: Panel) -> tuple[float, float]:
    """The values that a chart of the panel spans: all but those of the first few steps."""
    last = last_step([panel])
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
