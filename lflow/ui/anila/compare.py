"""The views of the page AniLA that compare methods: bias over b, where chains are lost, what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import streamlit as st

from lflow.papers.experiment import Record
from lflow.samplers.anila import VARIANTS
from lflow.ui.anila import controls, edge_chart, keys, read, style
from lflow.ui.anila import cost as anila_cost
from lflow.ui.anila import words_compare as compare
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
from lflow.ui.curves import Axes, Curve, decades, draw
from lflow.ui.explain import number, percent
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
    # From the largest threshold, where every variant is ULA, to the smallest.
    falling = sorted(target.thresholds, reverse=True)
    lines = [_over_b(rows, method, falling) for method in VARIANTS]
    ends = (falling[0], falling[-1])
    lines += [
        _curve(row.method, ends, [row.w2, row.w2]) for row in rows if row.method in ("ula", "mala") and row.w2
    ]
    axes = _axes("threshold b (log, falling)", f"{_distance(target)} (log)", falling, lines, floor.low)
    said = compare.bias(name, rows, b, floor)
    chart = draw(axes, lines, _across(axes, floor.mean), [([b, b], axes.y)])
    st.altair_chart(chart, alt=f"Distance to {WHERE[name]} over b. {' '.join(said)}")
    sentences(said)
    _bias_table(read.at_threshold(rows, b), floor, b)
    st.caption(
        f"{gradients:,} gradients a particle, {CHAINS:,} particles from 2·N(0, I). Each point with the "
        "best of "
        f"{len(target.steps)} step sizes, chosen by a seed of its own; five other seeds, the band from the "
        "lowest "
        f"to the highest. {_about_distance(target)} The upright line is b = {number(b)}, of the thresholds "
        "that ran "
        "the nearest to yours."
    )


def _over_b(rows: Sequence[read.BiasRow], method: str, thresholds: Sequence[float]) -> Curve:
    found = {row.b: row.w2 for row in rows if row.method == method}
    return _curve(method, thresholds, [found.get(b) for b in thresholds])


def _curve(method: str, x: Sequence[float], found: Sequence[read.Spread | None]) -> Curve:
    """The means of the seeds, and a band from the lowest to the highest."""
    y, low, high = (
        [math.nan if each is None else getattr(each, name) for each in found]
        for name in ("mean", "low", "high")
    )
    return Curve(style.title(method), style.look(method), x, y, low, high)


def _axes(
    x: str, y: str, ticks: Sequence[float], lines: Sequence[Curve], least: float, height: int = 380
) -> Axes:
    """Axes that all lines fit in, down to `least` at the least."""
    seen = [value for line in lines for value in (*line.low, *line.high) if not math.isnan(value)]
    span = (0.8 * min([least, *seen]), 1.25 * max([least, *seen]))
    return Axes(x, y, (ticks[0], ticks[-1]), span, ticks, decades(span), height=height)


def _across(axes: Axes, level: float) -> tuple[Sequence[float], Sequence[float], str]:
    return axes.x, (level, level), "Exact"


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
    found.append(("Exact samples", "–", _spread(floor), "1×"))
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
    found = [_curve(row.method, row.sizes, row.second) for row in rows]
    axes = _axes("step size h (log)", "E x² over the target's (log)", rows[0].sizes, found, 1.0, height=300)
    st.altair_chart(draw(axes, found, _across(axes, 1.0)), alt=_second_in_words(rows))
    sentences(compare.diverging(rows, start, b))
    st.caption(
        "100 chains a step size and seed, five seeds; bands from the lowest to the highest. A chain is "
        "lost when it "
        "overflows or is seen beyond 1,000 widths of the picture. The accept step and MALA can keep a "
        "chain by "
        "refusing every move."
    )


def _second_in_words(rows: Sequence[read.EdgeRow]) -> str:
    told = []
    for row in rows:
        kept = [(h, second) for h, second in zip(row.sizes, row.second, strict=True) if second]
        if kept:
            told.append(f"{style.title(row.method)} {number(kept[-1][1].mean)} at h = {kept[-1][0]:g}")
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
    axes = _axes("gradients a particle (log)", f"{_distance(target)} (log)", BUDGETS, lines, floor.low)
    said = compare.cost(name, b, shipped["ratios"][name], reached)
    chart = draw(axes, lines, _across(axes, floor.mean))
    st.altair_chart(chart, alt=f"Distance over gradients. {' '.join(said)}")
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
    return _curve(method, list(by_gradients), found)


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
                "–" if row.acceptance is None else percent(row.acceptance),
            )
        )
    columns = ["gradients a step", "time a step over ULA's", "gradients to twice the floor"]
    columns += [f"distance at {BUDGETS[-1]:,}", "accepted"]
    table(columns, found, "What each method costs and gets.")
