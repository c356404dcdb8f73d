"""What the runs of `langevin_vae` say: tables of its parts, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lflow.papers import langevin_vae_sentences as say
from lflow.papers.experiment import Findings, Record, select
from lflow.papers.protocol_findings import say_absent, say_protocol, tables

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


def conclude(records: Sequence[Record]) -> Findings:
    """Tables and sentences."""
    found: Findings = {
        "correct": select(records, part="correct")[0].found,
        "bounds": _gaps(records, "bound"),
        "tuned": _gaps(records, "tuned"),
        "compare": tables(records),
    }
    sentences = [
        *say.of_correctness(found["correct"]),
        *say.of_bounds(found["bounds"]),
        *say.of_tuned(found["tuned"]),
    ]
    sentences += say_protocol()
    sentences += [said for table in found["compare"] for said in say.of_comparison(table)]
    sentences += say_absent(found["compare"])
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
