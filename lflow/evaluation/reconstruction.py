"""How near a model's reconstructions of unseen data are to them. Knows nothing of how it makes them."""

from __future__ import annotations

import torch
from torch import Tensor

from lflow.evaluation.plain import compared, guesses
from lflow.evaluation.subject import Score, Subject

_MOST = 200  # of the first test data: a reconstruction may take a descent through many chains


def of_data(subject: Subject) -> list[Score]:
    """The error of what a model makes of its own latent vectors, where it has them."""
    reconstruct = getattr(subject.learner, "reconstruct", None)
    if reconstruct is None:
        return []
    x = subject.unseen.batch(slice(_MOST), subject.device)
    subject.tell("reconstructions", 0, len(x))
    return [scored(subject, x, reconstruct(x, seed=subject.seed))]


def scored(subject: Subject, x: Tensor, made: Tensor) -> Score:
    """The squared error of a number of what was made of x, (n, *shape), beside what takes no model."""
    everywhere = torch.ones_like(x)
    rivals = guesses(subject.training.batch(slice(None), x.device), x, everywhere)
    about = f"of a number of each of {len(x):,} test data points, and its reconstruction"
    return compared("reconstruction error", made, x, everywhere, rivals, about)
