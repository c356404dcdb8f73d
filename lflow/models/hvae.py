"""The Hamiltonian VAE: leapfrog steps on log p(x, z) between the encoder's z and the bound.

Knows nothing of how a run is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lflow.draws import Draws
from lflow.models.base import Preset, registry
from lflow.models.chained import ChainLearner, ChainSettings, End
from lflow.models.variational_presets import small_presets
from lflow.nets.bounded import Bounded
from lflow.samplers.underdamped import leapfrog
from lflow.spec import param

_PRESETS = small_presets("A Hamiltonian VAE", {"digits_tempered": ("digits", {"tempering": "free"})})
_PRESETS["mnist_paper"] = Preset(
    "mnist",
    "MNIST with the sizes and rates of the authors' code, K = 10: for a GPU. Theirs stops early, draws black "
    "and white anew for each batch by the grey values, and starts from normal weights of its own scale, with "
    "biases of zero but the output's at the data's log odds; here white is from half brightness on, and "
    "weights and biases start as torch has them",
    model={"likelihood": "bernoulli", "latent_dim": 64, "activation": "softplus"}
    | {"encoder": "strided", "generator": "strided", "width": 16}
    | {"tempering": "fixed", "initial_temperature": 1.5, "num_steps": 10, "step_size": 0.2}
    | {"learning_rate": 5e-4, "optimiser": "adamax"},
    training={"num_steps": 2000 * 500, "batch_size": 100}
    | {"validate_every": 500, "sample_every": 5000, "checkpoint_every": 5000},
    data_options={"binary": True},
)


@registry.register("hvae")
@dataclass(frozen=True)
class HVAE(ChainSettings):
    """Hamiltonian VAE: from z_0 ~ q(z|x) and p_0 = √T_0 γ, γ ~ N(0, I), K leapfrog steps on U = -log p(x, z)

    p ← p - (ε/2)∇U(z);  z ← z + ε p;  p ← α_k (p - (ε/2)∇U(z))
    L = log p(x, z_K) + log N(p_K; 0, I) - log q(z_0|x) - log N(γ; 0, I),   T_0 = Π_k α_k⁻²

    The leapfrog keeps volume, and tempering shrinks what √T_0 has stretched: (z_0, γ) -> (z_K, p_K) has the
    determinant 1, so that L is log p(x) at most on average. A step ends with the gradient that the next one
    begins with: kept, K steps take K + 1 gradients, not the 2K of the authors' code.

    Tempering: none, all α_k = 1; fixed, the schedule of their code (not held against the text's),
    T_k = T_0 + (1 - T_0) k²/K², α_k = √(T_k/T_{k-1}), T_0 > 1 learned; free, every α_k in (0, 1) learned. The
    authors integrate log q and log N in L over z_0 and γ, which is the same on average; here they are taken
    at the draw, so that L is log p(x) itself where q is the posterior and the steps are small.
    (Caterini, Doucet & Sejdinovic 2018, arXiv 1805.11328)
    """

    title = "Hamiltonian VAE"
    formula = (
        r"\mathcal{L} = \log p(x, z_K) + \log \mathcal{N}(p_K) - \log q(z_0 \mid x)"
        r" - \log \mathcal{N}(\gamma), \quad "
        r"(z_K, p_K) = \mathrm{leapfrog}^K_\varepsilon(z_0, \sqrt{T_0}\,\gamma)"
    )
    reference = "Caterini, Doucet & Sejdinovic 2018, arXiv 1805.11328"
    presets = _PRESETS

    tempering: str = param(
        "none",
        choices=("none", "fixed", "free"),
        help="of the momentum: none; fixed, a schedule that is quadratic in k from a learned temperature; "
        "free, a learned factor a step",
    )
    initial_temperature: float = param(
        1.5,
        1.001,
        100.0,
        advanced=True,
        help="T₀ of fixed tempering, where learning starts",
        when=("tempering", "fixed"),
    )
    initial_factor: float = param(
        0.9,
        0.01,
        0.999,
        advanced=True,
        help="α of every step in free tempering, where learning starts",
        when=("tempering", "free"),
    )

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> HVAELearner:
        return HVAELearner(self, shape, levels)


class Tempering(nn.Module):
    """α_1, ..., α_K."""

    def __init__(self, settings: HVAE) -> None:
        super().__init__()
        self.kind, self.num_steps = settings.tempering, settings.num_steps
        if self.kind == "fixed":
            self.log_excess = nn.Parameter(torch.tensor(math.log(settings.initial_temperature - 1)))
        elif self.kind == "free":
            self.free = Bounded("initial_factor", settings.initial_factor, 1.0, (self.num_steps,))

    def forward(self, like: Tensor) -> Tensor:
        """(K,), of the type of `like` and where it is."""
        if self.kind == "free":
            return self.free().to(like)
        if self.kind == "none":
            return like.new_ones(self.num_steps)
        first = 1 + self.log_excess.exp()
        k = torch.arange(self.num_steps + 1, device=like.device)
        temperatures = first + (1 - first) * (k / self.num_steps).square()
        return (temperatures[1:] / temperatures[:-1]).sqrt().to(like)


class HVAELearner(ChainLearner):
    """A chain of leapfrog steps with tempering."""

    settings: HVAE

    def __init__(self, settings: HVAE, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        self.tempering = Tempering(settings)

    @property
    def gradient_evaluations(self) -> int:
        return self.settings.num_steps + 1

    def chain(self, x: Tensor, z: Tensor, fresh: Tensor, draws: Draws) -> End:
        """From z_0 and γ by a map with the determinant 1: nothing is drawn, nothing adds to the bound."""
        gradient, h, factors = self.energy_gradient(x), self.step_sizes().to(z), self.tempering(z)
        p, grad = fresh / factors.prod(), gradient(z)
        for factor in factors:
            z, p, grad = leapfrog(z, p, grad, h, gradient)
            p = factor * p
        return End(z, p, z.new_zeros(()))
