"""What the runs of `anila --train` say: tables over training, and sentences computed from them.

Knows the records of the runs, and nothing of how they were made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from lflow.papers.experiment import (
    Findings,
    Record,
    is_lower,
    mean_and_error,
    or_infinite,
    select,
    short,
)

METHODS = {
    "rings": ("ula", "paper", "corrected", "mala"),
    "digits": ("ula", "ula_half", "paper", "corrected"),
}
RADII = [0.0125 + 0.025 * k for k in range(192)]
TITLES = {
    "ula": "ULA",
    "ula_half": "ULA with half the steps",
    "paper": "printed AniLA",
    "corrected": "corrected AniLA",
    "mala": "MALA",
}
MEASURES = {
    "w2": ("rings", "sliced W2 of the chains' ends to the rings"),
    "kl": ("rings", "KL of the rings to the learned density exp(-U)/Z"),
    "frechet": (
        "digits",
        "Fréchet distance of the chains' ends to held-out digits (features of our classifier)",
    ),
}
RUN_AWAY = {"w2": 2.0, "kl": 10.0, "frechet": math.inf}
"""From where on chains, or the energy that they taught, are nowhere near the data: a mean says no more."""
_EARLY = 0.2  # of the training, for a look at who learns faster
_MOST_EDGE = 1e-3  # of a density's mass at the edge of the grid, for its KL to be said without more


def conclude(records: Sequence[Record]) -> Findings:
    """Tables and sentences."""
    tables = {name: _table(records, name) for name in MEASURES}
    floors = {name: _floor(records, name) for name in MEASURES}
    printed = select(records, part="rings", method="paper")
    sentences = [_say_settings(records)]
    for name in MEASURES:
        sentences += [_say_last(name, tables[name], floors[name]), *_say_order(name, tables[name])]
    sentences += [*_say_away(tables["kl"]), _say_bias(printed)]
    sentences += [*_say_edge(records), *_say_lost(records)]
    radial = {method: _radial(select(records, part="rings", method=method)) for method in METHODS["rings"]}
    return {**tables, "floors": floors, "radial": radial, "sentences": sentences}


def _table(records: Sequence[Record], name: str) -> list[Findings]:
    """For each method: the measure over training, its mean and error, and each seed's values at each look."""
    part, rows = MEASURES[name][0], []
    for method in METHODS[part]:
        runs = select(records, part=part, method=method)
        looks = [list(values) for values in zip(*(run.found[name] for run in runs), strict=True)]
        curve = [mean_and_error(values) for values in looks]
        rows.append({"method": method, "at": runs[0].found["at"], "curve": curve, "looks": looks})
    return rows


def _floor(records: Sequence[Record], name: str) -> float | None:
    """What data of the same number show in the place of chains; of a KL none."""
    floor: float | None = select(records, part=MEASURES[name][0])[0].found["floor"]
    return None if name == "kl" else floor


def _radial(runs: Sequence[Record]) -> list[float] | None:
    """The mean over seeds; None where one of them was lost or ran away."""
    found = [run.found["radial"] for run in runs]
    whole = all(or_infinite(run.found["kl"][-1]) < RUN_AWAY["kl"] for run in runs) and None not in found
    return torch.tensor(found).mean(0).tolist() if whole else None


def _say_settings(records: Sequence[Record]) -> str:
    def of(part: str) -> str:
        config = select(records, part=part, method="paper")[0].config
        settings = f"h = {config['h']:g}, b = {config['b']:g}, {config['steps']} iterations"
        return f"{config['gradients']} gradients on {part} ({settings})"

    return (
        f"In an iteration each chain takes {of('rings')}, {of('digits')}, whatever the method; corrected "
        "AniLA, whose γ is smooth here, takes half as many steps, for each costs two. Network, data, noise, "
        "seeds and h are shared, and h is tuned for none."
    )


def _say_last(name: str, rows: Sequence[Findings], floor: float | None) -> str:
    def tell(row: Findings) -> str:
        if away := _away(row, name):
            return f"{TITLES[row['method']]} ran away in {len(away)} of {len(row['looks'][-1])} seeds"
        worst = max(or_infinite(value) for value in row["looks"][-1])
        told = f" (worst seed {worst:.3f})" if math.isfinite(worst) else ""
        return f"{TITLES[row['method']]} {short(row['curve'][-1], 3)}{told}"

    beside = "" if floor is None else f"; data in the place of chains show {floor:.3f}"
    return f"At the end the {MEASURES[name][1]} is: {', '.join(map(tell, rows))}{beside}."


def _away(row: Findings, name: str) -> list[int]:
    """The seeds whose last value is beyond all bounds, and not lost."""
    last = row["looks"][-1]
    return [seed for seed, value in enumerate(last) if value is not None and value > RUN_AWAY[name]]


def _say_away(rows: Sequence[Findings]) -> list[str]:
    """When the energies of a method were first seen to run away."""
    told = []
    for row in rows:
        first = [
            at
            for at, look in zip(row["at"], row["looks"], strict=True)
            if any(value is not None and value > RUN_AWAY["kl"] for value in look)
        ]
        if first:
            told.append(f"{TITLES[row['method']]} at {first[0]:,}")
    if not told:
        return []
    return [
        "Energies that grow too steep for the step run away; seen first, in iterations, with "
        f"{', '.join(told)} (KL above {RUN_AWAY['kl']:g} nats on some seed)."
    ]


def _say_order(name: str, rows: Sequence[Findings]) -> list[str]:
    """Who is lower and who is higher than ULA, early and at the end, by the paired test."""
    looks = len(rows[0]["looks"])
    early = max(0, round(_EARLY * looks) - 1)
    return [_compare(rows, look, when) for look, when in ((early, "a fifth"), (looks - 1, "the whole"))]


def _compare(rows: Sequence[Findings], look: int, when: str) -> str:
    values = {row["method"]: dict(enumerate(row["looks"][look])) for row in rows}
    others = [method for method in values if method != "ula"]
    lower = [TITLES[m] for m in others if is_lower(values[m], values["ula"])]
    higher = [TITLES[m] for m in others if is_lower(values["ula"], values[m])]
    told = [f"lower for {', '.join(lower)}"] if lower else []
    told += [f"higher for {', '.join(higher)}"] if higher else []
    test = f"a paired test at 99 %, {len(values['ula'])} seeds"
    verdict = " and ".join(told) or "different for none of them"
    return f"After {when} of the training it is, against ULA ({test}), {verdict}."


def _say_bias(printed: Sequence[Record]) -> str:
    learned = [run.found["kl"][-1] for run in printed]
    own = [run.found["kl_own"] for run in printed]
    nearer = is_lower(dict(enumerate(own)), dict(enumerate(learned)))
    verdict = "is nearer to the rings" if nearer else "is not seen nearer to the rings (paired, 99 %)"
    return (
        "The law of printed AniLA's chains on the energy that they taught, exp(-U)·max(1, |∇U|/b), "
        f"{verdict}: KL {short(mean_and_error(own), 3)}, against {short(mean_and_error(learned), 3)} of the "
        "density exp(-U)."
    )


def _say_edge(records: Sequence[Record]) -> list[str]:
    over = {
        TITLES[run.config["method"]]
        for run in select(records, part="rings")
        if run.found["edge"] is not None and run.found["edge"] > _MOST_EDGE
    }
    if not over:
        return []
    return [
        f"Of {', '.join(sorted(over))} some learned density has mass at the edge of the grid: its true KL is "
        "larger than what is said."
    ]


def _say_lost(records: Sequence[Record]) -> list[str]:
    lost = [run for run in records if run.found["lost"]]
    if not lost:
        return []
    told = sorted({f"{TITLES[run.config['method']]} ({run.config['part']})" for run in lost})
    return [f"Weights or chains were lost in {len(lost)} of {len(records)} runs: {', '.join(told)}."]
