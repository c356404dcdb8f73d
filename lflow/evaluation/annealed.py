"""Annealed importance sampling: log p(x) of models with latent vectors, by chains from the prior to p(z | x).

It knows of a model its prior, log p(x | z) and draws of x, and nothing of how it learns.

    w = Π_k exp((β_{k+1} - β_k) t(z_k)),  z_0 ~ base,  z_k a step from z_{k-1} that keeps base·e^{β_k t}

has the mean E_base[e^t] whatever the steps do, so that the log of its average over chains is a stochastic
lower bound: below log p(x) on average, and near it where the path is long.
(Neal 2001, Statistics and Computing 11, 125; Grosse, Ancha & Roy 2016, NeurIPS)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lflow import samplers, steps
from lflow.draws import SYNTHESIS, Draws
from lflow.samplers.base import Sampler
from lflow.short_run import short_run
from lflow.spec import Declared, param

_MOST_ROWS = 8192  # chains at once
_FEWEST_PILOTS = 64  # chains that step sizes are adapted with
_NORMALISER_CHAINS = 2000
_WARM_UP = 30  # adaptations of the first step size
_TARGET = {"hmc": 0.8, "mala": 0.6}  # acceptance that the steps are adapted to
_FIRST_STEP, _SMALLEST, _LARGEST = 0.1, 1e-6, 10.0


class LatentPrior(Protocol):
    """A prior p(z) = base(z) e^{tilt(z)} / Z, as `lflow.models.latent_priors` has them."""

    @property
    def normalised(self) -> bool: ...
    def log_base(self, z: Tensor) -> Tensor: ...
    def draw_base(self, n: int, draws: Draws) -> Tensor: ...
    def tilt(self, z: Tensor) -> Tensor: ...


class LatentModel(Protocol):
    """A model with latent vectors z."""

    @property
    def prior(self) -> LatentPrior: ...
    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor: ...
    def draw_given(self, z: Tensor, draws: Draws) -> Tensor: ...


Tell = Callable[[int, int], object]
"""Told how much is done, and of how much."""


def untold(done: int, total: int) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Annealing(Declared):
    """How the chains go."""

    name = "annealing"

    num_temperatures: int = param(200, 1, 1_000_000, log=True, help="steps from β = 0 to β = 1")
    num_chains: int = param(8, 2, 100_000, log=True, help="chains for each data point")
    sampler: str = param("hmc", choices=("hmc", "mala"), help="what moves the chains, with an accept step")
    num_leapfrog: int = param(5, 1, 200, help="of HMC: leapfrog steps in a trajectory")
    power: float = param(3.0, 1.0, 20.0, help="p of β_k = (k/K)^p: most steps are near the prior")

    def betas(self) -> list[float]:
        """From 0 to 1."""
        last = self.num_temperatures
        return [(k / last) ** self.power for k in range(last + 1)]

    def moves(self) -> Sampler:
        """What moves the chains."""
        own = {"num_leapfrog": self.num_leapfrog} if self.sampler == "hmc" else {}
        return samplers.get(self.sampler, **own)


class LogMean(NamedTuple):
    """log of a mean of weights, for each of n problems; float64, on the CPU.

    log_mean: (n,). standard_error: (n,) of it, by the delta method; too small where the effective sample
    size, (n,) of `num_chains` at best, is near one. acceptance: mean over all steps.
    shared_error: of log Z of an energy prior, which is subtracted from all; zero for other priors.
    """

    log_mean: Tensor
    standard_error: Tensor
    effective_sample_size: Tensor
    acceptance: float
    shared_error: float = 0.0

    @classmethod
    def of(cls, weights: Tensor, acceptance: float, shared_error: float = 0.0) -> LogMean:
        """Of logs of weights, (k, n)."""
        effective = 1 / weights.softmax(0).square().sum(0)
        variance = (len(weights) / effective - 1) / (len(weights) - 1)
        return cls(_log_mean(weights), variance.clamp_min(0).sqrt(), effective, acceptance, shared_error)


class Bounds(NamedTuple):
    """What encloses log p(x) of data drawn from the model: (n,) each, from below and above on average."""

    lower: Tensor
    upper: Tensor


@torch.no_grad()
def log_likelihood(
    model: LatentModel,
    x: Tensor,
    annealing: Annealing | None = None,
    seed: int = 0,
    tell: Tell = untold,
) -> LogMean:
    """log p(x) of each x, (n, *shape), estimated from below on average.

    From the prior, whose density and draws are exact; from an energy prior's base, with the tilt annealed
    too, less log Z, which is estimated in the same way: the difference of two lower bounds is no bound.
    tell(done, total) is called as the chains go on.

    Example:
        >>> found = log_likelihood(lflow.load("runs/latent"), x, Annealing(num_temperatures=500))
        >>> found.log_mean.mean(), found.effective_sample_size.min()
    """
    chosen = annealing or Annealing()
    draws = Draws(seed, 0, x.device, use=SYNTHESIS)
    parts = x.split(max(1, _MOST_ROWS // chosen.num_chains))
    done, total = itertools.count(1), len(parts) * (2 * chosen.num_temperatures + _WARM_UP - 1)
    paths = [partial(_posterior, model, part) for part in parts]
    found = [_estimate(path, chosen, draws, lambda: tell(next(done), total)) for path in paths]
    log_z = None if model.prior.normalised else log_normaliser(model.prior, chosen, x.device, seed)
    return LogMean(
        torch.cat([each.log_mean for each in found]) - (log_z.log_mean if log_z else 0.0),
        torch.cat([each.standard_error for each in found]),
        torch.cat([each.effective_sample_size for each in found]),
        sum(each.acceptance * len(each.log_mean) for each in found) / len(x),
        float(log_z.standard_error) if log_z else 0.0,
    )


@torch.no_grad()
def log_normaliser(
    prior: LatentPrior, annealing: Annealing | None = None, device: torch.device | str = "cpu", seed: int = 0
) -> LogMean:
    """log Z = log E_base[e^{tilt}] of a prior, of shape (1,), from at least 2,000 chains."""
    chosen = annealing or Annealing()
    many = replace(chosen, num_chains=max(_NORMALISER_CHAINS, chosen.num_chains))
    return _estimate(
        lambda copies: _Path(prior, prior.tilt, copies), many, Draws(seed, 1, device, use=SYNTHESIS)
    )


@torch.no_grad()
def bounds(
    model: LatentModel,
    n: int,
    annealing: Annealing | None = None,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Bounds:
    """Enclose log p(x) of n points that the model draws: the check that a path is long enough.

    The z that x was drawn with is an exact draw from p(z | x): chains from there back to the prior give an
    upper bound, on average (bidirectional Monte Carlo). ValueError for an energy prior, which has no exact
    draws.
    """
    if not model.prior.normalised:
        raise ValueError("bounds need exact draws of z, which an energy prior does not have")
    chosen = annealing or Annealing()
    draws = Draws(seed, 2, device, use=SYNTHESIS)
    z = model.prior.draw_base(n, draws)
    path_of = partial(_posterior, model, model.draw_given(z, draws))
    sizes, path = _adapted(path_of, chosen, draws), path_of(chosen.num_chains)
    forward, _ = _walk(path, path.draw(draws), chosen, sizes, draws)
    backward, _ = _walk(path, z.repeat(chosen.num_chains, 1), chosen, sizes, draws, back=True)
    lower, upper = (_log_mean(weights.unflatten(0, (-1, n))) for weights in (forward, backward))
    return Bounds(lower, -upper)


# --- the walk ---------------------------------------------------------------------------------------------


class _Path(NamedTuple):
    """From base to base·e^{tilt}, for rows that are chains: copies of all problems, one after another."""

    prior: LatentPrior
    tilt: Callable[[Tensor], Tensor]
    rows: int

    def draw(self, draws: Draws) -> Tensor:
        return self.prior.draw_base(self.rows, draws)

    def energy(self, beta: float) -> Callable[[Tensor], Tensor]:
        return lambda z: -(self.prior.log_base(z) + beta * self.tilt(z))


_PathOf = Callable[[int], _Path]
"""The path of so many copies of all problems."""


def _posterior(model: LatentModel, x: Tensor, copies: int) -> _Path:
    """To p(z | x)."""
    data = x.repeat(copies, *[1] * (x.ndim - 1))
    return _Path(model.prior, lambda z: model.prior.tilt(z) + model.log_likelihood(data, z), len(data))


def _estimate(
    path_of: _PathOf, chosen: Annealing, draws: Draws, moved: Callable[[], object] = lambda: None
) -> LogMean:
    sizes, path = _adapted(path_of, chosen, draws, moved), path_of(chosen.num_chains)
    weights, acceptance = _walk(path, path.draw(draws), chosen, sizes, draws, moved=moved)
    return LogMean.of(weights.unflatten(0, (chosen.num_chains, -1)), acceptance)


def _log_mean(weights: Tensor) -> Tensor:
    return weights.logsumexp(0) - math.log(len(weights))


def _walk(
    path: _Path,
    z: Tensor,
    chosen: Annealing,
    sizes: Sequence[float],
    draws: Draws,
    back: bool = False,
    moved: Callable[[], object] = lambda: None,
) -> tuple[Tensor, float]:
    """log w of each chain, float64, and the mean acceptance; `back` walks from β = 1 to 0, and `moved` is
    called after each step."""
    betas, moves = chosen.betas(), chosen.moves()
    order = range(len(betas))[::-1] if back else range(len(betas))
    weights, accepted = torch.zeros(path.rows, dtype=torch.float64), []  # not every device has float64
    for now, then in pairwise(order):
        weights += (betas[then] - betas[now]) * path.tilt(z).cpu()
        if then != order[-1]:
            z, acceptance = _move(path, z, betas[then], moves, sizes[then], draws)
            accepted.append(acceptance)
            moved()
    return weights, float(torch.stack(accepted).mean()) if accepted else math.nan


def _adapted(
    path_of: _PathOf, chosen: Annealing, draws: Draws, moved: Callable[[], object] = lambda: None
) -> list[float]:
    """A step size for each β, from chains of their own: those that are weighed find it fixed."""
    copies = math.ceil(_FEWEST_PILOTS / path_of(1).rows)
    path, moves, target = path_of(copies), chosen.moves(), _TARGET[chosen.sampler]
    z, sizes, betas = path.draw(draws), [_FIRST_STEP], chosen.betas()
    for beta in [betas[1]] * _WARM_UP + betas[1:]:
        z, acceptance = _move(path, z, beta, moves, sizes[-1], draws)
        size = sizes[-1] * math.exp(float(acceptance) - target)
        sizes.append(min(max(size, _SMALLEST), _LARGEST))
        moved()
    return sizes[_WARM_UP:]


def _move(
    path: _Path, z: Tensor, beta: float, moves: Sampler, size: float, draws: Draws
) -> tuple[Tensor, Tensor]:
    run = short_run(path.energy(beta), z, moves, steps.get("constant", step_size=size), 1, draws)
    assert run.acceptance is not None
    return run.x, run.acceptance
