"""The contrastive Langevin autoencoder: an energy as the prior of z, and networks that draw z by moving.

Knows nothing of how a run is kept, and of data only their shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lflow.draws import Draws
from lflow.models.amortised import AmortisedLearner, AmortisedSettings
from lflow.models.base import Part, Preset, TrainingStep, registry
from lflow.models.latent_priors import TiltedPrior
from lflow.nets import encoder, start_orthogonal
from lflow.short_run import frozen
from lflow.spec import param

_SHARED: dict[str, Any] = {
    "latent_dim": 8,
    "likelihood": "bernoulli",
    "encoder_norm": True,
    "layer_norm": True,
}
PRESETS: dict[str, Preset] = {
    "digits": Preset(
        "digits",
        "Black and white digits: half a minute on a CPU",
        _SHARED | {"width": 64, "learning_rate": 1e-3},
        {"num_steps": 4000, "batch_size": 100},
        {"binary": True},
    ),
    "mnist": Preset(
        "mnist",
        "Black and white MNIST: minutes on a CPU",
        _SHARED | {"width": 256, "learning_rate": 1e-4},
        {"num_steps": 6000, "batch_size": 100},
        {"binary": True},
    ),
}


class SampledPrior(TiltedPrior):
    """An energy that tilts N(0, I), and a network that draws from it: z = f(u), u ~ N(0, I).

    inputs: (num_inputs, dim) of u, drawn once, which training keeps to; a trained model draws u anew.
    """

    inputs: Tensor

    def __init__(self, dim: int, width: int, num_inputs: int) -> None:
        super().__init__(dim, width)
        self.sampler = encoder((dim,), dim, width=(width, width))
        self.register_buffer("inputs", torch.randn(num_inputs, dim))

    def sample(self, n: int, draws: Draws) -> Tensor:
        with torch.no_grad():
            z: Tensor = self.sampler(self.draw_base(n, draws))
        return z

    def amortised(self, n: int, draws: Draws) -> Tensor:
        """z of n of the fixed inputs, with the sampler's gradient."""
        z: Tensor = self.sampler(self.inputs[draws.integers(len(self.inputs), (n,))])
        return z


@registry.register("clae")
@dataclass(frozen=True)
class CLAE(AmortisedSettings):
    """CLAE, with a latent energy f_z(z) = |z|²/2 + E(z) as -log p(z), but for log Z.

    L = Σ_i f_z(f_{z|x}(x_i)) - f_z(f_{z|u}(u_i)) - log p(x_i | f_{z|x}(x_i))

    falls by the decoder and the energy, Θ, and the encoder, Φ, and rises by the amortised sampler, Ψ: Ψ is
    moved so that f_{z|u}(u_i) of fixed u_i are draws from the prior, and Φ so that f_{z|x}(x_i) are draws
    from the posterior. Each update is a step of ULA, with noise √(2η).

    The losses are means over a batch of n, so that `learning_rate` r is η = r/n on the sum L. The noise is a
    loss linear in the parameters, √(2/η) <ξ, θ> on the sum: plain descent of it adds √(2η) ξ. Where warm-up
    or decay multiplies the rate by ρ, the drift is multiplied by ρ and the noise by ρ, not √ρ: such a step
    has the temperature ρ. Batches stand for the sum over the data without a factor, as published.
    ("Learning deep latent variable models via amortized Langevin dynamics", 2020, OpenReview eyDDGPt5R1S;
    the text of 2021 calls it LAE, that of 2022, arXiv 2209.07036, has N(0, I) for a prior)
    """

    title = "Contrastive Langevin autoencoder"
    formula = (
        r"\min_{\Theta, \Phi} \max_{\Psi} \sum_i f_z(f_{z|x}(x_i)) - f_z(f_{z|u}(u_i))"
        r" - \log p(x_i \mid f_{z|x}(x_i))"
    )
    reference = "Amortized Langevin dynamics 2020, OpenReview eyDDGPt5R1S"
    presets = PRESETS

    noise: str = param(
        "published",
        choices=("published", "off"),
        help="√(2η) in every update, as published; or off: a descent, which keeps the modes alone",
    )
    learning_rate: float = param(1e-3, 1e-8, 1.0, log=True, help="of plain descent, of the mean of L")
    energy_width: int = param(64, 1, 2048, log=True, advanced=True, help="of E's two hidden layers")
    num_inputs: int = param(
        1000,
        1,
        1_000_000,
        log=True,
        advanced=True,
        label="Fixed inputs",
        help="fixed inputs u of the sampler",
    )

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> CLAELearner:
        return CLAELearner(self, shape, levels)

    def make_prior(self) -> SampledPrior:
        """The energy and its sampler."""
        return SampledPrior(self.latent_dim, self.energy_width, self.num_inputs)

    def make_encoder(self, shape: tuple[int, ...]) -> nn.Module:
        """f_{z|x}: (n, *shape) -> (n, latent_dim)."""
        hidden = self.hidden(self.encoder)
        net = encoder(shape, self.latent_dim, self.encoder, hidden, self.activation, self.encoder_norm)
        if self.orthogonal:
            start_orthogonal(net)
        return net


class CLAELearner(AmortisedLearner):
    """A decoder, an energy, an encoder and a sampler that learn."""

    settings: CLAE
    prior: SampledPrior

    def __init__(self, settings: CLAE, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        self.encoder = settings.make_encoder(self.shape)

    def parts(self) -> dict[str, Part]:
        modules = {
            "decoder": self.decoder,
            "energy": self.prior.energy,
            "encoder": self.encoder,
            "sampler": self.prior.sampler,
        }
        rate = self.settings.learning_rate
        return {name: Part(module, rate, optimiser="sgd") for name, module in modules.items()}

    def training_step(self, x: Tensor, draws: Draws) -> TrainingStep:
        z, drawn = self.encoder(x).to(x.dtype), self.prior.amortised(len(x), draws)
        energy, likelihood = -self.log_prior(z), self.log_likelihood(x, z)
        losses = {
            "posterior": (energy - likelihood).mean(),
            "contrast": self.log_prior(drawn.detach()).mean(),
        }
        # The sampler maximises L: it descends f_z of its own draws, from which the energy learns nothing.
        with frozen(self.prior.energy):
            losses["sampler"] = -self.log_prior(drawn).mean()
        if self.settings.noise == "published":
            n = len(x) * draws.world_size
            eta = self.settings.learning_rate / n
            # Over n, as the other losses are means.
            losses["noise"] = _linear(self.parameters(), draws.whole(), math.sqrt(2 / eta) / n)
        gap = (energy.mean() + self.log_prior(drawn).mean()).detach()
        metrics = {"squared_error": self.squared_error(x, z).detach(), "sampler_gap": gap}
        return TrainingStep(losses, metrics)

    def infer(self, x: Tensor, draws: Draws | int = 0) -> Tensor:
        """f_{z|x}(x), (n, latent_dim), without a gradient; it draws nothing."""
        with torch.no_grad():
            z: Tensor = self.encoder(x).to(x.dtype)
        return z


def _linear(parameters: Iterable[nn.Parameter], draws: Draws, scale: float) -> Tensor:
    """scale · <ξ, θ> with fresh ξ ~ N(0, I): its gradient is the noise."""
    each = [(draws.normal((p.numel(),)).view_as(p) * p).sum() for p in parameters]
    return scale * torch.stack(each).sum()
