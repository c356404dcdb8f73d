"""What the runs of `dynamical_system` say: tables of the three parts, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lflow.papers.dynamical_system_laws import (
    DECAYING,
    INNER,
    METHODS,
    TUNING_SEEDS,
    VARIANCE,
    WRONG,
    curvature_between,
)
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


def conclude(records: Sequence[Record]) -> Findings:
    """Tables of the three parts, the floors, and sentences computed from them."""
    floors = {
        part: mean_and_error([each.found["w2"] for each in select(records, part=part, method="exact")])
        for part in ("budget", "decay")
    }
    variance, budget, decay = _variance_table(records), _budget_table(records), _decay_table(records)
    sentences = [*_say_variance(variance), *_say_budget(budget, floors["budget"]), *_say_decay(decay, floors)]
    return {"variance": variance, "budget": budget, "decay": decay, "floors": floors, "sentences": sentences}


def _variance_table(records: Sequence[Record]) -> list[Findings]:
    rows = []
    for method, formula in VARIANCE.items():
        for h in (0.1, 0.25, 0.5):
            runs = select(records, part="variance", method=method, h=h)
            row = {"method": method, "h": h, "closed_form": formula(h)}
            row |= mean_and_error([each.found["variance"] for each in runs])
            # Every law here is (nearly) Gaussian, and a run has ten frames, nearly independent.
            row["expected_error"] = formula(h) * (2 / (10 * runs[0].config["chains"] * len(runs))) ** 0.5
            rows.append(row)
    return rows


def _budget_table(records: Sequence[Record]) -> list[Findings]:
    """For each method and budget: the best step by the tuning seeds, and W2 with it on the reported ones."""
    rows: list[Findings] = []
    runs = [each for each in select(records, part="budget") if each.config["method"] != "exact"]
    sizes = sorted({each.config["h"] for each in runs})
    for place, budget in enumerate(runs[0].config["budgets"]):
        reference: list[float] = []
        for method in METHODS:
            w2: dict[float, dict[int, float]] = {h: {} for h in sizes}
            for each in select(runs, method=method):
                value = each.found["w2"][place]
                w2[each.config["h"]][each.config["seed"]] = or_infinite(value)
            tuned = {h: sum(w2[h][seed] for seed in TUNING_SEEDS) for h in sizes}
            best = min(sizes, key=lambda h: tuned[h])
            reported = [value for seed, value in w2[best].items() if seed not in TUNING_SEEDS]
            reference = reported if method == "ula" else reference
            row = {"method": method, "gradients": budget, "h": best, **mean_and_error(reported)}
            row["h_at_end"] = best in (sizes[0], sizes[-1]) and math.isfinite(tuned[best])
            rows.append(row | {"minus_ula": paired(reported, reference)})
    return rows


def _decay_table(records: Sequence[Record]) -> list[Findings]:
    rows = []
    for method in DECAYING:
        for rule in ("constant", "polynomial"):
            runs = select(records, part="decay", method=method, rule=rule)
            curves = zip(*(each.found["w2"] for each in runs), strict=True)
            points = [mean_and_error(values) for values in curves]
            taken = runs[0].found["gradients"]
            rows.append({"method": method, "rule": rule, "gradients": taken, "w2": points})
    return rows


def _say_variance(rows: Sequence[Findings]) -> list[str]:
    lost = "".join(f"; {r['method']} at h = {r['h']:g} lost" for r in rows if r["mean"] is None)
    kept = [row for row in rows if row["mean"] is not None]
    worst = max(kept, key=lambda row: abs(row["mean"] - row["closed_form"]) / row["expected_error"])
    z = abs(worst["mean"] - worst["closed_form"]) / worst["expected_error"]
    at = {row["method"]: row for row in rows if row["h"] == 0.5}
    excess = {method: at[method]["closed_form"] - 1 for method in ("ula", WRONG)}
    return [
        f"Variance on N(0,1): {len(kept)} measurements against closed forms{lost}; the farthest is "
        f"{worst['method']} at h = {worst['h']:g}: {short(worst)} against {worst['closed_form']:.4f}, "
        f"{z:.1f} of the errors expected of so many draws.",
        f"With independent noises the midpoint's variance at h = 0.5 is {number(at[WRONG]['mean'], 3)}: its "
        f"error is {excess[WRONG] / excess['ula']:.1f} times ULA's; on one path: "
        f"{number(at['rmm']['mean'], 3)}.",
    ]


def _say_budget(rows: Sequence[Findings], floor: Findings) -> list[str]:
    def reach(method: str) -> str:
        found = [row for row in rows if row["method"] == method]
        counts = [r["gradients"] for r in found if or_infinite(r["mean"]) < 2 * floor["mean"]]
        return f"{_named(method)}: {counts[0] if counts else 'none of these'}"

    def tell_end(method: str, found: list[Findings]) -> str:
        return f"{_named(method)} ({', '.join(str(row['gradients']) for row in found)} gradients)"

    said = []
    for budget in sorted({row["gradients"] for row in rows}):
        found = sorted(
            (row for row in rows if row["gradients"] == budget), key=lambda row: or_infinite(row["mean"])
        )
        order = "; ".join(f"{_named(row['method'])} {short(row)} (h {row['h']:g})" for row in found)
        said.append(
            f"W2 of the last iterate after {budget} gradients, each at the best step of the grid, best "
            f"first: {order}."
        )
    said.append(f"Exact draws (the floor) show {short(floor)}.")
    said.append(f"Gradients until W2 is below twice the floor: {'; '.join(reach(m) for m in METHODS)}.")
    said += say_ends(rows, tell_end)
    curvature = curvature_between()
    said.append(
        f"The verdict on {_named('proximal')} is about this inner solver; and on this target, whose "
        f"curvature at 0 is {curvature:g}, the implicit step is only well posed for h < 1/{-curvature:g}."
    )
    worse = [r["gradients"] for r in rows if r["method"] == "srk" and not _better(r)]
    say = f"{worse}" if worse else "none"
    return [*said, f"SRK is not better than ULA (by two standard errors, paired) at the budgets: {say}."]


def _named(method: str) -> str:
    return f"proximal, {INNER} inner steps" if method == "proximal" else method


def _better(row: Findings) -> bool:
    """Better than ULA by two standard errors, or where ULA alone was lost."""
    difference = row["minus_ula"]
    if difference["mean"] is None:
        return row["mean"] is not None
    return float(difference["mean"]) < -2 * float(difference["error"])


def _say_decay(rows: Sequence[Findings], floors: Findings) -> list[str]:
    floor = floors["decay"]["mean"]
    said = [f"Constant and falling steps, W2 at a tenth of the gradients and at the end (floor {floor:.4f}):"]
    for method in DECAYING:
        told = []
        for row in (row for row in rows if row["method"] == method):
            goal, taken = row["gradients"][-1] / 10, row["gradients"]
            tenth = min(range(len(taken)), key=lambda place: abs(taken[place] - goal))
            told.append(f"{row['rule']} {short(row['w2'][tenth])} to {short(row['w2'][-1])}")
        said.append(f"  {method}: {', '.join(told)}.")
    return said
