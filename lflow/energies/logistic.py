"""Bayesian logistic regression on real data, with honest minibatch gradients: the energy that SGLD is for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lflow.energies.base import Bounds, Energy, registry
from lflow.spec import param


@registry.register("logistic_regression")
@dataclass(frozen=True)
class LogisticRegression(Energy):
    """Posterior of the weights of a logistic regression on the Wisconsin breast-cancer data (569 patients).

    U(w) = Σ_i log(1 + exp(-y_i w·z_i)) + |w|²/(2 prior_scale²), with y_i = ±1 and standardised features
    z_i, the first `dim` of: mean radius, mean texture, mean smoothness, and so on. No intercept.
    (Street, Wolberg & Mangasarian 1993; the copy that scikit-learn bundles)
    """

    title = "Logistic regression"
    formula = r"U(w) = \sum_i \log\left(1 + e^{-y_i\, w \cdot z_i}\right) + |w|^2 / 2 s^2"
    has_data = True
    grid_size = 256
    cost = 50.0

    prior_scale: float = param(3.0, 0.1, 100.0, log=True, shown=(0.3, 10.0), help="s, width of the prior")
    dim: int = param(2, 1, 10, shown=(1, 2), advanced=True, help="number of features")

    @cached_property
    def data(self) -> Tensor:
        """y_i z_i, (569, dim), float64: all that the likelihood needs."""
        from sklearn.datasets import load_breast_cancer

        features, target = load_breast_cancer(return_X_y=True)
        order = [0, 1, 4, 5, 6, 7, 8, 9, 2, 3]
        with torch.inference_mode(False):  # it is kept, and must serve autograd later
            chosen = torch.from_numpy(features[:, order[: self.dim]])
            standard = (chosen - chosen.mean(0)) / chosen.std(0)
            return standard * (2 * torch.from_numpy(target).double() - 1)[:, None]

    @cached_property
    def _laplace(self) -> tuple[Tensor, Tensor]:
        # The mode by Newton's method and the standard deviations of the Gaussian that touches it there.
        weights = torch.zeros(self.dim, dtype=torch.float64)
        for _ in range(30):
            p = torch.sigmoid(-self.data @ weights)
            gradient = -(p @ self.data) + weights / self.prior_scale**2
            curved = (self.data * (p * (1 - p))[:, None]).T @ self.data
            hessian = curved + torch.eye(self.dim) / self.prior_scale**2
            weights = weights - torch.linalg.solve(hessian, gradient)
        return weights, torch.linalg.inv(hessian).diagonal().sqrt()

    @cached_property
    def bounds(self) -> Bounds:
        mode, std = self._laplace
        return tuple((float(m - 6 * s), float(m + 6 * s)) for m, s in zip(mode, std, strict=True))

    def _tables(self) -> tuple[Tensor, ...]:
        return (self.data,)

    def __call__(self, x: Tensor) -> Tensor:
        (data,) = self.tables(x)
        return softplus(-x @ data.T).sum(1) + x.square().sum(1) / (2 * self.prior_scale**2)

    def grad(self, x: Tensor) -> Tensor:
        (data,) = self.tables(x)
        return -torch.sigmoid(-x @ data.T) @ data + x / self.prior_scale**2

    def minibatch_variance(self, batch_size: int) -> float:
        """Variance of `stochastic_grad` at the mode, the mean over coordinates.

        (N²/B) Var_i ∇u_i, for B draws with replacement.
        """
        mode, _ = self._laplace
        each = -torch.sigmoid(-self.data @ mode)[:, None] * self.data
        return float(len(self.data) ** 2 / batch_size * each.var(0, correction=0).mean())

    def stochastic_grad(
        self,
        x: Tensor,
        batch_size: int = 32,
        generator: torch.Generator | None = None,
        uniform: Tensor | None = None,
    ) -> Tensor:
        """An unbiased estimate of ∇U(x) from a minibatch of each chain's own, (n, dim).

        (N/B) Σ_{i in batch} ∇u_i(x) + x/prior_scale², indices drawn with replacement. `uniform`, (n, B) in
        [0, 1), chooses them; without it they are drawn from `generator`.
        """
        (data,) = self.tables(x)
        if uniform is None:
            uniform = torch.rand(len(x), batch_size, generator=generator, device=x.device, dtype=x.dtype)
        batch = data[(uniform * len(data)).long()]
        weight = torch.sigmoid(-(batch * x[:, None, :]).sum(2)) * (len(data) / uniform.shape[1])
        return -(weight[:, :, None] * batch).sum(1) + x / self.prior_scale**2
