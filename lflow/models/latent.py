"""What models with latent vectors share: a prior of z, a decoder p(x | z), and the uses of an inferred z.

How z is inferred, and what learns from it, is each model's own. Knows nothing of how a run is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lflow.draws import Draws
from lflow.models.base import Model
from lflow.models.latent_priors import Prior
from lflow.models.restoring import Restoring, Seen, adjusted_chain
from lflow.nets import ACTIVATIONS, generator, start_orthogonal
from lflow.nets.decoders import DECODERS, BernoulliDecoder, Decoder, make_decoder
from lflow.short_run import frozen
from lflow.spec import param

Likelihood = Callable[[Tensor], Tensor]
"""Of z, (n, latent_dim) -> (n,): its logarithm."""

_CHAIN_STEPS = 200
DRAWN = "a draw of z by a chain"
MOST_VALIDATED = 500
"""Data points, the first ones, that a latent model looks at to validate."""


@dataclass(frozen=True)
class LatentSettings(Model):
    """The latent space, the decoder and its law."""

    latent_dim: int = param(16, 1, 1024, log=True, label="Latent dimension", help="numbers in z")
    likelihood: str = param(
        "gaussian",
        choices=tuple(DECODERS),
        help="p(x|z): gaussian, x = g(z) + σε; bernoulli, of black and white; logistic, of grey values, "
        "whose scale is learned",
    )
    sigma: float = param(
        0.3, 1e-3, 100.0, log=True, help="σ of a gaussian likelihood", when=("likelihood", "gaussian")
    )
    generator: str = param("mlp", choices=("mlp", "conv", "strided"), help="the network of g")
    width: int = param(
        64, 1, 2048, log=True, help="of an mlp's hidden layers; of conv an eighth of the first channels"
    )
    depth: int = param(2, 1, 16, advanced=True, help="hidden layers of an mlp")
    activation: str = param("silu", choices=tuple(ACTIVATIONS), advanced=True, help="of the networks")
    layer_norm: bool = param(False, advanced=True, help="normalise what each activation of the mlp g sees")
    orthogonal: bool = param(False, advanced=True, help="begin with orthogonal weights and without bias")

    def make_decoder(self, shape: tuple[int, ...], levels: int | None) -> Decoder:
        """p(x | z) for data of that shape. ValueError where they are not of the likelihood's kind."""
        bounded = DECODERS[self.likelihood].bounded
        kind, hidden = self.generator, self.hidden(self.generator)
        net = generator(self.latent_dim, shape, kind, hidden, self.activation, bounded, self.layer_norm)
        if self.orthogonal:
            start_orthogonal(net)
        return make_decoder(self.likelihood, net, shape, levels, self.sigma)

    def hidden(self, kind: str) -> int | list[int]:
        """The width of a net of that kind: of an mlp one a hidden layer."""
        return [self.width] * self.depth if kind == "mlp" else self.width

    def make_prior(self) -> Prior:
        """The prior of z."""
        return Prior(self.latent_dim)


class LatentLearner(Restoring):
    """A decoder and a prior. A subclass says how z is inferred, `infer`, and what a step learns."""

    inferred: str = DRAWN
    """What `infer` gives, in words."""
    settings: LatentSettings

    def __init__(self, settings: LatentSettings, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        self.decoder = settings.make_decoder(self.shape, levels)
        self.prior = settings.make_prior()
        self.anomaly_formula = "-log p(x, z)" + ("" if self.prior.normalised else ", but for log Z")

    # --- densities ------------------------------------------------------------------------------------

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), (n, latent_dim) -> (n,). An EBM's lacks -log Z: it orders z, and is no density."""
        return self.prior.log_prob(z)

    def log_likelihood(self, x: Tensor, z: Tensor, visible: Tensor | None = None) -> Tensor:
        """log p(x | z), (n,); of the coordinates where `visible` is one, if it is given."""
        return self.decoder.log_prob(x, z, visible)

    def log_joint(self, x: Tensor, z: Tensor, visible: Tensor | None = None) -> Tensor:
        """log p(x, z), (n,); without -log Z under an EBM prior."""
        return self.log_prior(z) + self.log_likelihood(x, z, visible)

    def draw_given(self, z: Tensor, draws: Draws) -> Tensor:
        """x ~ p(x | z), (n, *shape)."""
        return self.decoder.draw(z, draws)

    @property
    def gradient_evaluations(self) -> int:
        """Gradients of log p(x, z) with respect to z that a training step takes of a data point."""
        raise NotImplementedError

    def infer_by(
        self, log_likelihood: Likelihood, n: int, draws: Draws, num_steps: int | None = None
    ) -> Tensor:
        """n draws of z from p(z) times any likelihood, (n, latent_dim), without a gradient.

        By chains that keep that law, from draws of the prior: 200 trajectories of HMC if nothing is said.
        """
        count = _CHAIN_STEPS if num_steps is None else num_steps
        start = self.prior.sample(n, draws)
        with frozen(self):
            return adjusted_chain(lambda z: -self.log_prior(z) - log_likelihood(z), start, count, draws)

    def squared_error(self, x: Tensor, z: Tensor) -> Tensor:
        """Of E[x | z], on average for each number of x, 0-dimensional."""
        return (x - self.decoder.mean(z)).square().sum() / (len(x) * math.prod(self.shape))

    # --- what a trained model does --------------------------------------------------------------------

    def check(self, x: Tensor, missing: Tensor | None = None) -> None:
        """ValueError for data of another shape, or with grey values where the likelihood knows none."""
        super().check(x)
        if isinstance(self.decoder, BernoulliDecoder):
            grey = x.abs() != 1
            if bool((grey if missing is None else grey & ~missing).any()):
                raise ValueError("data of this model are black, -1, and white, 1, with nothing between")

    def infer(self, x: Tensor, draws: Draws | int = 0) -> Tensor:
        """The model's own z of x, (n, latent_dim), without a gradient; `draws` may be a seed."""
        raise NotImplementedError

    def draw_posterior(self, x: Tensor, draws: Draws) -> Tensor:
        """A draw of the model's own z of x, where it draws one, (n, latent_dim), without a gradient.

        What one compares models at: z at random in some and a mean in others would favour the mean.
        """
        return self.infer(x, draws)

    @torch.no_grad()
    def synthesize(self, n: int, seed: int = 0) -> Tensor:
        """n points E[x | z], z ~ the prior, (n, *shape): without the noise of p(x | z)."""
        return self.decoder.mean(self.prior.sample(n, self.fresh_draws(seed)))

    @torch.no_grad()
    def reconstruct(self, x: Tensor, seed: int = 0) -> Tensor:
        """E[x | z] at the z inferred of x, (n, *shape)."""
        self.check(x)
        return self.decoder.mean(self.infer(x, seed))

    @torch.no_grad()
    def interpolate(self, a: Tensor, b: Tensor, k: int, seed: int = 0) -> Tensor:
        """k points from a to b, ends included, on the line between their inferred z: (n, k, *shape)."""
        self.check(a)
        self.check(b)
        ends = self.infer(torch.cat([a, b]), seed).chunk(2)
        weights = torch.linspace(0, 1, k, device=a.device)[:, None]
        on_line = ends[0][:, None] + weights * (ends[1] - ends[0])[:, None]
        return self.decoder.mean(on_line.flatten(0, 1)).unflatten(0, (len(a), k))

    @torch.no_grad()
    def anomaly_score(self, x: Tensor, seed: int = 0) -> Tensor:
        """-log p(x, z) at the inferred z, (n,): the higher the less likely.

        It is not -log p(x), which `lflow.evaluation` estimates. Under an EBM prior log Z is missing: the
        order of points is right, the numbers of two models cannot be compared.
        """
        self.check(x)
        return -self.log_joint(x, self.infer(x, seed))

    @torch.no_grad()
    def restore(self, seen: Seen, draws: Draws, num_steps: int | None = None) -> Tensor:
        """E[x | z, what is seen], (n, *shape), at one z each that a chain drew given what is seen."""

        def log_likelihood(z: Tensor) -> Tensor:
            if not seen.noise:
                return self.log_likelihood(seen.y, z, seen.visible)
            each, _ = self.decoder.noisy_each(seen.y, self.decoder.output(z), seen.noise)
            return (each * seen.visible).flatten(1).sum(1)

        z = self.infer_by(log_likelihood, len(seen.y), draws, num_steps)
        if not seen.noise:
            return self.decoder.mean(z)
        _, given = self.decoder.noisy_each(seen.y, self.decoder.output(z), seen.noise)
        return torch.where(seen.missing, self.decoder.mean(z), given)
