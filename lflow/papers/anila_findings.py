"""What the runs of `anila` say: tables of the four parts, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lflow.metrics import kl_floor
from lflow.papers.anila_laws import BINS, LAWS, RANGE, REFERENCES, TUNING_SEED, core, variant_law
from lflow.papers.experiment import (
    Findings,
    Record,
    mean_and_error,
    number,
    or_infinite,
    paired,
    say_ends,
    select,
    short,
)
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
        histograms = [each.found["histogram"] for each in runs]
        row["histogram"] = None if None in histograms else torch.tensor(histograms).mean(0).tolist()
        rows.append(row)
    return rows


def _threshold_table(records: Sequence[Record]) -> list[Findings]:
    """For each sampler and threshold: the best step by the tuning seed, and W2 with it on the others."""
    rows: list[Findings] = []
    runs = [each for each in select(records, part="threshold") if each.config["method"] != "exact"]
    reference: list[float | None] = []
    for method in (*REFERENCES, *VARIANTS):
        of_method = select(runs, method=method)
        for b in sorted({each.config["b"] for each in of_method}, key=lambda b: b or 0):
            found = select(of_method, b=b)
            tuning = [each for each in found if each.config["seed"] == TUNING_SEED]
            tuned = min(tuning, key=lambda each: or_infinite(each.found["w2"]))
            best, level = tuned.config["h"], tuned.found["w2"]
            w2 = [r.found["w2"] for r in select(found, h=best) if r.config["seed"] != TUNING_SEED]
            reference = w2 if method == "ula" else reference
            row = {"method": method, "b": b, "h": best, "tuned": level, **mean_and_error(w2)}
            sizes = {each.config["h"] for each in found}
            at_end = level is not None and best in (min(sizes), max(sizes))
            row |= {"h_at_end": at_end, "minus_ula": paired(w2, reference)}
            rows.append(row)
    return rows


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
        if row["core"]["mean"] is None:
            return "lost"
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
    kl = ", ".join(
        f"{r['method']} {number(r['kl_truth']['mean'])} and {number(r['kl_own']['mean'])}" for r in rows
    )
    said.append(
        f"On {WHERE[part]}, KL to e^f and to the variant's own law as h → 0, which is e^f for corrected, "
        f"metropolis and ula (floor {floor:.4f}): {kl}."
    )
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

    def tell_end(method: str, found: list[Findings]) -> str:
        at = ", ".join(f"{row['b']:g}" for row in found if row["b"] is not None)
        return f"{method} (b {at})" if at else method

    # By the tuning seed, as the step: the reported seeds choose nothing.
    best = [
        min((row for row in rows if row["method"] == m), key=lambda row: or_infinite(row["tuned"]))
        for m in (*REFERENCES, *VARIANTS)
    ]
    narrow = [row for row in rows if row["b"] == min(r["b"] for r in rows if r["b"] is not None)]
    return [
        "W2 within the rings at equal gradients, each at the best step of the grid and threshold "
        "(chosen by the tuning seed): "
        f"{', '.join(tell(row) for row in sorted(best, key=_mean))}; exact draws {short(floor)}.",
        f"At the smallest threshold: {', '.join(tell(row) for row in sorted(narrow, key=_mean))}.",
        *say_ends(rows, tell_end),
        *_say_kink(rows),
    ]


def _say_kink(rows: Sequence[Findings]) -> list[str]:
    """Where the corrected variant is worse than the printed one, by two standard errors."""
    at = {(row["method"], row["b"]): row for row in rows if row["mean"] is not None}
    told = []
    for b in sorted({row["b"] for row in rows if row["b"] is not None}):
        corrected, paper = at.get(("corrected", b)), at.get(("paper", b))
        if corrected is None or paper is None:
            continue
        error = (corrected["error"] ** 2 + paper["error"] ** 2) ** 0.5
        if corrected["mean"] > paper["mean"] + 2 * error:
            told.append(f"b {b:g} ({short(corrected)} against {short(paper)})")
    if not told:
        return []
    return [
        f"Corrected is worse than printed AniLA at {', '.join(told)}: it is right only as h → 0, and a "
        "finite step discretises ∇γ, which jumps at the kink |∇f| = b."
    ]


def _mean(row: Findings) -> float:
    return or_infinite(row["mean"])


def _say_quartic(rows: Sequence[Findings]) -> list[str]:
    def tell(row: Findings) -> str:
        if row["w2"] is None:
            return f"{row['method']} loses {100 * row['lost']['mean']:.3g} % of its chains"
        return f"{row['method']} {short(row['w2'])}"

    told = ", ".join(map(tell, rows))
    return [f"On the quartic, from a start three times too wide, W2 of a coordinate: {told}."]
