"""Importance-weighted likelihood: log p(x) of any model with latent vectors, by one protocol for all.

However a model infers z, each x gets a proposal q(z) of its own, fitted to log p(x, z) in the same way and
from starts drawn in the same way. It knows of a model its prior and log p(x | z), not its own inference.

    log p(x) ≥ E log (1/k) Σ_i p(x, z_i) / q(z_i),   z_i ~ q

for any q, and nearer the more samples (Burda, Grosse & Salakhutdinov 2016, arXiv 1509.00519). Here q is a
mixture of fits from different starts. What it leaves out, a mode that no fit found, is missing without a
sign: `annealed` looks for modes, and costs more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lflow.draws import SYNTHESIS, Draws
from lflow.evaluation.annealed import Annealing, LatentModel, LogMean, Tell, log_normaliser, untold

_MOST_ROWS = 8192  # latent vectors at once
_MOST_NUMBERS = 2**24  # in the factors of one part's proposals
_CANDIDATES = 8  # prior draws that the fit may start from
FITS = 3  # to each x, from different starts: they may find different modes
_FIT_STEPS, _FIT_DRAWS, _RATE = 250, 8, 0.1
_DEGREES = 10  # of freedom: heavy enough a tail that no weight runs away, and nearly a Gaussian


class Proposal(NamedTuple):
    """q(z) = t(z; mean, factor factorᵀ), a multivariate Student law for each of n data points.

    mean: (n, d). factor: (n, d, d), lower triangular, with a positive diagonal.
    """

    mean: Tensor
    factor: Tensor

    def draw(self, copies: int, draws: Draws) -> Tensor:
        """z, (copies, n, d)."""
        n, d = self.mean.shape
        normal = draws.normal((copies * n, d)).view(copies, n, d)
        squares = draws.normal((copies * n, _DEGREES)).square().sum(1).view(copies, n)
        standard = normal / (squares / _DEGREES).sqrt()[..., None]
        return self.mean + torch.einsum("nij,cnj->cni", self.factor, standard)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z), (copies, n, d) -> (copies, n), float64, on the CPU: not every device has it."""
        d, away = z.shape[-1], (z - self.mean).permute(1, 2, 0).cpu().double()
        squares = (
            torch.linalg.solve_triangular(self.factor.cpu().double(), away, upper=False).square().sum(1).T
        )
        constant = math.lgamma((_DEGREES + d) / 2) - math.lgamma(_DEGREES / 2)
        constant -= d * math.log(_DEGREES * math.pi) / 2
        return constant - self._log_volume() - (_DEGREES + d) / 2 * torch.log1p(squares / _DEGREES)

    def _log_volume(self) -> Tensor:
        return self.factor.diagonal(dim1=-2, dim2=-1).cpu().double().log().sum(-1)


@torch.no_grad()
def log_likelihood(
    model: LatentModel,
    x: Tensor,
    num_samples: int = 1000,
    seed: int = 0,
    propose: Callable[[LatentModel, Tensor, Draws], Proposal] | None = None,
    tell: Tell = untold,
) -> LogMean:
    """log p(x) of each x, (n, *shape), from below on average, by `num_samples` weights.

    Under an energy prior less log Z, which is estimated by annealing: the difference of two lower bounds is
    no bound. An effective sample size near one says that q does not fit. propose: makes another q than
    `fitted`. tell(done, total) is called as laws are fitted.

    Example:
        >>> found = log_likelihood(lflow.load("runs/latent"), x)
        >>> found.log_mean.mean(), found.effective_sample_size.min()
    """
    draws = Draws(seed, 3, x.device, use=SYNTHESIS)
    d = model.prior.draw_base(1, draws).shape[1]
    parts = x.split(max(1, min(_MOST_ROWS // _FIT_DRAWS, _MOST_NUMBERS // d**2)))
    weights = []
    for done, part in enumerate(parts):
        proposals = []
        for fit in range(FITS):
            proposals.append((propose or fitted)(model, part, draws))
            tell(done * FITS + fit + 1, len(parts) * FITS)
        weights.append(_weights(model, part, proposals, num_samples, draws))
    log_z = None if model.prior.normalised else log_normaliser(model.prior, Annealing(), x.device, seed)
    found = LogMean.of(torch.cat(weights, 1), math.nan, float(log_z.standard_error) if log_z else 0.0)
    return found._replace(log_mean=found.log_mean - log_z.log_mean) if log_z else found


def _weights(
    model: LatentModel, x: Tensor, proposals: Sequence[Proposal], count: int, draws: Draws
) -> Tensor:
    """log p(x, z) - log q(z) of `count` z for each x, (count, n), float64: q is a mixture of the proposals,
    and each gives as many z as its share in it says."""
    found, most = [], max(1, _MOST_ROWS // len(x))
    counts = [len(range(place, count, len(proposals))) for place in range(len(proposals))]
    used = [(proposal, share) for proposal, share in zip(proposals, counts, strict=True) if share]
    for proposal, share in used:
        for done in range(0, share, most):
            z = proposal.draw(min(most, share - done), draws)
            each = [other.log_prob(z) + math.log(of_it / count) for other, of_it in used]
            found.append(_log_joint(model, x, z).cpu().double() - torch.stack(each).logsumexp(0))
    return torch.cat(found)


def _log_joint(model: LatentModel, x: Tensor, z: Tensor) -> Tensor:
    """log p(x, z) for z, (copies, n, d): (copies, n). Without -log Z under an energy prior."""
    rows, data = z.flatten(0, 1), x.repeat(len(z), *[1] * (x.ndim - 1))
    log_prior = model.prior.log_base(rows) + model.prior.tilt(rows)
    return (log_prior + model.log_likelihood(data, rows)).view(z.shape[:2])


def fitted(model: LatentModel, x: Tensor, draws: Draws) -> Proposal:
    """The Gaussian of each x that maximises E_q[log p(x, z) - log q(z)], as a `Proposal`'s mean and factor.

    From the most probable of a few draws of the prior's base, by Adam on reparametrised gradients without
    the part that is zero on average: where q is the posterior no noise is left in them.
    (Roeder, Wu & Duvenaud 2017, arXiv 1703.09194)
    """
    mean = _start(model, x, draws)
    n, d = mean.shape
    below, log_scale = mean.new_zeros(n, d, d), mean.new_full((n, d), -1.0)
    learned = [mean.requires_grad_(), below.requires_grad_(), log_scale.requires_grad_()]
    adam = torch.optim.Adam(learned, lr=_RATE, betas=(0.8, 0.99))
    for step in range(_FIT_STEPS):
        normal = draws.normal((_FIT_DRAWS * n, d)).view(_FIT_DRAWS, n, d)
        with torch.enable_grad():
            factor = _factor(below, log_scale)
            z = mean + torch.einsum("nij,cnj->cni", factor, normal)
            # log q with its own mean and factor held: -|L⁻¹(z - m)|²/2, whose gradient is -L⁻ᵀε.
            pull = torch.linalg.solve_triangular(factor.mT.detach(), normal.permute(1, 2, 0), upper=True)
            bound = _log_joint(model, x, z).sum() + (pull.permute(2, 0, 1) * z).sum()
            gradients = torch.autograd.grad(-bound, learned)
        for parameter, gradient in zip(learned, gradients, strict=True):
            parameter.grad = gradient
        adam.param_groups[0]["lr"] = _RATE * (1 - step / _FIT_STEPS)
        adam.step()
    return Proposal(mean.detach(), _factor(below, log_scale).detach())


def _factor(below: Tensor, log_scale: Tensor) -> Tensor:
    """Lower triangular, each row in units of its diagonal: (n, d, d)."""
    return log_scale.exp()[..., None] * (below.tril(-1) + torch.eye(below.shape[-1], device=below.device))


def _start(model: LatentModel, x: Tensor, draws: Draws) -> Tensor:
    """Of a few draws of the prior's base, the one that is most probable with x: (n, d)."""
    candidates = model.prior.draw_base(_CANDIDATES, draws)
    count = max(1, _MOST_ROWS // len(x))
    joint = torch.cat(
        [
            _log_joint(model, x, part[:, None].expand(-1, len(x), -1).contiguous())
            for part in candidates.split(count)
        ]
    )
    return candidates[joint.argmax(0)].clone()
