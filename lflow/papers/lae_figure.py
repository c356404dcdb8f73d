"""The figure of `lae`: the error against d/n, what conditioning does, the toy's posteriors, and the models.

Knows the findings of that module and nothing of how they were found.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from lflow.papers import figure
from lflow.papers.experiment import Findings
from lflow.papers.lae_findings import RATIOS, REFERENCES, TOY, traces
from lflow.papers.lae_toy import REACH, SHOWN_METHODS
from lflow.papers.protocol_findings import NAMES

SHADES = {
    **dict.fromkeys(REFERENCES, figure.QUIET),
    "map": figure.INK,
    "lae": figure.COLOURS["overdamped"],
    "lae_mh": figure.COLOURS["accept"],
    "clae": figure.COLOURS["anisotropic"],
    "clae_still": figure.COLOURS["midpoint"],
}
TEST = {False: figure.COLOURS["overdamped"], True: figure.COLOURS["accept"]}
TOY_SHADES = {
    "variational": figure.QUIET,
    "langevin": figure.COLOURS["underdamped"],
    "amortised": figure.COLOURS["overdamped"],  # LAE's
    "evened": figure.INK,
}
RATIO_MARKS = {1: "o", 2: "s", 8: "^"}
SHIFT = {False: 0.95, True: 1.05}  # that bars of the two do not lie on each other
MARKS = {1: "o", 2: "s"}
VIEW = 2.9  # of the plane of z, each way
ROUND = {0.5: "½", 1: "1", 2: "2", 8: "8"}


def draw(findings: Findings) -> Any:
    """Above the law; below it the toy to the left, and the models to the right."""
    drawn = figure.new(10.6, 8.4)
    rows = drawn.add_gridspec(2, 1, height_ratios=(1, 1.5))
    above = rows[0].subgridspec(1, 3).subplots()
    _errors(above[0], findings["laws"])
    _conditions(above[1], findings["laws"])
    _toy_conditions(above[2], findings["toy"])
    below = rows[1].subgridspec(1, 2, width_ratios=(1.45, 1))
    _posteriors(below[0].subgridspec(3, 4).subplots(sharex=True, sharey=True), findings["toy"])
    right = below[1].subgridspec(3, 1, height_ratios=(1.15, 1.15, 0.8)).subplots()
    table = findings["compare"][0]
    _models(right[0], table, "log_likelihood", "e  log p(x) of digits, nats")
    _models(right[1], table, "squared_error", "f  Squared error of a pixel")
    _trace(right[2], table)
    return drawn


def _errors(axes: Any, rows: Sequence[Findings]) -> None:
    axes.set_title("a  Gaussian posteriors: error of the marginals")
    figure.log_axis(axes.xaxis, RATIOS)
    figure.log_axis(axes.yaxis, (0.01, 0.03, 0.1, 0.3, 1))
    for dim, mark in MARKS.items():
        for metropolis, shade in TEST.items():
            chosen = [row for row in rows if row["dim"] == dim and row["metropolis"] == metropolis]
            level, bars = figure.estimates([row["error"] for row in chosen])
            places = [row["ratio"] * SHIFT[metropolis] for row in chosen]
            face = shade if dim == 1 else "white"
            axes.errorbar(places, level, bars, marker=mark, linestyle="", color=shade, markerfacecolor=face)
            if not metropolis:
                exact = [row["predicted"]["mean"] for row in chosen]
                axes.plot(RATIOS, exact, color=shade, linewidth=0.8, linestyle="-" if dim == 1 else ":")
    floors = [row["floor"]["mean"] for row in rows]
    axes.axhspan(min(floors), max(floors), color=figure.QUIET, alpha=0.2, linewidth=0)
    axes.text(RATIOS[0], min(floors), "exact draws", color=figure.INK, va="top", fontsize=7)
    axes.axvline(1, color=figure.INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=1)
    axes.set(xlabel="d/n (log)", ylabel="standard deviations (log)", xlim=(0.42, 9.5))
    axes.plot([], [], "o", color=TEST[False], label="ULA, z of one number")
    axes.plot([], [], "s", color=TEST[False], markerfacecolor="white", label="ULA, of two")
    axes.plot([], [], "o", color=TEST[True], label="Metropolis-Hastings, of one")
    axes.plot([], [], "s", color=TEST[True], markerfacecolor="white", label="Metropolis-Hastings, of two")
    axes.plot([], [], color=TEST[False], linewidth=0.8, label="ULA's exact law, of one")
    axes.plot([], [], color=TEST[False], linewidth=0.8, linestyle=":", label="ULA's exact law, of two")
    axes.legend(frameon=False, fontsize=6.5, loc="upper right")


def _conditions(axes: Any, rows: Sequence[Findings]) -> None:
    axes.set_title("b  The same runs: what is slow")
    axes.set(xscale="log", xlabel="condition number of GGᵀ (log)", ylabel="standard deviations (log)")
    figure.log_axis(axes.yaxis, (0.01, 0.03, 0.1, 0.3, 1))
    for ratio, mark in RATIO_MARKS.items():
        for metropolis, shade in TEST.items():
            of = [row for row in rows if row["ratio"] == ratio and row["metropolis"] == metropolis]
            points = [point for row in of for point in row["points"]]
            axes.plot(*zip(*points, strict=True), linestyle="", marker=mark, color=shade, alpha=0.8)
        axes.plot([], [], linestyle="", marker=mark, color=figure.INK, label=f"d/n = {ROUND[ratio]}")
    axes.plot([], [], " ", label="d/n = ½: GGᵀ is singular")
    axes.legend(frameon=False, fontsize=7, loc="best")


def _toy_conditions(axes: Any, toy: Findings) -> None:
    axes.set_title("c  A random decoder: distance to the grid")
    wide = max(toy["conditions"]) > 50 * min(toy["conditions"])
    figure.log_axis(
        axes.xaxis, [k * 10.0**power for power in range(9) for k in ((1,) if wide else (1, 2, 5))]
    )
    axes.set(xlabel="condition number of GGᵀ (log)", ylabel="sliced $W_2$, standard deviations")
    for name, shade in TOY_SHADES.items():
        distances = list(toy["by_seed"][name].values())
        axes.plot(toy["conditions"], distances, linestyle="", marker="o", color=shade, label=TOY[name])
    axes.axhline(toy["floor"]["mean"], color=figure.INK, linewidth=0.6, linestyle=(0, (4, 3)))
    top = 1.5 * max(value for name in TOY for value in toy["by_seed"][name].values())
    axes.set(ylim=(0, top))
    axes.text(1, toy["floor"]["mean"], "exact draws ", transform=axes.get_yaxis_transform(), **_ABOVE)
    axes.legend(frameon=False, fontsize=7, loc="upper left")


_ABOVE = {"ha": "right", "va": "bottom", "fontsize": 7, "color": figure.INK}


def _posteriors(axes: Any, toy: Findings) -> None:
    extent = (-REACH, REACH, -REACH, REACH)
    for row, grid in zip(axes, toy["grid"], strict=True):
        for place in row:
            place.contour(
                grid, levels=(0.05, 0.25, 0.6), extent=extent, colors=figure.INK, linewidths=0.6, alpha=0.8
            )
            place.set(xlim=(-VIEW, VIEW), ylim=(-VIEW, VIEW), aspect="equal", xticks=(), yticks=())
        row[0].imshow(grid, extent=extent, origin="lower", cmap="Greys", vmin=0, vmax=1.3)
    for column, name in enumerate(SHOWN_METHODS, start=1):
        for place, cloud in zip(axes[:, column], toy["points"][name], strict=True):
            place.plot(
                *zip(*cloud, strict=True),
                linestyle="",
                marker="o",
                markersize=1.8,
                color=TOY_SHADES[name],
                alpha=0.55,
                markeredgewidth=0,
            )
    axes[0, 0].set_title("d  p(z | x), grid")
    for place, name in zip(axes[0, 1:], SHOWN_METHODS, strict=True):
        place.set_title(TOY[name], fontweight="normal", fontsize=8)
    for row, name in zip(axes, ("first datum", "second", "third"), strict=True):
        row[0].set_ylabel(f"{name}: z₂")
    for place in axes[-1]:
        place.set_xlabel(f"z₁, -{VIEW:g} to {VIEW:g}", fontsize=7)


def _models(axes: Any, table: Findings, name: str, title: str) -> None:
    axes.set_title(title)
    kept = [row for row in table["rows"] if row[name]["mean"] is not None]
    for place, row in enumerate(kept):
        shade = SHADES[row["method"]]
        axes.plot(
            list(row["by_seed"][name].values()),
            [place] * len(row["by_seed"][name]),
            linestyle="",
            marker="|",
            markersize=7,
            color=shade,
        )
        error = row[name]["error"] or 0.0
        axes.errorbar(row[name]["mean"], place, xerr=error, marker="o", markersize=4, color=shade)
    axes.set_yticks(range(len(kept)), [NAMES[row["method"]] for row in kept], fontsize=7)
    axes.set(ylim=(len(kept) - 0.4, -0.6))


def _trace(axes: Any, table: Findings) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_title("g  As LAE with the test learns")
    row = next(row for row in table["rows"] if row["method"] == "lae_mh")
    seen = [point for trace in traces(row) for point in trace]
    if not seen:
        axes.set_axis_off()
        return
    steps = sorted({point["step"] for point in seen})
    by_step = [[point for point in seen if point["step"] == step] for step in steps]
    accepted = [statistics.fmean(point["acceptance"] for point in points) for points in by_step]
    axes.plot(steps, accepted, marker="o", color=SHADES["lae_mh"])
    axes.set(ylim=(0, 1.08), xlabel="steps of training", ylabel="accepted")
    other = axes.twinx()
    conditions = [statistics.median(point["condition"] for point in points) for points in by_step]
    other.plot(steps, conditions, marker="s", color=figure.INK, linewidth=0.8, linestyle=":")
    ends = math.floor(math.log10(min(conditions))), math.ceil(math.log10(max(conditions)) + 0.01)
    ticks = [10.0**power for power in range(ends[0], ends[1] + 1)]
    other.set(ylabel="condition of GGᵀ\n(log, dotted)", yscale="log", ylim=(ticks[0], ticks[-1]))
    other.set_yticks(ticks)
    other.yaxis.set_minor_locator(NullLocator())
    other.spines["right"].set_visible(True)
