"""View "Last iterate": W2 of the last iterate to the target against gradients, constant and falling steps.

The runs are those of the paper's experiment, smaller. Knows its controls, its runs, its charts and its words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lflow.papers import dynamical_system
from lflow.papers.dynamical_system_laws import DECAYING
from lflow.papers.experiment import (
    Config,
    Job,
    Record,
    gradients_of_all,
    is_lower,
    mean_and_error,
    select,
)
from lflow.spec import Parameter, parameters
from lflow.steps import Polynomial
from lflow.ui.convergence.controls import (
    among_samplers,
    choose,
    choose_several,
    counted,
    renamed,
    short,
    spoken,
    within_budget,
)
from lflow.ui.convergence.looks import looks
from lflow.ui.curves import BAND, Axes, decades, draw, with_errors
from lflow.ui.explain import listed

NAME, TITLE, STUDY = "last", "Last iterate", "convergence-last"
QUESTION = "What do steps that fall do for the last iterate, at an equal number of gradients?"
work = dynamical_system.work
SEEDS = 5
CHAINS = 4000
RULES = {"constant": "Constant steps", "polynomial": "Falling steps"}

DEFAULT = ("ula", "rmm", "ormm", "leimkuhler_matthews")
SAMPLER = among_samplers("last_samplers", (*DECAYING, "mala"), DEFAULT[0])
_RULE = {parameter.name: parameter for parameter in parameters(Polynomial)}
STEP = renamed(_RULE["step_size"], "last_h", 0.2, (0.01, 0.5))
POWER = renamed(_RULE["power"], "last_power", 0.6, (0.1, 1.5))
OFFSET = renamed(_RULE["offset"], "last_offset", 10.0, (1.0, 1000.0))
GRADIENTS = Parameter(
    "last_gradients", 1000, 100, 10_000, log=True, shown=(100, 5000), help="that each chain evaluates"
)
CONTROLS = (SAMPLER, STEP, POWER, OFFSET, GRADIENTS)


@dataclass(frozen=True)
class Choice:
    """What is shown; as it comes, what the view opens on."""

    samplers: tuple[str, ...] = DEFAULT
    step_size: float = STEP.default
    power: float = POWER.default
    offset: float = OFFSET.default
    gradients: int = GRADIENTS.default

    def jobs(self) -> list[Job]:
        """The runs that it takes: each sampler with both rules, and exact draws. OverBudget if too many."""
        return within_budget(self._jobs, GRADIENTS.check(self.gradients), GRADIENTS, "gradients")

    def _jobs(self, gradients: int) -> list[Job]:
        rule = Polynomial(self.step_size, self.power, self.offset).config()
        falling = {name: value for name, value in rule.items() if name != "name"}
        decay = {"polynomial": falling, "constant": {"step_size": rule["step_size"]}}
        found = [_job("exact", seed) for seed in range(SEEDS)]
        for method in self.samplers:
            for rule_name in RULES:
                for seed in range(SEEDS):
                    more = {"rule": rule_name, "decay": decay[rule_name], "gradients": gradients}
                    found.append(_job(method, seed, **more))
        return found


def _job(method: str, seed: int, **more: Any) -> Job:
    config: Config = {"part": "decay", "method": method, "seed": seed, "chains": CHAINS, **more}
    return Job(config, gradients_of_all(CHAINS, config.get("gradients", 1)))


def controls() -> Choice:
    """What the reader chooses."""
    return Choice(
        choose_several(SAMPLER, DEFAULT, "Samplers"),
        choose(STEP, "First step h"),
        choose(POWER, "Power c of the fall"),
        choose(OFFSET, "Offset b (steps)"),
        choose(GRADIENTS, "Gradients a chain"),
    )


@dataclass(frozen=True)
class Course:
    """W2 along the runs of a sampler with a rule: gradients, means and standard errors; nan where lost."""

    gradients: list[int]
    mean: list[float]
    error: list[float]
    ends: dict[int, float | None]
    """W2 at the end by seed; None where lost."""

    @property
    def seeds(self) -> int:
        """How many of them."""
        return len(self.ends)


def courses(records: Sequence[Record]) -> dict[tuple[str, str], Course]:
    """The course of each sampler and rule of which at least two seeds have ended."""
    found = {}
    for method in dict.fromkeys(record.config["method"] for record in records):
        for rule in RULES:
            runs = select(records, method=method, rule=rule)
            if len(runs) > 1:
                points = [
                    mean_and_error(values)
                    for values in zip(*(each.found["w2"] for each in runs), strict=True)
                ]
                found[method, rule] = Course(
                    runs[0].found["gradients"],
                    [math.nan if p["mean"] is None else p["mean"] for p in points],
                    [math.nan if p["error"] is None else p["error"] for p in points],
                    {each.config["seed"]: each.found["w2"][-1] for each in runs},
                )
    return found


def show(choice: Choice, records: Sequence[Record]) -> None:
    """The charts, their words and their numbers."""
    found = courses(records)
    exact = [record.found["w2"] for record in select(records, method="exact")]
    kept = [course for course in found.values() if not math.isnan(course.mean[-1])]
    if not kept or len(exact) < 2:
        st.info("There is nothing to show yet: choose a sampler whose chains stay, or let the runs go on.")
        return
    floor = sum(exact) / len(exact)
    x = (kept[0].gradients[0], max(course.gradients[-1] for course in kept))
    highest = max(max(course.mean) for course in kept)
    words = say(choice, found, floor)
    seeds = counted([course.seeds for course in kept], "seeds")
    places = dict(zip(RULES, st.columns(2), strict=True))
    for rule, place in places.items():
        axes = Axes(
            "gradients a chain (log)",
            "W2 to the target, in units of x (log)" if rule == "constant" else "",
            (min(x[0], 16), x[1]),
            (floor / 2, 1.4 * highest),
            x_ticks=[tick for tick in (30, 100, 300, 1000, 3000, 10_000) if tick <= x[1]],
            y_ticks=decades((floor / 2, 1.4 * highest)),
            room=0.24,
            height=360,
        )
        drawn = [
            with_errors(short(name), looks()[name], course.gradients, course.mean, course.error)
            for (name, r), course in found.items()
            if r == rule
        ]
        level = ([axes.x[0], x[1]], [floor, floor], "exact draws")
        place.markdown(_rule_title(rule, choice))
        place.altair_chart(
            draw(axes, drawn, level), alt=f"{RULES[rule]}. {spoken(words)}", key=f"{STUDY}-{rule}"
        )
    st.markdown(words)
    st.caption(
        f"The last iterate of {CHAINS:,} chains and their mirror images on two modes, ½ N(±1.5, ½²), from "
        f"N(0, 1). Means over {seeds}; bands are ± {BAND:g} standard errors. The line of exact draws "
        "is what as many exact draws show: no sampler can be seen to do better. No rate is claimed here."
    )
    with st.expander("The numbers"):
        st.table(_table(found), alt="W2 at a tenth, at a third and at the end, by sampler and rule")


def _rule_title(rule: str, choice: Choice) -> str:
    if rule == "constant":
        return f"**Constant steps**, $h_t = {choice.step_size:g}$"
    return (
        f"**Falling steps**, $h_t = {choice.step_size:g}\\,(1 + t/{choice.offset:g})^{{-{choice.power:g}}}$"
    )


def say(choice: Choice, found: Mapping[tuple[str, str], Course], floor: float) -> str:
    """What the charts show at their ends, in words."""
    told = []
    for rule, name in RULES.items():
        ends = {method: course.mean[-1] for (method, r), course in found.items() if r == rule}
        kept = {method: end for method, end in ends.items() if not math.isnan(end)}
        order = sorted(kept, key=lambda method: kept[method])
        if order:
            each = [f"{kept[method] / floor:.1f} ({short(method)})" for method in order]
            told.append(f"**{name}** end at {listed(each)} times the {floor:.4f} that exact draws show.")
        lost = [short(method) for method, end in ends.items() if math.isnan(end)]
        if lost:
            told.append(f"With {name.lower()} chains of {listed(lost)} are lost.")
    both = [m for m, r in found if r == "constant" and (m, "polynomial") in found]
    closer = [m for m in both if is_lower(found[m, "polynomial"].ends, found[m, "constant"].ends)]
    if both:
        which = listed([short(m) for m in closer]) if closer else "no sampler"
        told.append(
            f"After {choice.gradients:,} gradients, falling steps leave {which} closer to the target than "
            "constant ones, by a paired test over the seeds at 99 %."
        )
    return " ".join(told)


def _table(found: Mapping[tuple[str, str], Course]) -> pd.DataFrame:
    rows = []
    for (method, rule), course in found.items():
        row = {"sampler": short(method), "steps": RULES[rule].split()[0].lower()}
        for share, name in ((0.1, "at a tenth"), (1 / 3, "at a third"), (1.0, "at the end")):
            place = int(np.abs(np.array(course.gradients) - share * course.gradients[-1]).argmin())
            lost = math.isnan(course.mean[place])
            row[name] = "lost" if lost else f"{course.mean[place]:.4f} ± {course.error[place]:.4f}"
        rows.append(row)
    return pd.DataFrame(rows).set_index(["sampler", "steps"])


def explain() -> None:
    """What is measured, as equations."""
    st.latex(r"W_2(\mathrm{law}(x_k), \pi), \qquad h_t = h\,(1 + t/b)^{-c}")
    st.markdown(
        "W2 is taken by quantiles against the target's own. A plain cloud would show the error of the modes' "
        "shares, $W_2^2 \\geq \\delta\\,\\Delta^2$ for a share wrong by $\\delta$ across a gap $\\Delta$; "
        "each chain is therefore counted with its mirror image. Karimi, Hsieh & Krause show that the last "
        "iterate converges in W2, for a whole family of schemes at once. *Two noises* is wrong at any "
        "constant step: compare it with and without steps that fall."
    )
