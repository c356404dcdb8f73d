"""What the runs of one protocol say, whichever paper asked for them: a table, and sentences computed from it.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lflow.papers.experiment import Findings, Record, level, number, paired, paired_p, select, short, tell

NAMES: Mapping[str, str] = {
    "vae": "VAE",
    "iwae": "IWAE, as many passes",
    "hvae": "HVAE",
    "hvae_fixed": "HVAE, fixed tempering",
    "hvae_free": "HVAE, free tempering",
    "deterministic": "Langevin-VAE, σ = 0",
    "noisy": "Langevin-VAE, σ² = 2ν",
    "reverse_kernel": "reverse kernel",
    "map": "MAP autoencoder (LAE at T = 0)",
    "lae": "LAE",
    "lae_mh": "LAE with Metropolis-Hastings",
    "clae": "CLAE",
    "clae_still": "CLAE without noise",
}
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
LOST: Findings = {**dict.fromkeys(MEASURES), "checked": None, "rate": None, "stop": None, "looks": []}
"""Of a run whose weights were not finite at any look of any rate."""
LEVEL = 0.99
TITLES = {"digits": "Black and white digits", "mnist": "Black and white MNIST, 10,000 images and one seed"}


def tables(records: Sequence[Record]) -> list[Findings]:
    """A table for each data set that there are runs of."""
    found = [_table(select(records, part="compare", data=source), source) for source in TITLES]
    return [table for table in found if table["rows"]]


def _table(runs: Sequence[Record], source: str) -> Findings:
    """A row for each method and K: levels over seeds, each seed's numbers, choices, and the check."""
    places = dict.fromkeys((each.config["method"], each.config["num_steps"]) for each in runs)
    rows = []
    for method, num_steps in places:
        of = select(runs, method=method, num_steps=num_steps)
        row: Findings = {"method": method, "num_steps": num_steps, "steps": of[0].config["steps"]}
        row["by_seed"] = {name: {r.config["seed"]: r.found[name] for r in of} for name in MEASURES}
        row |= {name: level(each.found[name] for each in of) for name in MEASURES}
        for name in ("checked", "rate", "stop", "looks"):
            row[name] = [each.found[name] for each in of]
        rows.append(row)
    return {"data": source, "counts": sorted({row["num_steps"] for row in rows} - {0}), "rows": rows}


def say_absent(found: Sequence[Findings]) -> list[str]:
    """That MNIST is left out, where it is."""
    left_out = "MNIST is left out: it is part of a full run where its files or the hub are at hand."
    return [] if any(table["data"] == "mnist" for table in found) else [left_out]


def each(rows: Sequence[Findings], name: str, digits: int) -> str:
    """Every method and its level."""
    return ", ".join(f"{NAMES[row['method']]} {tell(row[name], digits)}" for row in rows)


def say_choices(table: Findings) -> list[str]:
    """The treatment that all have in common, what was chosen, and where the choice was an end."""
    where, rows = TITLES[table["data"]], table["rows"]
    told = "; ".join(f"{_place(row)} {_chosen(row)}" for row in rows)
    kept = [(row, k) for row in rows for k, stop in enumerate(row["stop"]) if stop is not None]
    tried = [{each["rate"] for each in row["looks"][k]} for row, k in kept]
    low = sum(row["rate"][k] == min(of) for (row, k), of in zip(kept, tried, strict=True))
    high = sum(row["rate"][k] == max(of) for (row, k), of in zip(kept, tried, strict=True))
    last = sum(row["stop"][k] == max(each["step"] for each in row["looks"][k]) for row, k in kept)
    return [
        f"{where}: all encoders have the same layers but the last, with layer norm, and all decoders the "
        f"same. Every method learns for {rows[0]['steps']:,} steps of 100 at each of three rates, and of all "
        "looks the one is kept at which images that are left out of training have the highest log p(x); "
        f"test images choose nothing. Rates and steps that were kept: {told}. Of {len(kept)} runs {low} keep "
        f"the lowest rate that they bear, {high} the highest, and {last} the last look."
    ]


def _place(row: Findings) -> str:
    return NAMES[row["method"]] + (f" (K = {row['num_steps']})" if row["num_steps"] else "")


def _chosen(row: Findings) -> str:
    found = sorted({rate for rate in row["rate"] if rate is not None})
    stops = [stop for stop in row["stop"] if stop is not None]
    if not found:
        return "lost"
    least, most = min(stops), max(stops)
    steps = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return f"{' or '.join(f'{rate:g}' for rate in found)} at {steps}"


def say_check(table: Findings) -> str:
    """How far annealing and the weights lie apart."""
    checks = [check for row in table["rows"] for check in row["checked"] if check is not None]
    if not checks:
        return f"{TITLES[table['data']]}: no model is left to check."
    apart = [check["annealed"] - check["importance"] for check in checks]
    return (
        f"{TITLES[table['data']]}: on the points that annealing checks, it gives more than the importance "
        f"weights by {min(apart):.2f} to {max(apart):.2f} nats, {sum(apart) / len(apart):.2f} on average, "
        f"over {len(checks)} models."
    )


class Comparison(NamedTuple):
    """Two methods: the first's mean less the second's, its error, and how the first lies, once tested."""

    gap: Findings
    verdict: str


def compare(
    rows: Sequence[Findings], name: str, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Comparison]:
    """Paired tests of all pairs of methods, at 99 % for all of them together by Holm's correction.

    The p-values in rising order, p_1 ≤ ... ≤ p_m: those are told before the first with p_i > α/(m - i + 1).
    Verdicts are higher, lower, and not told apart. (Holm 1979, Scandinavian Journal of Statistics 6, 65)
    """
    at = {row["method"]: row["by_seed"][name] for row in rows}
    p_values = {pair: paired_p(at[pair[0]], at[pair[1]]) for pair in pairs}
    found, telling = {}, True
    for place, pair in enumerate(sorted(pairs, key=lambda pair: p_values[pair])):
        telling = telling and p_values[pair] <= (1 - LEVEL) / (len(pairs) - place)
        gap = difference(at[pair[0]], at[pair[1]])
        found[pair] = Comparison(gap, _verdict(gap, telling))
    return {pair: found[pair] for pair in pairs}


def _verdict(gap: Findings, telling: bool) -> str:
    if not telling:
        return "not told apart"
    return "higher" if gap["mean"] > 0 else "lower"


def difference(values: Findings, others: Findings) -> Findings:
    """The mean difference of runs that share their seeds, and its error; None and None if any was lost."""
    shared = sorted(values.keys() & others.keys())
    if None in [*(values[seed] for seed in shared), *(others[seed] for seed in shared)]:
        return {"mean": None, "error": None}
    if len(shared) < 2:
        return {"mean": values[shared[0]] - others[shared[0]], "error": None}
    return paired([values[seed] for seed in shared], [others[seed] for seed in shared])


def say_gap(gap: Findings, digits: int) -> str:
    """A difference, with its error if there is one."""
    return number(gap["mean"], digits) if gap["error"] is None else short(gap, digits)


def say_pairs(found: Mapping[tuple[str, str], Comparison], digits: int) -> str:
    """All comparisons, one after another."""
    told = [
        f"{NAMES[one]} minus {NAMES[other]} {say_gap(each.gap, digits)}, {each.verdict}"
        for (one, other), each in found.items()
    ]
    return "; ".join(told)


def is_tested(rows: Sequence[Findings]) -> bool:
    """Whether there are seeds to pair."""
    return len(rows[0]["by_seed"]["seconds"]) > 1
