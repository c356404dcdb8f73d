"""What autoencoders with a chain share: steps on log p(x, z) from the encoder's z on, and their bound.

How a chain moves, and what its steps do to the bound, is each model's own. Knows nothing of how a run is
kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lflow.draws import Draws
from lflow.energies.base import value_and_grad
from lflow.models.variational import VariationalLearner, VariationalSettings
from lflow.nets import is_smooth
from lflow.nets.bounded import Bounded
from lflow.nets.flows.flow import standard_normal
from lflow.spec import param

LARGEST_STEP = 0.5
"""Of a chain's step in any coordinate, learned or not: the bound of HVAE's authors."""


@dataclass(frozen=True)
class ChainSettings(VariationalSettings):
    """The chain that goes on from the encoder's z."""

    num_steps: int = param(
        5, 1, 1000, log=True, shown=(1, 50), unit="steps", label="Chain steps K", help="K, of the chain"
    )
    step_size: float = param(
        0.2, 1e-6, LARGEST_STEP, log=True, help="ε of the chain; of a learned one the start, below 0.5"
    )
    learn_step_size: bool = param(True, help="learn ε, one for each coordinate, between 0 and 0.5")

    def remark(self, batch_size: int) -> str:
        if is_smooth(self.activation):
            return ""
        return (
            f"{self.activation} has no second derivative: what is learned through the chain does not see how "
            "the decoder bends; silu, softplus, gelu and tanh have one"
        )


class End(NamedTuple):
    """Where a chain ends, (n, latent_dim) both, and what its steps add to the bound: (n,), or one for all."""

    z: Tensor
    p: Tensor
    log_ratio: Tensor


class ChainLearner(VariationalLearner):
    """An encoder, a decoder and the steps between them. A subclass gives the steps, `chain`."""

    settings: ChainSettings

    def __init__(self, settings: ChainSettings, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        size, dim = settings.step_size, settings.latent_dim
        self.step_sizes = Bounded("step_size", size, LARGEST_STEP, (dim,), settings.learn_step_size)

    def energy_gradient(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """z -> -∇_z log p(x, z), (n, latent_dim); differentiable in turn where z is."""
        return lambda z: value_and_grad(lambda at: -self.log_joint(x, at), z)[1]

    def chain(self, x: Tensor, z: Tensor, fresh: Tensor, draws: Draws) -> End:
        """K steps from z_0 and standard normal numbers for a momentum, (n, latent_dim) each."""
        raise NotImplementedError

    @torch.no_grad()
    def infer(self, x: Tensor, draws: Draws | int = 0) -> Tensor:
        """z_K, (n, latent_dim), without a gradient; `draws` may be a seed."""
        given = self.fresh_draws(draws) if isinstance(draws, int) else draws
        z = self.posterior(x).draw(given)
        return self.chain(x, z, given.normal(z.shape).to(z), given).z

    @property
    def reconstruction_gradients(self) -> int:
        return self.gradient_evaluations

    def elbo(self, x: Tensor, draws: Draws) -> Tensor:
        q = self.posterior(x)
        z = q.draw(draws)
        fresh = draws.normal(z.shape).to(z)
        end = self.chain(x, z, fresh, draws)
        before = q.log_prob(z) + standard_normal(fresh)
        return self.log_joint(x, end.z) + standard_normal(end.p) - before + end.log_ratio
