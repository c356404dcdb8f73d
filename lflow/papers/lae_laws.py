"""Laws that Langevin steps on the last layer have exactly, where the posterior is Gaussian.

z_i has the precision P for every datum. In the axes of GGᵀ (eigenvalues λ) and of P (eigenvalues μ) every
coordinate of Z = GΦᵀ moves alone, with r = 1 - hλμ, from Φ = 0:

    mean_k = (1 - r^k) m,   variance_k = (1 - r^{2k}) 2 / (μ (2 - hλμ)),

which is zero for ever where λ = 0, and slow where λ is small. Knows nothing of how the steps are made.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Conjugate(NamedTuple):
    """Posteriors N(mean_i, precision⁻¹) of n data: means (n, d_z), precision (d_z, d_z); float64."""

    means: Tensor
    precision: Tensor

    def potential(self, z: Tensor) -> Tensor:
        """U_i(z_i) but for a constant, (c, n, d_z) -> (c, n)."""
        away = z - self.means.to(z)
        return ((away @ self.precision.to(z)) * away).sum(-1) / 2

    def exact(self) -> Law:
        """The posterior of all data."""
        n = len(self.means)
        covariance = torch.kron(torch.eye(n, dtype=torch.float64), self.precision.inverse().contiguous())
        return Law(self.means.flatten(), covariance)


class Law(NamedTuple):
    """Mean and covariance of Z, the data's z one after another: (n d_z,) and (n d_z, n d_z)."""

    mean: Tensor
    covariance: Tensor


def conjugate(observed: Tensor, loading: Tensor, noise: Tensor) -> Conjugate:
    """z ~ N(0, I), x = loading z + ε, ε ~ N(0, noise): (n, dim), (dim, d_z), (dim, dim)."""
    pull = torch.linalg.solve(noise, loading).T
    precision = torch.eye(loading.shape[1], dtype=torch.float64) + pull @ loading
    return Conjugate(torch.linalg.solve(precision, pull @ observed.T).T, precision)


def after(case: Conjugate, features: Tensor, step_size: float, num_steps: int) -> Law:
    """The law of Z after so many steps of ULA from Φ = 0, features (n, d)."""
    along, spread = torch.linalg.eigh(features @ features.T)
    mu, turned = torch.linalg.eigh(case.precision)
    pull = step_size * along.clamp_min(0.0)[:, None] * mu
    kept = (1 - pull) ** num_steps
    mean = (1 - kept) * (spread.T @ case.means @ turned)
    variance = (1 - kept.square()) * 2 / (mu * (2 - pull))
    axes = torch.kron(spread, turned)
    return Law((spread @ mean @ turned.T).flatten(), axes @ (variance.flatten()[:, None] * axes.T))


def slowest(case: Conjugate, features: Tensor, step_size: float) -> float:
    """The factor by which a step shrinks what it shrinks least: 1 where G lacks a rank."""
    along = torch.linalg.eigvalsh(features @ features.T)
    mu = torch.linalg.eigvalsh(case.precision)
    return float((1 - step_size * along[:, None].clamp_min(0.0) * mu).abs().max())


def marginal_error(law: Law, exact: Law, size: int) -> float:
    """How far the marginals of the data's z, of `size` numbers, lie from the exact ones: the root mean square
    of their W₂ over √size, in units of the exact standard deviation (root of its mean variance)."""
    places = [slice(k, k + size) for k in range(0, len(exact.mean), size)]
    squares = []
    for place in places:
        centre = (law.mean[place] - exact.mean[place]).square().sum()
        root = _root(exact.covariance[place, place])
        cross = _root(root @ law.covariance[place, place] @ root)
        spread = (law.covariance + exact.covariance)[place, place].trace() - 2 * cross.trace()
        squares.append(centre + spread.clamp_min(0.0))
    unit = exact.covariance.diagonal().mean()
    return float((torch.stack(squares).mean() / (unit * size)).sqrt())


def _root(matrix: Tensor) -> Tensor:
    values, axes = torch.linalg.eigh(matrix)
    return axes @ (values.clamp_min(0.0).sqrt()[:, None] * axes.T)


def of_draws(z: Tensor) -> Law:
    """Of draws (c, n, d_z)."""
    rows = z.double().flatten(1)
    return Law(rows.mean(0), torch.cov(rows.T))
