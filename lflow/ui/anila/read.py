"""What the runs of the page AniLA say, as rows of numbers, for its charts, tables and words alike.

Knows records and closed forms, nothing of how a run is made or a row is drawn.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from lflow.metrics import kl_floor
from lflow.papers.anila_edge import SECOND_MOMENT
from lflow.papers.anila_laws import BINS, ON_LINE, RANGE, core, offsets, variant_law
from lflow.papers.experiment import Record, select
from lflow.ui.anila.runs import BUDGETS, FRAMES, LAW_CHAINS, SEEDS, best_step


@dataclass(frozen=True)
class Spread:
    """The mean of the seeds, and the lowest and highest of them."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


@dataclass(frozen=True)
class LawRow:
    """A method's run beside its closed form (`_own`, as h → 0). None where chains were lost."""

    method: str
    variance: float | None
    variance_own: float
    core: float | None
    core_own: float
    kl_truth: float | None
    kl_own: float | None
    histogram: list[float] | None
    smooth: bool = False


def law_rows(records: Sequence[Record]) -> list[LawRow]:
    """A row for each run of the view "The law"."""
    rows = []
    for record in records:
        config, found = record.config, record.found
        variance, near = closed_form(config["part"], config["method"], config["b"], config["smooth"])
        rows.append(
            LawRow(
                config["method"],
                found["variance"],
                variance,
                found["core"],
                near,
                found["kl_truth"],
                found["kl_own"],
                found["histogram"],
                config["smooth"],
            )
        )
    return rows


@lru_cache(maxsize=256)
def closed_form(part: str, method: str, b: float, smooth: bool) -> tuple[float, float]:
    """Variance (on the rings: mean square distance from the nearest ridge), and the mass near a mode."""
    law = variant_law(part, method, b, smooth)
    if part in ON_LINE:
        return law.variance(), law.mass(lambda x: core(x, part))
    spread = float((offsets(law.points).square() * law.density).sum()) * law.width
    return spread, law.mass(lambda x: core(x, part))


class LawFloor(NamedTuple):
    """What KL to e^f shows of runs whose law is e^f."""

    independent: float
    """The mean, were the moments of a run independent of each other."""
    most: float
    """What no such run exceeds but by chance, however its moments hang together.

    KL is convex: that of all moments is at most the mean of theirs, and each moment is independent chains.
    So this is the mean and three standard deviations of one moment's.
    """


@cache
def law_floor(part: str) -> LawFloor:
    """The floor of the view "The law", on a target."""
    energy = variant_law(part, "truth", 1.0).energy

    def shown(n: int) -> tuple[float, float]:
        mean, deviation = kl_floor(energy, n, [RANGE[part]], BINS)
        return float(mean), float(deviation)

    mean, deviation = shown(LAW_CHAINS)
    return LawFloor(shown(FRAMES * LAW_CHAINS)[0], mean + 3 * deviation)


@dataclass(frozen=True)
class BiasRow:
    """A method at a threshold (None where it has none): its distance with its best step; None where lost."""

    method: str
    b: float | None
    gradients: int
    h: float | None
    at_end: bool
    """Whether a better step may lie beyond those tried."""
    tuned: float | None
    """The distance by the seed that chose the step."""
    w2: Spread | None
    acceptance: float | None


def bias_rows(tuned: Sequence[Record], reported: Sequence[Record], gradients: int) -> list[BiasRow]:
    """Every method at every threshold, after so many gradients, where all seeds are done."""
    column = BUDGETS.index(gradients)
    rows = []
    for method, b in dict.fromkeys((r.config["method"], r.config["b"]) for r in tuned):
        own = select(tuned, method=method, b=b)
        h = best_step(tuned, method, b, gradients)
        runs = [] if h is None else select(reported, method=method, b=b, h=h)
        if h is not None and len(runs) < SEEDS:
            continue
        values = [run.found["w2"][column] for run in runs]
        whole = bool(values) and None not in values
        sizes = [each.config["h"] for each in own]
        accepted = [run.found["acceptance"] for run in runs if run.found["acceptance"] is not None]
        first = [each.found["w2"][column] for each in own if each.config["h"] == h]
        rows.append(
            BiasRow(
                method,
                b,
                gradients,
                h,
                h in (min(sizes), max(sizes)),
                first[0] if first else None,
                Spread(tuple(values)) if whole else None,
                statistics.fmean(accepted) if accepted else None,
            )
        )
    return rows


def floor(reported: Sequence[Record]) -> Spread:
    """The distance of as many exact draws."""
    return Spread(tuple(run.found["w2"][0] for run in select(reported, method="exact")))


def nearest(thresholds: Sequence[float], b: float) -> float:
    """The threshold among those that were run that is nearest to b, by ratio."""
    return min(thresholds, key=lambda each: max(each / b, b / each))


def at_threshold(rows: Sequence[BiasRow], b: float) -> list[BiasRow]:
    """A row for each method: the variants at this threshold."""
    return [row for row in rows if row.b in (None, b)]


def best_threshold(rows: Sequence[BiasRow], method: str) -> BiasRow | None:
    """A variant's row at the threshold that the tuning seed chooses; None where chains were lost at all."""
    found = [row for row in rows if row.method == method and row.tuned is not None]
    return min(found, key=lambda row: row.tuned or 0.0) if found else None


@dataclass(frozen=True)
class EdgeRow:
    """A method on the quartic: the share of chains lost at each step size, and E x² of the others over e^f's.

    The latter is None where a seed has no chain left.
    """

    method: str
    sizes: tuple[float, ...]
    lost: tuple[Spread, ...]
    second: tuple[Spread | None, ...]


def edge_rows(records: Sequence[Record]) -> list[EdgeRow]:
    """A row for each method that has all its seeds."""
    rows = []
    for method in dict.fromkeys(record.config["method"] for record in records):
        runs = select(records, method=method)
        if len(runs) < SEEDS:
            continue
        lost = zip(*(run.found["lost"] for run in runs), strict=True)
        second = zip(*(run.found["second"] for run in runs), strict=True)
        kept = [tuple(value / SECOND_MOMENT for value in each if value is not None) for each in second]
        rows.append(
            EdgeRow(
                method,
                tuple(runs[0].config["sizes"]),
                tuple(Spread(each) for each in lost),
                tuple(Spread(each) if len(each) == SEEDS else None for each in kept),
            )
        )
    return rows
