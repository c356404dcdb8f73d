"""What fits a model and its data: a measure asks what the model offers, and there is no list of models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from lflow.evaluation import likelihood, nearness, outliers, reconstruction
from lflow.evaluation.subject import Score, Subject

MEASURES: tuple[Callable[[Subject], list[Score]], ...] = (
    likelihood.exact,
    likelihood.on_grid,
    likelihood.weighted,
    likelihood.annealed,
    reconstruction.of_data,
    nearness.of_samples,
    outliers.ranked,
)
"""Each gives the scores that it can, and none where the model does not offer what it takes."""


def report(subject: Subject) -> list[Score]:
    """Every number that there is about the model.

    Example:
        >>> report(Subject(lflow.load("runs/first"), DataChoice(source="rings")))
    """
    return [score for measure in MEASURES for score in measure(subject)]


def table(scores: Sequence[Score]) -> str:
    """The scores for people: a line each, and under it what to hold it against and what was measured."""
    lines = []
    for score in scores:
        error = "" if score.error is None else f" ± {score.error:.2g}"
        beside = ", ".join(f"{name} {value:.4g}" for name, value in score.beside.items())
        lines.append(f"{score.name}: {score.value:.4g}{error} {score.unit}".rstrip())
        lines += [f"  beside {beside}"] if beside else []
        lines.append(f"  {score.about}")
    return "\n".join(lines)


def as_json(scores: Sequence[Score]) -> list[Any]:
    """The scores as JSON can hold them: a number that is not finite is null."""
    return [_plain(score._asdict()) for score in scores]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
