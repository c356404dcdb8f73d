"""Latent flows: a generator whose latent vectors are inferred by short chains, and a prior learned from them.

Knows nothing of how a run is kept, and of data only their shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lflow import samplers, steps
from lflow.draws import Draws
from lflow.metrics import nearest_neighbour_accuracy, sliced_wasserstein2
from lflow.models.base import Part, TrainingStep, registry
from lflow.models.distance import distance
from lflow.models.latent import MOST_VALIDATED, LatentLearner, LatentSettings, Likelihood
from lflow.models.latent_flow_presets import PRESETS
from lflow.models.latent_priors import EnergyPrior, FlowPrior, Prior, PriorChain
from lflow.samplers.base import Sampler
from lflow.short_run import ShortRun, frozen, short_run
from lflow.spec import param


@registry.register("latent_flow")
@dataclass(frozen=True)
class LatentFlow(LatentSettings):
    """LFLOW and what it is compared with: z ~ p_α, x = g_β(z) + σε, ε ~ N(0, I).

    infer   z_K: K steps z' = z - h∇U(z) + √(2h) ξ on U(z) = -log p_α(z) + |x - g_β(z)|²/(2σ²),
            from z_0 ~ N(0, I), drawn anew for every batch
    learn   β by ∇ log p(x | z_K), α by ∇ log p_α(z_K); z_K carries no gradient

    The paper writes the step (s²/2)∇ and s ε: h = s²/2, so its s = 0.1 is h = 0.005. The chain is short and
    its step is not adjusted, so that z_K is not a draw from the posterior: what is learned is the pair of
    this chain and the prior, and a longer chain changes the model. The prior is fitted to the z_K of all
    data, the aggregated posterior.
    (Xie, Zhu, Xu, Li & Li 2023, arXiv 2301.09300)

    Priors: `flow` as above; `gaussian`, N(0, I), is alternating back-propagation (Han et al. 2017, arXiv
    1606.08571); `ebm`, an energy that tilts N(0, I), is the latent EBM (Pang et al. 2020, arXiv 2006.08205).
    """

    title = "Latent flow"
    formula = (
        r"z' = z + h\,\nabla_z\left(\log p_\alpha(z) - \tfrac{|x - g_\beta(z)|^2}{2\sigma^2}\right)"
        r" + \sqrt{2h}\,\xi"
    )
    reference = "Xie, Zhu, Xu, Li & Li 2023, arXiv 2301.09300"
    presets = PRESETS

    prior: str = param(
        "flow", choices=("gaussian", "flow", "ebm"), help="of z: N(0, I), a flow, or a latent EBM"
    )
    step_size: float = param(
        0.005, 1e-8, 10.0, log=True, help="h of the chain that infers z: s²/2 of the papers, whose s is 0.1"
    )
    num_steps: int = param(
        20,
        1,
        100_000,
        log=True,
        shown=(1, 1000),
        unit="steps",
        label="Chain steps K",
        help="K, of that chain",
    )
    noise: str = param(
        "on",
        choices=("on", "off"),
        help="noise where a trained model infers z: on, as published; off, as its authors coded it for "
        "tests, a descent. In training it is always on",
    )
    loss: str = param(
        "published",
        choices=("published", "coded"),
        advanced=True,
        help="of the generator: -log p(x|z); or, as its authors coded it, the squared error, which is 2σ² "
        "times as steep, which Adam hardly notices",
    )
    flow_depth: int = param(5, 1, 64, help="couplings of the flow", when=("prior", "flow"))
    flow_width: int = param(
        64, 1, 1024, log=True, advanced=True, help="of the flow's two hidden layers", when=("prior", "flow")
    )
    energy_width: int = param(
        200, 1, 2048, log=True, advanced=True, help="of the EBM's two hidden layers", when=("prior", "ebm")
    )
    prior_step_size: float = param(
        0.08,
        1e-8,
        10.0,
        log=True,
        advanced=True,
        help="h of the chains from an EBM prior: s²/2 for the authors' s = 0.4",
        when=("prior", "ebm"),
    )
    prior_num_steps: int = param(
        60,
        1,
        100_000,
        log=True,
        advanced=True,
        unit="steps",
        label="Chain steps of the prior",
        help="of the chains from an EBM prior",
        when=("prior", "ebm"),
    )
    learning_rate: float = param(4e-4, 1e-7, 1.0, log=True, help="of Adam, for the generator")
    prior_learning_rate: float = param(4e-4, 1e-7, 1.0, log=True, help="of Adam, for the prior")
    momentum: float = param(0.5, 0.0, 0.999, advanced=True, help="β₁ of both")

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> LatentFlowLearner:
        if self.loss == "coded" and self.likelihood != "gaussian":
            raise ValueError("loss: coded is the squared error of a gaussian likelihood")
        return LatentFlowLearner(self, shape, levels)

    def make_prior(self) -> Prior:
        """The prior of z."""
        if self.prior == "flow":
            return FlowPrior(self.latent_dim, self.flow_depth, self.flow_width)
        if self.prior == "ebm":
            chain = PriorChain(self.prior_step_size, self.prior_num_steps)
            return EnergyPrior(self.latent_dim, self.energy_width, chain)
        return Prior(self.latent_dim)


class LatentFlowLearner(LatentLearner):
    """A generator and a prior that learn."""

    best = "sliced_w2"
    settings: LatentFlow

    def __init__(self, settings: LatentFlow, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        self.rule = steps.get("constant", step_size=settings.step_size)

    def parts(self) -> dict[str, Part]:
        betas = (self.settings.momentum, 0.999)
        found = {"decoder": Part(self.decoder, self.settings.learning_rate, betas)}
        if any(True for _ in self.prior.parameters()):
            found["prior"] = Part(self.prior, self.settings.prior_learning_rate, betas)
        return found

    def initialise(self, x: Tensor, draws: Draws) -> None:
        self.prior.initialise(self._inferred(x, draws))

    @property
    def gradient_evaluations(self) -> int:
        return self.settings.num_steps

    @property
    def reconstruction_gradients(self) -> int:
        return self.settings.num_steps

    # --- inference and learning -----------------------------------------------------------------------

    def infer(self, x: Tensor, draws: Draws | int = 0, num_steps: int | None = None) -> Tensor:
        """z_K of x, (n, latent_dim), without a gradient; `draws` may be a seed.

        Noise is on or off as the settings say. More steps than in training approach the posterior, and leave
        the pair of chain and prior that was trained.
        """
        given = self.fresh_draws(draws) if isinstance(draws, int) else draws
        return self.infer_by(lambda z: self.log_likelihood(x, z), len(x), given, num_steps)

    def infer_by(
        self, log_likelihood: Likelihood, n: int, draws: Draws, num_steps: int | None = None
    ) -> Tensor:
        """z_K by the chain of `infer`, on p(z) times any likelihood: (n, latent_dim), without a gradient."""
        temperature = 1.0 if self.settings.noise == "on" else 0.0
        return self._chain(log_likelihood, n, draws, num_steps, temperature)

    def _inferred(self, x: Tensor, draws: Draws) -> Tensor:
        """z_K of x by the chain of training."""
        return self._chain(lambda z: self.log_likelihood(x, z), len(x), draws)

    def _chain(
        self,
        log_likelihood: Likelihood,
        n: int,
        draws: Draws,
        num_steps: int | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        start = draws.normal((n, self.settings.latent_dim))
        count = self.settings.num_steps if num_steps is None else num_steps
        return self._run(log_likelihood, start, samplers.get("ula"), count, draws, temperature).x

    def _run(
        self,
        log_likelihood: Likelihood,
        z: Tensor,
        sampler: Sampler,
        count: int,
        draws: Draws,
        temperature: float = 1.0,
    ) -> ShortRun:
        """Steps on U(z) = -log p(z) - log p(x | z), from which the parameters learn nothing."""

        def energy(z: Tensor) -> Tensor:
            return -(self.log_prior(z) + log_likelihood(z))

        with frozen(self):
            return short_run(energy, z, sampler, self.rule, count, draws, temperature)

    def training_step(self, x: Tensor, draws: Draws) -> TrainingStep:
        z = self._inferred(x, draws)
        error = self.squared_error(x, z)
        published = self.settings.loss == "published"
        loss = -self.log_likelihood(x, z).mean() if published else error * math.prod(self.shape)
        losses = {"decoder": loss} | self.prior.losses(z, draws)
        return TrainingStep(losses, {"squared_error": error.detach()})

    def validate(self, x: Tensor, draws: Draws) -> dict[str, Tensor]:
        """How near samples are to data, inferred z to the prior, g(z) to x, and chains to adjusted ones.

        sliced_w2: of samples to data. latent_two_sample_accuracy: how often the nearest of inferred z and of
        draws from the prior is of one's own kind, 0.5 where none can tell them apart. squared_error: of
        g(z_K), a number. acceptance: of one MALA step of size h from z_K, 1 as h → 0.
        """
        data = x[:MOST_VALIDATED]
        with torch.no_grad():
            z = self._inferred(data, draws)
            drawn = self.prior.sample(len(data), draws)
            samples = self.decoder.mean(drawn)
            error = self.squared_error(data, z)
        acceptance = self._run(
            lambda at: self.log_likelihood(data, at), z, samplers.get("mala"), 1, draws
        ).acceptance
        assert acceptance is not None
        return {
            "sliced_w2": distance(sliced_wasserstein2, samples, data),
            "latent_two_sample_accuracy": distance(
                lambda a, b: nearest_neighbour_accuracy(a, b).value, z, drawn
            ),
            "squared_error": error,
            "acceptance": acceptance,
        }
