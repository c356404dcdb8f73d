"""View "Bias": how far from the target a constant step leaves a scheme, against the step size.

Knows its controls, its runs, its chart and its words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from scipy.stats import t as student

from lflow.papers import stationary_bias
from lflow.papers.experiment import Job, Record, mean_and_error
from lflow.papers.stationary_bias import CLOSED_FORM, CLOUDS, SAMPLERS, targets
from lflow.spec import Parameter
from lflow.ui.convergence.controls import (
    among_samplers,
    choose,
    choose_several,
    named,
    short,
    spoken,
    within_budget,
)
from lflow.ui.convergence.looks import looks
from lflow.ui.curves import BAND, Axes, Curve, draw, with_errors
from lflow.ui.explain import listed

NAME, TITLE, STUDY = "bias", "Bias", "convergence-bias"
QUESTION = "How far from the target does a constant step size leave you?"
work = stationary_bias.work
LEVEL = 0.999
"""At which a bias is told from none: with forty points in view, 99 % would often be chance."""
DEFAULT = ("ula", "proximal", "rmm", "ormm", "srk", "leimkuhler_matthews", "baoab")
TARGET = named("bias_target", {name: each.title for name, each in targets().items()}, "gaussian")
SAMPLER = among_samplers("bias_samplers", SAMPLERS, DEFAULT[0])
CHAINS = Parameter(
    "bias_chains",
    4000,
    200,
    20_000,
    log=True,
    shown=(500, 10_000),
    help="in each of five clouds; more of them lower the floor",
)
CONTROLS = (TARGET, SAMPLER, CHAINS)


@dataclass(frozen=True)
class Choice:
    """What is shown; as it comes, what the view opens on."""

    target: str = TARGET.default
    samplers: tuple[str, ...] = DEFAULT
    chains: int = CHAINS.default

    def jobs(self) -> list[Job]:
        """The runs that it takes. OverBudget where they are too many."""

        def jobs(chains: int) -> list[Job]:
            return stationary_bias.jobs(self.target, self.samplers, chains)

        return within_budget(jobs, CHAINS.check(self.chains), CHAINS, "chains in a cloud")


def controls() -> Choice:
    """What the reader chooses."""
    target = choose(TARGET, "Target")
    chosen = choose_several(SAMPLER, DEFAULT, "Samplers")
    chains = choose(CHAINS, "Chains in a cloud")
    return Choice(target, chosen, chains)


class Point(NamedTuple):
    """The bias at a step, E[x²] over its truth less one, and its standard error; nan where lost."""

    h: float
    bias: float
    error: float

    @property
    def lost(self) -> bool:
        """Whether its run lost chains."""
        return math.isnan(self.bias)


def curves(records: Sequence[Record]) -> dict[str, list[Point]]:
    """The points of each sampler whose runs have ended, by their steps."""
    found: dict[str, list[Point]] = {}
    for record in records:
        estimate = mean_and_error(record.found["errors"] or [None])
        values = [math.nan if value is None else value for value in (estimate["mean"], estimate["error"])]
        found.setdefault(record.config["sampler"], []).append(Point(record.config["h"], *values))
    return found


def noise_floor(points: Sequence[Point]) -> float:
    """What a sampler's bias must exceed: nothing below is claimed.

    t √(mean of e²) over its n points, e the standard error over E[x²] as measured; t is the quantile of
    Student's law for a two-sided test at 99.9 %, of n (5 - 1) degrees of freedom.
    """
    errors = [point.error / (1 + point.bias) for point in points if not point.lost]
    quantile = student.ppf((1 + LEVEL) / 2, len(errors) * (CLOUDS - 1))
    return float(quantile * np.sqrt(np.mean(np.square(errors))))


def show(choice: Choice, records: Sequence[Record]) -> None:
    """The chart, its words and its numbers."""
    found = {name: points for name, points in curves(records).items() if not all(p.lost for p in points)}
    if not found:
        st.info("No sampler is chosen, or none has a run that kept its chains. Choose one.")
        return
    sizes = targets()[choice.target].step_sizes
    floors = {name: noise_floor(points) for name, points in found.items()}
    least, floor = min(floors.values()), max(floors.values())
    most = max(abs(p.bias) + BAND * p.error for points in found.values() for p in points if not p.lost)
    axes = Axes(
        "step size h (log)",
        "relative error of E[x²] (log)",
        (sizes[0], sizes[-1]),
        (floor / 4, max(1.3 * most, 4 * floor)),
        x_ticks=sizes,
        y_ticks=[1e-4, 1e-3, 1e-2, 0.1, 1.0],
        y_format="~%",
    )
    words = say(choice, found)
    thin = _closed_forms(choice, sizes) if choice.target == "gaussian" else []
    drawn = [_curve(name, points, floors[name]) for name, points in found.items()]
    below = ([sizes[0], sizes[-1]], [floor, floor], "noise floor")
    st.altair_chart(draw(axes, drawn, below, thin), alt=spoken(words), key=f"{STUDY}-chart")
    st.markdown(words)
    st.caption(
        f"Each point is the mean over {CLOUDS} independent clouds of {choice.chains:,} chains, started from "
        f"exact draws and left alone for ten units of time; bands are ± {BAND:g} standard errors. Each "
        f"sampler has a noise floor of its own, {_range(least, floor)}, that a point without bias exceeds "
        "once in a thousand times: points below it are faint, and nothing is claimed of them. The line is "
        "the highest of these floors."
    )
    with st.expander("The numbers"):
        st.table(_table(choice, found), alt="The bias and its standard error by step size and sampler")


def _range(least: float, most: float) -> str:
    low, high = f"{least:.2%}", f"{most:.2%}"
    return low if low == high else f"{low} to {high}"


def _curve(name: str, points: Sequence[Point], floor: float) -> Curve:
    size = [abs(point.bias) for point in points]
    steps, errors = [point.h for point in points], [point.error for point in points]
    return with_errors(short(name), looks()[name], steps, size, errors, [not y > floor for y in size])


def _closed_forms(choice: Choice, sizes: Sequence[float]) -> list[tuple[list[float], list[float]]]:
    h = np.geomspace(sizes[0], sizes[-1], 200).tolist()
    formulas = [CLOSED_FORM[name] for name in choice.samplers if name in CLOSED_FORM]
    lines = [[abs(formula(each) - 1) for each in h] for formula in formulas]
    # What is exact at every step has no place on a log axis; that it is so, the words say.
    return [(h, [max(y, 1e-9) for y in line]) for line in lines if max(line) > 0]


def say(choice: Choice, found: Mapping[str, Sequence[Point]]) -> str:
    """What the chart shows, in words."""
    on = targets()[choice.target]
    told = [f"**On {on.title}**, E[x²] of the stationary law against the target's {on.law.variance():.4g}."]
    above = {name: _above(points) for name, points in found.items()}
    seen = [f"{short(name)} {_where(found[name], points)}" for name, points in above.items() if points]
    unseen = [short(name) for name, points in above.items() if not points]
    if seen:
        told.append(f"A bias is seen of {'; '.join(seen)}.")
    if unseen:
        told.append(f"None is seen of {listed(unseen)}.")
    lost = [
        f"{short(name)} at h = {_steps(p for p in points if p.lost)}"
        for name, points in found.items()
        if any(p.lost for p in points)
    ]
    if lost:
        told.append(f"Chains are lost, so that there is no point, with {listed(lost)}.")
    return " ".join([*told, *_say_worst(above), *_say_closed_form(choice, found)])


def _above(points: Sequence[Point]) -> list[Point]:
    """Those of which a bias is seen."""
    floor = noise_floor(points)
    return [p for p in points if abs(p.bias) > floor]


def _where(points: Sequence[Point], seen: Sequence[Point]) -> str:
    """At which steps it is seen; "on" only where it is at every later step too, and on the same side."""
    later = [p for p in points if p.h >= seen[0].h and not p.lost]
    one_side = len({p.bias > 0 for p in seen}) == 1
    on = later == seen and one_side and len(seen) > 1
    return f"from h = {seen[0].h:g} on" if on else f"at h = {_steps(seen)}"


def _steps(points: Iterable[Point]) -> str:
    return listed([f"{p.h:g}" for p in points])


def _say_worst(above: Mapping[str, Sequence[Point]]) -> list[str]:
    seen = [(name, p) for name, points in above.items() for p in points]
    if not seen:
        return []
    name, p = max(seen, key=lambda each: abs(each[1].bias))
    side = "too wide" if p.bias > 0 else "too narrow"
    return [f"The largest is {short(name)}'s at h = {p.h:g}: {p.bias:+.1%}, {side}."]


def _say_closed_form(choice: Choice, found: Mapping[str, Sequence[Point]]) -> list[str]:
    if choice.target != "gaussian":
        return ["There is no closed form to compare with here."]
    away = [
        abs(p.bias + 1 - CLOSED_FORM[name](p.h)) / p.error
        for name, points in found.items()
        if name in CLOSED_FORM
        for p in points
        if not p.lost
    ]
    if not away:
        return []
    exact = [short(name) for name in found if name in CLOSED_FORM and CLOSED_FORM[name](0.5) == 1.0]
    said = (
        f"The thin lines are closed forms; of {len(away)} points that have one, the median lies "
        f"{float(np.median(away)):.1f} and the farthest {max(away):.1f} standard errors from it."
    )
    verb = "is" if len(exact) == 1 else "are"
    return [said, *([f"By closed form {listed(exact)} {verb} exact here at every step."] if exact else [])]


def _table(choice: Choice, found: Mapping[str, Sequence[Point]]) -> pd.DataFrame:
    columns: dict[str, list[str]] = {"h": [f"{h:g}" for h in targets()[choice.target].step_sizes]}
    for name, points in found.items():
        by_step = {p.h: "lost" if p.lost else f"{p.bias:+.2%} ± {p.error:.2%}" for p in points}
        columns[short(name)] = [by_step.get(h, "") for h in targets()[choice.target].step_sizes]
    return pd.DataFrame(columns).set_index("h")


def explain() -> None:
    """What is measured, as equations."""
    st.latex(
        r"\text{bias}(h) = \frac{\mathbb{E}_{\pi_h}[x^2]}{\mathbb{E}_{\pi}[x^2]} - 1,"
        r"\qquad \pi_h \text{ the stationary law of the scheme with step } h"
    )
    st.markdown(
        "On N(0, 1) every scheme is linear, so $\\pi_h$ has a variance in closed form: for ULA "
        "$1/(1 - h/2)$, for the implicit (proximal) step $1/(1 + h/2)$. BAOAB's step is the integrator's: "
        "$h^2/2$ of it compares with an overdamped $h$. Of other targets $\\mathbb{E}_\\pi[x^2]$ is known by "
        "quadrature. *Two noises* is the randomized midpoint with independent noises where one path "
        "belongs: wrong on purpose, yet with steps that fall it converges all the same."
    )
