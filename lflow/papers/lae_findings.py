"""What the runs of `lae` say: tables of the three parts, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from lflow.papers import protocol_findings as protocol
from lflow.papers.experiment import Findings, Record, is_lower, level, number, paired, select, short, tell
from lflow.papers.protocol_findings import NAMES

RATIOS = (0.5, 1, 2, 8)
REFERENCES = ("vae", "iwae", "hvae_free", "deterministic")
METHODS = (*REFERENCES, "map", "lae", "lae_mh", "clae", "clae_still")
ON_MNIST = ("vae", "hvae_free", "map", "lae_mh", "clae")
TOY = {
    "variational": "fitted normal law",
    "langevin": "Langevin on z",
    "amortised": "amortised Langevin",
    "evened": "the same with GGᵀ = c I",
}
_TELLS = 3.0  # times the error of exact draws: told from them


def conclude(records: Sequence[Record]) -> Findings:
    """Tables and sentences."""
    laws, toy = _laws(records), _toy(records)
    compared = protocol.tables(records)
    sentences = [*_say_laws(laws), *_say_toy(toy)]
    sentences += [said for table in compared for said in _say_compared(table)]
    sentences += protocol.say_absent(compared)
    sentences.append(
        "Left out: a model in the manner of Hoffman (2017), which goes on from a VAE's z by Langevin steps, "
        "and the paper's own test bound, a normal law of fixed standard deviation 0.05 about the encoder's "
        "output, which is no bound of one kind with the VAE's."
    )
    return {"laws": laws, "toy": toy, "compare": compared, "sentences": sentences}


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
        said.append("Each of these three tests is made alone, without regard to the others.")
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


def _say_compared(table: Findings) -> list[str]:
    where, rows = protocol.TITLES[table["data"]], table["rows"]
    gradients = ", ".join(f"{NAMES[row['method']]} {number(row['gradients']['mean'], 0)}" for row in rows)
    milliseconds = ", ".join(f"{NAMES[row['method']]} {tell(row['seconds'], 1, 1000)}" for row in rows)
    return [
        *protocol.say_choices(table),
        f"{where}: CLAE's decoder alone has layer norm, without which its weights are lost, and CLAE alone "
        "descends plainly, as published, at rates of its own; the others learn by Adam. The step h of LAE's "
        "chain is set; the other chains learn theirs.",
        f"{where}: log p(x) of test images by importance weights, in nats: "
        f"{protocol.each(rows, 'log_likelihood', 2)}. CLAE's is no bound, since log Z of its prior is "
        "estimated from below and taken away; the check by annealing takes the same log Z.",
        protocol.say_check(table),
        f"{where}: squared error of a pixel, in [-1, 1], of E[x | z] at a draw of the model's own z, of VAE "
        "and IWAE from q, of LAE and CLAE the encoder's output with the weights as they are, and of the MAP "
        "autoencoder, which ascends log p(x, z) with the prior's penalty |z|²/2, its one z: "
        f"{protocol.each(rows, 'squared_error', 3)}.",
        f"{where}: gradients of log p(x, z) by the chain for a datum in a step: {gradients}; milliseconds "
        f"for a step of 100: {milliseconds}.",
        *_say_chain(where, rows),
        *_say_order(where, rows),
    ]


def traces(row: Findings) -> list[list[Findings]]:
    """The looks at the rate that was kept, of each run that was not lost."""
    return [
        [each for each in looks if each["rate"] == rate]
        for rate, looks in zip(row["rate"], row["looks"], strict=True)
        if looks
    ]


def _say_chain(where: str, rows: Sequence[Findings]) -> list[str]:
    """What became of the chain that the theorem is about."""
    tested = next(row for row in rows if row["method"] == "lae_mh")
    ends = [trace[-1] for trace in traces(tested)]
    if not ends:
        return []
    accepted = statistics.fmean(each["acceptance"] for each in ends)
    condition = statistics.median(each["condition"] for each in ends)
    moved = statistics.median(each["moved"] for each in ends)
    return [
        f"{where}: at the last look at the kept rate the Metropolis-Hastings test accepts "
        f"{100 * accepted:.0f} % of proposals on images that training left out, d is {ends[0]['ratio']:.3g} "
        f"n, and the condition number of GGᵀ is {condition:.2g} (median over seeds). In the steps for a "
        f"batch the slowest direction of z goes {moved:.1g} of its way, at a curvature of one."
    ]


def _say_order(where: str, rows: Sequence[Findings]) -> list[str]:
    """The order that the paper claims, LAE above VAE, and what the noise and the test are worth."""
    if not protocol.is_tested(rows):
        return [f"{where}: no test of the differences."]
    pairs = [(one, other) for one in ("lae", "lae_mh") for other in REFERENCES]
    pairs += [("lae", "map"), ("lae_mh", "lae"), ("clae", "clae_still"), ("clae", "vae")]
    found = protocol.compare(rows, "log_likelihood", pairs)
    said = [
        f"{where}, log p(x), paired, at 99 % for all {len(pairs)} tests together (Holm): "
        f"{protocol.say_pairs(found, 3)}.",
    ]
    error = protocol.compare(rows, "squared_error", [("lae_mh", "vae")])
    said.append(f"{where}, squared error, one paired test at 99 %: {protocol.say_pairs(error, 3)}.")
    told = {
        "higher": "the order that the paper claims holds, {} is above the VAE in log p(x).",
        "lower": "the order that the paper claims does not hold, {} is below the VAE in log p(x).",
        "not told apart": "{} and the VAE are not told apart in log p(x).",
    }
    for method in ("lae", "lae_mh"):
        said.append(f"{where}: {told[found[method, 'vae'].verdict].format(NAMES[method])}")
    return said
