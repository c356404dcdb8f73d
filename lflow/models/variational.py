"""What variational autoencoders share: a Gaussian encoder, and a bound on log p(x) that is ascended.

How the bound is made is each model's own. Knows nothing of how a run is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lflow.draws import Draws
from lflow.metrics import sliced_wasserstein2
from lflow.models.base import Part, TrainingStep
from lflow.models.distance import distance
from lflow.models.latent import MOST_VALIDATED, LatentLearner, LatentSettings
from lflow.nets import encoder
from lflow.spec import param


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
        data = x[:MOST_VALIDATED]
        z = self.infer(data, draws)
        samples = self.decoder.mean(self.prior.sample(len(data), draws))
        return {
            "nelbo": -self.elbo(data, draws).mean(),
            "squared_error": self.squared_error(data, z),
            "sliced_w2": distance(sliced_wasserstein2, samples, data),
        }
