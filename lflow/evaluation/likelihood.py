"""How probable a model finds data that it has not seen, as far as it can say. In nats, beside what is known.

Asks what a model offers: `log_prob`, an `energy` of points in the plane, or a prior and p(x | z). Knows
nothing of samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lflow import energies
from lflow.data import DataSet
from lflow.evaluation import importance
from lflow.evaluation.annealed import Annealing, LogMean, log_likelihood
from lflow.evaluation.grid import against
from lflow.evaluation.subject import Score, Subject
from lflow.models.base import Learner

_BATCH = 500  # data points at once
_MOST_LATENT = 500  # of the first test data: each takes hundreds of gradients
SAMPLES = 1000  # importance weights for each data point
LESS_LOG_Z = "less log Z of the prior, which is estimated from below too, so that it is no lower bound"
"""Said of log p(x) under an energy prior."""


def exact(subject: Subject) -> list[Score]:
    """The mean of `log_prob`, and of a flow's own within a larger model: for grey values a lower bound."""
    return [*_scores(subject, "log_prob", ""), *_scores(subject, "log_prob_flow", " of the flow alone")]


def _scores(subject: Subject, method: str, which: str) -> list[Score]:
    log_prob = getattr(subject.learner, method, None)
    if log_prob is None:
        return []
    x, levels = subject.unseen, subject.learner.levels
    mean, error = mean_and_error(in_batches(log_prob, x, subject))
    if levels is None:
        about = f"log p(x), exact, of {len(x):,} test points"
        return [Score(f"log-likelihood{which}", mean, error, "nats", own_law(subject), about)]
    about = f"a lower bound on log P(x), by one draw of noise each, of {len(x):,} test images"
    size, blind = math.prod(subject.learner.shape), "every grey value alike"
    scale = 1 / (size * math.log(2))
    nats, bits = {blind: -size * math.log(levels)}, {blind: math.log2(levels)}
    return [
        Score(f"log-likelihood{which}", mean, error, "nats", nats, about),
        Score(f"bits per dimension{which}", -mean * scale, error * scale, "bits", bits, about),
    ]


def on_grid(subject: Subject) -> list[Score]:
    """Likelihood and divergence of exp(-U/T)/Z, where a model has an energy of points whose law is known."""
    learner, source = subject.learner, subject.choice.source
    energy = getattr(learner, "energy", None)
    if energy is None or learner.shape != (2,) or source not in energies.names():
        return []
    temperature = float(getattr(learner.settings, "temperature", 1.0))

    def at(x: Tensor) -> Tensor:
        values: Tensor = energy(x.to(subject.device)).cpu()
        return values

    found = against(at, energies.get(source), temperature)
    x = subject.unseen.all().x
    mean, error = mean_and_error(in_batches(at, subject.unseen, subject) / -temperature)
    mean -= float(found.log_z)
    cut = f"; {float(found.edge):.1%} of its mass lies at the edge of the grid" if found.edge > 1e-3 else ""
    about = f"of exp(-U/T)/Z, Z on a grid{cut}"
    return [
        Score(
            "log-likelihood (grid)",
            mean,
            error,
            "nats",
            own_law(subject),
            f"{about}, of {len(x):,} test points",
        ),
        Score("KL from the data", float(found.kl), None, "nats", {"the data's own law": 0.0}, about),
    ]


def own_law(subject: Subject) -> dict[str, float]:
    """The mean of log p(x) under the law that the test points were drawn from, where it is known."""
    if subject.choice.source not in energies.names():
        return {}
    energy = energies.get(subject.choice.source)
    x = subject.unseen.all().x.double()
    return {"the data's own law": float(-energy(x).mean()) - energy.log_normaliser()}


def weighted(subject: Subject) -> list[Score]:
    """log p(x) of a model with latent vectors by importance weights: the protocol that compares models."""
    if not _has_latent_vectors(subject.learner):
        return []
    x = subject.unseen.batch(slice(_MOST_LATENT), subject.device)
    told = partial(subject.tell, "importance weights, fits")
    found = importance.log_likelihood(subject.learner, x, SAMPLES, subject.seed, tell=told)  # type: ignore[arg-type]
    fewest = float(found.effective_sample_size.min())
    about = (
        f"log p(x) by {SAMPLES:,} importance weights for each of {len(x):,} test points, at least "
        f"{fewest:.0f} of them effective, from a mixture of {importance.FITS} Student laws fitted to each "
        "posterior; what it misses is missing"
    )
    return [_latent_score("log-likelihood (importance)", found, about, subject, x)]


def annealed(subject: Subject) -> list[Score]:
    """log p(x) of a model with latent vectors by annealing: the check that no mode was missed."""
    if not _has_latent_vectors(subject.learner):
        return []
    x = subject.unseen.batch(slice(_MOST_LATENT), subject.device)
    told = partial(subject.tell, "annealed importance sampling, steps")
    found = log_likelihood(subject.learner, x, seed=subject.seed, tell=told)  # type: ignore[arg-type]
    fewest = float(found.effective_sample_size.min())
    about = (
        f"log p(x) by {Annealing().num_chains} chains for each of {len(x):,} test points, acceptance "
        f"{found.acceptance:.2f}, at least {fewest:.1f} of them effective"
    )
    return [_latent_score("log-likelihood (annealed)", found, about, subject, x)]


def _has_latent_vectors(learner: Learner) -> bool:
    return all(hasattr(learner, name) for name in ("prior", "log_likelihood", "draw_given"))


def _latent_score(name: str, found: LogMean, about: str, subject: Subject, x: Tensor) -> Score:
    mean, error = mean_and_error(found.log_mean.cpu())
    learner: Any = subject.learner
    if not learner.prior.normalised:
        about = f"{about}; {LESS_LOG_Z}"
    estimate = float(found.standard_error.square().mean()) / len(x) + found.shared_error**2
    if of_grey_values(learner):
        beside = {"independent pixels": independent_log_likelihood(subject.training, x.cpu())}
    else:
        beside = {"a Gaussian": gaussian_log_likelihood(subject, x.cpu())}
    return Score(name, mean, (error**2 + estimate) ** 0.5, "nats", beside, about)


def of_grey_values(learner: Learner) -> bool:
    """Whether a model's likelihood is a probability of grey values, and not a density."""
    decoder = getattr(learner, "decoder", None)
    return learner.levels is not None if decoder is None else hasattr(decoder, "levels")


def gaussian_log_likelihood(subject: Subject, x: Tensor) -> float:
    """The mean of log p(x) under a Gaussian of the training data's mean and, shrunk, covariance."""
    from sklearn.covariance import LedoitWolf

    fitted = LedoitWolf().fit(subject.training.all().x.flatten(1).double().numpy())
    return float(fitted.score(x.flatten(1).double().numpy()))


def independent_log_likelihood(known: DataSet, x: Tensor) -> float:
    """The mean of log P(x) where every pixel has the grey values of known data, one more spread over all of
    them."""
    levels = known.levels
    assert levels is not None
    grey = ((x + 1) / 2 * (levels - 1)).round()
    total = torch.zeros(len(x), dtype=torch.float64)
    for level in range(levels):
        total += ((grey == level) * grey_share(known.values, level, levels).log()).flatten(1).sum(1)
    return float(total.mean())


def grey_share(values: Tensor, level: int, levels: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """How often each pixel of data, (n, *shape), has a grey value, one more spread over all: (*shape)."""
    return ((values == level).sum(0).to(dtype) + 1 / levels) / (len(values) + 1)


def in_batches(function: Callable[[Tensor], Tensor], x: DataSet, subject: Subject) -> Tensor:
    """A function of each data point, float64 on the CPU."""
    parts = torch.arange(len(x)).split(_BATCH)
    with torch.no_grad():
        found = [function(x.batch(part, subject.device)).double().cpu() for part in parts]
    return torch.cat(found)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """The mean of independent values, and its standard error."""
    return float(values.mean()), float(values.std() / len(values) ** 0.5)
