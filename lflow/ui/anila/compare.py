"""The views of the page AniLA that compare methods: bias over b, where chains are lost, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from lflow.papers.experiment import Record
from lflow.samplers.anila import VARIANTS
from lflow.ui.anila import controls, edge_chart, keys, read, style
from lflow.ui.anila import cost as anila_cost
from lflow.ui.anila import words_compare as compare
from lflow.ui.anila.charts import Axes, Curve, Level, curves
from lflow.ui.anila.runs import (
    BUDGETS,
    CHAINS,
    COMPARED,
    EDGE_STEPS,
    Target,
    bias_name,
    edge_jobs,
    reported_jobs,
    tuning_jobs,
    work,
)
from lflow.ui.anila.typeset import sentences, table
from lflow.ui.anila.words import WHERE
from lflow.ui.explain import number
from lflow.ui.study import collect

Picture = Callable[[], None]


def _records(name: str, target: Target) -> tuple[list[Record], list[Record]]:
    """The runs that choose the step sizes, and those with the chosen ones."""
    tuned = collect(bias_name(name), work, tuning_jobs(target))
    return tuned, collect(bias_name(name), work, reported_jobs(target, tuned))


def bias(seed: int) -> Picture:
    """The controls of "Bias and b"; what it shows."""
    name, target = controls.choose_target()
    b = controls.choose_threshold(name)
    gradients = int(controls.control(keys.GRADIENTS, "Gradients a particle"))
    return lambda: _show_bias(name, target, read.nearest(target.thresholds, b), gradients)


def _show_bias(name: str, target: Target, b: float, gradients: int) -> None:
    tuned, reported = _records(name, target)
    rows, floor = read.bias_rows(tuned, reported, gradients), read.floor(reported)
    lines = [_over_b([row for row in rows if row.method == method]) for method in VARIANTS]
    across = [
        Level(r.method, r.w2.mean, r.w2.low, r.w2.high) for r in rows if r.method in ("ula", "mala") and r.w2
    ]
    across.append(Level("exact", floor.mean, floor.low, floor.high))
    axes = Axes(
        "threshold b (log, falling)",
        f"{_distance(target)} (log)",
        target.thresholds,
        falling=True,
        cursor=b,
    )
    said = compare.bias(name, rows, b, floor)
    st.altair_chart(curves(lines, across, axes), alt=f"Distance to {WHERE[name]} over b. {' '.join(said)}")
    sentences(said)
    _bias_table(read.at_threshold(rows, b), floor, b)
    st.caption(
        f"{gradients:,} gradients a particle, {CHAINS:,} particles from 2·N(0, I). Each point with the "
        "best of "
        f"{len(target.steps)} step sizes, chosen by a seed of its own; five other seeds, the band from the "
        "lowest "
        f"to the highest. {_about_distance(target)} The dotted line is b = {number(b)}, of the thresholds "
        "that ran "
        "the nearest to yours."
    )


def _over_b(rows: Sequence[read.BiasRow]) -> Curve:
    found = [row.w2 for row in rows]
    means, lows, highs = (
        [None if w is None else getattr(w, n) for w in found] for n in ("mean", "low", "high")
    )
    return Curve(rows[0].method if rows else "paper", [row.b or 0.0 for row in rows], means, lows, highs)


def _distance(target: Target) -> str:
    return "W2 within the rings" if target.part == "rings" else "W2 to e^f"


def _about_distance(target: Target) -> str:
    if target.part == "rings":
        return "Each ring counts by itself: no short run sets the shares of the rings right."
    return "The target is even: each cloud is taken together with its mirror image."


def _bias_table(rows: Sequence[read.BiasRow], floor: read.Spread, b: float) -> None:
    found = [
        (
            style.title(row.method),
            "–" if row.h is None else f"{row.h:g}",
            _spread(row.w2),
            "lost" if row.w2 is None else f"{number(row.w2.mean / floor.mean)}×",
        )
        for row in rows
    ]
    found.append((style.title("exact"), "–", _spread(floor), "1×"))
    columns = ["best h", f"distance at b = {number(b)}", "over the floor"]
    table(columns, found, "Distances of every method at the threshold chosen.")


def _spread(found: read.Spread | None) -> str:
    return "lost" if found is None else f"{number(found.mean)} ({number(found.low)} to {number(found.high)})"


def edge(seed: int) -> Picture:
    """The controls of "Where ULA diverges"; what it shows."""
    b = float(controls.control(keys.EDGE_B, "Threshold b", "b"))
    start = float(controls.control(keys.START, "Start, standard deviation"))
    return lambda: _show_edge(b, start)


def _show_edge(b: float, start: float) -> None:
    rows = read.edge_rows(collect("anila-edge", work, edge_jobs(b, start)))
    if not rows:
        return
    st.markdown(f"**Share of chains lost** :small[on U = x⁴, within {EDGE_STEPS} steps]")
    st.altair_chart(edge_chart.strips(rows), alt=edge_chart.words(rows))
    st.markdown("**How right the others are** :small[E x² over the target's, of the chains that are left]")
    found = [_second(row) for row in rows]
    high = max((value for line in found for value in line.high if value is not None), default=1.0)
    axes = Axes(
        "step size h (log)",
        "E x² over the target's (log)",
        rows[0].sizes,
        most=max(high * 1.2, 2.0),
        height=300,
    )
    st.altair_chart(curves(found, [Level("exact", 1.0, 1.0, 1.0)], axes), alt=_second_in_words(found))
    sentences(compare.diverging(rows, start, b))
    st.caption(
        "100 chains a step size and seed, five seeds; bands from the lowest to the highest. A chain is "
        "lost when it "
        "overflows or is seen beyond 1,000 widths of the picture. The accept step and MALA can keep a "
        "chain by "
        "refusing every move."
    )


def _second(row: read.EdgeRow) -> Curve:
    means, lows, highs = (
        [None if found is None else getattr(found, name) for found in row.second]
        for name in ("mean", "low", "high")
    )
    return Curve(row.method, row.sizes, means, lows, highs)


def _second_in_words(lines: Sequence[Curve]) -> str:
    told = [
        f"{style.title(line.method)} {number(line.rows[-1]['y'])} at h = {line.rows[-1]['x']:g}"
        for line in lines
        if line.rows
    ]
    return f"E x² over the target's, at the largest step at which chains are left: {'; '.join(told)}."


def cost(seed: int) -> Picture:
    """The controls of "What it costs"; what it shows."""
    name, target = controls.choose_target()
    b = controls.choose_threshold(name)
    return lambda: _show_cost(name, target, read.nearest(target.thresholds, b))


def _show_cost(name: str, target: Target, b: float) -> None:
    tuned, reported = _records(name, target)
    floor, shipped = read.floor(reported), anila_cost.measured()
    by_gradients = {
        gradients: read.at_threshold(read.bias_rows(tuned, reported, gradients), b) for gradients in BUDGETS
    }
    lines = [_over_gradients(by_gradients, method) for method in COMPARED]
    reached = {method: compare.reach(by_gradients, method, floor) for method in COMPARED}
    axes = Axes("gradients a particle (log)", f"{_distance(target)} (log)", BUDGETS)
    across = [Level("exact", floor.mean, floor.low, floor.high)]
    said = compare.cost(name, b, shipped["ratios"][name], reached)
    st.altair_chart(curves(lines, across, axes), alt=f"Distance over gradients. {' '.join(said)}")
    sentences(said)
    _cost_table(by_gradients[BUDGETS[-1]], shipped["ratios"][name], reached)
    st.caption(
        f"Time: medians of {shipped['repetitions']} turns, each over ULA's turn beside it, "
        f"{shipped['chains']:,} "
        f"particles, one thread, torch {shipped['torch']}, on {shipped['date']}, by `{shipped['command']}`. "
        f"Distances at b = {number(b)} as in {keys.VIEW.title(keys.BIAS)}: five seeds, the best step for "
        "each number of gradients."
    )


def _over_gradients(by_gradients: dict[int, list[read.BiasRow]], method: str) -> Curve:
    found = [next((r.w2 for r in rows if r.method == method), None) for rows in by_gradients.values()]
    means, lows, highs = (
        [None if w is None else getattr(w, n) for w in found] for n in ("mean", "low", "high")
    )
    return Curve(method, list(by_gradients), means, lows, highs)


def _cost_table(
    rows: Sequence[read.BiasRow], ratios: dict[str, float], reached: dict[str, int | None]
) -> None:
    found = []
    for row in rows:
        most = reached[row.method]
        found.append(
            (
                style.title(row.method),
                str(anila_cost.gradients_per_step(row.method)),
                f"{ratios[row.method]:.2g}×",
                "–" if most is None else f"{most:,}",
                _spread(row.w2),
                "–" if row.acceptance is None else f"{row.acceptance:.0%}",
            )
        )
    columns = ["gradients a step", "time a step over ULA's", "gradients to twice the floor"]
    columns += [f"distance at {BUDGETS[-1]:,}", "accepted"]
    table(columns, found, "What each method costs and gets.")
