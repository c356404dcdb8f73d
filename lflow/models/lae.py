"""The Langevin autoencoder: Langevin steps on the encoder's last layer stand for inference.

Knows nothing of how a run is kept, and of data only their shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lflow.draws import Draws
from lflow.models.amortised import (
    AmortisedLearner,
    AmortisedSettings,
    WeightChain,
    condition_number,
    images,
    move_weights,
)
from lflow.models.base import Part, TrainingStep, registry
from lflow.models.lae_presets import PRESETS
from lflow.models.latent import DRAWN
from lflow.nets import activated, encoder, start_orthogonal
from lflow.short_run import frozen
from lflow.spec import param


@registry.register("lae")
@dataclass(frozen=True)
class LAE(AmortisedSettings):
    """LAE: a deterministic encoder z = Φ g_ψ(x), whose last layer Φ moves by Langevin dynamics.

    infer   T steps Φ' = Φ - h∇V + √(2h) ξ on V(Φ) = -Σ_i log p(x_i, Φ g_ψ(x_i)) over the batch, from where
            the batch before left Φ; with or without the Metropolis-Hastings test
    learn   θ, of p(x | z), and ψ descend (1/T) Σ_t V_t, V_t at the Φ where step t begins; Φ only ever moves
            by its chain, and is saved with the weights

    The paper writes Φ' ~ N(Φ - η∇V, 2ηI): h = η. Its authors' code takes η = 1e-4 on the mean of V over the
    batch and noise √(2η/n), which is h = η/n here: 1e-6 for their batches of 100. The losses are means over
    the batch, as in that code.

    That z has the posterior's law (see lflow/models/amortised.py) holds for one batch of n ≤ d data, no two
    of them equal, fixed features g and a long chain. Here g learns, the batch changes at every step, and the
    chain takes T steps on each: a short run from a warm start. What Φ's chain leaves in directions that a
    batch does not see diffuses as √(2hk), and is noise to the next batch.

    The text of 2021 has no Metropolis-Hastings test, that of 2022 has. The authors' code as it was left does
    not run, learns a bias of the last layer by descent, keeps a prior on the learned scale, and tests by a
    normal law of fixed standard deviation 0.05 about the encoder's output, another bound than that of the
    models beside it; none of that is here.
    (Taniguchi et al. 2022, arXiv 2209.07036)
    """

    title = "Langevin autoencoder"
    formula = (
        r"z_i = \Phi\, g_\psi(x_i), \quad "
        r"\Phi' = \Phi + h\,\nabla_\Phi \sum_i \log p_\theta(x_i, \Phi\, g_\psi(x_i)) + \sqrt{2h}\,\xi"
    )
    reference = "Taniguchi et al. 2022, arXiv 2209.07036"
    presets = PRESETS

    features: int = param(
        256, 1, 4096, log=True, help="d, numbers in g(x): at least the size of a batch, better twice as many"
    )
    step_size: float = param(6e-6, 1e-12, 1.0, log=True, help="h of the chain, on the sum V over a batch")
    num_steps: int = param(
        2, 1, 1000, log=True, shown=(1, 50), unit="steps", label="Chain steps T", help="T, for each batch"
    )
    metropolis: bool = param(False, help="the Metropolis-Hastings test after each step")
    warm_step: str = param(
        "off",
        choices=("off", "coded"),
        advanced=True,
        help="coded: one step more before those that are learned from, as its authors coded it",
    )
    temperature: float = param(
        1.0, 0.0, 10.0, help="of the chain; at 0 it descends, to the most probable z (MAP)"
    )
    inference_steps: int = param(
        0,
        0,
        100_000,
        shown=(0, 1000),
        unit="steps",
        help="where a trained model infers z: 0 takes the encoder's output, as published; else a chain of so "
        "many steps of the last layer for each datum",
    )
    learning_rate: float = param(1e-3, 1e-7, 1.0, log=True, help="of the decoder and of the features")
    optimiser: str = param("adam", choices=("adam", "sgd"), help="of both; sgd, as published")

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> LAELearner:
        return LAELearner(self, shape, levels)

    def remark(self, batch_size: int) -> str:
        if self.features >= batch_size:
            return ""
        few = f"{self.features:,} features for batches of {batch_size:,}"
        return f"{few}: that z has the posterior's law needs at least as many features as a batch has data"

    def make_features(self, shape: tuple[int, ...]) -> nn.Module:
        """g: (n, *shape) -> (n, features)."""
        hidden = [self.width] * (self.depth - 1) if self.encoder == "mlp" else self.width
        trunk = encoder(shape, self.features, self.encoder, hidden, self.activation, self.encoder_norm)
        net = nn.Sequential(trunk, *activated(self.features, self.activation, self.encoder_norm))
        if self.orthogonal:
            start_orthogonal(net)
        return net

    def chain(self) -> WeightChain:
        """The steps for a batch, with the one before them if there is one."""
        count = self.num_steps + (self.warm_step == "coded")
        return WeightChain(self.step_size, count, self.metropolis, self.temperature)


class LAELearner(AmortisedLearner):
    """A decoder and features that learn, and a last layer that moves."""

    settings: LAE

    def __init__(self, settings: LAE, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        self.features = settings.make_features(self.shape)
        start = nn.init.orthogonal_(torch.empty(settings.latent_dim, settings.features))
        if settings.inference_steps:
            self.inferred = DRAWN
        # No part has it, and none learns it: an average of the weights has one of Φ too.
        self.weights = nn.Parameter(start[None], requires_grad=False)

    def parts(self) -> dict[str, Part]:
        rate, optimiser = self.settings.learning_rate, self.settings.optimiser
        return {
            "decoder": Part(self.decoder, rate, optimiser=optimiser),
            "features": Part(self.features, rate, optimiser=optimiser),
        }

    @property
    def gradient_evaluations(self) -> int:
        """One where each step ends, and one where a batch's chain starts: V is another for each batch."""
        return self.settings.chain().num_steps + 1

    @property
    def reconstruction_gradients(self) -> int:
        return self.settings.inference_steps or 1

    def training_step(self, x: Tensor, draws: Draws) -> TrainingStep:
        features = self.features(x)
        # V is of the global batch: every process moves the same weights by the same numbers.
        data, seen = draws.gather(x), draws.gather(features)
        with frozen(self):
            moved = move_weights(
                lambda z: -self.log_joint(data, z[0])[None],
                seen,
                self.weights,
                self.settings.chain(),
                draws.whole(),
                keep=True,
            )
        assert moved.starts is not None
        # Sums round as each process has them, and a test may fall otherwise: all go where the first one went.
        path = draws.agreed(torch.cat([moved.starts, moved.x[None]])[:, 0])
        used = path[-1 - self.settings.num_steps : -1]
        self.weights.copy_(path[-1:])
        z = images(features, used)
        repeated = x.repeat(len(used), *[1] * (x.ndim - 1))
        loss = -self.log_joint(repeated, z.flatten(0, 1)).mean()
        metrics = {
            "squared_error": self.squared_error(x, z[-1].detach()).detach(),
            "weight_rms": self.weights.square().mean().sqrt(),
        }
        if moved.acceptance is not None:
            metrics["acceptance"] = moved.acceptance
        return TrainingStep({"potential": loss}, metrics)

    def infer(self, x: Tensor, draws: Draws | int = 0, num_steps: int | None = None) -> Tensor:
        """Φ g(x), (n, latent_dim), without a gradient; after `num_steps` steps of a last layer of its own for
        each datum, from the trained Φ, where the settings or the call ask for steps. `draws` may be a seed.

        A step of a datum's own last layer is for its z a step of size h|g(x)|².
        """
        given = self.fresh_draws(draws) if isinstance(draws, int) else draws
        count = self.settings.inference_steps if num_steps is None else num_steps
        with torch.no_grad():
            features = self.features(x)
            if not count:
                return images(features, self.weights)[0]
            with frozen(self):
                moved = move_weights(
                    lambda z: -self.log_joint(x, z[:, 0])[:, None],
                    features[:, None],
                    self.weights.repeat(len(x), 1, 1),
                    replace(self.settings.chain(), num_steps=count),
                    given,
                )
            return images(features[:, None], moved.x)[:, 0]

    def validate(self, x: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Also condition_number: of GGᵀ for the first different data, half as many as there are features."""
        with torch.no_grad():
            features = self.features(different(x)[: max(1, self.settings.features // 2)])
        return super().validate(x, draws) | {"condition_number": condition_number(features)}


def different(x: Tensor) -> Tensor:
    """x without the rows that were there before, in their order: sorted, neighbours would be alike."""
    found, kind = torch.unique(x.flatten(1), dim=0, return_inverse=True)
    place = torch.arange(len(x), device=x.device)
    first = place.new_full((len(found),), len(x)).scatter_reduce(0, kind, place, "amin")
    return x[first.sort().values]
