"""What the runs of `lae` say: tables of the three parts, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from lflow.papers.experiment import Findings, Record, is_lower, mean_and_error, number, paired, select, short

RATIOS = (0.5, 1, 2, 8)
METHODS = ("vae", "autoencoder", "lae", "lae_mh", "clae", "clae_still")
NAMES = {
    "vae": "VAE",
    "autoencoder": "autoencoder (LAE at T = 0)",
    "lae": "LAE",
    "lae_mh": "LAE with Metropolis-Hastings",
    "clae": "CLAE",
    "clae_still": "CLAE without noise",
}
TOY = {
    "variational": "fitted normal law",
    "langevin": "Langevin on z",
    "amortised": "amortised Langevin",
    "evened": "the same with GGᵀ = c I",
}
MEASURES = ("log_likelihood", "stated_error", "effective", "squared_error", "log_conditional", "seconds")
LOST: Findings = {**dict.fromkeys(MEASURES), "checked": None, "gradients": None, "trace": []}
"""Of a run whose weights were no longer finite."""
_TELLS = 3.0  # times the error of exact draws: told from them


def conclude(records: Sequence[Record]) -> Findings:
    """Tables and sentences."""
    laws, toy = _laws(records), _toy(records)
    compared = [
        table for table in (_compared(records, name) for name in ("digits", "mnist")) if table["rows"]
    ]
    sentences = [*_say_laws(laws), *_say_toy(toy)]
    sentences += [said for table in compared for said in _say_compared(table)]
    if len(compared) == 1:
        sentences.append(
            "MNIST is left out: it is part of a full run where its files or the hub are at hand."
        )
    sentences.append(
        "Left out: a model in the manner of Hoffman (2017), which goes on from a VAE's z by Langevin steps, "
        "and the paper's own test bound, a normal law of fixed standard deviation 0.05 about the encoder's "
        "output, which is no bound of one kind with the VAE's."
    )
    return {"laws": laws, "toy": toy, "compare": compared, "sentences": sentences}


def level(values: Sequence[float | None]) -> dict[str, Any]:
    """The mean and its standard error over seeds; of a single run its value, without an error."""
    found = list(values)
    return mean_and_error(found) if len(found) > 1 else {"mean": found[0], "error": None}


def tell(estimate: Findings, digits: int) -> str:
    """An estimate for a sentence, with its error if there is one."""
    return number(estimate["mean"], digits) if estimate["error"] is None else short(estimate, digits)


# --- the law ----------------------------------------------------------------------------------------------


def _laws(records: Sequence[Record]) -> list[Findings]:
    """A row for each dimension, ratio and test."""
    rows = []
    for dim in (1, 2):
        for metropolis in (False, True):
            for ratio in RATIOS:
                runs = select(records, part="law", dim=dim, ratio=ratio, metropolis=metropolis)
                row: Findings = {"dim": dim, "metropolis": metropolis, "ratio": ratio}
                names = ("error", "correlation", "floor", "floor_correlation", "kept")
                row |= {name: level([each.found[name] for each in runs]) for name in names}
                for name in ("acceptance", "predicted", "limit", "condition"):
                    values = [each.found[name] for each in runs]
                    row[name] = None if None in values else level(values)
                row["steps"] = runs[0].config["steps"]
                row["points"] = [[each.found["condition"], each.found["error"]] for each in runs]
                rows.append(row)
    return rows


def _say_laws(rows: Sequence[Findings]) -> list[str]:
    plain = [row for row in rows if not row["metropolis"]]
    said = []
    for dim in (1, 2):
        of_dim = [row for row in plain if row["dim"] == dim]
        tested = [row for row in rows if row["dim"] == dim and row["metropolis"]]
        errors = ", ".join(f"{row['ratio']:g}: {tell(row['error'], 3)}" for row in of_dim)
        others = ", ".join(f"{row['ratio']:g}: {tell(row['error'], 3)}" for row in tested)
        said.append(
            f"Gaussian posteriors of {dim} number{'s' if dim > 1 else ''} and 6 data, error of the marginals "
            f"in standard deviations after {of_dim[0]['steps']:,} steps, by d/n, {errors}; with "
            f"Metropolis-Hastings {others}; of as many exact draws {tell(of_dim[0]['floor'], 3)}. "
            f"{_say_break(of_dim)}"
        )
    return [*said, _say_condition(plain), _say_predicted(plain), _say_acceptance(rows)]


def _say_break(rows: Sequence[Findings]) -> str:
    """Where the error is that of exact draws."""
    near = [row["ratio"] for row in rows if row["error"]["mean"] < _TELLS * row["floor"]["mean"]]
    far = [row["ratio"] for row in rows if row["ratio"] not in near]
    told = [" and ".join(f"{ratio:g}" for ratio in ratios) or "none" for ratios in (near, far)]
    return f"Within {_TELLS:g} times the latter: {told[0]}; beyond: {told[1]}."


def _say_condition(rows: Sequence[Findings]) -> str:
    told = []
    for row in [row for row in rows if row["dim"] == 1 and row["ratio"] >= 1]:
        conditions = [point[0] for point in row["points"]]
        told.append(
            f"d/n = {row['ratio']:g}: {statistics.median(conditions):.3g}, and {tell(row['kept'], 3)} of the "
            "slowest part of the start is left"
        )
    limits = [row["limit"]["mean"] for row in rows if row["ratio"] == 1]
    lost = [row["limit"]["mean"] for row in rows if row["ratio"] == 0.5]
    return (
        f"The condition number of GGᵀ (median over seeds) says what is slow: {'; '.join(told)}. Without "
        f"end d = n would come to {max(limits):.3f} at most, d = n/2 stays at {min(lost):.3f} at least."
    )


def _say_predicted(rows: Sequence[Findings]) -> str:
    gap = max(abs(row["error"]["mean"] - row["predicted"]["mean"]) for row in rows)
    floor = max(row["floor"]["mean"] for row in rows)
    return (
        f"Without the test the law after so many steps is known exactly; the errors found differ from its by "
        f"{gap:.3f} at most, where exact draws have {floor:.3f}."
    )


def _say_acceptance(rows: Sequence[Findings]) -> str:
    told = [
        f"{row['ratio']:g}: {100 * row['acceptance']['mean']:.0f} %"
        for row in rows
        if row["acceptance"] is not None and row["dim"] == 2
    ]
    return f"In the plane the test accepts, by d/n, {', '.join(told)} of proposals."


# --- the toy ----------------------------------------------------------------------------------------------


def _toy(records: Sequence[Record]) -> Findings:
    runs = select(records, part="toy")
    found: Findings = {name: level([each.found[name] for each in runs]) for name in (*TOY, "floor", "step")}
    found["by_seed"] = {name: {r.config["seed"]: r.found[name] for r in runs} for name in TOY}
    found["conditions"] = [each.found["condition"] for each in runs]
    found["pairs"] = [[each.found["condition"], each.found["amortised"]] for each in runs]
    first = next(each.found for each in runs if each.config["seed"] == 0)
    return found | {"grid": first["grid"], "points": first["points"], "steps": runs[0].config["steps"]}


def _say_toy(toy: Findings) -> list[str]:
    levels = ", ".join(f"{TOY[name]} {tell(toy[name], 3)}" for name in TOY)
    ordered = sorted(toy["pairs"])
    at_ends = f"{ordered[0][1]:.3f} at {ordered[0][0]:.3g} and {ordered[-1][1]:.3f} at {ordered[-1][0]:.3g}"
    said = [
        f"A random decoder and three data, sliced W2 to the grid's posterior in standard deviations after "
        f"{toy['steps']:,} steps, a third left out: {levels}; exact draws {tell(toy['floor'], 3)}. One chain "
        f"each, so its states are no independent draws. Langevin on z takes steps as long as those that "
        f"amortised Langevin takes for its z on average, h|g|² = {tell(toy['step'], 3)}.",
        f"Of the runs with the least and the largest condition number of GGᵀ, amortised Langevin has "
        f"{at_ends}. Features are those of a random network, with layer norm; with GGᵀ = c I they are turned "
        "so that all data move alike.",
    ]
    by_seed = toy["by_seed"]
    if len(by_seed["amortised"]) > 1:
        said.append(_say_pair(by_seed, "amortised", "langevin", TOY))
        said.append(_say_pair(by_seed, "amortised", "variational", TOY))
        said.append(_say_pair(by_seed, "evened", "langevin", TOY))
    return said


def _say_pair(by_seed: Findings, first: str, second: str, names: dict[str, str]) -> str:
    """Two methods by a paired test; lower is better."""
    one, other = by_seed[first], by_seed[second]
    seeds = sorted(one.keys() & other.keys())
    gap = short(paired([one[s] for s in seeds], [other[s] for s in seeds]), 3)
    lower, higher = is_lower(one, other), is_lower(other, one)
    told = "lower" if lower else "higher" if higher else "not told apart"
    return f"{names[first]} minus {names[second]}: {gap}, {told} in a paired test at 99 %."


# --- the models -------------------------------------------------------------------------------------------


def _compared(records: Sequence[Record], source: str) -> Findings:
    rows = []
    for method in METHODS:
        runs = select(records, part="compare", data=source, method=method)
        if not runs:
            continue
        row: Findings = {"method": method, "gradients": runs[0].found["gradients"]}
        row |= {name: level([each.found[name] for each in runs]) for name in MEASURES}
        row["by_seed"] = {
            name: {each.config["seed"]: each.found[name] for each in runs}
            for name in ("log_likelihood", "squared_error")
        }
        row["check"] = level([_less_than_annealed(each.found["checked"]) for each in runs])
        row["trace"] = [each.found["trace"] for each in runs]
        rows.append(row)
    return {"data": source, "rows": rows}


def _less_than_annealed(checked: Findings | None) -> float | None:
    """By how much the weights give less than annealing does, on the few points of the check."""
    return None if checked is None else float(checked["annealed"] - checked["importance"])


def _each(rows: Sequence[Findings], name: str, digits: int) -> str:
    return ", ".join(f"{NAMES[row['method']]} {tell(row[name], digits)}" for row in rows)


def _say_compared(table: Findings) -> list[str]:
    rows = table["rows"]
    where = "MNIST, a subset of 10,000 and one seed" if table["data"] == "mnist" else "Digits"
    gradients = ", ".join(f"{NAMES[row['method']]} {row['gradients']}" for row in rows)
    said = [
        f"{where}, black and white: log p(x) of held-out images by importance weights, in nats, one protocol "
        f"for all: {_each(rows, 'log_likelihood', 2)}. Annealing gives more on a few of them by "
        f"{_each(rows, 'check', 2)}. CLAE learns by plain descent, the others by Adam.",
        f"{where}: squared error of a reconstructed pixel, in [-1, 1]: {_each(rows, 'squared_error', 3)}.",
        f"{where}: gradients of log p(x, z) by the chain for a datum in a step: {gradients}; seconds for a "
        f"step of 100: {_each(rows, 'seconds', 4)}.",
        *_say_chain(where, rows),
    ]
    return [*said, *_say_order(where, rows)]


def _say_chain(where: str, rows: Sequence[Findings]) -> list[str]:
    """What became of the chain that the theorem is about."""
    tested = next(row for row in rows if row["method"] == "lae_mh")
    ends = [trace[-1] for trace in tested["trace"] if trace]
    if not ends:
        return []
    accepted = statistics.fmean(each["acceptance"] for each in ends)
    condition = statistics.median(each["condition"] for each in ends)
    return [
        f"{where}: at the end the Metropolis-Hastings test accepts {100 * accepted:.0f} % of proposals on a "
        f"batch of held-out images, and the condition number of its GGᵀ is {condition:.2g} (median over "
        "seeds): d is 2.56 n, and the slowest directions of z do not move in two steps."
    ]


def _say_order(where: str, rows: Sequence[Findings]) -> list[str]:
    """The paper's order, LAE above VAE, and what the noise and the test are worth."""
    at = {row["method"]: row for row in rows}
    if len(at["vae"]["by_seed"]["log_likelihood"]) < 2:
        return [f"{where}: no test of the differences."]
    by_seed = {
        name: {method: row["by_seed"][name] for method, row in at.items()}
        for name in ("log_likelihood", "squared_error")
    }
    likelihoods = by_seed["log_likelihood"]
    pairs = [("lae_mh", "vae"), ("lae", "autoencoder"), ("lae_mh", "lae"), ("clae", "clae_still")]
    said = [f"{where}, log p(x): " + _say_pair(likelihoods, first, second, NAMES) for first, second in pairs]
    said.append(f"{where}, squared error: " + _say_pair(by_seed["squared_error"], "lae_mh", "vae", NAMES))
    for method in ("lae", "lae_mh"):
        if is_lower(likelihoods["vae"], likelihoods[method]):
            said.append(f"{where}: the paper's order holds, {NAMES[method]} is above the VAE in log p(x).")
        elif is_lower(likelihoods[method], likelihoods["vae"]):
            said.append(
                f"{where}: the paper's order does not hold, {NAMES[method]} is below the VAE in log p(x)."
            )
        else:
            said.append(f"{where}: {NAMES[method]} and the VAE are not told apart in log p(x).")
    return said
