"""The numbers of a lesson's run: each with a name, the words for it, and the way it is written.

They are of the last frame where nothing else is said. Knows neither the files of lessons nor their page.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lflow.loop import Result
from lflow.metrics import mode_mass
from lflow.ui.explain import number
from lflow.ui.request import Parts
from lflow.ui.track import Track
from lflow.ui.truth import Truth

Facts = dict[str, float]

_DRAWS = 20_000
_DRAWS_SEED = 30_000


class Fact(NamedTuple):
    """What a number is called in a sentence, and how it is written."""

    words: str
    write: Callable[[float], str] = number


def share(value: float) -> str:
    """A share in percent, with a digit after the point where it is small."""
    if not math.isfinite(value):
        return number(value)
    return f"{value:.0%}" if value >= 0.0995 or value == 0 else f"{value:.1%}"


def count(value: float) -> str:
    """A whole number; of something that never comes, the word."""
    return f"{value:,.0f}" if math.isfinite(value) else "never"


FACTS = {
    "particles": Fact("number of particles", count),
    "steps": Fact("number of steps", count),
    "gradients": Fact("gradients of each particle", count),
    "h": Fact("size of the last step"),
    "temperature": Fact("temperature"),
    "implied_temperature": Fact("implied temperature"),
    "acceptance": Fact("acceptance", share),
    "lost_share": Fact("share of particles lost", share),
    "mean_energy": Fact("mean energy"),
    "target_energy": Fact("mean energy of the target"),
    "variance": Fact("variance"),
    "variance_x": Fact("variance of x"),
    "variance_y": Fact("variance of y"),
    "moved": Fact("distance moved in the second half"),
    "distance": Fact("distance to the target"),
    "floor": Fact("distance of exact samples"),
    "times_floor": Fact("distance over that of exact samples"),
    "settled": Fact("steps until as close as exact samples", count),
    "wrong_mode": Fact("share in the wrong mode", share),
    "core": Fact("share in the target's core", share),
    "tail": Fact("share in the target's tail", share),
}
"""What a lesson may say of a run. Core and tail are where the energy of exact samples is in its lowest and in
its highest tenth: each holds 10 % of the target. The variance is the mean of those of x and y."""


def facts(track: Track, temperature: float) -> Facts:
    """The facts of a run. What the run does not have is left out.

    Of the cloud, those of the particles that are not lost; a distance, only where none is.
    """
    parts, result, truth = track.parts, track.result, track.truth
    last, lost = result.positions[-1].double(), result.diverged | result.escaped
    kept = last[~lost]
    h = float(result.step_sizes[-1])
    found = {
        "particles": float(len(last)),
        "steps": float(result.steps[-1]),
        "gradients": float(result.gradient_evaluations[-1]),
        "h": h,
        "temperature": temperature,
        "lost_share": float(lost.double().mean()),
    }
    implied = parts.sampler.implied_temperature(parts.energy, h, temperature)
    found["implied_temperature"] = temperature if implied is None else implied
    if parts.sampler.has_accept_step:
        found["acceptance"] = float(result.acceptance[-1])
    if len(kept) > 1:
        found["moved"] = _moved(result, ~lost)
        found |= _of_the_cloud(parts, temperature, kept, truth)
    return found if bool(lost.any()) else found | _of_the_distance(result, truth, track.away)


def _moved(result: Result, kept: Tensor) -> float:
    half = len(result.positions) // 2
    way = (result.positions[-1] - result.positions[half])[kept]
    return float(torch.linalg.vector_norm(way, dim=1).mean())


def _of_the_cloud(parts: Parts, temperature: float, kept: Tensor, truth: Truth) -> Facts:
    x, y = kept.var(0).tolist()
    energy = parts.energy(kept)
    found = {"variance": (x + y) / 2, "variance_x": x, "variance_y": y, "mean_energy": float(energy.mean())}
    if truth.mean_energy is None:
        return found
    generator = torch.Generator().manual_seed(_DRAWS_SEED)
    exact = parts.energy(parts.energy.sample(_DRAWS, generator, temperature).double())
    low, high = torch.quantile(exact, torch.tensor([0.1, 0.9], dtype=exact.dtype))
    found["target_energy"] = truth.mean_energy
    found["core"] = float((energy <= low).double().mean())
    found["tail"] = float((energy >= high).double().mean())
    modes = parts.energy.modes
    if modes is not None and truth.mode_shares is not None and len(modes) > 1:
        misplaced = mode_mass(kept, modes) - truth.mode_shares
        found["wrong_mode"] = float(misplaced.abs().sum() / 2)
    return found


def _of_the_distance(result: Result, truth: Truth, away: list[float] | None) -> Facts:
    floor = truth.floor
    if away is None or floor is None:
        return {}
    near = (step for step, d in zip(result.steps.tolist(), away, strict=True) if d <= floor.high)
    return {
        "distance": away[-1],
        "floor": floor.mean,
        "times_floor": away[-1] / floor.mean,
        "settled": float(next(near, math.inf)),
    }
