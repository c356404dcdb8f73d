"""What an address of the page Images may hold, each key declared once, and the runs that it stands for.

Keys are without the page's prefix. Defaults are how the shipped model was trained. Knows nothing of widgets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from lflow import samplers
from lflow.samplers.base import Sampler
from lflow.spec import CONFIG_VERSION, Parameter, parameters
from lflow.ui import names
from lflow.ui.images.model import trained
from lflow.ui.keys import HIDE, VERSION
from lflow.ui.packing import MAX_PANELS
from lflow.ui.request import Cloud, OverBudget

PREFIX = "images"
VARIANTS = ("paper", "corrected", "metropolis", "toy_code", "flowers_code")
"""AniLA's."""
METHODS = ("ula", *VARIANTS, "mala")
TITLES = {"ula": "SGLD (ULA)", **{each: f"AniLA, {names.ANILA[each]}" for each in VARIANTS}, "mala": "MALA"}
FIRST = ("ula", "paper", "corrected")
"""What the page opens on."""
LANES = Parameter(
    "lanes",
    FIRST[0],
    choices=METHODS,
    titles=tuple(TITLES.values()),
    help="one to four; all start at the same images and take the same noise",
)
STARTS = {"noise": "noise", "data": "real digits", "corrupted": "half a digit"}
_START_HELP = "noise as in training, digits that the model has not seen, or their upper halves over noise"
THRESHOLDS = {"pixel_b": 0.03, "image_b": 0.2}
"""AniLA's threshold on the slope along a pixel, and on that of an image."""
BUDGET = 1_000_000
"""Gradients of an image that a page may ask for at once."""


@cache
def declared() -> Mapping[str, Parameter]:
    """The controls beside the list of samplers, in their order."""
    model = trained().learner.settings
    h, t = model.step_size, model.temperature
    found = (
        Parameter("h", h, 1e-6, 100.0, log=True, shown=(h / 30, h * 30), help="h, the size of a step"),
        Parameter("steps", model.chain_steps, 1, 10_000, log=True, shown=(10, 3000), help="how many to take"),
        Parameter("start", "noise", choices=tuple(STARTS), titles=tuple(STARTS.values()), help=_START_HELP),
        Parameter("elementwise", True, help="γ for each pixel; else one for each image"),
        *(_threshold(name, default) for name, default in THRESHOLDS.items()),
        Parameter("temperature", t, 0.0, 100.0, shown=(0.0, 4 * t), help="T; 0 is gradient descent"),
        Parameter("num_images", 64, 1, 144, help="how many chains, each on an image of its own"),
        next(p for p in parameters(Cloud) if p.name == "seed"),
    )
    return {parameter.name: parameter for parameter in found}


def _threshold(name: str, default: float) -> Parameter:
    help = "AniLA's b: where the slope is steeper, the step shrinks"
    return Parameter(name, default, 1e-6, 1e4, log=True, shown=(default / 30, default * 30), help=help)


@cache
def known_keys() -> dict[str, Parameter]:
    """What a link to the page may set, without the prefix."""
    return {LANES.name: LANES, **declared(), **{each.name: each for each in (VERSION, HIDE)}}


class Asked(NamedTuple):
    """What the page shows: checked values, in their own types."""

    lanes: tuple[str, ...]
    h: float
    steps: int
    start: str
    elementwise: bool
    pixel_b: float
    image_b: float
    temperature: float
    num_images: int
    seed: int

    @property
    def b(self) -> float:
        """AniLA's threshold."""
        return self.pixel_b if self.elementwise else self.image_b

    @property
    def steps_as_trained(self) -> int:
        """The steps that take as long a time, steps times h, as a chain took in training."""
        return max(1, round(trained().learner.settings.chain_steps * self.h_as_trained / self.h))

    @property
    def h_as_trained(self) -> float:
        """The step size of the chains in training."""
        return trained().learner.settings.step_size

    @property
    def is_large_step(self) -> bool:
        """Whether the step is so much larger than in training that its own error may lead a chain away."""
        return self.h > 2 * self.h_as_trained

    @property
    def key(self) -> str:
        """Names the runs: the same request gives the same arrays."""
        return json.dumps([CONFIG_VERSION, *self])

    def lane_key(self, method: str) -> str:
        """Names one lane's run: what it computes does not depend on the others."""
        return self._replace(lanes=(method,)).key

    def sampler(self, method: str) -> Sampler:
        """The sampler of a lane."""
        if method in VARIANTS:
            return samplers.get("anila", variant=method, threshold=self.b, elementwise=self.elementwise)
        return samplers.get(method)

    def check_budget(self) -> None:
        """OverBudget if the runs together are too large for a page; what is allowed are steps."""
        a_step = self.num_images * sum(self.sampler(method).gradients_per_step for method in self.lanes)
        if a_step * self.steps > BUDGET:
            raise OverBudget(a_step * self.steps / BUDGET, BUDGET // a_step, "steps", "images")


def asked(settings: Mapping[str, Any], lanes: Sequence[str] = FIRST) -> Asked:
    """The request at these settings; what is absent is at its default. ValueError names what is wrong."""
    if not 1 <= len(lanes) <= MAX_PANELS:
        raise ValueError(f"choose one to {MAX_PANELS} samplers, not {len(lanes)}")
    chosen = [LANES.check(each) for each in lanes]
    ordered = tuple(method for method in METHODS if method in chosen)
    values = {name: each.check(settings.get(name, each.default)) for name, each in declared().items()}
    return Asked(lanes=ordered, **values)
