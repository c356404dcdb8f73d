"""Amortised Langevin dynamics: a chain on the weights of a linear map, whose images are the latent vectors.

With z_i = Φ g(x_i) and G the rows g(x_i), (n, d), a step of ULA on V(Φ) = Σ_i U_i(Φ g(x_i)) is for Z

    Z' = Z - h GGᵀ ∇U(Z) + √(2hT) G ξ,

Langevin dynamics that GGᵀ preconditions: where G has rank n, so that d ≥ n, the law that it approaches is
Π_i exp(-U_i(z_i)/T), and the condition number of GGᵀ says how slowly. The weights that G does not see have
a flat law: they diffuse, by √(2hTk) each in k steps.
(Taniguchi et al. 2022, arXiv 2209.07036)

What the two autoencoders that use it share is here too. Knows nothing of how they learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lflow import samplers, steps
from lflow.draws import Draws
from lflow.metrics import sliced_wasserstein2
from lflow.models.distance import distance
from lflow.models.latent import MOST_VALIDATED, LatentLearner, LatentSettings
from lflow.samplers.base import Sampler
from lflow.short_run import ShortRun, short_run
from lflow.spec import Declared, param


@dataclass(frozen=True)
class WeightChain(Declared):
    """How the weights move: the house's steps, so that Φ' ~ N(Φ - η∇V, 2ηI) of the papers has h = η."""

    name = "weight_chain"

    step_size: float = param(1e-4, 1e-12, 10.0, log=True, help="h, on the sum V")
    num_steps: int = param(2, 1, 1_000_000, log=True, unit="steps", help="of the chain")
    metropolis: bool = param(False, help="with the Metropolis-Hastings test (MALA), or without (ULA)")
    temperature: float = param(1.0, 0.0, 100.0, help="T: 0 descends")

    def sampler(self) -> Sampler:
        """What takes the steps."""
        return samplers.get("mala" if self.metropolis else "ula")


def images(features: Tensor, weights: Tensor) -> Tensor:
    """Φ g(x): (n, d) features and (c, latent_dim, d) weights give (c, n, latent_dim), in the precision of the
    weights whatever autocast does."""
    with torch.autocast(weights.device.type, enabled=False):
        return features.to(weights.dtype) @ weights.mT


def move_weights(
    potential: Callable[[Tensor], Tensor],
    features: Tensor,
    weights: Tensor,
    chain: WeightChain,
    draws: Draws,
    keep: bool = False,
) -> ShortRun:
    """Steps of c chains of weights, (c, latent_dim, d), on V(Φ) = Σ_i U_i(Φ g(x_i)).

    potential: U_i(z_i) of z, (c, n, latent_dim) -> (c, n). features: (n, d) that all chains share, or
    (c, n, d). keep: whether to keep where each step began. Autocast is off: the test of a step takes the
    difference of two sums, which bfloat16 does not hold.

    Example:
        >>> chain = WeightChain(step_size=0.01, num_steps=100)
        >>> potential, start = lambda z: z.square().sum(-1) / 2, torch.zeros(50, 2, 16)
        >>> move_weights(potential, torch.randn(4, 16), start, chain, Draws(0, 0)).x.shape
        torch.Size([50, 2, 16])
    """
    rule = steps.get("constant", step_size=chain.step_size)
    with torch.autocast(weights.device.type, enabled=False):
        return short_run(
            lambda phi: potential(images(features, phi)).sum(-1),
            weights,
            chain.sampler(),
            rule,
            chain.num_steps,
            draws,
            chain.temperature,
            keep,
        )


def condition_number(features: Tensor) -> Tensor:
    """The largest eigenvalue of GGᵀ over its least, 0-dimensional; 1/ε² at most, where G lacks a rank."""
    values = torch.linalg.svdvals(features.cpu().double())  # not every device has float64
    if len(features) > features.shape[1]:  # GGᵀ, (n, n), has rank d at most
        values = torch.cat([values, values.new_zeros(1)])
    floor = torch.finfo(torch.float64).eps
    return (values[0] / values[-1].clamp_min(floor * values[0])).square()


@dataclass(frozen=True)
class AmortisedSettings(LatentSettings):
    """The encoder beside the decoder."""

    encoder: str = param("mlp", choices=("mlp", "conv"), help="the network that infers z")
    encoder_norm: bool = param(
        False, advanced=True, help="normalise what each activation of the encoder sees"
    )


class AmortisedLearner(LatentLearner):
    """An autoencoder whose z is the encoder's output."""

    inferred = "the z that the encoder gives"

    best = "sliced_w2"

    @property
    def gradient_evaluations(self) -> int:
        """Gradients of log p(x, z) with respect to what is sampled, of a data point in a training step."""
        return 0

    def validate(self, x: Tensor, draws: Draws) -> dict[str, Tensor]:
        """sliced_w2 of samples to data, which chooses the best; squared_error of a reconstruction, a number;
        log_joint, log p(x, z) at the encoder's z, on average, without -log Z under an energy prior.

        Samples may still come nearer while log p(x) of unseen data falls: `lflow evaluate` estimates that.
        """
        data = x[:MOST_VALIDATED]
        with torch.no_grad():
            z = self.infer(data, draws)
            samples = self.decoder.mean(self.prior.sample(len(data), draws))
            return {
                "sliced_w2": distance(sliced_wasserstein2, samples, data),
                "squared_error": self.squared_error(data, z),
                "log_joint": self.log_joint(data, z).mean(),
            }
