"""Energy-based models: an energy learned by maximum likelihood, from chains of any sampler and rule.

Knows nothing of how a run is kept, and of data only their shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lflow import samplers, steps
from lflow.draws import Draws
from lflow.metrics import sliced_wasserstein2
from lflow.models.base import Model, Part, TrainingStep, registry
from lflow.models.distance import distance
from lflow.models.ebm_presets import PRESETS
from lflow.models.restoring import Restoring, Seen, stable_step
from lflow.nets import ACTIVATIONS, energy_net
from lflow.samplers.anila import VARIANTS
from lflow.samplers.base import Sampler
from lflow.short_run import ShortRun, frozen, short_run
from lflow.spec import param, parameters
from lflow.steps import StepRule, check_pair

SAMPLERS = (
    *("ula", "anila", "mala", "hmc", "tamed_ula", "leimkuhler_matthews"),
    *("srk", "rmm", "ormm", "baoab", "obabo", "ubu"),
)
RULES = ("constant", "polynomial", "cyclical", "rmsprop")
_MOST_NUMBERS = 2**28  # of the chains that are kept: a gigabyte
_MOST_VALIDATED = 500


@registry.register("ebm")
@dataclass(frozen=True)
class EBM(Model):
    """Maximum likelihood for p(x) = exp(-U(x)/T)/Z, with a network U and chains in place of exact samples.

    x⁻ = where a chain ends, K steps after its start;  descend  (mean U(x) - mean U(x⁻)) / T

    which is the gradient of the negative log-likelihood where the chains have converged: U is pushed down at
    the data and up at the chains. (The AniLA paper's text has the sign the other way, its algorithm box this
    one.) Chains that stop short of the target teach short-run dynamics instead of a density: then samples may
    be good where exp(-U/T) is not.
    (Nijkamp et al. 2020, arXiv 1903.12370; Karimi, Xie & Li, arXiv 2310.12667)

    Starts: `noise` each time anew; `persistent`: chains that are kept and go on where they were, those that
    have waited longest first, a share of them from noise again (Tieleman 2008; Du & Mordatch 2019); `data`:
    from the batch itself (contrastive divergence, Hinton 2002).

    Scales: a chain takes x' = x - h∇U + √(2hT) ξ. The AniLA paper prints h = ½ (times its step) and T = 1.
    Its code, like ebm-anatomy's, takes x' = x - ∇U + ε ξ and multiplies the loss by 2/ε²: that is h = 1,
    T = ε²/2, and AniLA's threshold acts on |∇U|. (U, h, T) and (U/T, hT, 1) are the same chain: T only sets
    the scale of the network's output.
    """

    title = "Energy-based model"
    formula = (
        r"\nabla_\theta\; \tfrac1T \left( \mathbb{E}_{data}\, U_\theta(x) "
        r"- \mathbb{E}_{chains}\, U_\theta(x^-) \right)"
    )
    reference = "Nijkamp et al. 2020, arXiv 1903.12370; Karimi, Xie & Li, arXiv 2310.12667"
    presets = PRESETS

    sampler: str = param(
        "ula", choices=SAMPLERS, help="what moves the chains; ula is called SGLD in the papers"
    )
    step_size: float = param(0.01, 1e-8, 100.0, log=True, help="h of the chains")
    chain_steps: int = param(60, 1, 100_000, log=True, shown=(1, 1000), unit="steps", help="K, of a chain")
    temperature: float = param(1.0, 1e-8, 100.0, log=True, help="T of the chains and of the density")
    variant: str = param("corrected", choices=VARIANTS, help="of AniLA: as published, as coded, or corrected")
    threshold: float = param(1.0, 1e-6, 1e6, log=True, help="b of AniLA: gradients above it are tamed")
    elementwise: bool = param(False, advanced=True, help="of AniLA: one γ for each coordinate")
    smooth: bool = param(False, advanced=True, help="of AniLA: γ without a kink")
    num_leapfrog: int = param(5, 1, 200, advanced=True, help="of HMC: leapfrog steps in a trajectory")
    rule: str = param("constant", choices=RULES, advanced=True, help="how the step size goes along the chain")
    start: str = param("noise", choices=("noise", "persistent", "data"), help="where the chains start")
    noise: str = param(
        "uniform", choices=("uniform", "normal"), help="law of the noise that chains start from"
    )
    noise_scale: float = param(
        1.0, 1e-3, 1e3, log=True, help="half the width of uniform noise, or the deviation of normal noise"
    )
    num_kept: int = param(1000, 1, 100_000, log=True, help="chains that are kept, where they are persistent")
    rejuvenation: float = param(
        0.05, 0.0, 1.0, help="share of the persistent chains that start anew in a step"
    )
    data_noise: float = param(0.0, 0.0, 1.0, help="deviation of the noise that is added to the data")
    penalty: float = param(
        0.0,
        0.0,
        100.0,
        help="of large energies: adds penalty · mean of (U/T)² at data and at chains to the loss",
    )
    net: str = param("mlp", choices=("mlp", "conv", "residual"), help="the network of U")
    width: int = param(64, 1, 1024, log=True, help="of two hidden layers of an mlp; else the first channels")
    layers: str = param(
        "",
        high=60,
        advanced=True,
        help="widths of an mlp's hidden layers instead, such as 32,64,64",
    )
    activation: str = param("silu", choices=tuple(ACTIVATIONS), advanced=True, help="of the network")
    learning_rate: float = param(1e-3, 1e-7, 1.0, log=True, help="of Adam")
    momentum: float = param(0.9, 0.0, 0.999, advanced=True, help="β₁ of Adam")
    clip: float = param(0.0, 0.0, 1e6, advanced=True, help="largest norm of the loss's gradient; 0 for any")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self.chain_sampler(), self.chain_rule())
        self.widths()

    def chain_sampler(self) -> Sampler:
        """What moves the chains."""
        own = {parameter.name for parameter in parameters(samplers.get_class(self.sampler))}
        names = {"variant", "threshold", "elementwise", "smooth", "num_leapfrog"}
        return samplers.get(self.sampler, **{name: getattr(self, name) for name in own & names})

    def chain_rule(self) -> StepRule:
        """The step size along a chain."""
        return steps.get(self.rule, step_size=self.step_size)

    def widths(self) -> int | list[int]:
        """The width of the network, or the widths of its layers."""
        if not self.layers:
            return self.width
        widths = [int(each) for each in self.layers.split(",") if each.strip().isdecimal()]
        if len(widths) <= self.layers.count(",") or not all(1 <= width <= 4096 for width in widths):
            raise ValueError(
                f"ebm: layers must be widths from 1 to 4,096, such as 32,64,64; got {self.layers!r}"
            )
        return widths

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> EBMLearner:
        return EBMLearner(self, shape, levels)


class EBMLearner(Restoring):
    """An energy that learns. `chains`, (num_kept, *shape), are those that persist, where they do."""

    best = "sliced_w2"
    anomaly_formula = "U(x)"
    settings: EBM

    def __init__(self, settings: EBM, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        kept = settings.num_kept if settings.start == "persistent" else 0
        if kept * math.prod(self.shape) > _MOST_NUMBERS:
            raise ValueError(
                f"{kept:,} chains of the shape {self.shape} are too many to keep: lower num_kept"
            )
        self.net = energy_net(self.shape, settings.net, settings.widths(), settings.activation)
        self.sampler, self.rule = settings.chain_sampler(), settings.chain_rule()
        self.register_buffer("chains", torch.zeros(kept, *self.shape))
        self.chains: Tensor

    def parts(self) -> dict[str, Part]:
        chosen = self.settings
        return {"energy": Part(self.net, chosen.learning_rate, (chosen.momentum, 0.999), chosen.clip or None)}

    def initialise(self, x: Tensor, draws: Draws) -> None:
        if self.settings.start != "persistent":
            return
        if len(self.chains) < len(x):
            raise ValueError(
                f"ebm: num_kept must be at least the batch size, {len(x)}, got {len(self.chains)}"
            )
        self.chains.copy_(self.noise(len(self.chains), draws))

    def energy(self, x: Tensor) -> Tensor:
        """U at x, (n, *shape) -> (n,)."""
        energies: Tensor = self.net(x)
        return energies

    def anomaly_score(self, x: Tensor, seed: int = 0) -> Tensor:
        """U at x, (n,): the higher the less likely; nothing is drawn."""
        self.check(x)
        with torch.no_grad():
            return self.energy(x)

    def noise(self, n: int, draws: Draws) -> Tensor:
        """n points of the noise that chains start from, (n, *shape)."""
        scale, shape = self.settings.noise_scale, (n, *self.shape)
        if self.settings.noise == "normal":
            return scale * draws.normal(shape)
        return scale * (2 * draws.uniform(shape) - 1)

    def chain(self, x: Tensor, draws: Draws, num_steps: int | None = None) -> ShortRun:
        """The chain of training from x; the parameters learn nothing from it."""
        count = self.settings.chain_steps if num_steps is None else num_steps
        with frozen(self.net):
            return short_run(
                self.energy, x.detach(), self.sampler, self.rule, count, draws, self.settings.temperature
            )

    def training_step(self, x: Tensor, draws: Draws) -> TrainingStep:
        chosen = self.settings
        data = x + chosen.data_noise * draws.normal(x.shape) if chosen.data_noise else x
        kept = self._waiting(len(x) * draws.world_size, draws.step)
        run = self.chain(self._start(data, kept, draws), draws)
        if chosen.start == "persistent":
            self.chains[kept] = draws.gather(run.x)
        at_data, at_chains = (self.energy(torch.cat([data, run.x])) / chosen.temperature).chunk(2)
        losses = {"energy_gap": at_data.mean() - at_chains.mean()}
        if chosen.penalty:
            losses["penalty"] = chosen.penalty * (at_data.square().mean() + at_chains.square().mean())
        metrics = {"energy/data": at_data.mean(), "energy/chains": at_chains.mean()}
        if run.acceptance is not None:
            metrics["acceptance"] = run.acceptance
        return TrainingStep(losses, metrics)

    def _waiting(self, count: int, step: int) -> Tensor:
        """The rows of the kept chains whose turn it is in a step: those that have waited longest."""
        return (step * count + torch.arange(count, device=self.device)) % max(1, len(self.chains))

    def _start(self, data: Tensor, kept: Tensor, draws: Draws) -> Tensor:
        if self.settings.start == "data":
            return data
        fresh = self.noise(len(data), draws)
        if self.settings.start == "noise":
            return fresh
        anew = draws.uniform((len(data), *[1] * (data.ndim - 1))) < self.settings.rejuvenation
        return torch.where(anew, fresh, draws.share(self.chains[kept]))

    def validate(self, x: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Sliced W2 of where chains end to data, mean U(data) - mean U(chains) over T, acceptance.

        The chains are those of `synthesize`. In a pixel space the distance sees means, variances and
        correlations more than what a picture shows.
        """
        data = x[:_MOST_VALIDATED]
        run = self.chain(self._first(len(data), draws), draws)
        with torch.no_grad():
            gap = (self.energy(data).mean() - self.energy(run.x).mean()) / self.settings.temperature
        found = {"sliced_w2": distance(sliced_wasserstein2, run.x, data), "energy_gap": gap}
        return found if run.acceptance is None else found | {"acceptance": run.acceptance}

    def synthesize(self, n: int, seed: int = 0, num_steps: int | None = None) -> Tensor:
        """n ends of the chains of training, (n, *shape): from noise, or the kept chains, `num_steps` on.

        Contrastive divergence starts at data, which are not at hand here: its chains start from noise too,
        and need many more steps than in training.
        """
        draws = self.fresh_draws(seed)
        return self.chain(self._first(n, draws), draws, num_steps).x

    def _first(self, n: int, draws: Draws) -> Tensor:
        if self.settings.start == "persistent":
            order = draws.uniform((len(self.chains),)).argsort()
            return self.chains[order[torch.arange(n, device=self.device) % len(order)]]
        return self.noise(n, draws)

    def restore(self, seen: Seen, draws: Draws, num_steps: int | None = None) -> Tensor:
        """Ends of the chain of training given what is seen, from where chains start, and y: (n, *shape)."""
        chosen = self.settings
        curvature = chosen.temperature / seen.noise**2 if seen.noise else 0.0
        rule = steps.get(chosen.rule, step_size=stable_step(chosen.step_size, self.sampler, curvature))
        count = chosen.chain_steps if num_steps is None else num_steps
        start = self.within(seen.start(self._first(len(seen.y), draws)))
        potential = seen.potential(self.energy, chosen.temperature)
        with frozen(self.net):
            return short_run(potential, start, self.sampler, rule, count, draws, chosen.temperature).x
