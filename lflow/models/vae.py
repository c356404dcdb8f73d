"""The variational autoencoder, and its importance-weighted bound. Knows nothing of chains and of runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lflow.draws import Draws
from lflow.models.base import registry
from lflow.models.variational import Gaussian, VariationalLearner, VariationalSettings
from lflow.models.variational_presets import small_presets
from lflow.spec import param


@registry.register("vae")
@dataclass(frozen=True)
class VAE(VariationalSettings):
    """VAE: encoder and decoder ascend E_q[log p(x, z) - log q(z|x)], q(z|x) = N(m(x), diag s(x)²).

    With the objective iwae they ascend the tighter E log (1/k) Σ_i p(x, z_i)/q(z_i|x), k draws z_i from q,
    which does not fall as k grows and is the ELBO at k = 1.
    (Kingma & Welling 2014, arXiv 1312.6114; Burda, Grosse & Salakhutdinov 2016, arXiv 1509.00519)
    """

    title = "VAE"
    formula = r"\log p(x) \ge \mathbb{E}\,\log \tfrac1k \sum_{i=1}^{k} \frac{p(x, z_i)}{q(z_i \mid x)}"
    reference = "Kingma & Welling 2014, arXiv 1312.6114"
    presets = small_presets("A VAE", {"digits_iwae": ("digits", {"objective": "iwae", "num_importance": 13})})

    objective: str = param(
        "elbo", choices=("elbo", "iwae"), help="what is ascended: the ELBO, or the importance-weighted bound"
    )
    num_importance: int = param(
        5,
        1,
        10_000,
        log=True,
        shown=(1, 100),
        label="Draws k",
        help="k, draws from q for a data point; of iwae",
        when=("objective", "iwae"),
    )

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> VAELearner:
        return VAELearner(self, shape, levels)


class VAELearner(VariationalLearner):
    """An encoder and a decoder that learn without a chain."""

    inferred = "the mean of q(z|x)"
    settings: VAE

    @property
    def gradient_evaluations(self) -> int:
        return 0

    def infer(self, x: Tensor, draws: Draws | int = 0) -> Tensor:
        """The mean of q(z | x), (n, latent_dim), without a gradient; nothing is drawn."""
        with torch.no_grad():
            return self.posterior(x).mean

    @torch.no_grad()
    def draw_posterior(self, x: Tensor, draws: Draws) -> Tensor:
        """z ~ q(z | x), (n, latent_dim), without a gradient."""
        return self.posterior(x).draw(draws)

    def elbo(self, x: Tensor, draws: Draws) -> Tensor:
        count = self.settings.num_importance if self.settings.objective == "iwae" else 1
        mean, std = self.posterior(x)
        normal = draws.normal((len(x), count, self.settings.latent_dim)).to(mean)
        each = Gaussian(mean.repeat_interleave(count, 0), std.repeat_interleave(count, 0))
        z = each.mean + each.std * normal.flatten(0, 1)
        log_weight = self.log_joint(x.repeat_interleave(count, 0), z) - each.log_prob(z)
        return log_weight.view(-1, count).logsumexp(1) - math.log(count)
