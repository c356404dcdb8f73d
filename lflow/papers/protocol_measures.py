"""What a trained model with latent vectors is worth on data that it has not seen, and what it costs.

log p(x) is estimated by importance weights from a proposal that is fitted to each x anew, however the model
infers z, and checked by annealing on a few points. It knows of a model what every model with latent vectors
offers, and nothing of how it was trained.
"""

from __future__ import annotations

import copy
import statistics
import time
from typing import NamedTuple

import torch
from torch import Tensor

from lflow.draws import Draws
from lflow.evaluation import annealed, importance
from lflow.models.latent import LatentLearner
from lflow.papers.experiment import Findings

BATCH = 100
_BOUND_DRAWS = 10  # of the model's own bound, for each point
_TIMED = 20  # training steps
_EVALUATION = 111  # a use of random numbers, beside those of lflow.draws


class Effort(NamedTuple):
    """How closely: held-out points, weights for each, points and temperatures of the check, temperatures
    for log Z of an energy prior; looks at validation data, and of a look the points, the weights for each and
    the temperatures for log Z."""

    points: int = 100
    weights: int = 1000
    checked: int = 10
    temperatures: int = 100
    normaliser: int = 200
    looks: int = 4
    looked: int = 100
    look_weights: int = 100
    look_normaliser: int = 20


FULL = Effort()
QUICK = Effort(
    points=20,
    weights=200,
    checked=4,
    temperatures=20,
    normaliser=20,
    looks=2,
    looked=20,
    look_normaliser=10,
)


class WholePrior:
    """A prior whose tilt has taken up -log Z, so that its density is one."""

    normalised = True

    def __init__(self, prior: annealed.LatentPrior, log_z: float) -> None:
        self.prior, self.log_z = prior, log_z

    def log_base(self, z: Tensor) -> Tensor:
        """Log density of the base."""
        return self.prior.log_base(z)

    def draw_base(self, n: int, draws: Draws) -> Tensor:
        """n draws from the base."""
        return self.prior.draw_base(n, draws)

    def tilt(self, z: Tensor) -> Tensor:
        """What the log density has beyond the base's."""
        return self.prior.tilt(z) - self.log_z


class Normalised(NamedTuple):
    """A model as `lflow.evaluation` asks for it, and the standard error of its log Z."""

    prior: annealed.LatentPrior
    learner: LatentLearner
    error: float

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z)."""
        return self.learner.log_likelihood(x, z)

    def draw_given(self, z: Tensor, draws: Draws) -> Tensor:
        """x ~ p(x | z)."""
        return self.learner.draw_given(z, draws)


def normalised(learner: LatentLearner, temperatures: int, seed: int) -> Normalised:
    """The model with one estimate of log Z, by annealing, for all that is measured; exact without an energy.

    log Z is estimated from below on average, so that log p(x) less it is no lower bound.
    """
    if learner.prior.normalised:
        return Normalised(learner.prior, learner, 0.0)
    path = annealed.Annealing(num_temperatures=temperatures)
    found = annealed.log_normaliser(learner.prior, path, seed=seed)
    return Normalised(WholePrior(learner.prior, float(found.log_mean)), learner, float(found.standard_error))


def look(learner: LatentLearner, x: Tensor, seed: int, effort: Effort) -> float:
    """log p(x) of validation data by importance weights, a mean in nats."""
    model = normalised(learner, effort.look_normaliser, seed)
    return float(importance.log_likelihood(model, x, effort.look_weights, seed).log_mean.mean())


def measure(learner: LatentLearner, x: Tensor, seed: int, effort: Effort = FULL) -> Findings:
    """What a trained model is worth on held-out x, (n, *shape), and what its training takes.

    log_likelihood: log p(x) by importance weights, a mean in nats; its stated_error is that of the weights
    and of log Z; effective: the mean share of the weights that count. checked: of a few points by weights
    (importance) and by annealing (annealed), which looks for what the weights may have missed, with the same
    log Z. bound: the mean of the model's own `elbo`, None without one. squared_error: of a reconstructed
    pixel; log_conditional: log p(x|z), both at a draw of z by the model. gradients: of log p(x, z), a data
    point in a training step, as the learner's `gradient_evaluations` says; seconds: of the processor, for the
    fastest of 20 training steps of 100, without the optimiser's.
    """
    draws = Draws(seed, 0, use=_EVALUATION)
    model = normalised(learner, effort.normaliser, seed)
    found = importance.log_likelihood(model, x, effort.weights, seed)
    with torch.no_grad():
        z = learner.draw_posterior(x, draws)
        squared_error = (x - learner.decoder.mean(z)).square().mean()
        log_conditional = learner.log_likelihood(x, z).mean()
    return {
        "log_likelihood": float(found.log_mean.mean()),
        "stated_error": float(found.standard_error.square().sum().sqrt()) / len(x) + model.error,
        "effective": float(found.effective_sample_size.mean()) / effort.weights,
        "checked": _checked(model, x, found.log_mean, seed, effort),
        "bound": _bound(learner, x, draws),
        "squared_error": float(squared_error),
        "log_conditional": float(log_conditional),
        "gradients": learner.gradient_evaluations,
        "seconds": _seconds(learner, x, seed),
    }


def _checked(model: Normalised, x: Tensor, weighted: Tensor, seed: int, effort: Effort) -> Findings:
    path = annealed.Annealing(num_temperatures=effort.temperatures)
    found = annealed.log_likelihood(model, x[: effort.checked], path, seed)
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
