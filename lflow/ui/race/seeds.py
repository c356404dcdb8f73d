"""Is it the seed? The distance of each lane over its gradients, for five seeds, with a band.

One race is one seed: here every lane is run with the race's seed and with the four that follow it. Reads no
controls; what the page opens on is shipped.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import streamlit as st

from lflow.exact import Floor
from lflow.papers.experiment import Config, Findings, Job, Record, is_lower, mean_and_error, select
from lflow.ui import racing, study
from lflow.ui.controls import plain
from lflow.ui.curves import BAND, DASHES, Axes, Look, decades, draw, theme_index, with_errors
from lflow.ui.explain import number
from lflow.ui.request import Lane, Parts, Race, RaceSettings
from lflow.ui.store import Store
from lflow.ui.theme import family_of, shades

STUDY = "race"
SEEDS = 5
_POINTS = 25  # of a curve


class Course(NamedTuple):
    """A lane's distances at growing counts of gradients, by seed."""

    label: str
    gradients: list[int]
    distances: dict[int, list[float]]


@st.cache_resource
def _store() -> Store:
    return Store(32)


def jobs(race: Race) -> list[Job]:
    """A run of each lane with each seed."""
    seeds = range(race.settings.seed, race.settings.seed + SEEDS)
    return [
        Job(
            {
                "energy": race.energy,
                "lanes": [list(each) for each in race.lanes],
                "lane": lane,
                "settings": race.settings.config() | {"seed": seed},
            },
            1.0,
        )
        for lane in range(len(race.lanes))
        for seed in seeds
    ]


def work(config: Config, progress: Callable[[int, int], None] | None = None) -> Findings:
    """One lane with one seed: its distances at counts of gradients that grow geometrically."""
    settings = {name: value for name, value in config["settings"].items() if name != "name"}
    lanes = tuple(Lane(*each) for each in config["lanes"])
    race = Race(config["energy"], lanes, RaceSettings(**settings))
    track = racing.run_lane(race, config["lane"], "", _store(), progress)
    counts = racing.gradient_counts(race.settings)
    last = len(counts) - 1
    places = sorted({round(last ** (k / _POINTS)) for k in range(_POINTS + 1)})
    away, floor = track.away, track.truth.floor
    lost = bool((track.result.diverged | track.result.escaped).any())
    return {
        "gradients": [int(counts[place]) for place in places],
        "distances": None if away is None or lost else [away[int(track.frames[place])] for place in places],
        "floor": None if floor is None else list(floor),
    }


def section(race: Race, labels: Sequence[str]) -> None:
    """The expander: nothing runs until a reader opens it."""
    opened = st.expander(
        "Is it the seed? Five of them", expanded=True, key=f"{STUDY}-seeds", on_change="rerun"
    )
    if opened.open:
        with opened:
            _show(race, labels)


def _show(race: Race, labels: Sequence[str]) -> None:
    records = study.collect(STUDY, work, jobs(race), tells=True)
    courses = [_course(label, lane, records) for lane, label in enumerate(labels)]
    kept = [course for course in courses if len(course.distances) > 1]
    floor = next((Floor(*r.found["floor"]) for r in records if r.found["floor"]), None)
    if not kept or floor is None:
        st.markdown("There is nothing to compare: no two seeds of a sampler kept all their particles.")
        return
    said = words(kept, floor)
    parts = dict(zip(labels, (request.parts() for request in race.requests()), strict=True))
    st.altair_chart(_chart(kept, floor, parts), alt=said)
    st.markdown(plain(said))
    first = race.settings.seed
    st.caption(
        f"Seeds {first} to {first + SEEDS - 1}. Lines are means, bands ± {BAND:g} standard errors. "
        "Nearer is by a paired test at 99 %. With a seed that loses particles there is no distance."
    )


def _course(label: str, lane: int, records: Sequence[Record]) -> Course:
    mine = [record for record in select(records, lane=lane) if record.found["distances"]]
    by_seed = {record.config["settings"]["seed"]: record.found["distances"] for record in mine}
    return Course(label, mine[0].found["gradients"] if mine else [], by_seed)


def words(courses: Sequence[Course], floor: Floor) -> str:
    """How near each lane ends, and which are told apart by the seeds."""
    ends = {
        course.label: {seed: distances[-1] for seed, distances in course.distances.items()}
        for course in courses
    }
    order = sorted(ends, key=lambda label: statistics.fmean(ends[label].values()))
    told = []
    for label in order:
        found = mean_and_error(list(ends[label].values()))
        told.append(f"{label} {number(found['mean'] / floor.mean)} ± {number(found['error'] / floor.mean)}")
    said = [f"At the end, in units of what exact samples reach: {', '.join(told)}."]
    for nearer, farther in pairwise(order):
        verb = "is nearer than" if is_lower(ends[nearer], ends[farther]) else "cannot be told from"
        said.append(f"{nearer} {verb} {farther}.")
    return " ".join(said)


def _chart(courses: Sequence[Course], floor: Floor, parts: dict[str, Parts]) -> Any:
    families = [family_of(each.sampler.family, each.rule.name) for each in parts.values()]
    hues = dict(zip(parts, shades(families), strict=True))
    dashes = {label: DASHES[families[:k].count(families[k])] for k, label in enumerate(parts)}
    curves = []
    for course in courses:
        found = [mean_and_error(values) for values in zip(*course.distances.values(), strict=True)]
        look = Look(hues[course.label][theme_index()], dashes[course.label])
        means, errors = [each["mean"] for each in found], [each["error"] for each in found]
        curves.append(with_errors(course.label, look, course.gradients, means, errors))
    most = max(course.gradients[-1] for course in courses)
    low = min(floor.low, *(min(curve.y) for curve in curves)) / 1.2
    high = 1.2 * max(max(curve.y) for curve in curves)
    first = max(1, min(course.gradients[0] for course in courses))
    axes = Axes(
        "gradients a particle (log)",
        "sliced W2 to the target (log)",
        (first, most),
        (low, high),
        x_ticks=[tick for tick in decades((first, most)) if math.log10(tick) % 1 == 0 or most / first < 100],
        y_ticks=decades((low, high)),
        height=300,
    )
    return draw(axes, curves, ([first, most], [floor.mean, floor.mean], "exact samples"))


def ship() -> None:
    """Compute and write what the page opens on."""
    from lflow.ui.link import race_request

    study.ship(STUDY, work, jobs(race_request({})), print)
