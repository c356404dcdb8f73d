"""A normalizing flow by maximum likelihood: the baseline whose likelihood is exact.

Knows nothing of how a run is kept, and of data only their shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lflow.draws import Draws
from lflow.models.base import Part, TrainingStep, registry
from lflow.models.data_flow import FlowSettings
from lflow.models.flow_presets import PRESETS
from lflow.models.restoring import Restoring, Seen, adjusted_chain
from lflow.short_run import frozen

_CHAIN_STEPS = 100


@registry.register("flow")
@dataclass(frozen=True)
class MaximumLikelihoodFlow(FlowSettings):
    """Descend  -mean log q_α(x)  with  log q_α(x) = log N(z; 0, I) + log |det ∂z/∂x|,  z = F_α(x).

    Points: the likelihood is exact. Images with grey values: x is first moved within its cell by uniform or
    learned noise, and what is descended is an upper bound on -mean log P(x).
    """

    title = "Normalizing flow"
    formula = (
        r"\max_\alpha\; \mathbb{E}_{data} \left[ \log N(F_\alpha(x); 0, I) "
        r"+ \log \left| \det \partial F_\alpha / \partial x \right| \right]"
    )
    reference = "Dinh et al. 2017, arXiv 1605.08803; Kingma & Dhariwal 2018; Ho et al. 2019"
    presets = PRESETS

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> FlowLearner:
        return FlowLearner(self, shape, levels)


class FlowLearner(Restoring):
    """A flow that learns. Its numbers are in nats a data point, and for images in bits a dimension too."""

    best = "nll"
    anomaly_formula = "-log p(x)"
    settings: MaximumLikelihoodFlow

    def __init__(self, settings: MaximumLikelihoodFlow, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        self.flow = settings.make_flow(shape, levels)

    def parts(self) -> dict[str, Part]:
        return {"flow": Part(self.flow, self.settings.flow_rate, clip=self.settings.flow_clip or None)}

    def initialise(self, x: Tensor, draws: Draws) -> None:
        self.flow.initialise(x, draws)

    def training_step(self, x: Tensor, draws: Draws) -> TrainingStep:
        log_prob = self.flow.log_prob(x, draws)
        return TrainingStep({"nll": -log_prob.mean()}, self._bits(log_prob.detach()))

    @torch.no_grad()
    def validate(self, x: Tensor, draws: Draws) -> dict[str, Tensor]:
        log_prob = self.flow.log_prob(x, draws)
        return {"nll": -log_prob.mean(), **self._bits(log_prob)}

    def _bits(self, log_prob: Tensor) -> dict[str, Tensor]:
        return {} if self.levels is None else {"bits_per_dim": self.flow.bits_per_dim(log_prob)}

    @torch.no_grad()
    def log_prob(self, x: Tensor, seed: int = 0) -> Tensor:
        """log p(x) of points, exact; of images a lower bound on log P(x), by the seed's noise; (n,)."""
        return self.flow.log_prob(x, self.fresh_draws(seed))

    def anomaly_score(self, x: Tensor, seed: int = 0) -> Tensor:
        """-log p(x): the higher, the less like the data; of images by the seed's noise; (n,)."""
        self.check(x)
        return -self.log_prob(x, seed)

    def synthesize(self, n: int, seed: int = 0) -> Tensor:
        return self.flow.sample(n, self.fresh_draws(seed))

    @torch.no_grad()
    def interpolate(self, a: Tensor, b: Tensor, k: int, seed: int = 0) -> Tensor:
        """k points from each a to its b, (n, k, *shape), along straight lines between their latents: nothing
        is drawn."""
        self.check(a)
        self.check(b)
        z, _ = self.flow.flow.to_latent(torch.stack([a, b], 1).flatten(0, 1))
        start, end = z.unflatten(0, (-1, 2)).unbind(1)
        share = torch.linspace(0, 1, k, device=z.device).view(-1, *[1] * (z.ndim))
        between = (start + share * (end - start)).transpose(0, 1)
        return self.flow.as_data(self.flow.flow.to_data(between.flatten(0, 1))[0]).unflatten(0, (-1, k))

    def restore(self, seen: Seen, draws: Draws, num_steps: int | None = None) -> Tensor:
        """Ends of chains that keep the density given what is seen, from samples and y: (n, *shape).

        Of images it is the density of dequantised ones, with what is seen in the middle of its cells. 100
        trajectories of HMC if nothing is said: in many dimensions they begin far from where they belong.
        ValueError for noise on black and white, whose cells are half of all there is: what is between them
        and y is then no p(y | x).
        """
        if seen.noise and self.levels == 2:
            raise ValueError(
                "a flow of black and white images cannot take out noise: their cells are too wide"
            )
        shrink = self.flow.shrink
        given = seen._replace(y=shrink * seen.y, noise=shrink * seen.noise)
        count = _CHAIN_STEPS if num_steps is None else num_steps
        with frozen(self):
            fresh, _ = self.flow.flow.to_data(draws.normal(seen.y.shape))
            start = self.within(given.start(fresh))
            potential = given.potential(lambda x: -self.flow.flow.log_prob(x))
            return self.flow.as_data(adjusted_chain(potential, start, count, draws))
