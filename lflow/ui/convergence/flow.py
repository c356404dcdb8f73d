"""View "The flow beside it": the cloud against the continuous-time flow from the same law, window by window.

Knows its controls, its runs, its charts and its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from lflow import samplers
from lflow.papers import pseudotrajectory
from lflow.papers.experiment import Job, Record, gradients_of_all, is_lower, mean_and_error, select
from lflow.papers.pseudotrajectory import targets
from lflow.spec import Parameter, parameters
from lflow.steps import Polynomial
from lflow.ui.convergence.controls import (
    among_samplers,
    choose,
    counted,
    named,
    renamed,
    short,
    spoken,
)
from lflow.ui.convergence.looks import looks
from lflow.ui.curves import BAND, INK, Axes, Curve, Look, decades, draw, with_errors

NAME, TITLE, STUDY = "flow", "The flow beside it", "convergence-flow"
QUESTION = "Does the cloud come ever closer to doing what the continuous-time flow would do?"
work = pseudotrajectory.work
SEEDS = 5
CHAINS = 4000
KINDS = {True: "constant", False: "falling"}

_MOVERS = ("ula", "rmm", "ormm", "srk", "leimkuhler_matthews")
_RULE = {parameter.name: parameter for parameter in parameters(Polynomial)}
OFFSET = 10.0
"""Steps after which the fall begins."""
TARGET = named("flow_target", {name: each.title for name, each in targets().items()}, "pair")
SAMPLER = among_samplers("flow_sampler", _MOVERS, "ula")
POWER = renamed(_RULE["power"], "flow_power", 0.6, (0.0, 1.0))
# What suits a target depends on how curved it is: each has a step and a window of its own.
STEPS = {
    name: renamed(_RULE["step_size"], f"flow_{name}_h", each.step_size, (0.01, each.step_size * 2))
    for name, each in targets().items()
}
WINDOWS = {
    name: Parameter(
        f"flow_{name}_window",
        each.window,
        0.01,
        20.0,
        log=True,
        shown=(each.window / 4, each.window * 4),
        help="T, how long the flow runs beside the cloud",
    )
    for name, each in targets().items()
}
CONTROLS = (TARGET, SAMPLER, POWER, *STEPS.values(), *WINDOWS.values())


@dataclass(frozen=True)
class Choice:
    """What is shown; as it comes, what the view opens on."""

    target: str = TARGET.default
    sampler: str = SAMPLER.default
    step_size: float = STEPS[TARGET.default].default
    power: float = POWER.default
    window: float = WINDOWS[TARGET.default].default

    def jobs(self) -> list[Job]:
        """The runs that it takes. ValueError where a window is longer than the run."""
        rule = Polynomial(self.step_size, self.power, OFFSET).config()
        config = {
            "target": self.target,
            "sampler": self.sampler,
            "rule": {name: value for name, value in rule.items() if name != "name"},
            "window": WINDOWS[self.target].check(self.window),
            "chains": CHAINS,
        }
        cost = gradients_of_all(
            CHAINS, pseudotrajectory.STEPS * samplers.get(self.sampler).gradients_per_step
        )
        found = [
            Job({**config, "constant": constant, "seed": seed}, cost)
            for constant in KINDS
            for seed in range(SEEDS)
        ]
        _, times = pseudotrajectory.clock(found[-1].config)
        pseudotrajectory.window_starts(times, self.window)
        return found


def controls() -> Choice:
    """What the reader chooses."""
    target = choose(TARGET, "Target")
    sampler = choose(SAMPLER, "Sampler")
    step, window = STEPS[target], WINDOWS[target]
    return Choice(
        target,
        sampler,
        choose(step, "First step h"),
        choose(POWER, "Power c of the fall"),
        choose(window, "Window T (units of time)"),
    )


@dataclass(frozen=True)
class Course:
    """The distance of each window over the seeds, what exact draws show, and the pictures of one seed."""

    starts: list[float]
    mean: list[float]
    error: list[float]
    floor: list[float]
    pictures: list[dict[str, list[float]]]
    first: dict[int, float]
    last: dict[int, float]
    """The distance of the first and of the last window by seed."""


def courses(records: Sequence[Record]) -> dict[bool, Course]:
    """The course of constant and of falling steps, where two seeds have ended and no chain was lost."""
    found = {}
    for constant in KINDS:
        runs = select(records, constant=constant)
        if len(runs) < 2 or any("lost" in each.found for each in runs):
            continue
        points = [
            mean_and_error(values) for values in zip(*(each.found["distances"] for each in runs), strict=True)
        ]
        floors = zip(*(each.found["floor"] for each in runs), strict=True)
        found[constant] = Course(
            runs[0].found["starts"],
            [point["mean"] for point in points],
            [point["error"] for point in points],
            [sum(values) / len(values) for values in floors],
            runs[0].found["pictures"],
            *({each.config["seed"]: each.found["distances"][place] for each in runs} for place in (0, -1)),
        )
    return found


def show(choice: Choice, records: Sequence[Record]) -> None:
    """The chart, the densities of the first and the last window, their words and their numbers."""
    found = courses(records)
    if any("lost" in record.found for record in records):
        st.warning("Chains are lost at this step size, and there is nothing to compare: choose a smaller h.")
    if not found:
        return
    floor = _floor(found)
    x = (min(each.starts[0] for each in found.values()), max(each.starts[-1] for each in found.values()))
    y = (floor / 2, 1.5 * max(max(each.mean) for each in found.values()))
    axes = Axes(
        "start t of the window, in time of the flow (log)",
        "largest W2 to the flow (log)",
        x,
        y,
        decades(x),
        decades(y),
        room=0.2,
        height=360,
    )
    words = say(choice, found)
    seeds = counted([len(course.last) for course in found.values()], "seeds")
    drawn = [_curve(choice.sampler, constant, each) for constant, each in found.items()]
    st.altair_chart(
        draw(axes, drawn, ([*x], [floor, floor], "exact draws")), alt=spoken(words), key=f"{STUDY}-chart"
    )
    st.markdown(words)
    _densities(choice, found)
    st.caption(
        f"For each window the flow's density starts as the histogram of the cloud at t: {CHAINS:,} chains "
        f"and their mirror images. Means over {seeds}; bands are ± {BAND:g} standard errors. The line "
        "of exact draws is what as many draws of the flow's own densities show."
    )
    with st.expander("The numbers"):
        st.table(_table(found), alt="The distance of each window, for constant and for falling steps")


def _floor(found: dict[bool, Course]) -> float:
    floors = [level for each in found.values() for level in each.floor]
    return sum(floors) / len(floors)


def _curve(sampler: str, constant: bool, course: Course) -> Curve:
    look = Look(looks()[sampler].colour, (5, 3) if constant else (1, 0))
    return with_errors(KINDS[constant], look, course.starts, course.mean, course.error)


def say(choice: Choice, found: dict[bool, Course]) -> str:
    """What became of the distance from the first to the last window, in words."""
    floor, told = _floor(found), []
    for constant, course in found.items():
        first, last = course.mean[0], course.mean[-1]
        falls, rises = is_lower(course.last, course.first), is_lower(course.first, course.last)
        verb = "falls" if falls else "rises" if rises else "is not seen to change"
        told.append(
            f"Under **{KINDS[constant]} steps** the distance {verb}: {first:.3f} in the window that begins "
            f"at t = {course.starts[0]:.2g}, {last:.3f} in that at t = {course.starts[-1]:.3g}, which is "
            f"{last / floor:.1f} times what exact draws show."
        )
    on = f"**{short(choice.sampler)} on {targets()[choice.target].title}**, windows of T = {choice.window:g}."
    return f"{on} {' '.join(told)} Falls and rises are told by a paired test over the seeds at 99 %."


def _densities(choice: Choice, found: dict[bool, Course]) -> None:
    panels = [(constant, place, course) for constant, course in found.items() for place in (0, -1)]
    seen = [
        point
        for course in found.values()
        for picture in course.pictures
        for point, cloud, flow in zip(picture["points"], picture["cloud"], picture["flow"], strict=True)
        if cloud + flow > 0.002
    ]
    reach = max(abs(point) for point in seen)
    for column, (constant, place, course) in zip(st.columns(len(panels)), panels, strict=True):
        end = course.starts[place] + choice.window
        column.markdown(f":small[{KINDS[constant].capitalize()} steps, t = {end:.3g}]")
        column.altair_chart(
            _density(choice.sampler, course.pictures[place], reach),
            alt=f"Density of the cloud and of the flow at t = {end:.3g} under {KINDS[constant]} steps",
            key=f"{STUDY}-density-{constant}-{place}",
        )
    st.caption("Densities at the end of the first and of the last window. Filled: the cloud. Line: the flow.")
    st.markdown(
        "A cloud is an *asymptotic pseudotrajectory* of the flow if, over windows of any fixed length, its "
        "distance to what the flow makes of it goes to 0 as t grows. Karimi, Hsieh & Krause prove this of a "
        "whole family of schemes, and from it that the last iterate converges. No rate is claimed here."
    )


def _density(sampler: str, picture: dict[str, list[float]], reach: float) -> Any:
    rows = pd.DataFrame(picture)
    rows = rows[rows["points"].abs() <= reach]
    x = alt.X("points:Q", title="x", axis=alt.Axis(grid=False, tickCount=5))
    x = x.scale(domain=[-reach, reach], nice=False)
    y = alt.Y("cloud:Q", title=None, axis=None)
    base: Any = alt.Chart(rows)
    cloud = base.mark_area(interpolate="step", color=looks()[sampler].colour, opacity=0.45).encode(x, y)
    flow = base.mark_line(color=INK, strokeWidth=1.2).encode(x, y="flow:Q")
    return alt.layer(cloud, flow).properties(height=120)


def _table(found: dict[bool, Course]) -> pd.DataFrame:
    rows = [
        {
            "steps": KINDS[constant],
            "window from t": f"{start:.3g}",
            "distance": f"{mean:.4f} ± {error:.4f}",
            "exact draws": f"{floor:.4f}",
        }
        for constant, course in found.items()
        for start, mean, error, floor in zip(
            course.starts, course.mean, course.error, course.floor, strict=True
        )
    ]
    return pd.DataFrame(rows).set_index(["steps", "window from t"])


def explain() -> None:
    """What is measured, as equations, and what is proved."""
    st.latex(
        r"d(t) = \sup_{0 \le s \le T} W_2\big(\mathrm{law}(X_{t+s}),\ \Phi_s(\mathrm{law}(X_t))\big), "
        r"\qquad \partial_s p = \nabla\!\cdot(p\,\nabla U) + \Delta p \ \text{ moves } \Phi_s"
    )
    st.markdown(
        "The flow is solved on a grid, from the cloud's own histogram: what is compared is what the steps do "
        "over one window, and not what they did before. Constant steps make the same error in every window; "
        "steps that fall make ever less of it. d(t) is read at up to eight moments of a window. "
        "(Karimi, Hsieh & Krause 2023, arXiv 2210.13867)"
    )
