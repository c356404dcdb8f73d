"""The figure of `coopflow`: the flow, the pair and the data; two densities; the distance over T; digits.

Knows the findings of that module and nothing of how they were found.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lflow.papers import figure
from lflow.papers.coopflow_findings import COOPERATIVE, LEARNED, LONG, NAMES, PLANE, TESTED
from lflow.papers.coopflow_measures import SHOWN, box_of, draw_data
from lflow.papers.experiment import Findings, number

PAIR = figure.COLOURS["overdamped"]
SHADES = {
    "scratch": PAIR,
    "pretrained": PAIR,
    "scratch_as_coded": figure.QUIET,
    "pretrained_as_coded": figure.QUIET,
}
STYLES: dict[str, Any] = {"pretrained": (0, (4, 1.5)), "pretrained_as_coded": (0, (4, 1.5))}
COUNTS = (*TESTED, LONG)


def draw(findings: Findings) -> Any:
    """A row for each data set of points, and one for digits."""
    plane = findings["plane"]
    drawn = figure.new(12.4, 2.15 * len(plane) + 2.3)
    rows = drawn.add_gridspec(len(plane) + 1, 1, height_ratios=[*[1.0] * len(plane), 0.9])
    for place, name in enumerate(plane):
        panels = rows[place].subgridspec(1, 6, width_ratios=(1, 1, 1, 1, 1, 1.7)).subplots()
        _clouds(panels[:3], name, findings["pictures"][name], first=place == 0)
        _densities(panels[3:5], name, findings["pictures"][name], plane[name], first=place == 0)
        _over_steps(panels[5], plane[name], first=place == 0)
    _digits(rows[len(plane)].subgridspec(1, 2, width_ratios=(1, 1)).subplots()[0], findings["digits"])
    drawn.axes[-1].set_axis_off()
    return drawn


def _plain(axes: Any, name: str) -> None:
    (left, right), (low, high) = box_of(name)
    axes.set(xlim=(left, right), ylim=(low, high), xticks=[], yticks=[], aspect="equal")


def _clouds(panels: Any, name: str, picture: Findings | None, first: bool) -> None:
    titles = ("a  flow alone", f"pair: {LEARNED} steps on", "data") if first else ("", "", "")
    data = draw_data(name, 700, 0)
    clouds: list[Any] = [None, None, (data[:, 0], data[:, 1])]
    if picture is not None:
        clouds[:2] = [(picture[f"{which}_x"], picture[f"{which}_y"]) for which in ("flow", "pair")]
    for axes, title, cloud, shade in zip(panels, titles, clouds, (PAIR, PAIR, figure.INK), strict=True):
        _plain(axes, name)
        axes.set_title(title)
        if cloud is not None:
            axes.scatter(*cloud, s=1.2, color=shade, linewidths=0)
    panels[0].set_ylabel(PLANE[name])


def _densities(panels: Any, name: str, picture: Findings | None, table: Findings, first: bool) -> None:
    titles = ("b  the pair", "exp(f)/Z") if first else ("", "")
    box = box_of(name)
    for axes, title, key in zip(panels, titles, ("pair_density", "energy_density"), strict=True):
        _plain(axes, name)
        axes.set_title(title)
        if picture is not None:
            shares = np.array(picture[key]).reshape(SHOWN, SHOWN).T
            (left, right), (low, high) = box
            axes.imshow(shares, extent=(left, right, low, high), origin="lower", cmap="Blues", vmin=0)
    kl = number(table["scratch"]["kl_energy"]["mean"], 2)
    panels[1].set_xlabel(f"KL(data ‖ it) {kl} nats")


def _over_steps(axes: Any, table: Findings, first: bool) -> None:
    if first:
        axes.set_title("c  MMD to the data over T")
    places, ends = list(range(len(COUNTS))), []
    for method in COOPERATIVE:
        if method not in table:
            continue
        level, bars = figure.estimates(table[method]["mmd"])
        style = {
            "marker": "o",
            "color": SHADES[method],
            "elinewidth": 0.7,
            "linestyle": STYLES.get(method, "-"),
        }
        axes.errorbar(places, level, bars, **style)
        ends.append((*figure.last(places, level), NAMES[method], SHADES[method]))
    axes.set_xlim(-0.3, places[-1] + 0.2)
    for height, text in _levels(table):
        axes.axhline(height, color=figure.INK, linewidth=0.5, linestyle=(0, (1, 2)), zorder=1)
        ends.append((axes.get_xlim()[1], height, text, figure.INK))
    floor = table["exact"]["mmd"]["mean"]
    figure.log_axis(axes.yaxis, [0.02, 0.05, 0.1, 0.2, 0.5, 1])
    heights = [end[1] for end in ends if not math.isnan(end[1])]
    axes.set_ylim(0.8 * floor, 1.25 * max(heights))
    axes.set_xticks(places, [f"{count:,}" for count in COUNTS])
    axes.axvline(TESTED.index(LEARNED), color=figure.QUIET, linewidth=0.5, zorder=0)
    axes.set_xlabel(f"steps T of the chain (learned with {LEARNED})")
    figure.label_ends(axes, [*ends, figure.floor_line(axes, floor)], gap=0.085)


def _levels(table: Findings) -> list[tuple[float, str]]:
    """What does not depend on T, and how it is called."""
    found = [(table["scratch"]["mmd_energy"]["mean"], "exact draws of exp(f)/Z")]
    for method, steps in (("flow", 0), ("ebm_noise", LEARNED), ("ebm_persistent", LEARNED)):
        if method in table:
            found.append((table[method]["mmd"][COUNTS.index(steps)]["mean"], NAMES[method]))
    return [(level, text) for level, text in found if level is not None]


def _digits(axes: Any, table: Findings) -> None:
    rows = []
    for method, steps in table["frechet"].items():
        if method in COOPERATIVE:
            rows.append((f"{NAMES[method]}: its flow alone", steps[0]))
        place = TESTED.index(LEARNED) if len(steps) > 1 and method != "flow" else 0
        rows.append((NAMES[method], steps[place]))
    for height, (_, estimate) in enumerate(rows[::-1]):
        if estimate["mean"] is not None:
            axes.errorbar(
                estimate["mean"], height, xerr=estimate["error"], marker="o", color=PAIR, linestyle=""
            )
    axes.set_yticks(range(len(rows)), [name for name, _ in rows[::-1]])
    axes.set(title="d  digits", xlabel=f"{table['name']}, not FID", ylim=(-0.6, len(rows) - 0.4))
    axes.set_xlim(left=0)
