"""Samplers on the trained energy, from the same images with the same noise, and what is measured of them.

Distances are to the digits that the model learned from; real digits that it has not seen are the floor. Knows
nothing of pages and pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lflow.energies.custom import FromCallable
from lflow.exact import Floor
from lflow.loop import Callback, Result, simulate
from lflow.metrics.distances import sliced_wasserstein2_frames
from lflow.noise import Noise, generator
from lflow.samplers.anila import AniLA
from lflow.samplers.base import Sampler
from lflow.ui.images.keys import TITLES, Asked
from lflow.ui.images.model import Trained
from lflow.ui.store import Store

MOST_FRAMES = 90
_PROJECTIONS = 256
_REPEATS = 60
_BLOCK = 2048  # images whose gradients are taken at once
Report = Callable[[float, str], None]


class Track(NamedTuple):
    """A lane's run, and what is measured of it at each frame."""

    method: str
    sampler: Sampler
    result: Result
    energy: Tensor
    """(frames, images): U."""
    scaling: Tensor | None
    """(frames, images, height, width) or (frames, images, 1, 1): AniLA's γ."""
    nearest: Tensor
    """(frames,): the median distance of an image to the nearest training digit."""
    away: Tensor
    """(frames,): sliced W2 to the training digits."""

    @property
    def label(self) -> str:
        return TITLES[self.method]

    @property
    def lost(self) -> int:
        """Images that overflowed or left for good."""
        return int((self.result.diverged | self.result.escaped).sum())


class Known(NamedTuple):
    """What as many real digits show, which the model has not seen."""

    nearest: Floor
    away: Floor
    energy: Floor


def frame_steps(num_steps: int, trained_steps: int) -> list[int]:
    """The steps that are shown after the start: the first ones closest together, since most happens there.

    The step that takes as long a time as a chain took in training is among them.
    """
    if num_steps <= MOST_FRAMES:
        return list(range(1, num_steps + 1))
    spread = {max(k, round(num_steps * (k / MOST_FRAMES) ** 2)) for k in range(1, MOST_FRAMES + 1)}
    return sorted(spread | {min(trained_steps, num_steps)})


def starting_images(asked: Asked, model: Trained) -> Tensor:
    """The images that every lane starts from."""
    noise = model.noise(asked.num_images, asked.seed)
    if asked.start == "noise":
        return noise
    order = torch.randperm(len(model.test), generator=generator(asked.seed, "start"))
    chosen = model.test[order[: asked.num_images]]
    if asked.start == "corrupted":
        below = chosen.shape[2] // 2
        chosen[:, :, below:] = noise[:, :, below:]
    return chosen


def run(asked: Asked, model: Trained, store: Store, report: Report | None = None) -> list[Track]:
    """Run every lane, or find it in the store. ValueError if it is over the budget.

    report: called with the share that is done and what is running.
    """
    asked.check_budget()
    work = [asked.sampler(method).gradients_per_step for method in asked.lanes]
    tracks, done = [], 0
    for method, cost in zip(asked.lanes, work, strict=True):
        tell = _of_lane(report, done / sum(work), cost / sum(work), TITLES[method])
        tracks.append(
            store.get(f"lane {asked.lane_key(method)}", partial(_track, asked, method, model, tell))
        )
        done += cost
    return tracks


def _of_lane(report: Report | None, before: float, share: float, label: str) -> Callback | None:
    if report is None:
        return None
    return lambda step, steps: report(before + share * step / steps, label)


def _track(asked: Asked, method: str, model: Trained, tell: Callback | None) -> Track:
    sampler = asked.sampler(method)
    result = simulate(
        model.learner.energy,
        sampler=sampler,
        step_size=asked.h,
        num_steps=asked.steps,
        temperature=asked.temperature,
        init=starting_images(asked, model),
        record_every=frame_steps(asked.steps, asked.steps_as_trained),
        seed=asked.seed,
        noise=Noise(asked.seed),
        device="cpu",
        callback=tell,
    )
    energy, scaling = _along(result, sampler, model)
    frames = result.positions.flatten(2)
    return Track(
        method,
        sampler,
        result,
        energy,
        scaling,
        nearest=torch.stack([median_nearest(each, model) for each in frames]),
        away=sliced_wasserstein2_frames(frames, model.train.flatten(1), _PROJECTIONS),
    )


def _along(result: Result, sampler: Sampler, model: Trained) -> tuple[Tensor, Tensor | None]:
    """U at every frame, (frames, images), and AniLA's γ there."""
    images = result.positions.flatten(0, 1)
    potential = FromCallable(model.learner.energy, images[0].numel(), ())
    found = [potential.value_and_grad(block) for block in images.split(_BLOCK)]
    energy = torch.cat([value for value, _ in found]).unflatten(0, result.positions.shape[:2])
    if not isinstance(sampler, AniLA):
        return energy, None
    scaling = torch.cat([sampler.scaling(grad) for _, grad in found])
    return energy, scaling.squeeze(1).unflatten(0, result.positions.shape[:2])


def median_nearest(images: Tensor, model: Trained) -> Tensor:
    """The median over images, (n, pixels), of the distance to the nearest training digit."""
    return torch.cdist(images, model.train.flatten(1)).amin(1).median()


def known(model: Trained, count: int) -> Known:
    """The floors for so many images: drawn again and again from the digits that the model has not seen."""
    draws = torch.Generator().manual_seed(1)
    sets = [torch.randperm(len(model.test), generator=draws)[:count] for _ in range(_REPEATS)]
    images = torch.stack([model.test[chosen].flatten(1) for chosen in sets])
    energy = model.learner.energy(model.test).detach()
    return Known(
        nearest=_floor(torch.stack([median_nearest(each, model) for each in images])),
        away=_floor(sliced_wasserstein2_frames(images, model.train.flatten(1), _PROJECTIONS)),
        energy=_floor(torch.stack([energy[chosen].mean() for chosen in sets])),
    )


def _floor(values: Tensor) -> Floor:
    low, high = torch.quantile(values, torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return Floor(float(values.mean()), low, high)
