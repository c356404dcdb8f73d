"""What the runs of `latent_flow` say: tables of the two parts, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lflow.papers.experiment import Findings, Record, is_lower, level, paired, select, short, tell

PRIORS = ("gaussian", "flow", "ebm")
PLAIN = ("pca", "knn")
NAMES = {
    "gaussian": "N(0, I)",
    "flow": "flow",
    "ebm": "energy prior",
    "pca": "PCA error",
    "knn": "distance to the 5th neighbour",
}
SCORES = {"joint": "log p(x, z)", "likelihood": "log p(x)", "error": "squared error"}
MEASURES = (
    "nearest",
    "classifier",
    "log_likelihood",
    "stated_error",
    "gap",
    "effective",
    "sliced_w2",
    "acceptance",
)
_CHANCE = 0.5


def conclude(records: Sequence[Record]) -> Findings:
    """Tables and sentences."""
    places = [("digits", 8), ("digits", 2), ("mnist", 20)]
    compared = [_compared(records, *place) for place in places]
    ranked = [_ranked(records, source) for source in ("digits", "mnist")]
    found: Findings = {"compare": [table for table in compared if table["rows"]]}
    found |= {"anomaly": [table for table in ranked if table["rows"]], "plane": _plane(records)}
    sentences = [said for table in found["compare"] for said in _say_compared(table)]
    sentences += [said for table in found["anomaly"] for said in _say_ranked(table)]
    if len(found["anomaly"]) == 1:
        sentences.append(
            "MNIST is left out: it is part of a full run where its files or the hub are at hand."
        )
    return {**found, "sentences": sentences}


# --- the comparison ---------------------------------------------------------------------------------------


def _compared(records: Sequence[Record], source: str, latent_dim: int) -> Findings:
    rows = []
    for method in PRIORS:
        runs = select(records, part="compare", data=source, latent_dim=latent_dim, method=method)
        if not runs:
            continue
        row: Findings = {"method": method, "by_seed": _by_seed(runs, MEASURES)}
        row |= {name: level(each.found[name] for each in runs) for name in MEASURES}
        for name in ("squared_error", "log_joint"):
            row[name] = [level(values) for values in zip(*(each.found[name] for each in runs), strict=True)]
        row["by_seed"]["squared_error"] = {r.config["seed"]: r.found["squared_error"][0] for r in runs}
        rows.append(row)
    return {"data": source, "latent_dim": latent_dim, "rows": rows}


def _by_seed(runs: Iterable[Record], names: Sequence[str]) -> dict[str, dict[int, Any]]:
    return {name: {each.config["seed"]: each.found[name] for each in runs} for name in names}


def _plane(records: Sequence[Record]) -> Findings | None:
    """The points of a flow over a plane: inferred, drawn from it, and the digits they are."""
    runs = select(records, part="compare", method="flow", latent_dim=2, seed=0)
    points: Findings | None = runs[0].found["points"] if runs else None
    return points


def _each(rows: Sequence[Findings], name: str, digits: int, scale: float = 1.0) -> str:
    return ", ".join(f"{NAMES[row['method']]} {tell(row[name], digits, scale)}" for row in rows)


def _say_compared(table: Findings) -> list[str]:
    rows, where = table["rows"], _where(table)
    bounded = [row for row in rows if row["gap"]["mean"] is not None]
    said = [
        f"{where}: inferred z of held-out images are told from draws of the prior (chance 50 %) by the "
        f"nearest neighbour in {_each(rows, 'nearest', 1, 100)} %, by a support-vector machine in "
        f"{_each(rows, 'classifier', 1, 100)} % of cases. {_say_mismatch(rows)}"
    ]
    said.append(
        f"{where}: log p(x) of held-out images by annealed importance sampling, a lower bound on average "
        f"but for the energy prior, in nats: {_each(rows, 'log_likelihood', 2)}. On images drawn from the "
        f"model, lower and upper bounds lie apart by {_each(bounded, 'gap', 2)}. "
        f"{_say_order(rows, 'log_likelihood', 'higher')} A difference that is smaller than the bounds "
        "lie apart may be of the estimate, and not of the model."
    )
    first = [row | {"first": row["squared_error"][0], "last": row["squared_error"][-1]} for row in rows]
    said.append(
        f"{where}: squared error of a reconstructed pixel with the chain of training: "
        f"{_each(first, 'first', 4)}; with one twenty times as long: {_each(first, 'last', 4)}. "
        f"{_say_order(rows, 'squared_error', 'lower')}"
    )
    said.append(
        f"{where}: sliced W2 of samples to held-out images: {_each(rows, 'sliced_w2', 3)}; an adjusted step "
        f"of the chain would be accepted in {_each(rows, 'acceptance', 0, 100)} % of cases."
    )
    return said


def _where(table: Findings) -> str:
    one = ", a subset of 10,000 and one seed" if table["data"] == "mnist" else ""
    return f"{'MNIST' if table['data'] == 'mnist' else 'Digits'}{one}, {table['latent_dim']} numbers in z"


def _say_mismatch(rows: Sequence[Findings]) -> str:
    at = {row["method"]: row for row in rows}
    said = []
    for name, judge in (("nearest", "nearest neighbour"), ("classifier", "machine")):
        away = {m: {s: abs(v - _CHANCE) for s, v in row["by_seed"][name].items()} for m, row in at.items()}
        if len(away["flow"]) < 2:
            return "One seed: no test of the difference."
        if is_lower(away["flow"], away["gaussian"]):
            said.append(f"by the {judge} the flow is nearer to chance than N(0, I)")
        elif is_lower(away["gaussian"], away["flow"]):
            said.append(f"by the {judge} N(0, I) is nearer to chance than the flow")
        else:
            said.append(f"by the {judge} neither the flow nor N(0, I) is told to be nearer to chance")
    return f"In a paired test at 99 %, {' and '.join(said)}."


def _say_order(rows: Sequence[Findings], name: str, better: str) -> str:
    """Whether the flow and the energy prior differ from N(0, I), by a paired test."""
    at = {row["method"]: row["by_seed"][name] for row in rows}
    if len(at["flow"]) < 2:
        return "One seed: no test of the difference."
    said = []
    for method in [each for each in at if each != "gaussian"]:
        gap = short(_difference(at[method], at["gaussian"]), 4 if better == "lower" else 2)
        lower, higher = is_lower(at[method], at["gaussian"]), is_lower(at["gaussian"], at[method])
        told = "lower" if lower else "higher" if higher else "not told apart from that of N(0, I)"
        said.append(f"{NAMES[method]} minus N(0, I) {gap}, {told}")
    return f"Paired, at 99 % ({better} is better): {'; '.join(said)}."


# --- the anomalies ----------------------------------------------------------------------------------------


def _ranked(records: Sequence[Record], source: str) -> Findings:
    """Average precision of each score, over digits for each seed, and for each digit over seeds."""
    of_source = select(records, part="anomaly", data=source)
    rows = []
    for method in (*PRIORS, *PLAIN):
        runs = select(of_source, method=method)
        if not runs:
            continue
        for score in SCORES if method in PRIORS else ("distance",):
            seeds = sorted({each.config["seed"] for each in runs})
            digits = sorted({each.config["held_out"] for each in runs})
            by_seed = {
                seed: statistics.fmean(each.found[score] for each in select(runs, seed=seed))
                for seed in seeds
            }
            by_digit = {
                str(digit): statistics.fmean(each.found[score] for each in select(runs, held_out=digit))
                for digit in digits
            }
            row = {"method": method, "score": score, "by_seed": by_seed, "by_digit": by_digit}
            rows.append(row | level(by_seed.values()))
    rates = {str(each.config["held_out"]): each.found["base_rate"] for each in of_source}
    return {"data": source, "rows": rows, "base_rates": rates}


def title(row: Findings) -> str:
    """A score and its model, in words."""
    name = NAMES[row["method"]]
    return name if row["method"] in PLAIN else f"{name}, {SCORES[row['score']]}"


def _difference(values: Mapping[int, float], others: Mapping[int, float]) -> Findings:
    """Of the runs whose seeds both have."""
    shared = sorted(values.keys() & others.keys())
    return paired([values[seed] for seed in shared], [others[seed] for seed in shared])


def _say_ranked(table: Findings) -> list[str]:
    rows, rates = table["rows"], table["base_rates"]
    one = " (one seed)" if table["data"] == "mnist" else ""
    told = "; ".join(f"{title(row)} {tell(row, 3)}" for row in sorted(rows, key=lambda row: -row["mean"]))
    said = [
        f"{'MNIST' if table['data'] == 'mnist' else 'Digits'}{one}, a digit left out of training (each of "
        f"{', '.join(rates)} in turn), area under precision and recall, base rate "
        f"{statistics.fmean(rates.values()):.3f}: {told}."
    ]
    plain = max((row for row in rows if row["method"] in PLAIN), key=lambda row: row["mean"])
    better = [row for row in rows if row["method"] in PRIORS and row["mean"] > plain["mean"]]
    if better:
        said.append(
            f"Above the {title(plain)}, which knows no model, lie {len(better)} of the models' scores."
        )
    else:
        said.append(f"No model's score reaches the {title(plain)}, which knows no model.")
    return [*said, *_say_pairs({(row["method"], row["score"]): row["by_seed"] for row in rows})]


def _say_pairs(at: Mapping[tuple[str, str], dict[int, float]]) -> list[str]:
    """Scores against each other by a paired test."""
    if len(at["flow", "joint"]) < 2:
        return []
    pairs = [
        (("flow", "joint"), ("gaussian", "joint")),
        (("ebm", "joint"), ("gaussian", "joint")),
        (("flow", "likelihood"), ("flow", "joint")),
    ]
    said = []
    for first, second in [pair for pair in pairs if pair[0] in at]:
        gap = short(_difference(at[first], at[second]), 3)
        higher, lower = is_lower(at[second], at[first]), is_lower(at[first], at[second])
        told = "higher" if higher else "lower" if lower else "not told apart"
        names = [title({"method": method, "score": score}) for method, score in (first, second)]
        said.append(f"{names[0]} minus {names[1]}: {gap}, {told} in a paired test at 99 %.")
    return said
