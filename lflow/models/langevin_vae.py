"""The Langevin VAE: steps with friction, and with or without noise, between the encoder's z and the bound.

Knows nothing of how a run is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lflow.draws import Draws
from lflow.models.base import registry
from lflow.models.chained import ChainLearner, ChainSettings, End
from lflow.models.variational_presets import small_presets
from lflow.nets.bounded import Bounded
from lflow.nets.flows.flow import standard_normal
from lflow.samplers.underdamped import leapfrog, quasi_symplectic, refreshed
from lflow.spec import param

LARGEST_FRICTION, LEAST_NOISY_FRICTION = 10.0, 1e-4


@registry.register("langevin_vae")
@dataclass(frozen=True)
class LangevinVAE(ChainSettings):
    """Langevin VAE: from z_0 ~ q(z|x) and p_0 ~ N(0, I), K steps on U(z) = -log p(x, z), and the bound

    L = log p(x, z_K) + log N(p_K; 0, I) - log q(z_0|x) - log N(p_0; 0, I) + R

    deterministic, noisy: the quasi-symplectic step of `lflow.samplers`, one gradient each, with friction ν
        and the noise σ√ε ξ, σ = 0 or σ² = 2ν, the one strength that has p(z|x) as its stationary law. Given
        ξ a step is a map whose log-determinant is -νdε, d the numbers in z: R = -K νdε (with one ε a
        coordinate, -Kν Σ ε_i). Without the d it is no bound; the authors published no code to hold theirs
        against. Friction is paid for and the noise is never credited, so that with noise the bound is looser
        the longer the chain.
    reverse_kernel: corrected. Its steps are an exact refreshment p̃ = a p + √(1 - a²) ξ, a = e^{-νε}, and a
        leapfrog step; R = Σ [log N(p; a p̃, 1 - a²) - log N(p̃; a p, 1 - a²)] = Σ [log N(p) - log N(p̃)], what
        the noise brings by the kernel that leads back, and no determinant. The quasi-symplectic step has no
        such kernel. (Uncorrected Hamiltonian annealing without bridges: Geffner & Domke 2021, arXiv
        2107.04150)

    All are log p(x) at most on average. The bounds are derived here from the steps, and not held against the
    paper's text: no mode is the one as published. (Wang & Delingette 2020, arXiv 2009.01675)
    """

    title = "Langevin VAE"
    formula = (
        r"\mathcal{L} = \log p(x, z_K) + \log \mathcal{N}(p_K) \\ "
        r"- \log q(z_0 \mid x) - \log \mathcal{N}(p_0) + R"
    )
    reference = (
        "What runs here, after the idea of Wang & Delingette 2020, arXiv 2009.01675; the step is that of "
        "Milstein & Tretyakov 2003"
    )
    presets = small_presets(
        "A Langevin VAE",
        {
            "digits_noisy": ("digits", {"mode": "noisy"}),
            "digits_reverse_kernel": ("digits", {"mode": "reverse_kernel"}),
        },
    )

    mode: str = param(
        "deterministic",
        choices=("deterministic", "noisy", "reverse_kernel"),
        help="deterministic: friction without noise; noisy: with noise that the bound does not credit; "
        "reverse_kernel: corrected, with noise that it does",
    )
    friction: float = param(
        0.1,
        0.0,
        LARGEST_FRICTION,
        shown=(0.0, 2.0),
        help="ν; of a learned one the start; above 0.0001 where there is noise",
    )
    learn_friction: bool = param(True, help="learn ν, between 0 and 10")

    @property
    def equation(self) -> str:
        """The formula, with how the mode moves and with its R."""
        noise = r" + \sqrt{2\nu\varepsilon}\,\xi" if self.mode == "noisy" else ""
        moves: tuple[str, ...]
        if self.mode == "reverse_kernel":
            moves = (
                r"\tilde p_k = a\,p_{k-1} + \sqrt{1 - a^2}\,\xi_k",
                r"a = e^{-\nu\varepsilon}",
                r"(z_k, p_k) = \mathrm{leapfrog}_\varepsilon(z_{k-1}, \tilde p_k)",
            )
            adds = r"R = \sum_{k=1}^{K} \bigl[\log \mathcal{N}(p_{k-1}) - \log \mathcal{N}(\tilde p_k)\bigr]"
        else:
            moves = (
                r"K \text{ times:} \quad p \leftarrow e^{-\nu\varepsilon/2} p, \quad "
                r"z \leftarrow z + \tfrac\varepsilon2 p",
                rf"p \leftarrow p - \varepsilon\,\nabla U(z){noise}",
                r"z \leftarrow z + \tfrac\varepsilon2 p, \quad p \leftarrow e^{-\nu\varepsilon/2} p",
            )
            sizes = r"\sum_{i=1}^{d} \varepsilon_i" if self.learn_step_size else r"d\,\varepsilon"
            adds = rf"R = -K\,\nu\,{sizes}"
        lines = r" \\ ".join((*moves, self.formula, adds))
        return rf"\begin{{gathered}} {lines} \end{{gathered}}"

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> LangevinVAELearner:
        if self.friction <= LEAST_NOISY_FRICTION and self.mode != "deterministic":
            raise ValueError(
                f"noise takes a friction above {LEAST_NOISY_FRICTION:g}; less is for deterministic"
            )
        return LangevinVAELearner(self, shape, levels)


class LangevinVAELearner(ChainLearner):
    """A chain of steps with friction."""

    settings: LangevinVAE

    def __init__(self, settings: LangevinVAE, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        low = 0.0 if settings.mode == "deterministic" else LEAST_NOISY_FRICTION
        self.friction = Bounded(
            "friction", settings.friction, LARGEST_FRICTION, (), settings.learn_friction, low
        )

    @property
    def gradient_evaluations(self) -> int:
        return self.settings.num_steps + (self.settings.mode == "reverse_kernel")

    def chain(self, x: Tensor, z: Tensor, fresh: Tensor, draws: Draws) -> End:
        """From z_0 and p_0, with R."""
        steps = self._with_refreshment if self.settings.mode == "reverse_kernel" else self._quasi_symplectic
        return steps(x, z, fresh, draws)

    def _quasi_symplectic(self, x: Tensor, z: Tensor, p: Tensor, draws: Draws) -> End:
        gradient, h, friction = self.energy_gradient(x), self.step_sizes().to(z), self.friction().to(z)
        noisy, count = self.settings.mode == "noisy", self.settings.num_steps
        for _ in range(count):
            push = (2 * friction * h).sqrt() * draws.normal(z.shape).to(z) if noisy else 0.0
            z, p, _ = quasi_symplectic(z, p, gradient, h, friction, push)
        return End(z, p, -count * friction * h.sum())

    def _with_refreshment(self, x: Tensor, z: Tensor, p: Tensor, draws: Draws) -> End:
        gradient, h = self.energy_gradient(x), self.step_sizes().to(z)
        kept, spread = refreshment(self.friction().to(z) * h)
        log_ratio, grad = z.new_zeros(len(z)), gradient(z)
        for _ in range(self.settings.num_steps):
            before, p = p, refreshed(p, kept, spread, draws.normal(z.shape).to(z))
            log_ratio = log_ratio + standard_normal(before) - standard_normal(p)
            z, p, grad = leapfrog(z, p, grad, h, gradient)
        return End(z, p, log_ratio)


def refreshment(decay: Tensor) -> tuple[Tensor, Tensor]:
    """a = e^{-νε} and √(1 - a²) of νε > 0: also where 1 - a² rounds to zero, and the root has no gradient."""
    return (-decay).exp(), (-torch.expm1(-2 * decay)).sqrt()
