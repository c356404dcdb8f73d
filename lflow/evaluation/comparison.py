"""Several models by one protocol, in a table: the same test data, measures and seed for all of them.

Refuses what cannot be compared. Knows nothing of files, and of no model.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from lflow.columns import aligned
from lflow.evaluation.likelihood import of_grey_values
from lflow.evaluation.subject import Score, Subject
from lflow.models.base import Learner
from lflow.training.config import DataChoice

Found = Mapping[str, Sequence[Score]]
"""Scores by the name of a run."""

_SAME = ("source", "size", "grey", "binary", "held_out")


def check(subjects: Mapping[str, Subject]) -> None:
    """ValueError in a sentence where the data, or what the likelihoods measure, are not the same for all."""
    (first, one), *others = subjects.items()
    for name, other in others:
        for key in _SAME:
            if getattr(one.choice, key) != getattr(other.choice, key):
                raise ValueError(
                    f"{first} and {name} cannot be compared: their data differ in {key}, "
                    f"{_said(one.choice, key)} and {_said(other.choice, key)}"
                )
    kinds = {name: _measured(subject.learner) for name, subject in subjects.items()}
    kinds = {name: kind for name, kind in kinds.items() if kind}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{name} of {kind}" for name, kind in kinds.items())
        raise ValueError(f"these likelihoods cannot be compared: {told}")


def _said(choice: DataChoice, key: str) -> str:
    return str(getattr(choice, key))


def _measured(learner: Learner) -> str:
    """What a model's likelihood is of, where it has one."""
    if not any(hasattr(learner, name) for name in ("decoder", "log_prob", "log_prob_flow")):
        return ""
    return f"{learner.levels} grey values" if of_grey_values(learner) else "densities"


def side_by_side(found: Found, chosen: Mapping[str, str]) -> str:
    """A column for each run: its checkpoint, then a line for each score, and under it those of what takes no
    model; below the table what was measured, run by run where that differs."""
    by_run = {run: {score.name: score for score in scores} for run, scores in found.items()}
    units = {score.name: score.unit for scores in found.values() for score in scores}
    lines = [["", *found], ["checkpoint", *(chosen[run] for run in found)]]
    for name, unit in units.items():
        scores = [by_run[run].get(name) for run in found]
        lines.append([f"{name}, {unit}" if unit else name, *map(_cell, scores)])
        rivals = dict.fromkeys(rival for score in scores if score for rival in score.beside)
        lines += [[f"  {rival}", *(_beside_of(score, rival) for score in scores)] for rival in rivals]
    said = [line for name in units for line in _about(name, {run: by_run[run].get(name) for run in found})]
    return "\n".join([aligned(lines), "", "±: standard error over test data, the same for all runs.", *said])


def _beside_of(score: Score | None, rival: str) -> str:
    return f"{score.beside[rival]:.4g}" if score and rival in score.beside else ""


def _about(name: str, scores: Mapping[str, Score | None]) -> list[str]:
    """What a score is of, once where it is the same for all runs."""
    told = {run: score.about for run, score in scores.items() if score is not None and score.about}
    if len(set(told.values())) == 1:
        return [f"{name}: {next(iter(told.values()))}"]
    return [f"{name}, {run}: {about}" for run, about in told.items()]


def _cell(score: Score | None) -> str:
    if score is None:
        return "none"
    return f"{score.value:.4g}" + ("" if score.error is None else f" ± {score.error:.2g}")


def _beside(found: Found) -> dict[str, dict[str, float]]:
    """What takes no model, in brackets, and its value for each score: once where it is the same for all runs,
    and for each run where its own training data are others, as a limit makes them."""
    each = {
        run: {(rival, score.name): value for score in scores for rival, value in score.beside.items()}
        for run, scores in found.items()
    }
    pairs = list(dict.fromkeys(pair for values in each.values() for pair in values))
    beside: dict[str, dict[str, float]] = {}
    for rival in dict.fromkeys(rival for rival, _ in pairs):
        for name in (name for one, name in pairs if one == rival):
            values = {run: own[rival, name] for run, own in each.items() if (rival, name) in own}
            same = len(set(values.values())) == 1
            for run, value in values.items():
                beside.setdefault(f"({rival})" if same else f"({rival}, of {run})", {})[name] = value
    return beside


def as_csv(found: Found) -> str:
    """A line for each run and score: run, score, value, error, unit; what takes no model follows."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["run", "score", "value", "error", "unit"])
    units = {score.name: score.unit for scores in found.values() for score in scores}
    for run, scores in found.items():
        writer.writerows([run, s.name, s.value, "" if s.error is None else s.error, s.unit] for s in scores)
    for rival, values in _beside(found).items():
        writer.writerows([rival, name, value, "", units[name]] for name, value in values.items())
    return out.getvalue()
