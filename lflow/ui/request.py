"""What a page asks for: one run, checked by the declarations, within a budget, with a key to find it again.

A request holds plain values only, as a URL or a script could; `parts` turns them into an energy, a sampler
and a rule. Whatever the browser sent, no run starts from a request that these checks refuse.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow import energies, samplers, steps
from lflow.energies.base import Energy
from lflow.samplers.base import Sampler
from lflow.spec import CONFIG_VERSION, Declared, param, parameters
from lflow.steps import StepRule, check_pair

BUDGET = 100_000_000
"""Particles × gradient evaluations that a page may ask for in one run, on an energy of cost 1."""

OVERHEAD = 700
"""Particles whose gradients take as long as starting an evaluation does: a small cloud costs no less."""

MAX_DIM = 2

FORMULA, POINTS = "from_expression", "from_points"
"""The names of a user's own energies."""


class OverBudget(ValueError):
    """A run larger than a page may ask for; `allowed` of the unit (steps, gradients) would fit, or none."""

    def __init__(self, times: float, allowed: int, unit: str, fewer: str = "particles") -> None:
        fits = f"Take {allowed:,} {unit}, or fewer {fewer}." if allowed else f"Take fewer {fewer}."
        super().__init__(
            f"This run takes {times:.3g} times what a page may compute at once, counted in gradients of all "
            f"chains. {fits}"
        )
        self.allowed = allowed
        self.unit = unit


@dataclass(frozen=True)
class Cloud(Declared):
    """The size, the start and the chance of a run."""

    name = "run"

    num_chains: int = param(2000, 1, 50_000, log=True, shown=(100, 50_000), help="size of the cloud")
    temperature: float = param(
        1.0, 0.0, 100.0, shown=(0.0, 3.0), help="T of the target exp(-U/T); 0 is gradient descent"
    )
    start: str = param(
        "default",
        choices=("default", "point", "box"),
        help="the energy's own start, one point, or the whole box",
    )
    x: float = param(0.0, -1e4, 1e4, shown=(-5.0, 5.0), help="where the point lies")
    y: float = param(0.0, -1e4, 1e4, shown=(-5.0, 5.0), help="where the point lies")
    seed: int = param(0, 0, 2**31 - 1, shown=(0, 100), help="fixes every random number of the run")


@dataclass(frozen=True)
class Settings(Cloud):
    """A run of so many steps."""

    num_steps: int = param(500, 1, 20_000, log=True, shown=(10, 5000), help="steps to take")
    more: int = param(0, 0, 100, help="how often the run was continued by as many steps again")


class Parts(NamedTuple):
    """The objects that a request names."""

    energy: Energy
    sampler: Sampler
    rule: StepRule


@dataclass(frozen=True)
class Request:
    """One run: configurations as JSON texts (so that it can be hashed), and the settings."""

    energy: str
    sampler: str
    rule: str
    settings: Settings

    @property
    def key(self) -> str:
        """Names the run: the same request gives the same arrays."""
        return json.dumps([CONFIG_VERSION, self.energy, self.sampler, self.rule, self.settings.config()])

    def parts(self) -> Parts:
        """Energy, sampler and rule. ValueError if a value is out of its bounds or they do not go together."""
        energy = make_energy(self.energy)
        if energy.dim != MAX_DIM:
            raise ValueError(f"this page shows energies in {MAX_DIM} dimensions, not {energy.dim}")
        sampler = samplers.get(**json.loads(self.sampler))
        rule = steps.get(**json.loads(self.rule))
        check_pair(sampler, rule)
        return Parts(energy, sampler, rule)

    def work(self, parts: Parts) -> float:
        """What the run takes, in gradients of all particles on an energy of cost 1."""
        chains = self.settings.num_chains
        particles = max(chains * parts.energy.cost * parts.sampler.work(chains), OVERHEAD)
        per_step = max(1, parts.sampler.gradients_per_step) * particles * (1 + self.settings.more)
        return per_step * self.settings.num_steps

    def check_budget(self, parts: Parts) -> None:
        """OverBudget if the run is too large for a page."""
        asked = self.work(parts)
        if asked > BUDGET:
            allowed = int(BUDGET // (asked / self.settings.num_steps))
            raise OverBudget(asked / BUDGET, allowed, "steps")

    def before_continuing(self) -> Request:
        """The request whose run this one continues."""
        return replace(self, settings=replace(self.settings, more=self.settings.more - 1))


class Lane(NamedTuple):
    """One sampler of a race: its configuration and its rule's, as JSON texts."""

    sampler: str
    rule: str


@dataclass(frozen=True)
class RaceSettings(Cloud):
    """A race of several samplers, each with so many gradients to spend."""

    num_chains: int = param(1000, 1, 20_000, log=True, shown=(100, 10_000), help="size of each cloud")
    gradients: int = param(
        300, 2, 20_000, log=True, shown=(20, 5000), help="what each sampler may spend on a particle"
    )
    same_noise: bool = param(
        True, help="at the same step all samplers take the same ξ; else each has noise of its own"
    )


@dataclass(frozen=True)
class Race:
    """Two to four samplers on one energy, from the same start, at an equal number of gradients."""

    energy: str
    lanes: tuple[Lane, ...]
    settings: RaceSettings

    @property
    def key(self) -> str:
        """Names the race: the same request gives the same arrays."""
        return json.dumps([CONFIG_VERSION, self.energy, self.lanes, self.settings.config()])

    def requests(self) -> list[Request]:
        """Each lane as a run of as many steps as its gradients pay for.

        ValueError if a lane is refused, or its first step costs more than there is to spend.
        """
        return [self._request(lane) for lane in self.lanes]

    def _request(self, lane: Lane) -> Request:
        settings = {p.name: getattr(self.settings, p.name) for p in parameters(Cloud)}
        request = Request(self.energy, lane.sampler, lane.rule, Settings(**settings))
        sampler = request.parts().sampler
        steps_paid = sampler.steps_for(self.settings.gradients)
        if steps_paid < 1:
            first = sampler.start_gradients + sampler.gradients_per_step
            raise ValueError(f"the first step of {sampler.title} takes {first:,} gradients: allow more")
        return replace(request, settings=replace(request.settings, num_steps=steps_paid))

    def check_budget(self) -> None:
        """OverBudget if the race is too large for a page; what is allowed are gradients."""
        asked = sum(request.work(request.parts()) for request in self.requests())
        if asked > BUDGET:
            allowed = int(0.99 * self.settings.gradients * BUDGET / asked)  # whole steps round up and down
            raise OverBudget(asked / BUDGET, allowed if allowed >= 2 else 0, "gradients")


def as_json(name: str, **values: Any) -> str:
    """A configuration as a canonical JSON text."""
    return json.dumps({"name": name, **values}, sort_keys=True)


@lru_cache(maxsize=24)
def make_energy(config: str) -> Energy:
    """The energy of a configuration; kept, so that what it works out about itself is worked out once."""
    values = json.loads(config)
    name = values.pop("name")
    if name == FORMULA:
        reach = float(values["reach"])
        return energies.from_expression(values["text"], ((-reach, reach), (-reach, reach)))
    if name == POINTS:
        return energies.from_points(values["points"], values["bandwidth"], values.get("bounds"))
    return energies.get(name, **values)


def starting_points(energy: Energy, settings: Cloud) -> Tensor | None:
    """The initial positions that the settings ask for; None leaves them to the energy."""
    if settings.start == "point":
        return torch.tensor([settings.x, settings.y]).expand(settings.num_chains, 2).clone()
    if settings.start == "box":
        low, high = torch.tensor(energy.bounds).T
        generator = torch.Generator().manual_seed(settings.seed)
        return low + (high - low) * torch.rand(settings.num_chains, 2, generator=generator)
    return None


def stability_edge(energy: Energy, sampler: Sampler) -> float | None:
    """The sampler's stability edge on the energy; None where it has none, or the energy is nowhere convex."""
    return sampler.stability_edge(energy.curvature) if energy.curvature > 0 else None


def suggested_step_size(energy: Energy, sampler: Sampler) -> float:
    """A safe step to begin with, to one digit: a fifth of the stability edge, or of that of its kin."""
    curvature = max(energy.curvature, 1.0)
    edge = stability_edge(energy, sampler) or 2 / (
        curvature**0.5 if sampler.family == "underdamped" else curvature
    )
    return float(f"{min(max(edge / 5, 1e-4), 1.0):.1g}")
