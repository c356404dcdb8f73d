"""The figure of `langevin_vae`: gaps to a known log p(x), energies, likelihoods of digits, and costs.

Knows the findings of that module and nothing of how they were found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lflow.papers import figure
from lflow.papers.experiment import Findings
from lflow.papers.langevin_vae_gaussian import HALVED
from lflow.papers.langevin_vae_sentences import NAMES

SHADES = {
    "vae": figure.QUIET,
    "iwae": figure.INK,
    "hvae": figure.COLOURS["overdamped"],
    "deterministic": figure.COLOURS["underdamped"],
    "noisy": figure.COLOURS["anisotropic"],
    "reverse_kernel": figure.COLOURS["accept"],
}
MARKS = ("o", "s", "^")  # of the numbers of steps
DASHED = (0, (4, 1.5))
SHORT = {
    "vae": "VAE",
    "hvae": "HVAE",
    "hvae_tempered": "HVAE, T₀ = 2",
    "deterministic_0.1": "Langevin, σ = 0, ν = 0.1",
    "deterministic_0.5": "Langevin, σ = 0, ν = 0.5",
    "noisy_0.1": "Langevin, σ² = 2ν, ν = 0.1",
    "noisy_0.5": "Langevin, σ² = 2ν, ν = 0.5",
    "reverse_kernel_0.5": "reverse kernel, ν = 0.5",
}
LOWEST = -14.0  # of a gap that is drawn


def draw(findings: Findings) -> Any:
    """Above the Gaussian, below it digits and costs."""
    drawn = figure.new(11.6, 6.6)
    above, below = drawn.add_gridspec(2, 1, height_ratios=(1, 1.05))
    panels = above.subgridspec(1, 3, width_ratios=(1, 1, 0.8)).subplots()
    panels[0].set_title("a  Gaussian, q exact")
    _gaps(panels[0], [row for row in findings["bounds"] if row["start"] == "exact"], "num_steps")
    panels[0].set(xlabel="K, steps (log)")
    panels[1].set_title("b  Gaussian, q shifted and wide")
    _gaps(panels[1], [row for row in findings["bounds"] if row["start"] == "wide"], "gradients")
    panels[1].set(xlabel="gradients of log p(x, z) (log)")
    _energies(panels[2], findings["correct"])
    panels = below.subgridspec(1, 3, width_ratios=(1, 1, 0.8)).subplots()
    without = next(r["gap"][0] for r in findings["bounds"] if (r["method"], r["start"]) == ("vae", "wide"))
    _tuned(panels[0], findings["tuned"], without)
    _likelihoods(panels[1], findings["compare"][0])
    _costs(panels[2], findings["compare"][0])
    return drawn


def _kind(method: str) -> str:
    """The method whose colour it has."""
    return next(kind for kind in reversed(SHADES) if method.startswith(kind))


def _style(method: str) -> Any:
    return DASHED if method in ("hvae_tempered", "hvae_fixed") or method.endswith("0.1") else "-"


def _gaps(axes: Any, rows: Sequence[Findings], over: str) -> None:
    """Over K or over gradients; the VAE, which has neither, as a line across."""
    ends = []
    ticks = next(row["num_steps"] for row in rows if row["method"] == "hvae")
    for row in [row for row in rows if row["method"] != "vae"]:
        shade = SHADES[_kind(row["method"])]
        drawn = [
            (x, gap) for x, gap in zip(row[over], row["gap"], strict=True) if gap is not None and gap > LOWEST
        ]
        xs, ys = zip(*drawn, strict=True)
        axes.plot(xs, ys, marker="o", color=shade, linestyle=_style(row["method"]))
        ends.append((xs[-1], ys[-1], SHORT[row["method"]], shade))
    axes.axhline(0, color=figure.INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=1.1)
    without = next(row["gap"][0] for row in rows if row["method"] == "vae")
    axes.axhline(without, color=SHADES["vae"], linewidth=2.2, alpha=0.6, zorder=1)
    figure.log_axis(axes.xaxis, ticks)
    axes.set(ylabel="bound - log p(x), nats", ylim=(LOWEST, 1.6))
    ends.append((axes.get_xlim()[1], without, "VAE", SHADES["vae"]))
    figure.label_ends(axes, ends, gap=0.068)


def _energies(axes: Any, found: Findings) -> None:
    axes.set_title("c  Error of the energy, σ = 0")
    ends = []
    shades = (figure.COLOURS["underdamped"], figure.INK, figure.QUIET)
    for (friction, errors), shade in zip(found["energies"].items(), shades, strict=True):
        axes.plot(HALVED, errors, marker="o", color=shade)
        ends.append((HALVED[0], errors[0], f"ν = {float(friction):g}", shade))
    square = [found["energies"]["0.0"][-1] * (h / HALVED[-1]) ** 2 for h in HALVED]
    axes.plot(HALVED, square, color=figure.INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=3)
    axes.set(yscale="log", xlabel="ε (log; the dashed line is ε²)", ylabel="mean |H - H₀|")
    figure.log_axis(axes.xaxis, HALVED)
    figure.label_ends(axes, ends, gap=0.1)


def _tuned(axes: Any, rows: Sequence[Findings], without: float) -> None:
    axes.set_title("d  Gaussian, q wide: steps learned, K = 5")
    order = sorted(rows, key=lambda row: row["gap"][row["num_steps"].index(5)])
    for place, row in enumerate(order):
        at = row["num_steps"].index(5)
        axes.barh(place, row["gap"][at], 0.62, color=SHADES[_kind(row["method"])], alpha=0.75)
        axes.errorbar(row["gap"][at], place, xerr=row["error"][at], color=figure.INK, elinewidth=0.9)
    axes.axvline(without, color=SHADES["vae"], linewidth=2.2, alpha=0.6, zorder=0)
    axes.text(without, len(order) - 0.5, " VAE", color=SHADES["vae"], va="top", fontsize=7.5)
    axes.set_yticks(range(len(order)), [NAMES[row["method"]] for row in order])
    axes.set(xlabel="bound - log p(x), nats", ylim=(-0.6, len(order) - 0.4))


def _likelihoods(axes: Any, table: Findings) -> None:
    axes.set_title("e  Digits: log p(x)")
    methods = list(dict.fromkeys(row["method"] for row in table["rows"]))
    counts = table["counts"]
    for row in [row for row in table["rows"] if row["log_likelihood"]["mean"] is not None]:
        count, level = row["num_steps"], row["log_likelihood"]
        shift = counts.index(count) - (len(counts) - 1) / 2 if count else 0.0
        axes.errorbar(
            level["mean"],
            methods.index(row["method"]) + 0.22 * shift,
            xerr=level["error"] or 0.0,
            marker=MARKS[counts.index(count)] if count else "d",
            linestyle="",
            color=SHADES[_kind(row["method"])],
        )
    for count, mark in zip(counts, MARKS, strict=False):
        axes.plot([], [], mark, color=figure.INK, label=f"K = {count}")
    axes.legend(frameon=False, fontsize=7, loc="best")
    axes.set_yticks(range(len(methods)), [NAMES[method] for method in methods])
    axes.locator_params(axis="x", nbins=4)
    axes.set(ylim=(len(methods) - 0.5, -0.5), xlabel="nats, mean ± standard error over seeds")


def _costs(axes: Any, table: Findings) -> None:
    axes.set_title("f  Digits: a step of training")
    kept = [row for row in table["rows"] if row["seconds"]["mean"] is not None]
    ends = []
    for method in dict.fromkeys(row["method"] for row in kept):
        of = [row for row in kept if row["method"] == method]
        gradients = [row["gradients"]["mean"] for row in of]
        milliseconds = [1000 * row["seconds"]["mean"] for row in of]
        shade = SHADES[_kind(method)]
        axes.plot(gradients, milliseconds, linestyle=_style(method), color=shade, linewidth=0.8)
        for row, x, y in zip(of, gradients, milliseconds, strict=True):
            mark = MARKS[table["counts"].index(row["num_steps"])] if row["num_steps"] else "d"
            axes.plot(x, y, marker=mark, color=shade)
        ends.append((gradients[-1], milliseconds[-1], NAMES[method], shade))
    axes.set(
        xlabel="gradients of log p(x, z) a data point",
        ylabel="processor's ms, batch of 100",
        ylim=(0, 1.15 * max((end[1] for end in ends), default=1.0)),
    )
    figure.label_ends(axes, ends, gap=0.085)
