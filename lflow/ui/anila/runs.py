"""The runs behind the page AniLA: which jobs each of its views needs.

Knows the experiments (lflow/papers/anila*.py) and the settings of the page, nothing of widgets and charts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lflow.papers import anila, anila_edge
from lflow.papers.anila_laws import TUNING_SEED, mean_slope
from lflow.papers.experiment import Config, Findings, Job, Record, or_infinite
from lflow.samplers.anila import VARIANTS

SEEDS = 5
SHOWN = ("ula", *VARIANTS)
COMPARED = ("ula", *VARIANTS, "tamed_ula", "mala")
BUDGETS = (50, 100, 200, 500, 1000)
CHAINS = 2000
"""Of a run whose distance is compared, and exact draws beside them."""
FRAMES, MOST_STEPS, LAW_CHAINS = 10, 3000, 2000
EDGE_STEPS = 160
EDGE_SIZES = (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
EDGE_THRESHOLD, EDGE_START = 2.0, 2.0
_WEIGHT = {"corrected": 3, "metropolis": 3, "mala": 2.5}


@dataclass(frozen=True)
class Target:
    """A target of the page: its names here and in the experiments, and the settings that suit it."""

    title: str
    part: str
    h: float
    b: float
    time: float
    """How long ULA takes to settle around a mode, roughly."""
    steps: tuple[float, ...]
    """The step sizes among which each method has its best."""
    thresholds: tuple[float, ...]


TARGETS = {
    "rings": Target(
        "Four rings",
        "rings",
        0.002,
        2.0,
        0.0225,
        (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016),
        (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
    ),
    "gaussian": Target(
        "Gaussian",
        "line",
        0.05,
        0.5,
        1.0,
        (0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
        (0.125, 0.25, 0.5, 1.0, 2.0, 4.0),
    ),
    "mixture": Target(
        "Two modes",
        "pair",
        0.02,
        1.0,
        0.5,
        (0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
        (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
    ),
    "quartic": Target(
        "Quartic",
        "steep",
        0.02,
        0.5,
        0.25,
        (0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
        (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
    ),
}


def burn_in(target: Target, h: float, b: float) -> tuple[int, bool]:
    """Steps until a cloud that starts in the target has settled, and whether a page can wait for them.

    Five times the time that ULA takes, stretched by how much a typical step is shrunk.
    """
    wanted = math.ceil(5 * target.time * max(1.0, mean_slope(target.part) / b) / h)
    return min(max(wanted, 100), MOST_STEPS), wanted <= MOST_STEPS


def law_jobs(
    target: Target, h: float, b: float, smooth: bool, methods: Sequence[str], seed: int
) -> list[Job]:
    """A run of each method at one step size and threshold."""
    burn, _ = burn_in(target, h, b)
    gap = max(10, burn // 20)
    place = {"part": target.part, "h": h, "b": b, "burn": burn, "gap": gap, "smooth": smooth}
    return [
        _job({**place, "method": method, "seed": seed, "chains": LAW_CHAINS}, burn + FRAMES * gap)
        for method in methods
    ]


def _job(config: Config, steps: float) -> Job:
    return Job(config, steps * _WEIGHT.get(config["method"], 1.0))


def tuning_jobs(target: Target) -> list[Job]:
    """Each method at each step size and threshold, with the seed that chooses."""
    return [
        _budget_job(target, method, h, b, TUNING_SEED)
        for method in COMPARED
        for b in (target.thresholds if method in VARIANTS else (None,))
        for h in target.steps
    ]


def _budget_job(target: Target, method: str, h: float | None, b: float | None, seed: int) -> Job:
    config = {"part": "budgets", "place": target.part, "method": method, "seed": seed, "chains": CHAINS}
    if method == "exact":
        return Job(config, 1.0)
    return _job({**config, "h": h, "b": b, "budgets": list(BUDGETS)}, BUDGETS[-1])


def reported_jobs(target: Target, tuned: Sequence[Record]) -> list[Job]:
    """Exact draws, and each method at the step size that is best after some number of gradients."""
    chosen = {place: best_step(tuned, *place) for place in places(tuned)}
    wanted = dict.fromkeys((method, b, h) for (method, b, _), h in chosen.items() if h is not None)
    return [
        *(_budget_job(target, "exact", None, None, seed) for seed in range(SEEDS)),
        *(_budget_job(target, method, h, b, seed) for method, b, h in wanted for seed in range(SEEDS)),
    ]


def places(records: Sequence[Record]) -> list[tuple[str, float | None, int]]:
    """The methods and thresholds of the records, each with every number of gradients."""
    found = dict.fromkeys((each.config["method"], each.config["b"]) for each in records)
    return [(method, b, gradients) for method, b in found for gradients in BUDGETS]


def best_step(tuned: Sequence[Record], method: str, b: float | None, gradients: int) -> float | None:
    """The step size with which the tuning seed came nearest; None where every one lost chains."""
    column = BUDGETS.index(gradients)
    found = [each for each in tuned if (each.config["method"], each.config["b"]) == (method, b)]
    best = min(found, key=lambda each: or_infinite(each.found["w2"][column]))
    return None if best.found["w2"][column] is None else float(best.config["h"])


def edge_jobs(b: float, start: float) -> list[Job]:
    """Every method with every seed, all step sizes at once."""
    common = {"part": "edge", "chains": 100, "steps": EDGE_STEPS, "sizes": list(EDGE_SIZES), "start": start}
    return [
        _job({**common, "method": method, "b": b if method in VARIANTS else None, "seed": seed}, EDGE_STEPS)
        for method in COMPARED
        for seed in range(SEEDS)
    ]


def work(config: Config) -> Findings:
    """One run of any of them."""
    return anila_edge.work(config) if config["part"] == "edge" else anila.work(config)


def bias_name(name: str) -> str:
    """The file of the runs of a target."""
    return f"anila-bias-{name}"
