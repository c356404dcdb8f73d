"""The figure of `latent_flow`: the plane of z, who tells inferred z from the prior, likelihoods, anomalies.

Knows the findings of that module and nothing of how they were found.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch

from lflow.papers import figure
from lflow.papers.experiment import Findings
from lflow.papers.latent_flow import LONGER
from lflow.papers.latent_flow_findings import NAMES, PLAIN, title

SHADES = {
    "gaussian": figure.QUIET,
    "flow": figure.COLOURS["overdamped"],
    "ebm": figure.COLOURS["midpoint"],
    "pca": figure.INK,
    "knn": figure.INK,
}
VIEW = 3.6  # of the plane, each way


def draw(findings: Findings) -> Any:
    """Three clouds; below them accuracies, errors over the chain's length, and rankings of anomalies."""
    drawn = figure.new(10.2, 7.6)
    rows = drawn.add_gridspec(2, 1, height_ratios=(1, 1.3))
    _clouds(rows[0].subgridspec(1, 3).subplots(sharex=True, sharey=True), findings["plane"])
    below = rows[1].subgridspec(1, 2, width_ratios=(1.5, 1))
    left = below[0].subgridspec(2, 1).subplots()
    _accuracies(left[0], findings["compare"])
    _errors(left[1], findings["compare"][0])
    _anomalies(drawn.add_subplot(below[1]), findings["anomaly"][0])
    return drawn


def _clouds(axes: Any, points: Findings) -> None:
    inferred, prior = points["inferred"], points["prior"]
    normal = torch.randn(len(prior), 2, generator=torch.Generator().manual_seed(0)).tolist()
    panels = {
        "a  z inferred for held-out digits": (inferred, figure.COLOURS["anisotropic"]),
        "drawn from the flow": (prior, SHADES["flow"]),
        "drawn from N(0, I)": (normal, SHADES["gaussian"]),
    }
    for place, (name, (cloud, shade)) in zip(axes, panels.items(), strict=True):
        place.plot(
            *zip(*cloud, strict=True), linestyle="", marker="o", markersize=2.2, color=shade, alpha=0.7
        )
        place.set(xlim=(-VIEW, VIEW), ylim=(-VIEW, VIEW), aspect="equal", xlabel="z₁")
        place.set_title(name)
    axes[0].set(ylabel="z₂")


def _accuracies(axes: Any, tables: list[Findings]) -> None:
    axes.set_title("b  Inferred z told from the prior")
    places = [(table, name) for table in tables for name in ("nearest", "classifier")]
    for place, (table, name) in enumerate(places):
        for shift, row in enumerate(table["rows"]):
            level, error = 100 * row[name]["mean"], 100 * (row[name]["error"] or 0.0)
            height = place + 0.22 * (shift - 1)
            axes.errorbar(level, height, xerr=error, marker="o", linestyle="", color=SHADES[row["method"]])
    axes.axvline(50, color=figure.INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=1)
    judges = {"nearest": "1-NN", "classifier": "SVM"}
    names = [
        f"{'MNIST' if table['data'] == 'mnist' else 'digits'}, {table['latent_dim']}-D: {judges[name]}"
        for table, name in places
    ]
    axes.set_yticks(range(len(places)), names)
    axes.set(ylim=(len(places) - 0.5, -0.5), xlabel="% (50: not at all)")


def _errors(axes: Any, table: Findings) -> None:
    axes.set_title("c  Squared error of a pixel, digits")
    ends = []
    for row in table["rows"]:
        level, bars = figure.estimates(row["squared_error"])
        axes.errorbar(LONGER, level, bars, marker="o", color=SHADES[row["method"]])
        ends.append((*figure.last(LONGER, level), NAMES[row["method"]], SHADES[row["method"]]))
    figure.log_axis(axes.xaxis, LONGER)
    axes.set(xlabel="length of the chain, in those of training (log)", ylim=(0, None))
    figure.label_ends(axes, ends, gap=0.14)


def _anomalies(axes: Any, table: Findings) -> None:
    axes.set_title("d  A digit left out: average precision")
    rows = sorted(table["rows"], key=lambda row: row["mean"])
    for place, row in enumerate(rows):
        shade = SHADES[row["method"]]
        face = "white" if row["method"] in PLAIN else shade
        axes.barh(place, row["mean"], 0.62, color=face, edgecolor=shade, alpha=0.75, linewidth=0.8)
        spots = list(row["by_digit"].values())
        axes.plot(spots, [place] * len(spots), linestyle="", marker="|", markersize=6, color=shade)
        if row["error"]:
            axes.errorbar(row["mean"], place, xerr=row["error"], color=figure.INK, elinewidth=0.9)
    rate = statistics.fmean(table["base_rates"].values())
    axes.axvline(rate, color=figure.INK, linewidth=0.6, linestyle=(0, (4, 3)))
    axes.annotate("base rate", (rate, len(rows) - 0.45), ha="center", va="bottom", fontsize=7)
    axes.set_yticks(range(len(rows)), [title(row) for row in rows])
    axes.set(xlim=(0, 1), ylim=(-0.6, len(rows)), xlabel="mean over digits (bar), each digit (stroke)")
