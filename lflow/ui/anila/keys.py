"""What an address of the page AniLA may hold, each key declared once, and the clouds that it stands for.

Keys are without the page's prefix. Knows nothing of widgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from lflow.spec import Parameter, parameters
from lflow.ui.anila.runs import BUDGETS, EDGE_START, EDGE_THRESHOLD, SHOWN, TARGETS
from lflow.ui.keys import HIDE, VERSION
from lflow.ui.request import Lane, Race, RaceSettings, Settings, as_json

PREFIX = "anila"
CLOUDS, LAW, BIAS, EDGE, COST = "clouds", "law", "bias", "edge", "cost"
VARIANTS = {
    "all": SHOWN,
    "as published": ("ula", "paper"),
    "as coded": ("ula", "toy_code", "flowers_code"),
    "corrected": ("ula", "corrected", "metropolis"),
}
VIEW = Parameter(
    "view",
    CLOUDS,
    choices=(CLOUDS, LAW, BIAS, EDGE, COST),
    titles=("The clouds", "The law", "Bias and b", "Where ULA diverges", "What it costs"),
    help="what the page shows",
)
TARGET = Parameter(
    "target", "gaussian", choices=tuple(TARGETS), help="U is known: four rings, N(0,1), two modes, x⁴"
)
WHICH = Parameter("variants", "all", choices=tuple(VARIANTS), help="which variants run, beside ULA")
SMOOTH = Parameter("smooth", False, help="γ = 1/√(1 + |∇U|²/b²), which has no kink at |∇U| = b")
GRADIENTS = Parameter(
    "gradients", str(BUDGETS[-1]), choices=tuple(map(str, BUDGETS)), help="what each particle may spend"
)
_STEPS = next(p for p in parameters(Settings) if p.name == "num_steps")
# A step of ULA takes one gradient: more gradients than a run may have steps are of no use to it.
SPEND = replace(
    next(p for p in parameters(RaceSettings) if p.name == "gradients"), name="spend", high=_STEPS.high
)
SEED = next(p for p in parameters(RaceSettings) if p.name == "seed")
EDGE_B = Parameter(
    "edge_b",
    EDGE_THRESHOLD,
    0.01,
    1000.0,
    log=True,
    shown=(0.1, 100.0),
    help="b: gradients above it are tamed",
)
START = Parameter(
    "start", EDGE_START, 0.1, 100.0, log=True, shown=(0.5, 10.0), help="standard deviation of the start"
)


def threshold(name: str) -> Parameter:
    """The threshold b of a target."""
    return Parameter(
        f"{name}_b",
        TARGETS[name].b,
        1e-3,
        1e4,
        log=True,
        shown=(0.05, 50.0),
        help="b: where |∇U| is above it, the step shrinks",
    )


def step_size(name: str) -> Parameter:
    """The step size h of a target."""
    h = TARGETS[name].h
    return Parameter(
        f"{name}_h", h, 1e-5, 10.0, log=True, shown=(h / 20, h * 20), help="h, the size of a step"
    )


@cache
def known_keys() -> dict[str, Parameter]:
    """What a link to the page may set, without the prefix."""
    own = [VIEW, TARGET, WHICH, SMOOTH, GRADIENTS, SPEND, EDGE_B, START, SEED, VERSION, HIDE]
    own += [make(name) for name in TARGETS for make in (threshold, step_size)]
    return {parameter.name: parameter for parameter in own}


METHODS = ("ula", "paper", "corrected", "metropolis")
CHAINS = 500
ENERGIES = {
    "rings": as_json("rings"),
    "gaussian": as_json("gaussian"),
    "mixture": as_json("gaussian_mixture", num_modes=2, radius=1.5, std=0.5),
    "quartic": as_json("quartic"),
}


def race(name: str, b: float, h: float, gradients: int, seed: int) -> Race:
    """The runs as a race."""
    rule = as_json("constant", step_size=h)
    lanes = [Lane(as_json("ula"), rule)]
    lanes += [Lane(as_json("anila", variant=each, threshold=b), rule) for each in METHODS[1:]]
    settings = RaceSettings(num_chains=CHAINS, gradients=gradients, same_noise=True, seed=seed)
    return Race(ENERGIES[name], tuple(lanes), settings)


def clouds(settings: Mapping[str, Any]) -> Race:
    """The race that the view "The clouds" shows at these settings; those of other views change nothing."""

    def value(parameter: Parameter) -> Any:
        return settings.get(parameter.name, parameter.default)

    name = str(value(TARGET))
    return race(name, value(threshold(name)), value(step_size(name)), value(SPEND), value(SEED))
