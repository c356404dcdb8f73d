"""What the runs of `langevin_vae` say: tables of its parts, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lflow.papers import langevin_vae_sentences as say
from lflow.papers.experiment import Findings, Record, level, select

METHODS = ("vae", "iwae", "hvae", "hvae_fixed", "hvae_free", "deterministic", "noisy", "reverse_kernel")
TUNED = METHODS[2:]
BOUNDS: Mapping[str, tuple[str, float]] = {
    "vae": ("vae", 0.0),
    "hvae": ("hvae", 0.0),
    "hvae_tempered": ("hvae_tempered", 0.0),
    "deterministic_0.1": ("deterministic", 0.1),
    "deterministic_0.5": ("deterministic", 0.5),
    "noisy_0.1": ("noisy", 0.1),
    "noisy_0.5": ("noisy", 0.5),
    "reverse_kernel_0.5": ("reverse_kernel", 0.5),
}
"""Bounds with steps that are set: a method, and its friction."""
MEASURES = (
    "log_likelihood",
    "stated_error",
    "effective",
    "bound",
    "squared_error",
    "log_conditional",
    "gradients",
    "seconds",
)


def conclude(records: Sequence[Record]) -> Findings:
    """Tables and sentences."""
    found: Findings = {
        "correct": select(records, part="correct")[0].found,
        "bounds": _gaps(records, "bound"),
        "tuned": _gaps(records, "tuned"),
        "compare": [
            table for source in ("digits", "mnist") for table in [_compared(records, source)] if table["rows"]
        ],
    }
    sentences = [
        *say.of_correctness(found["correct"]),
        *say.of_bounds(found["bounds"]),
        *say.of_tuned(found["tuned"]),
    ]
    sentences += [said for table in found["compare"] for said in say.of_comparison(table)]
    if len(found["compare"]) == 1:
        sentences.append(
            "MNIST is left out: it is part of a full run where its files or the hub are at hand."
        )
    return {**found, "sentences": sentences}


def _gaps(records: Sequence[Record], part: str) -> list[Findings]:
    """A row for each method and start: the gap to log p(x), its error and the gradients, for each K."""
    runs = select(records, part=part)
    places = dict.fromkeys((each.config["method"], each.config["start"]) for each in runs)
    rows = []
    for method, start in places:
        of = select(runs, method=method, start=start)
        row: dict[str, Any] = {"method": method, "start": start}
        row["num_steps"] = [each.config["num_steps"] for each in of]
        for name in ("gap", "error", "gradients", "step_sizes", "friction"):
            row[name] = [each.found[name] for each in of]
        rows.append(row)
    return rows


def _compared(records: Sequence[Record], source: str) -> Findings:
    """A row for each method and K: levels over seeds, each seed's numbers, and the check by annealing."""
    runs = select(records, part="compare", data=source)
    places = dict.fromkeys((each.config["method"], each.config["num_steps"]) for each in runs)
    rows = []
    for method, num_steps in places:
        of = select(runs, method=method, num_steps=num_steps)
        row: Findings = {"method": method, "num_steps": num_steps}
        row["by_seed"] = {name: {r.config["seed"]: r.found[name] for r in of} for name in MEASURES}
        row |= {name: level(each.found[name] for each in of) for name in MEASURES}
        row["checked"] = [each.found["checked"] for each in of]
        rows.append(row)
    counts = sorted({row["num_steps"] for row in rows} - {0})
    return {"data": source, "counts": counts, "rows": rows}
