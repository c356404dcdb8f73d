"""How probable a model finds data that it has not seen, as far as it can say. In nats, beside what is known.

Asks what a model offers: `log_prob`, an `energy` of points in the plane, or a prior and p(x | z). Knows
nothing of samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lflow import energies
from lflow.data import DataSet
from lflow.evaluation.annealed import Annealing, log_likelihood
from lflow.evaluation.subject import Score, Subject

_BATCH = 500  # data points at once
_MOST_ANNEALED = 500  # of the first test data: a chain is hundreds of gradients


def exact(subject: Subject) -> list[Score]:
    """The mean of `log_prob`, where a model has it: exact for points, for grey values a lower bound."""
    log_prob = getattr(subject.learner, "log_prob", None)
    if log_prob is None:
        return []
    x = subject.unseen
    values = in_batches(log_prob, x, subject)
    mean, error = mean_and_error(values)
    if subject.learner.levels is None:
        about = f"log p(x), exact, of {len(x):,} test points"
        return [Score("log-likelihood", mean, error, "nats", _own_law(subject), about)]
    about = f"a lower bound on log P(x), by one draw of noise each, of {len(x):,} test images"
    size, levels = math.prod(subject.learner.shape), subject.learner.levels
    nats = {"every grey value alike": -size * math.log(levels)}
    bits = {"every grey value alike": math.log2(levels)}
    scale = 1 / (size * math.log(2))
    return [
        Score("log-likelihood", mean, error, "nats", nats, about),
        Score("bits per dimension", -mean * scale, error * scale, "bits", bits, about),
    ]


def _own_law(subject: Subject) -> dict[str, float]:
    """The mean of log p(x) under the law that the test points were drawn from, where it is known."""
    if subject.choice.source not in energies.names():
        return {}
    energy = energies.get(subject.choice.source)
    x = subject.unseen.all().x.double()
    return {"the data's own law": float(-energy(x).mean()) - energy.log_normaliser()}


def annealed(subject: Subject) -> list[Score]:
    """log p(x) of a model with latent vectors, by annealed importance sampling; beside a Gaussian's."""
    model = subject.learner
    if not all(hasattr(model, name) for name in ("prior", "log_likelihood", "draw_given")):
        return []
    x = subject.unseen.batch(slice(_MOST_ANNEALED), subject.device)
    subject.tell("annealed importance sampling", 0, len(x))
    found = log_likelihood(model, x, seed=subject.seed)  # type: ignore[arg-type]
    mean, error = mean_and_error(found.log_mean.cpu())
    chains = float(found.standard_error.square().mean()) / len(x) + found.shared_error**2
    fewest = float(found.effective_sample_size.min())
    about = (
        f"log p(x) by {Annealing().num_chains} chains for each of {len(x):,} test points, acceptance "
        f"{found.acceptance:.2f}, at least {fewest:.1f} of them effective"
    )
    beside = {"a Gaussian": gaussian_log_likelihood(subject, x.cpu())}
    return [Score("log-likelihood", mean, (error**2 + chains) ** 0.5, "nats", beside, about)]


def gaussian_log_likelihood(subject: Subject, x: Tensor) -> float:
    """The mean of log p(x) under a Gaussian of the training data's mean and, shrunk, covariance."""
    from sklearn.covariance import LedoitWolf

    fitted = LedoitWolf().fit(subject.training.all().x.flatten(1).double().numpy())
    return float(fitted.score(x.flatten(1).double().numpy()))


def in_batches(function: Callable[[Tensor], Tensor], x: DataSet, subject: Subject) -> Tensor:
    """A function of each data point, float64 on the CPU."""
    parts = torch.arange(len(x)).split(_BATCH)
    with torch.no_grad():
        found = [function(x.batch(part, subject.device)).double().cpu() for part in parts]
    return torch.cat(found)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """The mean of independent values, and its standard error."""
    return float(values.mean()), float(values.std() / len(values) ** 0.5)
