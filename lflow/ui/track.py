"""A finished run beside what is known of its target: what pictures, charts and facts are made of."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lflow.exact import PROJECTIONS
from lflow.loop import Result
from lflow.metrics.distances import sliced_wasserstein2_frames
from lflow.ui.request import Parts, Request
from lflow.ui.store import Store
from lflow.ui.theme import family_of
from lflow.ui.truth import Truth, find_truth


class Track(NamedTuple):
    """A run as a panel shows it."""

    label: str
    """Empty where it stands alone."""
    parts: Parts
    result: Result
    frames: Tensor
    """Which of the run's frames each frame of the scene shows."""
    truth: Truth
    away: list[float] | None
    """Its `distances`, at each frame of the run."""

    @property
    def family(self) -> str:
        """What its colour means."""
        return family_of(self.parts.sampler.family, self.parts.rule.name)


def track_of(
    request: Request, result: Result, key: str, store: Store, label: str = "", frames: Tensor | None = None
) -> Track:
    """The track of a finished run; what is known of its target and its distances are kept in the store.

    key: names the run. frames: as in Track; all of the run's where none are given. A sampler that restricts
    the target has none to compare with.
    """
    parts, settings = request.parts(), request.settings
    size = settings.num_chains
    target = f"truth {request.energy} {settings.temperature} {size}"
    truth = store.get(target, lambda: find_truth(parts.energy, settings.temperature, size))
    if parts.sampler.restricts_to:
        whose = label or "the run"
        truth = Truth(truth.energy_grid, unknown=f"{whose} keeps to {parts.sampler.restricts_to}")
    away = store.get(f"away {key}", lambda: distances(result, truth))
    shown = torch.arange(len(result.steps)) if frames is None else frames
    return Track(label, parts, result, shown, truth, away)


def distances(result: Result, truth: Truth) -> list[float] | None:
    """Sliced W2 of every frame to exact draws; None where there are none."""
    if truth.draws is None:
        return None
    return sliced_wasserstein2_frames(result.positions, truth.draws, num_projections=PROJECTIONS).tolist()
