"""The figure of `anila`: densities of the variants on the line and on the rings, thresholds, the quartic.

Knows the findings of that module and nothing of how they were found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lflow.papers import figure
from lflow.papers.anila_laws import BINS, RANGE, variant_law
from lflow.papers.experiment import Findings, number
from lflow.samplers.anila import VARIANTS

NAMES = {
    "paper": "as printed",
    "toy_code": "toy code",
    "flowers_code": "Flowers code",
    "corrected": "corrected",
    "metropolis": "Metropolis",
    "ula": "ULA",
    "tamed_ula": "tamed ULA",
    "mala": "MALA",
    "hmc": "HMC",
    "exact": "exact draws",
}
SHADE = figure.COLOURS["anisotropic"]
STYLES = {"paper": "-", "toy_code": (0, (4, 1.5)), "flowers_code": (0, (1.5, 1.2))}
STYLES |= {"corrected": "-", "metropolis": (0, (4, 1.5))}


def colour(method: str) -> str:
    """The colour of a method's family."""
    return SHADE if method in VARIANTS else figure.INK if method == "exact" else figure.colour(method)


def draw(findings: Findings) -> Any:
    """Five densities on the line, two on the rings, and below them thresholds and the quartic."""
    drawn = figure.new(10.2, 7.6)
    rows = drawn.add_gridspec(3, 1)
    on_line = rows[0].subgridspec(1, 5).subplots(sharey=True)
    for place, method in enumerate(VARIANTS):
        _density(on_line[place], findings, "line", method)
        on_line[place].set(xlim=(-3.5, 3.5), xlabel="x", ylim=(0, 0.66))
    on_line[0].set(ylabel="density on N(0,1)")
    on_line[0].set_title("a  AniLA as printed")
    on_rings = rows[1].subgridspec(1, 2).subplots(sharey=True)
    for axes, method in zip(on_rings, ("paper", "corrected"), strict=True):
        _density(axes, findings, "rings", method)
        axes.set(xlim=(0.4, 4.6), xlabel="radius", ylim=(0, 0.82))
        axes.set_title(("b  " if method == "paper" else "") + f"four rings: {NAMES[method]}")
    on_rings[0].set(ylabel="radial density")
    threshold, quartic = rows[2].subgridspec(1, 2, width_ratios=(1.35, 1)).subplots()
    _threshold(threshold, findings)
    _quartic(quartic, findings)
    return drawn


def _density(axes: Any, findings: Findings, part: str, method: str) -> None:
    row = next(row for row in findings[part] if row["method"] == method)
    low, high = RANGE[part]
    if row["histogram"]:
        axes.stairs(row["histogram"], np.linspace(low, high, BINS + 1), fill=True, color=SHADE, alpha=0.28)
    x = torch.linspace(low, high, 1200, dtype=torch.float64)
    truth, own = (variant_law(part, name, row["b"]).at(x) for name in ("truth", method))
    axes.plot(x, truth, color=figure.INK, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.plot(x, own, color=SHADE, linewidth=1.1)
    axes.set_title(NAMES[method])
    exact = method in ("corrected", "metropolis")
    told = f"KL to e$^f$ {number(row['kl_truth']['mean'], 3)}" + (
        "" if exact else f"\nto its law {number(row['kl_own']['mean'], 3)}"
    )
    axes.annotate(told, (0.99, 0.99), xycoords="axes fraction", ha="right", va="top", fontsize=7)
    if method != "paper":
        return
    if part == "line":
        axes.annotate("target e$^f$", (0.0, 0.41), ha="center", va="bottom", fontsize=7)
        axes.annotate("its closed form", (-1.9, 0.2), (-3.4, 0.32), color=SHADE, fontsize=7)


def _threshold(axes: Any, findings: Findings) -> None:
    axes.set_title("c  Rings, equal gradients, best step of the grid")
    rows = findings["threshold"]
    ticks = sorted({row["b"] for row in rows if row["b"] is not None})
    edges = (ticks[-1] * 1.15, ticks[0] / 1.15)  # falling: with a large b every variant is ULA
    ends = []
    for method in VARIANTS:
        found = [row for row in rows if row["method"] == method]
        level, bars = figure.estimates(found)
        style = {"marker": "o", "color": SHADE, "elinewidth": 0.7, "linestyle": STYLES[method]}
        style["markerfacecolor"] = "white" if method in ("corrected", "metropolis") else SHADE
        axes.errorbar([row["b"] for row in found], level, bars, **style)
        ends.append((*figure.last(ticks[::-1], level[::-1]), NAMES[method], SHADE))
    for row in rows:
        if row["b"] is None and row["mean"] is not None:
            axes.axhline(row["mean"], color=colour(row["method"]), linewidth=0.9)
            ends.append((edges[1], row["mean"], NAMES[row["method"]], colour(row["method"])))
    figure.log_axis(axes.xaxis, ticks)
    figure.log_axis(axes.yaxis, [0.003, 0.01, 0.03, 0.1, 0.3, 1])
    levels = [row["mean"] for row in rows if row["mean"] is not None]
    axes.set(xlim=edges, ylim=(0.7 * findings["floor"]["mean"], 1.3 * max(levels)))
    axes.set(
        xlabel="threshold b (log, falling: ULA to the left)", ylabel=f"{figure.W2} within the rings (log)"
    )
    figure.label_ends(axes, [*ends, figure.floor_line(axes, findings["floor"]["mean"])], gap=0.075)


def _quartic(axes: Any, findings: Findings) -> None:
    axes.set_title("d  Quartic, h = 0.05, from far away")
    rows = findings["quartic"][::-1]
    levels = [row["w2"]["mean"] for row in rows if row["w2"]]
    for place, row in enumerate(rows):
        shade = colour(row["method"])
        if row["w2"]:
            axes.errorbar(
                row["w2"]["mean"], place, xerr=row["w2"]["error"], marker="o", color=shade, linestyle=""
            )
        else:
            told = f"diverges: {100 * row['lost']['mean']:.3g} % of the chains lost"
            axes.annotate(told, (0.03, place), xycoords=("axes fraction", "data"), va="center", color=shade)
    axes.set_yticks(range(len(rows)), [NAMES[row["method"]] for row in rows])
    figure.log_axis(axes.xaxis, [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3])
    axes.set(ylim=(-0.6, len(rows) - 0.4), xlim=(0.7 * min(levels), 1.5 * max(levels)))
    axes.set(xlabel=f"{figure.W2} of a coordinate after 500 steps (log)")
