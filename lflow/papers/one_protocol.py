"""One protocol for every model with latent vectors: the same data, networks and training, the same measures.

Black and white images, a Bernoulli decoder and eight numbers in z. log p(x) is estimated by importance
weights from a proposal that is fitted to each x anew, however the model infers z, and checked by annealing on
a few points. It knows of a model what every model with latent vectors offers, and nothing of how it infers z.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow import data
from lflow.draws import Draws
from lflow.evaluation import annealed, importance
from lflow.models.latent import LatentLearner
from lflow.papers.experiment import Findings

LATENT_DIM = 8
NETWORKS: Mapping[str, Any] = {"latent_dim": LATENT_DIM, "likelihood": "bernoulli", "width": 64, "depth": 2}
"""Of the decoder, and of an encoder where a model has one."""
BATCH = 100
LEARNING_RATE = 0.01
IMAGES: Mapping[str, int] = {"digits": 0, "mnist": 10_000}
"""Images to train on; 0 for all."""
_BOUND_DRAWS = 10  # of the model's own bound, for each point
_TIMED = 20  # training steps
_EVALUATION = 111  # a use of random numbers, beside those of lflow.draws


class Effort(NamedTuple):
    """How closely: held-out points, weights for each, and points and temperatures of the check."""

    points: int = 100
    weights: int = 1000
    checked: int = 10
    temperatures: int = 100


FULL = Effort()
QUICK = Effort(points=20, weights=200, checked=4, temperatures=20)


def settings(name: str, model: Mapping[str, Any], source: str, num_steps: int, seed: int) -> dict[str, Any]:
    """The run of a model under the protocol, for `learn`: `model` says what is its own."""
    return {
        "model": {"name": name, **NETWORKS, "learning_rate": LEARNING_RATE, **model},
        "data": {"source": source, "binary": True, "limit": IMAGES[source]},
        "training": {"num_steps": num_steps, "batch_size": BATCH, "decay": 1.0, "ema": 0.0},
        "seed": seed,
    }


def held_out(source: str, points: int) -> Tensor:
    """The images that models are measured on, (points, 1, h, w): of the test split, none seen in training."""
    return data.load(source, "test", limit=points, binary=True).x


def is_at_hand(source: str) -> bool:
    """Whether the data set is on this machine or to be had."""
    try:
        data.open(source, "test")
    except OSError:
        return False
    return True


def measure(learner: LatentLearner, x: Tensor, seed: int, effort: Effort = FULL) -> Findings:
    """What a trained model is worth on held-out x, (n, *shape), and what its training takes.

    log_likelihood: log p(x) by importance weights, a mean in nats; its stated_error is that of the weights;
    effective: the mean share of the weights that count. checked: of a few points by weights (importance) and
    by annealing (annealed), which looks for what the weights may have missed. bound: the mean of the model's
    own `elbo`, None without one. squared_error: of a reconstructed pixel; log_conditional: log p(x|z), both
    at the model's own z. gradients: of log p(x, z), a data point in a training step, as the learner's
    `gradient_evaluations` says; seconds: of the processor, for the fastest of 20 training steps of 100,
    without the optimiser's.
    """
    draws = Draws(seed, 0, use=_EVALUATION)
    found = importance.log_likelihood(learner, x, effort.weights, seed)
    with torch.no_grad():
        z = learner.infer(x, draws)
        squared_error = (x - learner.decoder.mean(z)).square().mean()
        log_conditional = learner.log_likelihood(x, z).mean()
    return {
        "log_likelihood": float(found.log_mean.mean()),
        "stated_error": float(found.standard_error.square().sum().sqrt()) / len(x) + found.shared_error,
        "effective": float(found.effective_sample_size.mean()) / effort.weights,
        "checked": _checked(learner, x, found.log_mean, seed, effort),
        "bound": _bound(learner, x, draws),
        "squared_error": float(squared_error),
        "log_conditional": float(log_conditional),
        "gradients": learner.gradient_evaluations,
        "seconds": _seconds(learner, x, seed),
    }


def _checked(learner: LatentLearner, x: Tensor, weighted: Tensor, seed: int, effort: Effort) -> Findings:
    path = annealed.Annealing(num_temperatures=effort.temperatures)
    found = annealed.log_likelihood(learner, x[: effort.checked], path, seed)
    return {
        "importance": float(weighted[: effort.checked].mean()),
        "annealed": float(found.log_mean.mean()),
        "error": float(found.standard_error.square().sum().sqrt()) / len(found.log_mean),
    }


def _bound(learner: LatentLearner, x: Tensor, draws: Draws) -> float | None:
    elbo = getattr(learner, "elbo", None)
    if elbo is None:
        return None
    with torch.no_grad():
        return statistics.fmean(float(elbo(x, draws).mean()) for _ in range(_BOUND_DRAWS))


def _seconds(learner: LatentLearner, x: Tensor, seed: int) -> float:
    """The processor's least time for a training step and its gradients: other work only adds to it.

    Of a copy, since a step may change the model.
    """
    learning = copy.deepcopy(learner).train()
    batch = x[torch.arange(BATCH) % len(x)]
    taken = []
    for step in range(_TIMED):
        began = time.process_time()
        found = learning.training_step(batch, Draws(seed, step))
        torch.stack(list(found.losses.values())).sum().backward()
        taken.append(time.process_time() - began)
    return min(taken)
