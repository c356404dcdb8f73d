"""The views of the page AniLA: controls, runs, a figure, its words and its numbers, each.

What is measured lies in lflow/papers/anila*.py; this module puts it on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from lflow.papers.anila_laws import BINS, core, steep_share, variant_law
from lflow.papers.experiment import key, read_parts
from lflow.ui import study, take
from lflow.ui.anila import clouds as anila_clouds
from lflow.ui.anila import compare, controls, keys, read, style, words
from lflow.ui.anila import cost as anila_cost
from lflow.ui.anila.law_chart import PUBLISHED, SMOOTH, along_a_line, panels
from lflow.ui.anila.runs import (
    EDGE_START,
    EDGE_THRESHOLD,
    FRAMES,
    SHOWN,
    TARGETS,
    Target,
    bias_name,
    burn_in,
    edge_jobs,
    law_jobs,
    reported_jobs,
    tuning_jobs,
    work,
)
from lflow.ui.anila.typeset import or_lost, sentences, table
from lflow.ui.explain import number

Picture = Callable[[], None]


def clouds(seed: int) -> Picture:
    """The controls of "The clouds"; what it shows."""
    name, _ = controls.choose_target()
    b, h = controls.choose_threshold(name), controls.choose_step_size(name)
    gradients = int(controls.control(keys.SPEND, "Gradients a particle"))
    return lambda: _show_clouds(name, b, h, gradients, seed)


def _show_clouds(name: str, b: float, h: float, gradients: int, seed: int) -> None:
    asked = keys.race(name, b, h, gradients, seed)
    seen = anila_clouds.play(asked, name, b)
    if not seen:
        return
    calm = anila_clouds.calm_shares(name, b)
    sentences(words.clouds(name, b, seen, calm))
    notes = {method: words.calm_note(each) for method, each in seen.items()}
    st.markdown(words.density_title(name))
    densities(panels(anila_clouds.laws(name, b), anila_clouds.histograms(seen)), notes)
    take.section(keys.PREFIX, lambda: anila_clouds.taken(asked))


def law(seed: int) -> Picture:
    """The controls of "The law"; what it shows."""
    name, target = controls.choose_target()
    b, h = controls.choose_threshold(name), controls.choose_step_size(name)
    methods = keys.VARIANTS[str(controls.control(keys.WHICH, "Variants"))]
    smooth = bool(controls.control(keys.SMOOTH, "Smooth γ"))
    return lambda: _show_law(name, target, b, h, smooth, methods, seed)


def _show_law(
    name: str, target: Target, b: float, h: float, smooth: bool, methods: Sequence[str], seed: int
) -> None:
    jobs = law_jobs(target, h, b, smooth, methods, seed)
    rows = read.law_rows(study.collect("anila-law", work, jobs))
    laws = along_a_line(target.part, b, smooth, methods)
    drawn = panels(laws, {row.method: _in_pairs(row.histogram) for row in rows})
    notes = {row.method: _close(row) for row in rows}
    densities(drawn, notes, smooth)
    truth = variant_law(target.part, "truth", 1.0)
    near, floor = truth.mass(lambda x: core(x, target.part)), read.law_floor(target.part)
    sentences(words.law(name, b, steep_share(target.part, b), rows, near, floor))
    _law_table(target.part, name, rows, near, floor)
    burn, waits = burn_in(target, h, b)
    gap = jobs[0].config["gap"] if jobs else 0
    st.caption(words.settling(burn, FRAMES, gap, waits))


def densities(drawn: Mapping[str, Any], notes: Mapping[str, str], smooth: bool = False) -> None:
    """The charts in rows of three (of two, where there are four), each under its name and a note."""
    methods = list(drawn)
    wide = 2 if len(methods) == 4 else 3
    for start in range(0, len(methods), wide):
        columns = st.columns(wide, gap="medium")
        for column, method in zip(columns, methods[start : start + wide], strict=False):
            with column:
                st.markdown(f"**{style.title(method, smooth)}**  \n:small[{notes[method]}]")
                under = f"under e^f and {SMOOTH if smooth else PUBLISHED}"
                alt = f"Density that {style.inline(method, smooth)} sampled, {under}."
                st.altair_chart(drawn[method], alt=f"{alt} {notes[method]}")


def _in_pairs(histogram: list[float] | None) -> Any:
    """Two cells in one: what is left is the shape, and half of the noise."""
    return None if histogram is None else np.reshape(histogram, (BINS // 2, 2)).mean(1)


def _close(row: read.LawRow) -> str:
    if row.kl_truth is None or row.kl_own is None:
        return "chains were lost"
    own = "" if row.kl_own == row.kl_truth else f", to its own law {number(row.kl_own)}"
    return f"KL to e^f {number(row.kl_truth)}{own}"


def _law_table(part: str, name: str, rows: Sequence[read.LawRow], near: float, floor: read.LawFloor) -> None:
    columns = [f"{words.measure_word(part)} (closed form)", f"mass within {words.NEAR[name]} (closed form)"]
    found = [
        (
            style.title(row.method, row.smooth),
            f"{or_lost(row.variance)} ({number(row.variance_own)})",
            f"{or_lost(row.core)} ({number(row.core_own)})",
            or_lost(row.kl_truth),
            or_lost(row.kl_own),
        )
        for row in rows
    ]
    truth = read.closed_form(part, "truth", 1.0, False)[0]
    found.append(
        ("e^f itself", number(truth), number(near), f"{number(floor.independent)} (independent samples)", "")
    )
    alt = "Each variant's moments and divergences, measured and in closed form as h → 0."
    table([*columns, "KL to e^f", "KL to its own law"], found, alt)


SEEDED = (keys.CLOUDS, keys.LAW)
"""The views that run with the reader's seed; the others have seeds of their own."""
VIEWS: dict[str, Callable[[int], Picture]] = {
    keys.CLOUDS: clouds,
    keys.LAW: law,
    keys.BIAS: compare.bias,
    keys.EDGE: compare.edge,
    keys.COST: compare.cost,
}


def build() -> None:
    """Compute what the page opens on: the studies and the times where they are missing, and the clouds."""

    def say(line: str) -> None:
        print(line, end="\r", flush=True)

    laws = [
        job for target in TARGETS.values() for job in law_jobs(target, target.h, target.b, False, SHOWN, 0)
    ]
    study.ship("anila-law", work, laws, say)
    study.ship("anila-edge", work, edge_jobs(EDGE_THRESHOLD, EDGE_START), say)
    for name, target in TARGETS.items():
        file, tuning = bias_name(name), tuning_jobs(target)
        # First what chooses the step sizes, then the runs with those.
        known = read_parts(study.shipped_file(file))
        if not all(key(job.config) in known for job in tuning):
            study.ship(file, work, tuning, say)
            known = read_parts(study.shipped_file(file))
        tuned = [known[key(job.config)] for job in tuning]
        study.ship(file, work, [*tuning, *reported_jobs(target, tuned)], say)
    anila_cost.ship()
    anila_clouds.build()
