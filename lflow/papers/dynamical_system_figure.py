"""The figure of `dynamical_system`: variances, budgets, and constant against falling steps.

Knows the findings of that module and nothing of how they were found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lflow.papers import figure
from lflow.papers.dynamical_system_laws import DECAY, INNER, METHODS, VARIANCE, WRONG
from lflow.papers.experiment import Findings

NAMES = {
    "ula": "ULA",
    "rmm": "RMM",
    "ormm": "ORMM",
    "srk": "SRK",
    "leimkuhler_matthews": "Leimkuhler-Matthews",
    "proximal": "proximal",
    "mala": "MALA",
    WRONG: "RMM, independent noises",
}
# Lines of one family share its colour: what tells them apart is their name at the end, and the marker.
MARKERS = {
    "ula": "o",
    "proximal": "s",
    "leimkuhler_matthews": "^",
    "rmm": "o",
    "ormm": "D",
    "srk": "s",
    "mala": "o",
}


def colour(method: str) -> str:
    """The colour of a method's family."""
    return figure.colour("rmm" if method == WRONG else method)


def draw(findings: Findings) -> Any:
    """Three panels."""
    drawn = figure.new(11.2, 3.5)
    variance, budget, decay = drawn.subplots(1, 3)
    _variance(variance, findings)
    _budget(budget, findings)
    _decay(decay, findings)
    return drawn


def _variance(axes: Any, findings: Findings) -> None:
    axes.set_title("a  Stationary variance on N(0,1)")
    h = np.linspace(0.01, 0.55, 60)
    ends = []
    for method, formula in VARIANCE.items():
        curve = [formula(each) for each in h]
        style = (0, (3, 2)) if method == WRONG else "-"
        axes.plot(h, curve, color=colour(method), linestyle=style, linewidth=1)
        rows = [row for row in findings["variance"] if row["method"] == method]
        axes.plot(
            [row["h"] for row in rows],
            figure.estimates(rows)[0],
            MARKERS.get(method, "o"),
            color=colour(method),
        )
        if method != "mala":
            name = "L-M, MALA (exact)" if method == "leimkuhler_matthews" else NAMES[method]
            ends.append((h[-1], curve[-1], name, colour(method)))
    axes.set(xlim=(0, 0.55), ylim=(0.7, 2.05), xlabel="step size h", ylabel="variance (lines: closed form)")
    axes.set_xticks([0, 0.1, 0.25, 0.5])
    figure.label_ends(axes, ends)


def _budget(axes: Any, findings: Findings) -> None:
    axes.set_title("b  Equal gradients, best step of the grid")
    ends, rows = [], findings["budget"]
    counts = sorted({row["gradients"] for row in rows})
    for method in METHODS:
        found = [row for row in rows if row["method"] == method]
        level, bars = figure.estimates(found)
        style = {"marker": MARKERS[method], "color": colour(method), "elinewidth": 0.7}
        axes.errorbar(counts, level, bars, **style)
        name = f"proximal, {INNER} inner steps" if method == "proximal" else NAMES[method]
        ends.append((*figure.last(counts, level), name, colour(method)))
    axes.set(xlabel="gradient evaluations (log)", ylabel=f"{figure.W2} of the last iterate (log)")
    _finish(axes, counts, findings["floors"]["budget"]["mean"], rows, ends)


def _decay(axes: Any, findings: Findings) -> None:
    axes.set_title("c  Constant (thin) and falling steps (thick)")
    ends, points = [], []
    for row in findings["decay"]:
        level, _ = figure.estimates(row["w2"])
        falls = row["rule"] == "polynomial"
        style = {"linestyle": (0, (3, 2)) if row["method"] == WRONG else "-", "color": colour(row["method"])}
        axes.plot(
            row["gradients"], level, **style, linewidth=1.5 if falls else 0.7, alpha=1 if falls else 0.75
        )
        name = NAMES[row["method"]] + ("" if falls else ", constant")
        ends.append((*figure.last(row["gradients"], level), name, colour(row["method"])))
        points += row["w2"]
    last = findings["decay"][0]["gradients"][-1]
    h, power, offset = DECAY["step_size"], DECAY["power"], DECAY["offset"]
    steps = f"h = {h:g}, or {h:g}·(1 + k/{offset:g})$^{{-{power:g}}}$"
    axes.set(xlabel=f"gradient evaluations (log)\n{steps}", ylabel=f"{figure.W2} of the last iterate (log)")
    counts = [count for count in (30, 100, 300, 1000, 3000) if count <= last]
    _finish(axes, counts, findings["floors"]["decay"]["mean"], points, ends)


def _finish(axes: Any, counts: list[int], floor: float, rows: Any, ends: Any) -> None:
    figure.log_axis(axes.xaxis, counts)
    figure.log_axis(axes.yaxis, [0.003, 0.01, 0.03, 0.1, 0.3, 1])
    axes.set_ylim(0.6 * floor, 1.3 * max(row["mean"] for row in rows if row["mean"] is not None))
    figure.label_ends(axes, [*ends, figure.floor_line(axes, floor)])
