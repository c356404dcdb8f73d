"""Latent flows with a linear generator, whose posterior and likelihood are Gaussian in closed form."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from lflow.models.latent_flow import LatentFlow, LatentFlowLearner
from lflow.models.latent_priors import EnergyPrior, FlowPrior

PRIORS = ("gaussian", "flow", "ebm")
TILT, CENTRE = 1.5, 0.7  # of the energy prior: E(z) = TILT |z - CENTRE|² / 2
LATENT, DIM = 3, 5


class Bowl(nn.Module):
    """E(z) = TILT |z - CENTRE|² / 2."""

    def forward(self, z: Tensor) -> Tensor:
        return TILT * (z - CENTRE).square().sum(1) / 2


class Case(NamedTuple):
    """A learner and its law in float64: prior N(mean, covariance), x = weight z + bias + σε."""

    learner: LatentFlowLearner
    mean: Tensor
    covariance: Tensor
    log_z: float
    weight: Tensor
    bias: Tensor
    sigma: float

    def likelihood(self, x: Tensor) -> Tensor:
        """log p(x), (n,)."""
        covariance = self.weight @ self.covariance @ self.weight.T
        noise = self.sigma**2 * torch.eye(DIM, dtype=torch.float64)
        centre = self.weight @ self.mean + self.bias
        found: Tensor = MultivariateNormal(centre, covariance + noise).log_prob(x.double())
        return found

    def precision(self) -> Tensor:
        """Of p(z | x), the same for all x."""
        return self.covariance.inverse() + self.weight.T @ self.weight / self.sigma**2

    def posterior_mean(self, x: Tensor) -> Tensor:
        """Of p(z | x) for one x, (DIM,)."""
        pull = self.weight.T @ (x.double() - self.bias) / self.sigma**2
        return torch.linalg.solve(self.precision(), self.covariance.inverse() @ self.mean + pull)

    def chain_law(self, x: Tensor, h: float, num_steps: int) -> tuple[Tensor, Tensor]:
        """Mean and covariance of z_K: the unadjusted chain from N(0, I), exactly."""
        step = torch.eye(LATENT, dtype=torch.float64) - h * self.precision()
        powers = [torch.linalg.matrix_power(step, k) for k in range(num_steps + 1)]
        mean = self.posterior_mean(x) - powers[-1] @ self.posterior_mean(x)
        noise = 2 * h * torch.stack([power @ power for power in powers[:-1]]).sum(0)
        return mean, powers[-1] @ powers[-1] + noise

    def draw(self, n: int, seed: int = 0) -> Tensor:
        """n draws of x, (n, DIM)."""
        generator = torch.Generator().manual_seed(seed)
        z, noise = (torch.randn(n, d, generator=generator, dtype=torch.float64) for d in (LATENT, DIM))
        z = self.mean + z @ torch.linalg.cholesky(self.covariance).T
        return (z @ self.weight.T + self.bias + self.sigma * noise).float()


def linear_case(prior: str, sigma: float = 0.5, **settings: Any) -> Case:
    """A learner with that prior, and its closed forms."""
    torch.manual_seed(3)
    chosen = LatentFlow(prior=prior, latent_dim=LATENT, sigma=sigma, flow_width=8, flow_depth=2, **settings)
    learner = chosen.build((DIM,))
    layer = nn.Linear(LATENT, DIM)
    learner.decoder.net = layer
    mean, covariance, log_z = torch.zeros(LATENT).double(), torch.eye(LATENT).double(), 0.0
    if isinstance(learner.prior, FlowPrior):
        # Before it learns, a flow's couplings scale by a constant: it is an affine map.
        learner.prior.initialise(torch.randn(50, LATENT) * torch.tensor([0.7, 1.0, 1.4]) + 0.5)
        corners = torch.cat([torch.zeros(1, LATENT), torch.eye(LATENT)])
        origin, *axes = learner.prior.flow.to_data(corners)[0].detach().double()
        along = torch.stack([axis - origin for axis in axes], 1)
        mean, covariance = origin, along @ along.T
    elif isinstance(learner.prior, EnergyPrior):
        learner.prior.energy = Bowl()
        mean = torch.full((LATENT,), TILT * CENTRE / (1 + TILT)).double()
        covariance = covariance / (1 + TILT)
        log_z = float(torch.linalg.slogdet(covariance)[1]) / 2 - LATENT * TILT * CENTRE**2 / (2 * (1 + TILT))
    weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
    return Case(learner, mean, covariance, log_z, weight, bias, sigma)
