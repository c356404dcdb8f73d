"""What the runs of one protocol say, whichever paper asked for them: a table, and sentences computed from it.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lflow.columns import aligned
from lflow.papers.experiment import Findings, Record, level, number, paired, paired_p, select, tell
from lflow.spec import counted

NAMES: Mapping[str, str] = {
    "vae": "VAE",
    "iwae": "IWAE, as many passes",
    "hvae": "HVAE",
    "hvae_fixed": "HVAE, fixed tempering",
    "hvae_free": "HVAE, free tempering",
    "deterministic": "Langevin-VAE, σ = 0",
    "noisy": "Langevin-VAE, σ² = 2ν",
    "reverse_kernel": "Langevin-VAE, reverse kernel",
    "map": "MAP autoencoder",
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
TITLES = {
    "digits": "Black and white digits",
    "mnist": "Black and white MNIST, 10,000 images",
}
_RATES, _PLAIN_RATES = (0.001, 0.003, 0.01), (0.0003, 0.001, 0.003)


def rates(method: str) -> tuple[float, ...]:
    """What a method's learning rate is chosen from: lower ones for what descends plainly."""
    return _PLAIN_RATES if method.startswith("clae") else _RATES


def tables(records: Sequence[Record]) -> list[Findings]:
    """A table for each data set that there are runs of."""
    return [_table(records, source) for source in TITLES if select(records, part="compare", data=source)]


def _table(records: Sequence[Record], source: str) -> Findings:
    """A row for each method and K: levels over seeds, each seed's numbers, choices, and the check; pixels:
    log p(x) where pixels are independent, which takes no model; points: test images."""
    runs = select(records, part="compare", data=source)
    (plain,) = select(records, part="plain", data=source)
    places = {(each.config["method"], each.config["num_steps"]) for each in runs}
    rows = []
    for method, num_steps in sorted(places, key=lambda place: (list(NAMES).index(place[0]), place[1])):
        of = select(runs, method=method, num_steps=num_steps)
        row: Findings = {"method": method, "num_steps": num_steps, "steps": of[0].config["steps"]}
        row["by_seed"] = {name: {r.config["seed"]: r.found[name] for r in of} for name in MEASURES}
        row |= {name: level(each.found[name] for each in of) for name in MEASURES}
        for name in ("checked", "rate", "stop", "looks"):
            row[name] = [each.found[name] for each in of]
        rows.append(row)
    counts = sorted({row["num_steps"] for row in rows} - {0})
    return {"data": source, "counts": counts, "rows": rows, "quick": plain.config["quick"], **plain.found}


def say_absent(found: Sequence[Findings]) -> list[str]:
    """That MNIST is left out, where it is."""
    left_out = "MNIST is left out: it is part of a full run where its files or the hub are at hand."
    return [] if any(table["data"] == "mnist" for table in found) else [left_out]


def as_text(table: Findings) -> str:
    """The table for people: a line for each method and K."""
    head = ["method", "K", "log p(x)", "bound", "log p(x|z)", "sq. error", "gradients", "ms", "rate", "step"]
    rows = [head, *(_line(row) for row in table["rows"])]
    rows.append(["independent pixels", "", number(table["pixels"], 2), *[""] * (len(head) - 3)])
    seeds, steps = len(table["rows"][0]["stop"]), table["rows"][0]["steps"]
    spread = "; ± is the standard error over seeds, which share their test images" if seeds > 1 else ""
    return (
        f"\n{TITLES[table['data']]}: {counted(seeds, 'seed')}, {steps:,} steps of training, "
        f"{table['points']:,} test images{spread}.\n\n{aligned(rows)}\n"
    )


def _line(row: Findings) -> list[str]:
    has_bound = None not in row["by_seed"]["bound"].values() or row["log_likelihood"]["mean"] is None
    gap = difference(row["by_seed"]["bound"], row["by_seed"]["log_likelihood"])
    return [
        NAMES[row["method"]],
        str(row["num_steps"] or ""),
        tell(row["log_likelihood"], 2),
        tell(gap, 2) if has_bound else "none",
        tell(row["log_conditional"], 2),
        tell(row["squared_error"], 3),
        number(row["gradients"]["mean"], 0),
        tell(row["seconds"], 1, 1000),
        *_chosen(row),
    ]


def say_protocol(but: str = "") -> list[str]:
    """What the tables' columns are, and the treatment that all methods have in common; but: an exception."""
    return [
        "log p(x): of test images by importance weights, in nats, by one protocol for all. bound: the "
        "model's own, IWAE's with all of its draws, less that. log p(x|z), and squared error of a pixel in "
        "[-1, 1]: at a draw of the model's own z. gradients: of log p(x, z) by a chain, for a datum in a "
        "training step. ms: the processor's time for a training step of 100 images, without the optimiser's "
        "and beside other work. rate, step: kept.",
        f"All encoders have the same layers but the last, with layer norm, and all decoders the same{but}. "
        "Every method learns at each of three rates; of all looks at it, the one counts at which images that "
        "are left out of training have the highest log p(x). Test images choose nothing. IWAE draws 2K + 3 "
        "times from q, which takes as many passes through the decoder as the K steps of HVAE.",
    ]


def of_table(table: Findings) -> list[str]:
    """The table, what was chosen and lost in it, what lies below independent pixels, and the check."""
    steps = table["rows"][0]["steps"]
    first = [f"A first look: {steps} steps are no training."] if table["quick"] else []
    return [as_text(table), *first, *_say_choices(table), *_say_below(table), *_say_check(table)]


def _say_choices(table: Findings) -> list[str]:
    """Where the choice was an end, and which rates lost their weights."""
    kept = [(row, k) for row in table["rows"] for k, stop in enumerate(row["stop"]) if stop is not None]
    low = sum(row["rate"][k] == min(rates(row["method"])) for row, k in kept)
    high = sum(row["rate"][k] == max(rates(row["method"])) for row, k in kept)
    last = sum(row["stop"][k] == row["steps"] for row, k in kept)
    lost = [
        f"{_place(row)} at {rate:g} in {counted(n, 'seed')}"
        for row in table["rows"]
        for rate, n in _lost(row)
    ]
    return [
        f"Of {counted(len(kept), 'run')} {low} keep the lowest rate and {high} the highest; {last} keep the "
        "last look, where longer training might have given more.",
        *([f"Weights were lost before the end: {', '.join(lost)}."] if lost else []),
    ]


def _lost(row: Findings) -> list[tuple[float, int]]:
    """The rates at which weights were not finite at the last look, and in how many seeds."""
    found = []
    for rate in rates(row["method"]):
        ended = [
            any(e["rate"] == rate and e["step"] == row["steps"] for e in looks) for looks in row["looks"]
        ]
        found.append((rate, ended.count(False)))
    return [(rate, count) for rate, count in found if count]


def _place(row: Findings) -> str:
    return NAMES[row["method"]] + (f" (K = {row['num_steps']})" if row["num_steps"] else "")


def _say_below(table: Findings) -> list[str]:
    levels = [(_place(row), row["log_likelihood"]["mean"]) for row in table["rows"]]
    below = [place for place, mean in levels if mean is not None and mean < table["pixels"]]
    return [f"Below independent pixels, which take no model: {', '.join(below)}."] if below else []


def _chosen(row: Findings) -> list[str]:
    """The rates and the steps of training that were kept."""
    found = sorted({rate for rate in row["rate"] if rate is not None})
    stops = [stop for stop in row["stop"] if stop is not None]
    if not found:
        return ["lost", "lost"]
    least, most = min(stops), max(stops)
    steps = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return [" or ".join(f"{rate:g}" for rate in found), steps]


def _say_check(table: Findings) -> list[str]:
    """How many of the weights count, and how far annealing and the weights lie apart."""
    checks = [check for row in table["rows"] for check in row["checked"] if check is not None]
    apart = [c["annealed"] - c["importance"] for c in checks if None not in (c["annealed"], c["importance"])]
    if not apart:
        return ["No model is left to check by annealing."]
    shares = [e for row in table["rows"] for e in row["by_seed"]["effective"].values() if e is not None]
    errors = [e for row in table["rows"] for e in row["by_seed"]["stated_error"].values() if e is not None]
    return [
        f"Of the importance weights at least {100 * min(shares):.0f} % count, on average over a model's "
        f"images, and log p(x)'s own error is {max(errors):.3f} nats at most.",
        f"Annealed importance sampling checks it on a few images of {counted(len(apart), 'model')}: "
        f"what it finds less what the weights find is {min(apart):.2f} to {max(apart):.2f} nats, "
        f"{sum(apart) / len(apart):.2f} on average.",
    ]


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


def pairs_as_text(title: str, found: Mapping[tuple[str, str], Comparison]) -> str:
    """All comparisons for people, a line each."""
    said = f"for all {len(found)} together (Holm)" if len(found) > 1 else "alone"
    rows = [
        [f"{NAMES[one]} - {NAMES[other]}", tell(each.gap, 3), each.verdict]
        for (one, other), each in found.items()
    ]
    return f"\n{title}, paired tests at 99 % {said}:\n\n{aligned(rows)}\n"


def is_tested(rows: Sequence[Findings]) -> bool:
    """Whether there are seeds enough to tell anything: with two, |t| must be above a thousand."""
    return len(rows[0]["by_seed"]["seconds"]) > 2


def say_untested(where: str, rows: Sequence[Findings]) -> str:
    """Why there are no tests."""
    seeds = counted(len(rows[0]["by_seed"]["seconds"]), "seed")
    return f"{where}: with {seeds} no difference can be told from chance, and none is tested."
