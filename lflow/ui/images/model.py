"""The trained energy that the page samples, and the digits that it learned from. Knows no widgets."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

import lflow
from lflow import data
from lflow.models.ebm import EBMLearner
from lflow.paths import assets_dir

DATA = "digits"


class Trained(NamedTuple):
    """A model that nothing changes any more, what it learned from, and what it has not seen."""

    learner: EBMLearner
    train: Tensor
    test: Tensor

    def noise(self, count: int, seed: int) -> Tensor:
        """Images of the noise that its chains started from while it learned, (count, 1, height, width)."""
        return self.learner.noise(count, self.learner.fresh_draws(seed))


def folder() -> Path:
    """Where the shipped model lies, with its card."""
    return assets_dir() / "models" / "digits-ebm"


@cache
def trained() -> Trained:
    """The shipped model, read once."""
    learner = lflow.load(folder()).requires_grad_(False)
    assert isinstance(learner, EBMLearner)
    return Trained(learner, data.load(DATA).x, data.load(DATA, split="test").x)
