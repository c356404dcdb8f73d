"""What the runs of `lae` say: tables of the three parts, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from lflow.columns import aligned
from lflow.papers import protocol_findings as protocol
from lflow.papers.experiment import Findings, Record, is_lower, level, paired, select, short, tell
from lflow.papers.protocol_findings import NAMES
from lflow.spec import counted

RATIOS = (0.5, 1, 2, 8)
REFERENCES = ("vae", "iwae", "hvae_free", "deterministic")
METHODS = (*REFERENCES, "map", "lae", "lae_mh", "clae", "clae_still")
TOY = {
    "variational": "variational, a normal law",
    "langevin": "Langevin on z",
    "amortised": "amortised Langevin",
    "evened": "the same with GGᵀ = c I",
}


def conclude(records: Sequence[Record]) -> Findings:
    """Tables and sentences."""
    laws, toy = _laws(records), _toy(records)
    compared = protocol.tables(records)
    sentences = [*_say_laws(laws), *_say_toy(toy)]
    sentences += [*protocol.say_protocol(but=", but for CLAE's"), _OWN]
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
                names = ("error", "floor", "kept")
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
        of_dim = [row for row in rows if row["dim"] == dim]
        said.append(
            f"Gaussian posteriors of {counted(dim, 'number')} for each of 6 data, error of the marginals in "
            f"standard deviations after {rows[0]['steps']:,} steps, mean ± standard error over "
            f"{counted(len(rows[0]['points']), 'seed')}:\n\n{_law_as_text(of_dim)}\n"
        )
        said.append(_say_break([row for row in of_dim if not row["metropolis"]]))
    return [*said, *_say_condition(plain), _say_predicted(plain)]


def _law_as_text(rows: Sequence[Findings]) -> str:
    head = ["d/n", "exact draws", "ULA", "ULA's exact law", "Metropolis-Hastings", "accepted"]
    lines = []
    for ratio in RATIOS:
        plain, tested = (
            next(row for row in rows if row["ratio"] == ratio and row["metropolis"] == test)
            for test in (False, True)
        )
        cells = [plain["floor"], plain["error"], plain["predicted"], tested["error"]]
        share = tested["acceptance"]
        accepted = "lost" if share is None else f"{100 * share['mean']:.0f} %"
        lines.append([f"{ratio:g}", *(tell(cell, 3) for cell in cells), accepted])
    return aligned([head, *lines])


def _say_break(rows: Sequence[Findings]) -> str:
    """How many times as far from the posterior as exact draws ULA is."""
    told = [f"{_times(row)} at {row['ratio']:g}" for row in rows]
    return f"ULA's error over that of as many exact draws, by d/n: {', '.join(told)}."


def _times(row: Findings) -> str:
    error = row["error"]["mean"]
    return "lost" if error is None else f"{error / row['floor']['mean']:.1f}"


def _say_condition(rows: Sequence[Findings]) -> list[str]:
    told = []
    for row in [row for row in rows if row["dim"] == 1 and row["ratio"] >= 1]:
        conditions = [point[0] for point in row["points"]]
        told.append(
            f"{statistics.median(conditions):.3g} at d/n = {row['ratio']:g}, where {row['kept']['mean']:.3f} "
            "of the slowest part of the start is left"
        )
    limits = [row["limit"]["mean"] for row in rows if row["ratio"] == 1]
    lost = [row["limit"]["mean"] for row in rows if row["ratio"] == 0.5]
    floor = max(row["floor"]["mean"] for row in rows)
    slow = ", so that what is left there is slowness" if max(limits) < floor else ""
    return [
        f"The condition number of GGᵀ says what is slow (medians over seeds, z of one number): "
        f"{'; '.join(told)}.",
        f"After endless steps the error at d = n would be {max(limits):.3f} or less{slow}; "
        f"at d = n/2 it would stay at {min(lost):.3f} or more, since no Φ reaches every z.",
    ]


def _say_predicted(rows: Sequence[Findings]) -> str:
    gap = max(abs(row["error"]["mean"] - row["predicted"]["mean"]) for row in rows)
    floor = max(row["floor"]["mean"] for row in rows)
    return (
        f"Without the test the law after so many steps is known exactly; the errors found differ from its by "
        f"{gap:.3f} at most, where exact draws have {floor:.3f}."
    )


# --- the toy ----------------------------------------------------------------------------------------------


def _toy(records: Sequence[Record]) -> Findings:
    runs = select(records, part="toy")
    found: Findings = {name: level([each.found[name] for each in runs]) for name in (*TOY, "floor", "step")}
    found["outside"] = max(each.found["outside"] for each in runs)
    found["by_seed"] = {name: {r.config["seed"]: r.found[name] for r in runs} for name in TOY}
    found["conditions"] = [each.found["condition"] for each in runs]
    found["pairs"] = [[each.found["condition"], each.found["amortised"]] for each in runs]
    first = next(each.found for each in runs if each.config["seed"] == 0)
    return found | {"grid": first["grid"], "points": first["points"], "steps": runs[0].config["steps"]}


def _say_toy(toy: Findings) -> list[str]:
    rows = [["method", "distance"], *([TOY[name], tell(toy[name], 3)] for name in TOY)]
    rows.append(["exact draws", tell(toy["floor"], 3)])
    ordered = sorted(toy["pairs"])
    at_ends = f"{ordered[0][1]:.3f} at {ordered[0][0]:.3g} and {ordered[-1][1]:.3f} at {ordered[-1][0]:.3g}"
    said = [
        f"A random decoder and three data, sliced W2 to the posterior on a grid, in standard deviations, "
        f"after {toy['steps']:,} steps, of which a third is left out:\n\n{aligned(rows)}\n",
        "One chain each, so its states are no independent draws. Langevin on z takes steps as long as those "
        f"that amortised Langevin takes for its z on average, h|g|² = {tell(toy['step'], 3)}. The features g "
        "are those of a random network with layer norm; for GGᵀ = c I they are turned so that all data move "
        f"alike. The grid cuts off {100 * toy['outside']:.1g} % of a posterior at most.",
        f"At the least and the largest condition number of GGᵀ, amortised Langevin's distance is {at_ends}.",
    ]
    by_seed = toy["by_seed"]
    if len(by_seed["amortised"]) > 2:
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
    words = f"{names[first]} minus {names[second]}"
    return f"{words[0].upper()}{words[1:]}: {gap}, {told} in a paired test at 99 %."


# --- the models -------------------------------------------------------------------------------------------


_OWN = (
    "Of LAE and CLAE z is the encoder's output with the weights as they are; the MAP autoencoder, LAE "
    "without noise, ascends log p(x, z), with the prior's penalty |z|²/2. The step h of LAE's chain is set, "
    "where the other chains learn theirs. CLAE's decoder has layer norm, as the networks of LAE's authors "
    "have, an advantage that no other method has; CLAE alone descends plainly, as published, at rates of its "
    "own. Its log p(x) is no bound: log Z of its prior is estimated from below and taken away."
)


def _say_compared(table: Findings) -> list[str]:
    where, rows = protocol.TITLES[table["data"]], table["rows"]
    return [*protocol.of_table(table), *_say_chain(where, rows), *_say_order(where, rows)]


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
        f"{where}: at the last look LAE's Metropolis-Hastings test accepts {100 * accepted:.0f} % of "
        f"proposals on images that training left out, d is {ends[0]['ratio']:.3g} n, and the condition "
        f"number of GGᵀ is {condition:.2g}. In the steps for a batch the slowest direction of z goes "
        f"{moved:.1g} of its way, at a curvature of one."
    ]


def _say_order(where: str, rows: Sequence[Findings]) -> list[str]:
    """The order that the paper claims, LAE above VAE, and what the noise and the test are worth."""
    if not protocol.is_tested(rows):
        return [protocol.say_untested(where, rows)]
    pairs = [(one, other) for one in ("lae", "lae_mh") for other in REFERENCES]
    pairs += [("lae", "map"), ("lae_mh", "lae"), ("clae", "clae_still"), ("clae", "vae")]
    found = protocol.compare(rows, "log_likelihood", pairs)
    error = protocol.compare(rows, "squared_error", [("lae_mh", "vae")])
    told = {
        "higher": "the order that the paper claims holds, {} is above the VAE in log p(x)",
        "lower": "the order that the paper claims does not hold, {} is below the VAE in log p(x)",
        "not told apart": "{} and the VAE are not told apart in log p(x)",
    }
    return [
        protocol.pairs_as_text(f"{where}: log p(x)", found),
        protocol.pairs_as_text(f"{where}: squared error", error),
        *(f"{where}: {told[found[one, 'vae'].verdict].format(NAMES[one])}." for one in ("lae", "lae_mh")),
    ]
