"""What the runs of `anila` say: tables of the four parts, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lflow.metrics import kl_floor
from lflow.papers.anila_laws import BINS, LAWS, RANGE, REFERENCES, TUNING_SEED, core, variant_law
from lflow.papers.experiment import Findings, Record, mean_and_error, paired, select, short
from lflow.samplers.anila import VARIANTS

WHERE = {"line": "N(0,1)", "rings": "the rings"}
CORE = {"line": "a quarter σ of the mode", "rings": "½σ of the ridges"}


def conclude(records: Sequence[Record]) -> Findings:
    """Tables and sentences."""
    laws = {part: _law_table(records, part) for part in WHERE}
    threshold, quartic = _threshold_table(records), _quartic_table(records)
    exact = mean_and_error([each.found["w2"] for each in select(records, part="threshold", method="exact")])
    sentences = [said for part in WHERE for said in _say_law(part, laws[part])]
    sentences += [*_say_threshold(threshold, exact), *_say_quartic(quartic)]
    return {**laws, "threshold": threshold, "floor": exact, "quartic": quartic, "sentences": sentences}


def _law_table(records: Sequence[Record], part: str) -> list[Findings]:
    rows = []
    for method in ("ula", *LAWS):
        runs = select(records, part=part, method=method)
        config = runs[0].config
        truth, own = (variant_law(part, name, config["b"]) for name in ("truth", method))
        row: Findings = {"method": method, "h": config["h"], "b": config["b"]}
        for name in ("core", "variance", "kl_truth", "kl_own"):
            row[name] = mean_and_error([each.found[name] for each in runs])
        row["core_truth"], row["core_own"] = (law.mass(lambda x: core(x, part)) for law in (truth, own))
        if part == "line":
            row["variance_own"] = own.variance()
        floor, spread = kl_floor(truth.energy, 10 * config["chains"], [RANGE[part]], BINS)
        row["kl_floor"] = {"mean": float(floor), "std": float(spread)}
        histograms = torch.tensor([each.found["histogram"] for each in runs])
        row["histogram"] = histograms.mean(0).tolist()
        rows.append(row)
    return rows


def _threshold_table(records: Sequence[Record]) -> list[Findings]:
    """For each sampler and threshold: the best step by the tuning seed, and W2 with it on the others."""
    rows: list[Findings] = []
    runs = [each for each in select(records, part="threshold") if each.config["method"] != "exact"]
    reference: list[float] = []
    for method in (*REFERENCES, *VARIANTS):
        of_method = select(runs, method=method)
        for b in sorted({each.config["b"] for each in of_method}, key=lambda b: b or 0):
            found = select(of_method, b=b)
            tuning = [each for each in found if each.config["seed"] == TUNING_SEED]
            best = min(tuning, key=lambda each: _or_infinite(each.found["w2"])).config["h"]
            w2 = [
                _or_infinite(r.found["w2"]) for r in select(found, h=best) if r.config["seed"] != TUNING_SEED
            ]
            reference = w2 if method == "ula" else reference
            row = {"method": method, "b": b, "h": best, **mean_and_error(w2)}
            sizes = {each.config["h"] for each in found}
            row |= {"h_at_end": best in (min(sizes), max(sizes)), "minus_ula": paired(w2, reference)}
            rows.append(row)
    return rows


def _or_infinite(value: float | None) -> float:
    return float("inf") if value is None else value


def _quartic_table(records: Sequence[Record]) -> list[Findings]:
    rows = []
    for method in ("ula", *VARIANTS, "tamed_ula", "mala", "exact"):
        runs = select(records, part="quartic", method=method)
        w2 = [each.found["w2"] for each in runs if each.found["w2"] is not None]
        row: Findings = {"method": method, "lost": mean_and_error([each.found["lost"] for each in runs])}
        rows.append(row | {"w2": mean_and_error(w2) if len(w2) == len(runs) else None})
    return rows


def _say_law(part: str, rows: Sequence[Findings]) -> list[str]:
    def excess(row: Findings) -> str:
        share = 100 * (row["core"]["mean"] / row["core_truth"] - 1)
        error = 100 * row["core"]["error"] / row["core_truth"]
        return f"{abs(share):.1f} ± {error:.1f} % too {'little' if share < 0 else 'much'}"

    at = {row["method"]: row for row in rows}
    paper, floor = at["paper"], at["paper"]["kl_floor"]["mean"]
    own = f"its closed form says {100 * (paper['core_own'] / paper['core_truth'] - 1):+.1f} %"
    others = ", ".join(f"{m} {excess(at[m])}" for m in (*LAWS[1:], "ula"))
    said = [
        f"On {WHERE[part]} (h = {paper['h']:g}, b = {paper['b']:g}) the mass within {CORE[part]} is: "
        f"printed AniLA {excess(paper)} ({own}), {others}."
    ]
    kl = ", ".join(f"{r['method']} {r['kl_truth']['mean']:.4f} and {r['kl_own']['mean']:.4f}" for r in rows)
    said.append(f"On {WHERE[part]}, KL to e^f and to the variant's own law (floor {floor:.4f}): {kl}.")
    if part == "line":
        variances = ", ".join(
            f"{r['method']} {short(r['variance'], 3)} ({r['variance_own']:.3f})" for r in rows
        )
        said.append(f"Variance on N(0,1), measured (closed form, h → 0): {variances}.")
    return said


def _say_threshold(rows: Sequence[Findings], floor: Findings) -> list[str]:
    def tell(row: Findings) -> str:
        at = f"h {row['h']:g}" if row["b"] is None else f"h {row['h']:g}, b {row['b']:g}"
        return f"{row['method']} {short(row)} ({at})"

    best = [min((row for row in rows if row["method"] == m), key=_mean) for m in (*REFERENCES, *VARIANTS)]
    narrow = [row for row in rows if row["b"] == min(r["b"] for r in rows if r["b"] is not None)]
    return [
        "W2 within the rings at equal gradients, each at its best step and threshold: "
        f"{', '.join(tell(row) for row in sorted(best, key=_mean))}; exact draws {short(floor)}.",
        f"At the smallest threshold: {', '.join(tell(row) for row in sorted(narrow, key=_mean))}.",
    ]


def _mean(row: Findings) -> Any:
    return row["mean"]


def _say_quartic(rows: Sequence[Findings]) -> list[str]:
    def tell(row: Findings) -> str:
        if row["w2"] is None:
            return f"{row['method']} loses {100 * row['lost']['mean']:.1f} % of its chains"
        return f"{row['method']} {short(row['w2'])}"

    told = ", ".join(map(tell, rows))
    return [f"On the quartic, from a start three times too wide, W2 of a coordinate: {told}."]
