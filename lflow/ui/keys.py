"""What a page's address may hold: each key with the declaration that checks its value.

Names here are without the page's prefix. Knows nothing of widgets and of runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from lflow import energies, samplers, steps
from lflow.energies.custom import FromPoints
from lflow.energies.expression import MAX_LENGTH
from lflow.registry import Registry
from lflow.samplers.base import registry as sampler_registry
from lflow.spec import CONFIG_VERSION, Parameter, check_version, did_you_mean, parameters
from lflow.steps import registry as rule_registry
from lflow.ui import drawing
from lflow.ui.request import FORMULA, POINTS, RaceSettings, Settings


def _heart() -> str:
    """What is drawn before anyone has drawn: a heart, as text."""
    turn = [2 * math.pi * k / 60 for k in range(61)]
    across = [16 * math.sin(t) ** 3 for t in turn]
    up = [13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) for t in turn]
    return drawing.encode([[(0.5 + x / 45, 0.52 + y / 45) for x, y in zip(across, up, strict=True)]])


DRAWING = "drawing"
"""The name of the energy that a reader draws."""

DEFAULTS = {"energy": "rings", "sampler": "ula", "step": "constant"}
LANES = ("ula", "anila", "mala", "hmc")
"""The samplers that a race begins with."""

FORMULA_TEXT = Parameter(
    "formula", "(x**2 - 1)**2 + (y - sin(2*x))**2", high=MAX_LENGTH, help="an energy in x, y and r"
)
REACH = Parameter("reach", 4.0, 0.1, 1000.0, log=True, shown=(1.0, 20.0), help="half the side of the picture")
DRAWN = Parameter("drawing", _heart(), high=drawing.MAX_LENGTH, help="strokes, as a text")
(BANDWIDTH,) = parameters(FromPoints)
INK = replace(BANDWIDTH, name="ink", default=0.3, help="how far the ink spreads, in units of Scott's rule")
FLOW = Parameter("flow", False, help="lay the density of the continuous-time flow over the cloud")
NUM_LANES = Parameter("lanes", 2, 2, len(LANES), help="how many samplers race")
HIDE = Parameter("hide", "", high=400, help="names of controls that are not shown, with commas")
VERSION = Parameter("version", CONFIG_VERSION, 0, 1_000_000)

Keys = Mapping[str, Parameter]
Value = TypeVar("Value")


@cache
def choice(what: str) -> Parameter:
    """A list (energy, sampler, step): the library's names, and what pages call them."""
    if what == "energy":
        own = {FORMULA: "A formula", POINTS: "Points", DRAWING: "A drawing"}
        titles = {name: energies.get_class(name).title for name in energies.names()}
        titles |= {name: f"{title} of your own" for name, title in own.items()}
    else:
        module = {"sampler": samplers, "step": steps}[what]
        titles = {name: module.get_class(name).title for name in module.names()}
    return Parameter(what, DEFAULTS[what], choices=tuple(titles), titles=tuple(titles.values()))


def step_size_parameter(rule: str) -> Parameter:
    """The step size of a rule, under the short name that addresses use."""
    declared = next(p for p in parameters(steps.get_class(rule)) if p.name == "step_size")
    return replace(declared, name="h")


@cache
def lab_keys() -> Keys:
    """What a link to the particle lab may set."""
    declared = (VERSION, HIDE, FLOW, *parameters(Settings))
    return _energy_keys() | _mover_keys() | {p.name: p for p in declared}


@cache
def race_keys() -> Keys:
    """What a link to the race may set: each lane's keys begin with its number."""
    declared = (VERSION, HIDE, NUM_LANES, *parameters(RaceSettings))
    lanes = {
        f"{lane}_{name}": parameter
        for lane in range(1, len(LANES) + 1)
        for name, parameter in _mover_keys().items()
    }
    return _energy_keys() | lanes | {p.name: p for p in declared}


def _energy_keys() -> dict[str, Parameter]:
    own = {p.name: p for p in (FORMULA_TEXT, REACH, BANDWIDTH, DRAWN, INK)}
    return {"energy": choice("energy")} | own | _class_keys(energies.base.registry)


def _mover_keys() -> dict[str, Parameter]:
    keys = {what: choice(what) for what in ("sampler", "step")} | {"h": step_size_parameter("constant")}
    return keys | _class_keys(sampler_registry) | _class_keys(rule_registry)


def _class_keys(registry: Registry[Any]) -> dict[str, Parameter]:
    return {
        f"{name}_{parameter.name}": parameter
        for name in registry.names()
        for parameter in parameters(registry.get_class(name))
        if parameter.name not in ("dim", "step_size")
    }


def in_address(parameter: Parameter, value: Any) -> str | list[str]:
    """A value as an address holds it: of a list the title, of a list of several all of them."""
    if isinstance(value, list):
        return [parameter.title(each) for each in value]
    return parameter.title(str(value))


Link = Mapping[str, Sequence[str]]
"""The values of an address by key, without the page's prefix; a list of several has more than one."""


def check_link(link: Link, known: Keys, prefix: str) -> tuple[dict[str, list[str]], list[str]]:
    """What of a link to a page with this prefix can be used, and a sentence about each value that cannot."""
    usable: dict[str, list[str]] = {}
    refused = []
    for name, texts in link.items():
        if name not in known:
            refused.append(f"The link sets {prefix}_{name[:40]}, which is not known here; it is ignored.")
            continue
        for text in texts:
            if not text and known[name].choices:  # a list of several of which none is chosen
                usable.setdefault(name, []).append(text)
                continue
            try:
                known[name].parse(text)
                usable.setdefault(name, []).append(known[name].title(text))
            except ValueError as error:
                choices = known[name].choices
                why = f"that is no choice here.{did_you_mean(text, choices)}" if choices else f"{error}."
                refused.append(f"The link sets {prefix}_{name} to {text[:40]!r}: {why} The default is used.")
    try:
        (version,) = usable.pop("version", [str(CONFIG_VERSION)])
        check_version({"version": int(version)}, "link")
    except ValueError as error:
        return {}, [f"{error}: the page is shown as it comes."]
    return usable, refused


def without(prefix: str, names: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """The pairs of an address that belong to a page, without its prefix."""
    start = f"{prefix}_"
    return {name.removeprefix(start): value for name, value in names if name.startswith(start)}
