"""View "Map": one number of a sampler over two of its parameters, each cell a small run at equal gradients.

Knows its controls, its runs and its words; the heat map is drawn by `heat`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from lflow import energies, samplers
from lflow.papers import equal_gradients
from lflow.papers.experiment import Job, Record, gradients_of_all
from lflow.paths import pages_dir
from lflow.spec import Declared, Parameter, parameters
from lflow.ui.controls import readable
from lflow.ui.convergence.controls import choose, key, named, spoken
from lflow.ui.convergence.heat import Heat, draw
from lflow.ui.keys import step_size_parameter
from lflow.ui.link import default_step_size
from lflow.ui.request import MAX_DIM, as_json

NAME, TITLE, STUDY = "map", "Map", "convergence-map"
QUESTION = "Which step size goes with which other parameter, if every run may take as many gradients?"
work = equal_gradients.work
CELLS, CHAINS, GRADIENTS = 9, 500, 200
LAB = str(pages_dir() / "particle_lab.py")
H = "h"


class Metric(NamedTuple):
    """A number of a cell: what it is called, how it is written, and which comes first."""

    title: str
    write: Callable[[float], str]
    log: bool = False
    ends: tuple[str, str] = ("best", "worst")
    more_first: bool = False

    def rank(self, value: float) -> float:
        """Less comes first: an error counts by its size."""
        return -value if self.more_first else abs(value)


METRICS = {
    "ratio": Metric("Distance over its floor", "{:.2f}".format, log=True),
    "energy_error": Metric("Error of the mean energy", "{:+.3f}".format),
    "lost": Metric("Share of chains lost", "{:.1%}".format),
    "acceptance": Metric("Acceptance", "{:.1%}".format, ends=("highest", "lowest"), more_first=True),
}


class Axis(NamedTuple):
    """A parameter that a map may span: whose it is, what it is called, and its cells."""

    owner: str
    name: str
    title: str
    cells: tuple[float, ...]


@cache
def axes(energy: str, sampler: str) -> dict[str, Axis]:
    """The parameters that a map of a sampler on an energy may span, by key: the step size first."""
    found = {H: Axis(H, H, "Step size h (log)", _cells(step_size_parameter("constant")))}
    unused = samplers.get(sampler).unused(energies.get(energy))
    for owner, cls, left_out in (
        ("sampler", samplers.get_class(sampler), unused),
        ("energy", energies.get_class(energy), ("dim",)),
    ):
        found |= {f"{cls.name}_{each.name}": each for each in _axes(owner, cls, left_out)}
    return found


def _axes(owner: str, cls: type[Declared], left_out: Sequence[str]) -> list[Axis]:
    numeric = [p for p in parameters(cls) if p.kind in (int, float) and p.name not in left_out]
    spanned = [p for p in numeric if p.shown or (p.low is not None and p.high is not None)]
    return [
        Axis(owner, p.name, f"{readable(p)} of the {owner}{' (log)' * p.log}", _cells(p)) for p in spanned
    ]


def _cells(parameter: Any) -> tuple[float, ...]:
    low, high = parameter.span
    spaced = (np.geomspace if parameter.log else np.linspace)(low, high, CELLS).tolist()
    rounded = {
        parameter.kind(round(each) if parameter.kind is int else float(f"{each:.2g}")) for each in spaced
    }
    return tuple(sorted(each for each in rounded if low <= each <= high))


ENERGY = named(
    "map_energy",
    {name: energies.get_class(name).title for name in energies.names() if energies.get(name).dim == MAX_DIM},
    "rings",
)
SAMPLER = named("map_sampler", {name: samplers.get_class(name).title for name in samplers.names()}, "hmc")
METRIC = named("map_metric", {name: metric.title for name, metric in METRICS.items()}, "ratio")
_ALL = {
    name: axis.title
    for energy in ENERGY.choices or ()
    for sampler in SAMPLER.choices or ()
    for name, axis in axes(energy, sampler).items()
}
ACROSS = named("map_across", _ALL, H)
UP = named("map_up", _ALL, "hmc_num_leapfrog")
CONTROLS = (ENERGY, SAMPLER, METRIC, ACROSS, UP)


@dataclass(frozen=True)
class Choice:
    """What is shown; as it comes, what the view opens on."""

    energy: str = ENERGY.default
    sampler: str = SAMPLER.default
    across: str = ACROSS.default
    up: str = UP.default
    metric: str = METRIC.default

    def axis(self, name: str) -> Axis:
        """One of the two axes. ValueError where this sampler on this energy has no such parameter."""
        known = axes(self.energy, self.sampler)
        if name not in known:
            raise ValueError(f"a map of {self.sampler} on {self.energy} cannot span {name!r}")
        return known[name]

    def jobs(self) -> list[Job]:
        """A run for each cell, row by row from below; none where there is one parameter only."""
        if self.across == self.up:
            return []
        across, up = self.axis(self.across), self.axis(self.up)
        spans_steps = H in (self.across, self.up)
        step_size = 0.0 if spans_steps else default_step_size(as_json(self.energy), as_json(self.sampler))
        found = []
        for y in up.cells:
            for x in across.cells:
                config: dict[str, Any] = {"energy": {"name": self.energy}, "sampler": {"name": self.sampler}}
                config |= {H: step_size, "chains": CHAINS, "gradients": GRADIENTS, "seed": 0}
                for axis, value in ((across, x), (up, y)):
                    (config if axis.owner == H else config[axis.owner])[axis.name] = value
                found.append(Job(config, gradients_of_all(CHAINS, GRADIENTS)))
        return found


def controls() -> Choice:
    """What the reader chooses."""
    energy, sampler = choose(ENERGY, "Energy"), choose(SAMPLER, "Sampler")
    known = {name: axis.title for name, axis in axes(energy, sampler).items()}
    across = choose(_among(ACROSS, known, H), "Across")
    others = {name: title for name, title in known.items() if name != across}
    if not others:
        return Choice(energy, sampler, across, across)
    up = choose(_among(UP, others, next(iter(others))), "Up")
    shown = {name: m.title for name, m in METRICS.items() if name != "acceptance" or _accepts(sampler)}
    return Choice(energy, sampler, across, up, choose(_among(METRIC, shown, METRIC.default), "Colour"))


def _accepts(sampler: str) -> bool:
    return samplers.get(sampler).has_accept_step


def _among(parameter: Parameter, titles: Mapping[str, str], default: str) -> Parameter:
    """The list with these entries alone; a choice that is no longer among them is forgotten."""
    name = key(parameter.name)
    if st.session_state.get(name, default) not in titles:
        st.session_state[name] = default
    return named(parameter.name, titles, default)


def show(choice: Choice, records: Sequence[Record]) -> None:
    """The heat map, its words, the way to the lab, and its numbers."""
    if choice.across == choice.up:
        st.info(
            f"{SAMPLER.title(choice.sampler)} on {ENERGY.title(choice.energy)} has no other number than "
            "the step size: choose a sampler or an energy with parameters."
        )
        return
    across, up, metric = choice.axis(choice.across), choice.axis(choice.up), METRICS[choice.metric]
    cells = {_place(record, across, up): record for record in records}
    best = best_cell(choice, records)
    heat = Heat(
        across,
        up,
        metric.title,
        [[_size(cells.get((x, y)), choice.metric) for x in across.cells] for y in up.cells],
        [[_told(cells.get((x, y)), across, up) for x in across.cells] for y in up.cells],
        [place for place, record in cells.items() if record.found["lost"]],
        None if best is None else _place(best, across, up),
        metric.log,
        metric.more_first,
    )
    words = say(choice, records, best)
    st.plotly_chart(draw(heat), key=f"{STUDY}-chart", alt=spoken(words), config={"displayModeBar": False})
    st.markdown(words)
    if best is not None:
        st.page_link(
            LAB,
            label=f"Open the {metric.ends[0]} cell in the particle lab",
            icon=":material/arrow_forward:",
            query_params=lab_settings(best),
        )
    st.caption(
        f"A cell is one run of {CHAINS} particles with one seed and {GRADIENTS} gradients a particle (as "
        "many steps, for a sampler without gradients), from the energy's own start; other parameters are at "
        "their defaults. The ring marks the cell named above; a cross: chains are lost; blank: not computed."
    )
    with st.expander("The numbers"):
        st.table(_table(choice, cells), alt=f"{metric.title} by {across.title} and {up.title}")


def _place(record: Record, across: Axis, up: Axis) -> tuple[float, float]:
    return _setting(record, across), _setting(record, up)


def _setting(record: Record, axis: Axis) -> float:
    config = record.config if axis.owner == H else record.config[axis.owner]
    return float(config[axis.name])


def _value(record: Record | None, metric: str) -> float | None:
    return None if record is None else record.found[metric]


def _size(record: Record | None, metric: str) -> float | None:
    value = _value(record, metric)
    return None if value is None else abs(value)


def _at(record: Record, across: Axis, up: Axis) -> str:
    return ", ".join(f"{_plain(axis)} = {_setting(record, axis):g}" for axis in (across, up))


def _plain(axis: Axis) -> str:
    return H if axis.owner == H else axis.title.split(" of the ")[0].lower()


def _told(record: Record | None, across: Axis, up: Axis) -> str:
    """What a cell says under the pointer."""
    if record is None:
        return "not computed"
    values = [(metric, record.found[name]) for name, metric in METRICS.items()]
    lines = [f"{metric.title}: {metric.write(value)}" for metric, value in values if value is not None]
    return "<br>".join([_at(record, across, up), f"{record.found['steps']:,} steps", *lines])


def best_cell(choice: Choice, records: Sequence[Record]) -> Record | None:
    """The cell with the best value; of those that are as good, one that loses no chain, then the first."""
    rank = METRICS[choice.metric].rank
    kept = [record for record in records if record.found[choice.metric] is not None]
    return min(kept, key=lambda r: (rank(r.found[choice.metric]), r.found["lost"]), default=None)


def say(choice: Choice, records: Sequence[Record], best: Record | None) -> str:
    """The best cell, the range, and what was lost, in words."""
    across, up, metric = choice.axis(choice.across), choice.axis(choice.up), METRICS[choice.metric]
    on = f"{SAMPLER.title(choice.sampler)} on {ENERGY.title(choice.energy)}"
    if best is None:
        return f"**{on}**: no cell has a value yet, or every one has lost chains."
    values = sorted(
        (each.found[choice.metric] for each in records if each.found[choice.metric] is not None),
        key=metric.rank,
    )
    told = [
        f"**{on}, {metric.title.lower()}**: {metric.ends[0]} at {_at(best, across, up)}, "
        f"{metric.write(values[0])}; {metric.ends[1]} {metric.write(values[-1])}."
    ]
    if choice.metric == "ratio":
        reach = best.found["reach"]
        near = sum(value < reach for value in values)
        told.append(
            f"{near} of {len(records)} cells lie below {reach:.2f}, as 97.5 % of exact draws do: this map "
            "cannot tell them apart."
        )
    lost = sum(record.found["lost"] > 0 for record in records)
    told.append(f"Chains are lost in {lost} of {len(records)} cells." if lost else "No cell loses a chain.")
    total = len(across.cells) * len(up.cells)
    if len(records) < total:
        told.append(f"{total - len(records)} of {total} cells are not computed.")
    return " ".join(told)


def lab_settings(record: Record) -> dict[str, str]:
    """The same run as a link to the particle lab."""
    config = record.config
    settings: dict[str, Any] = {"step": "constant", "h": config[H], "seed": config["seed"]}
    settings |= {"num_steps": record.found["steps"], "num_chains": config["chains"]}
    for what in ("energy", "sampler"):
        values = dict(config[what])
        name = settings[what] = values.pop("name")
        settings |= {f"{name}_{parameter}": value for parameter, value in values.items()}
    return {f"lab_{name}": str(value) for name, value in settings.items()}


def _table(choice: Choice, cells: Mapping[tuple[float, float], Record]) -> pd.DataFrame:
    across, up, metric = choice.axis(choice.across), choice.axis(choice.up), METRICS[choice.metric]

    def written(x: float, y: float) -> str:
        record = cells.get((x, y))
        value = _value(record, choice.metric)
        return metric.write(value) if value is not None else "" if record is None else "lost"

    rows = {f"{y:g}": [written(x, y) for x in across.cells] for y in reversed(up.cells)}
    columns = [f"{_plain(across)} {x:g}" for x in across.cells]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis(_plain(up))


def explain() -> None:
    """What is measured, as equations."""
    st.latex(
        r"\text{distance over floor} = \frac{SW_2(\text{particles},\ \text{exact draws})}"
        r"{\text{mean of } SW_2(\text{exact draws},\ \text{exact draws})}"
    )
    st.markdown(
        "1 is as good as exact draws of the same number. The gradients are shared out: a sampler that takes "
        "ten for a step takes a tenth of the steps. The mean energy's error is mean U of the particles less "
        "the target's. Distances and energies are those of runs that lose no chain."
    )
