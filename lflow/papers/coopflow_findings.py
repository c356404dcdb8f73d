"""What the runs of `coopflow` say: tables by data set and method, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lflow.papers.coopflow_measures import BANDWIDTH
from lflow.papers.experiment import Findings, Record, is_lower, mean_and_error, or_infinite, select, short

PLANE = {"gaussian_mixture": "eight Gaussians", "rings": "four rings", "pinwheel": "the pinwheel"}
LEARNED, LONG = 30, 1000
"""Steps of the chain with which a pair learns, and of a long run."""
_LEAST_KL = 0.05  # nats, from which on a density is another; the grid and its edge err by far less
TESTED = (0, 5, 10, LEARNED, 100)
"""Steps of the chain with which it is tested."""
COOPERATIVE: dict[str, dict[str, Any]] = {
    "scratch": {},
    "pretrained": {"start": "pretrained"},
    "scratch_as_coded": {"noise": "as_coded"},
    "pretrained_as_coded": {"start": "pretrained", "noise": "as_coded"},
}
"""The pair's modes, and what of its settings differs."""
NAMES = {
    "scratch": "pair",
    "pretrained": "pair, flow pretrained",
    "scratch_as_coded": "pair as coded",
    "pretrained_as_coded": "pair as coded, flow pretrained",
    "flow": "flow by maximum likelihood",
    "ebm_noise": "energy, chains from noise",
    "ebm_persistent": "energy, chains kept",
    "exact": "exact draws",
}
Values = dict[int, float | None]
"""A number of each seed."""


class Runs:
    """The records of one data set."""

    def __init__(self, records: Sequence[Record], data: str) -> None:
        self.records = select(records, data=data)

    def methods(self) -> list[str]:
        """Those that were run, in the order of their names."""
        run = {each.config["method"] for each in self.records}
        return [method for method in NAMES if method in run]

    def values(self, method: str, key: str, steps: int | None = None) -> Values:
        """A number of each seed: of a list over steps of the chain, that after so many."""
        found = {each.config["seed"]: each.found.get(key) for each in select(self.records, method=method)}
        if steps is None:
            return found
        place = (*TESTED, LONG).index(steps)
        return {seed: values and values[place] for seed, values in found.items()}

    def estimate(self, method: str, key: str, steps: int | None = None) -> Findings:
        """Its mean and standard error."""
        return mean_and_error(list(self.values(method, key, steps).values()))


def conclude(records: Sequence[Record]) -> Findings:
    """Tables and sentences."""
    runs = {name: Runs(records, name) for name in PLANE if select(records, data=name)}
    digits = Runs(records, "digits")
    said = [sentence for name, each in runs.items() for sentence in _say_plane(name, each)]
    return {
        "plane": {name: _table(each) for name, each in runs.items()},
        "digits": _digits_table(digits),
        "pictures": {name: _picture(each) for name, each in runs.items()},
        "sentences": [*said, *_say_digits(digits)],
    }


def _table(runs: Runs) -> Findings:
    """By method: distances after steps of the chain, and what a grid says of its densities."""
    table: Findings = {}
    for method in runs.methods():
        if method == "exact":
            table[method] = {key: runs.estimate(method, key) for key in ("mmd", "w2")}
            continue
        counts = (*TESTED, LONG)
        row: Findings = {
            key: [runs.estimate(method, key, steps) for steps in counts] for key in ("mmd", "w2")
        }
        for key in ("kl_flow", "kl_energy", "edge_energy", "mmd_energy", "w2_energy"):
            row[key] = runs.estimate(method, key)
        table[method] = row
    return table


def _picture(runs: Runs) -> Findings | None:
    """What the figure shows of a pair; None where it was lost."""
    found = next((each.found for each in runs.records if each.found.get("pair_density")), None)
    if found is None or None in found["pair_density"]:
        return None
    keys = ("flow_x", "flow_y", "pair_x", "pair_y", "pair_density", "energy_density")
    return {key: found[key] for key in keys}


def _digits_table(runs: Runs) -> Findings:
    """By method: Fréchet distances after steps of the chain; and what the distance is called."""
    names = [each.found.get("name") for each in runs.records]
    found = {
        method: [
            runs.estimate(method, "frechet", count) for count in ((None,) if method == "exact" else TESTED)
        ]
        for method in runs.methods()
    }
    return {"name": next((name for name in names if name), "Fréchet distance"), "frechet": found}


# --- sentences --------------------------------------------------------------------------------------------


def _say_plane(name: str, runs: Runs) -> list[str]:
    return [
        _say_generator(PLANE[name], runs),
        _say_density(PLANE[name], runs),
        _say_steps(PLANE[name], runs),
        *_say_as_coded(PLANE[name], runs),
        _say_beside(PLANE[name], runs),
    ]


def _say_generator(where: str, runs: Runs) -> str:
    def told(key: str) -> str:
        flow, pair = (short(runs.estimate("scratch", key, steps), 3) for steps in (0, LEARNED))
        return f"the flow alone {flow}, the pair {pair}, exact draws {short(runs.estimate('exact', key), 3)}"

    pair, flow = (runs.values("scratch", "mmd", steps) for steps in (LEARNED, 0))
    lower = sum(or_infinite(pair[seed]) < or_infinite(flow[seed]) for seed in pair)
    verdict = (
        "by the MMD the pair is nearer than its flow (paired, 99 %)"
        if is_lower(pair, flow)
        else "by the MMD it is not told at 99 % that the pair is nearer than its flow"
    )
    verdict += f"; it is nearer in {lower} of {len(pair)} seeds"
    return (
        f"On {where}, from scratch, MMD to the data (σ = {BANDWIDTH:g}): {told('mmd')}; sliced W2: "
        f"{told('w2')}: {verdict}."
    )


def _say_density(where: str, runs: Runs) -> str:
    drawn, pair = runs.values("scratch", "mmd_energy"), runs.values("scratch", "mmd", LEARNED)
    # Exact but for the grid: it needs no test over seeds.
    least = min(or_infinite(value) for value in runs.values("scratch", "kl_energy").values())
    verdict = "it is not told from the data's density"
    if _LEAST_KL < least < math.inf:
        farther = is_lower(pair, drawn)
        verdict = f"in every seed it is another density than the data's, by {least:.2f} nats at least" + (
            ", and its draws are farther from them than the pair's"
            if farther
            else ", and its draws are not told at 99 % to be farther than the pair's"
        )
    kl, distance, edge = (
        short(runs.estimate("scratch", f"{key}_energy"), 3) for key in ("kl", "mmd", "edge")
    )
    return (
        f"exp(f)/Z on {where}, normalised on a grid (share of its mass at the edge: {edge}): "
        f"KL(data ‖ exp(f)/Z) {kl} nats, and exact draws of it lie at an MMD of {distance}: {verdict}."
    )


def _say_steps(where: str, runs: Runs) -> str:
    counts = (*TESTED, LONG)
    told = ", ".join(short(runs.estimate("scratch", "mmd", steps), 3) for steps in counts)
    learned, long = (runs.values("scratch", "mmd", steps) for steps in (LEARNED, LONG))
    verdict = (
        "the long run leaves the data"
        if is_lower(learned, long)
        else "the long run is not told to be farther"
    )
    return (
        f"The pair on {where} after {', '.join(f'{steps:,}' for steps in counts)} steps (it learned with "
        f"{LEARNED}): MMD {told}: {verdict}."
    )


def _say_as_coded(where: str, runs: Runs) -> list[str]:
    said = []
    for method in ("scratch_as_coded", "pretrained_as_coded"):
        if method in runs.methods():
            flow, pair, long = (short(runs.estimate(method, "mmd", steps), 3) for steps in (0, LEARNED, LONG))
            nearer = is_lower(runs.values(method, "mmd", LEARNED), runs.values(method, "mmd", 0))
            verdict = "nearer than its flow" if nearer else "not told to be nearer than its flow"
            kl = short(runs.estimate(method, "kl_energy"), 3)
            said.append(
                f"The {NAMES[method]} on {where}, without noise: flow {flow}, after {LEARNED} steps {pair} "
                f"({verdict}), after {LONG:,} {long}; KL(data ‖ exp(f)/Z) {kl} nats."
            )
    return said


def _say_beside(where: str, runs: Runs) -> str:
    found = []
    for method in runs.methods():
        if method == "exact":
            continue
        distance = runs.estimate(method, "mmd", 0 if method == "flow" else LEARNED)
        flow, energy = (runs.estimate(method, key) for key in ("kl_flow", "kl_energy"))
        kl = [f"its flow {short(flow, 2)}"] if method in COOPERATIVE or method == "flow" else []
        kl += [f"exp(f)/Z {short(energy, 2)}"] if method != "flow" else []
        found.append(
            (or_infinite(distance["mean"]), f"{NAMES[method]} {short(distance, 3)} ({', '.join(kl)})")
        )
    told = "; ".join(text for _, text in sorted(found))
    return f"All on {where} after as many steps of learning, MMD of the samples (KL of the data to): {told}."


def _say_digits(runs: Runs) -> list[str]:
    if not runs.records:
        return []
    table, told = _digits_table(runs), []
    for method, after in table["frechet"].items():
        at_end = method not in ("exact", "flow")
        distance = short(after[TESTED.index(LEARNED) if at_end else 0], 2)
        said = f"{NAMES[method]} {distance}" if method != "exact" else f"real digits {distance}"
        if method in COOPERATIVE:
            nearer = is_lower(runs.values(method, "frechet", LEARNED), runs.values(method, "frechet", 0))
            verdict = "the pair is nearer" if nearer else "it is not told that the pair is nearer"
            said += f" (its flow alone {short(after[0], 2)}: {verdict})"
        told.append(said)
    steps = zip(TESTED, table["frechet"]["scratch"], strict=True)
    return [
        f"On digits, {table['name']}, which is not FID: {'; '.join(told)}.",
        f"The pair on digits: {', '.join(f'{short(each, 2)} after {t} steps' for t, each in steps)}.",
    ]
