"""How near a model's reconstructions of unseen data are to them. Knows nothing of how it makes them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lflow.evaluation.plain import compared, guesses
from lflow.evaluation.subject import Score, Subject
from lflow.evaluation.synthesis import parts

_FEWEST, _MOST = 8, 200  # of the first test data
_MOST_WORK = 2**24  # gradients times numbers in a data point: a descent through chains takes thousands a row


def of_data(subject: Subject) -> list[Score]:
    """The error of what a model makes of its own latent vectors, where it has them: of fewer data the more
    a reconstruction takes."""
    learner = subject.learner
    if not hasattr(learner, "reconstruct"):
        return []
    work = learner.reconstruction_gradients * math.prod(learner.shape)
    x = subject.unseen.batch(slice(min(_MOST, max(_FEWEST, _MOST_WORK // work))), subject.device)
    score = scored(subject, x, reconstructed(subject, x))
    if len(x) == min(_MOST, len(subject.unseen)):
        return [score]
    more = f"{score.about}; each takes long, and `lflow generate --task reconstruct --num` takes more"
    return [score._replace(about=more)]


def reconstructed(subject: Subject, x: Tensor) -> Tensor:
    """What the model makes of x, (n, *shape), in parts that fit into memory."""
    learner: Any = subject.learner
    rows = parts(
        len(x), learner.rows_at_once, subject.seed, lambda done, of: subject.tell("reconstructions", done, of)
    )
    return torch.cat([learner.reconstruct(x[part], seed=seed) for part, seed in rows])


def scored(subject: Subject, x: Tensor, made: Tensor) -> Score:
    """The squared error of a number of what was made of x, (n, *shape), beside what takes no model."""
    everywhere = torch.ones_like(x)
    rivals = guesses(subject.training, x, everywhere)
    about = f"of a number of each of {len(x):,} test data points, and its reconstruction"
    return compared("reconstruction error", made, x, everywhere, rivals, about)
