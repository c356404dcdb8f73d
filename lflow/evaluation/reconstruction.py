"""How near a model's reconstructions of unseen data are to them. Knows nothing of how it infers z."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lflow.evaluation.plain import compared, guesses
from lflow.evaluation.subject import Score, Subject
from lflow.evaluation.synthesis import parts
from lflow.models.latent import LatentLearner
from lflow.spec import each_of

COMPARED_AT = "a draw of z, or the encoder's z where a model draws none"
_FEWEST, _MOST = 8, 200  # of the first test data
_MOST_WORK = 2**24  # gradients times numbers in a data point: a descent through chains takes thousands a row


def of_data(subject: Subject) -> list[Score]:
    """The error of what a model makes of its own latent vectors, where it has them: of fewer data the more
    a reconstruction takes.

    At a draw of z for all that draw one: a chain ends at random, and the mean of a q is nearer than a draw.
    """
    learner: Any = subject.learner
    if not hasattr(learner, "reconstruct"):
        return []
    work = learner.reconstruction_gradients * math.prod(learner.shape)
    x = subject.unseen.batch(slice(min(_MOST, max(_FEWEST, _MOST_WORK // work))), subject.device)
    if isinstance(learner, LatentLearner):
        made = _in_parts(subject, x, lambda part, seed: _at_a_draw(learner, part, seed))
        score = scored(subject, x, made, COMPARED_AT)
    else:
        score = scored(subject, x, reconstructed(subject, x))
    if len(x) == min(_MOST, len(subject.unseen)):
        return [score]
    more = f"{score.about}; each takes long, and `generate --task reconstruct --num` takes more"
    return [score._replace(about=more)]


def reconstructed(subject: Subject, x: Tensor) -> Tensor:
    """What the model makes of x, (n, *shape), in parts that fit into memory."""
    learner: Any = subject.learner
    return _in_parts(subject, x, lambda part, seed: learner.reconstruct(part, seed=seed))


def scored(subject: Subject, x: Tensor, made: Tensor, z: str = "") -> Score:
    """The squared error of a number of what was made of x, (n, *shape), beside what takes no model.

    z: what it was made of, in words, where that is a latent vector.
    """
    everywhere = torch.ones_like(x)
    rivals = guesses(subject.training, x, everywhere)
    about = f"of a number of {each_of(len(x), 'test data point')}, and its reconstruction"
    return compared("reconstruction error", made, x, everywhere, rivals, f"{about} at {z}" if z else about)


@torch.no_grad()
def _at_a_draw(learner: LatentLearner, x: Tensor, seed: int) -> Tensor:
    return learner.decoder.mean(learner.draw_posterior(x, learner.fresh_draws(seed)))


def _in_parts(subject: Subject, x: Tensor, make: Callable[[Tensor, int], Tensor]) -> Tensor:
    rows = parts(
        len(x),
        subject.learner.rows_at_once,
        subject.seed,
        lambda done, of: subject.tell("reconstructions", done, of),
    )
    return torch.cat([make(x[part], seed) for part, seed in rows])
