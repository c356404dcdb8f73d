"""What variational autoencoders share: a Gaussian encoder, and a bound on log p(x) that is ascended.

How the bound is made, and by what chain z goes on from the encoder's draw, is each model's own. Knows nothing
of how a run is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lflow.draws import Draws
from lflow.energies.base import value_and_grad
from lflow.metrics import sliced_wasserstein2
from lflow.models.base import Part, TrainingStep
from lflow.models.distance import distance
from lflow.models.latent import LatentLearner, LatentSettings
from lflow.nets import encoder
from lflow.spec import param

LARGEST_STEP = 0.5
"""Of a chain's step in any coordinate, learned or not: the bound of HVAE's authors."""

_MOST_VALIDATED = 500


class Gaussian(NamedTuple):
    """q(z | x) = N(mean, diag(std²)) for each of n data points: (n, latent_dim) both."""

    mean: Tensor
    std: Tensor

    def draw(self, draws: Draws) -> Tensor:
        """A z of each, (n, latent_dim), through which gradients pass."""
        return self.mean + self.std * draws.normal(self.mean.shape).to(self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x), (n,)."""
        squares = ((z - self.mean) / self.std).square() + math.log(2 * math.pi)
        return -(squares / 2 + self.std.log()).sum(1)


@dataclass(frozen=True)
class VariationalSettings(LatentSettings):
    """The encoder, and how all that learns is taught."""

    encoder: str = param("mlp", choices=("mlp", "conv", "strided"), help="the network of q(z|x)")
    learning_rate: float = param(1e-3, 1e-7, 1.0, log=True, help="of all that learns")
    optimiser: str = param("adam", choices=("adam", "adamax"), advanced=True, help="of all that learns")


@dataclass(frozen=True)
class ChainSettings(VariationalSettings):
    """The chain that goes on from the encoder's z."""

    num_steps: int = param(5, 1, 1000, log=True, shown=(1, 50), unit="steps", help="K, of the chain")
    step_size: float = param(
        0.2,
        1e-6,
        LARGEST_STEP,
        log=True,
        help="ε of the chain; of a learned one the start",
    )
    learn_step_size: bool = param(True, help="learn ε, one for each coordinate, between 0 and 0.5")


class VariationalLearner(LatentLearner):
    """A decoder, a prior and an encoder that ascend a bound. A subclass gives the bound, `elbo`."""

    best: ClassVar[str] = "nelbo"
    settings: VariationalSettings

    def __init__(self, settings: VariationalSettings, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        hidden, kind = settings.hidden(settings.encoder), settings.encoder
        self.encoder = encoder(shape, 2 * settings.latent_dim, kind, hidden, settings.activation)

    def parts(self) -> dict[str, Part]:
        rate, optimiser = self.settings.learning_rate, self.settings.optimiser
        return {"model": Part(self, rate, optimiser=optimiser)}

    # --- inference ------------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Gaussian:
        """q(z | x): the encoder gives the mean, and a number whose softplus is the standard deviation."""
        mean, raw = self.encoder(x).to(x.dtype).chunk(2, 1)
        return Gaussian(mean, F.softplus(raw))

    def energy_gradient(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """z -> -∇_z log p(x, z), (n, latent_dim); differentiable in turn where z is."""
        return lambda z: value_and_grad(lambda at: -self.log_joint(x, at), z)[1]

    @property
    def gradient_evaluations(self) -> int:
        return 0

    def elbo(self, x: Tensor, draws: Draws) -> Tensor:
        """A draw of a number that is log p(x) at most on average, (n,); its exponential's mean is p(x)."""
        raise NotImplementedError

    # --- learning -------------------------------------------------------------------------------------

    def training_step(self, x: Tensor, draws: Draws) -> TrainingStep:
        return TrainingStep({"nelbo": -self.elbo(x, draws).mean()}, {})

    @torch.no_grad()
    def validate(self, x: Tensor, draws: Draws) -> dict[str, Tensor]:
        """How loose the bound is and how near samples are to data.

        nelbo: the mean of -elbo(x), in nats. squared_error: of a reconstructed number. sliced_w2: of samples
        to data.
        """
        data = x[:_MOST_VALIDATED]
        z = self.infer(data, draws)
        samples = self.decoder.mean(self.prior.sample(len(data), draws))
        return {
            "nelbo": -self.elbo(data, draws).mean(),
            "squared_error": (data - self.decoder.mean(z)).square().mean(),
            "sliced_w2": distance(sliced_wasserstein2, samples, data),
        }
