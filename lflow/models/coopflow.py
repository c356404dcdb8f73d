"""CoopFlow: a normalizing flow proposes, a chain on an energy revises, and both learn from what comes out.

Knows nothing of how a run is kept, and of data only their shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lflow import samplers, steps
from lflow.draws import SYNTHESIS, Draws
from lflow.energies.base import Energy
from lflow.metrics import mmd, sliced_wasserstein2
from lflow.models.base import Part, TrainingStep, registry
from lflow.models.coopflow_presets import PRESETS
from lflow.models.data_flow import FlowSettings
from lflow.models.distance import distance
from lflow.models.restoring import Restoring, Seen, stable_step
from lflow.models.unrolled import NUM_STEPS, matched
from lflow.nets import energy_net
from lflow.noise import StepNoise
from lflow.samplers.base import Info, Sampler
from lflow.samplers.langevin import OverdampedState
from lflow.short_run import frozen, short_run
from lflow.spec import param

LARGEST_MOVE = 0.1
"""Of a coordinate in a step, as coded by the authors, where data fill [-1, 1]."""
_MARGIN = 1.1
_MOST_COMPARED = 500


@registry.register("coopflow")
@dataclass(frozen=True)
class CoopFlow(FlowSettings):
    """A flow that proposes and an energy that revises, each learning from the samples of the pair.

    x̂ = G_α(z), z ~ N(0, I);   x̃ = x̂ after T steps of  x' = x - h ∇U_θ(x) + √(2h) ξ;
    θ descends  mean U_θ(data) - mean U_θ(x̃),   α descends  -mean log q_α(x̃)

    so that the flow learns from the chain and never from data, and the chain's energy from data. The pair,
    flow and then chain, is the generator: where both have learned all they can, the pair's samples agree with
    the data in every mean that U can weigh. exp(-U)/Z need not: the chains are short.

    The paper's f is -U, and its step is x' = x + δ²/2 ∇f + δ ε: here h = δ²/2 at temperature 1.

    noise: "paper" is the chain above. "as_coded" is what the authors ran: no noise, each coordinate moves by
    0.1 at most and stays in [-1, 1] (for points, in units of the largest coordinate of the first batch). That
    is descent of U, and no sampler.
    start: "scratch", or "pretrained": the flow first learns from data by maximum likelihood, is then frozen
    while U learns, and then both learn. A chain of 200 steps makes it CoopFlow(Long).

    Images: proposals have grey values, x̃ is cut off at ±1, and log q is that of dequantised images. As
    released, the code maps the flow's samples back without undoing the factor 0.9 in its logit, so that they
    shrink in every round; here the logit is inverted exactly.
    (Xie, Zhu, Li & Li 2022, arXiv 2205.06924)
    """

    title = "CoopFlow"
    formula = (
        r"\hat x = G_\alpha(z) \to \tilde x:\; x' = x - h\,\nabla U_\theta(x) + \sqrt{2h}\;\xi; \qquad "
        r"\nabla_\theta \left( \mathbb{E}_{data}\, U_\theta(x) - \mathbb{E}\, U_\theta(\tilde x) \right),\; "
        r"-\nabla_\alpha\, \mathbb{E} \log q_\alpha(\tilde x)"
    )
    reference = "Xie, Zhu, Li & Li 2022, arXiv 2205.06924"
    presets = PRESETS

    noise: str = param(
        "paper",
        choices=("paper", "as_coded"),
        help="paper: a Langevin chain; as_coded: descent without noise",
    )
    chain_steps: int = param(30, 0, 10_000, shown=(0, 200), unit="steps", help="T, of the chain")
    step_size: float = param(0.02, 1e-8, 100.0, log=True, help="h of the chain: δ²/2 in the paper's terms")
    synthesis_step_size: float = param(
        0.0, 0.0, 100.0, advanced=True, help="h once it has learned; 0 for that of learning"
    )
    start: str = param("scratch", choices=("scratch", "pretrained"), help="whether the flow has seen data")
    pretrain_steps: int = param(
        1000, 1, 10_000_000, log=True, unit="steps", help="in which a pretrained flow learns from data"
    )
    freeze_steps: int = param(
        500, 0, 10_000_000, unit="steps", help="after those, in which a pretrained flow does not learn"
    )
    flow_every: int = param(1, 1, 1000, advanced=True, help="the flow learns at every so many steps")
    net: str = param("mlp", choices=("mlp", "conv", "residual"), help="the network of U")
    width: int = param(64, 1, 1024, log=True, help="of the hidden layers of an mlp; else the first channels")
    depth: int = param(2, 1, 16, help="hidden layers of an mlp")
    energy_scale: float = param(
        1.0,
        1e-3,
        1e6,
        log=True,
        advanced=True,
        help="U is the network's output times this: small h asks for it",
    )
    energy_rate: float = param(1e-3, 1e-7, 1.0, log=True, help="learning rate of U, by Adam")
    momentum: float = param(0.0, 0.0, 0.999, advanced=True, help="β₁ of U's Adam")
    memory: float = param(0.999, 0.0, 0.9999, advanced=True, help="β₂ of U's Adam")
    energy_clip: float = param(0.0, 0.0, 1e7, advanced=True, help="largest norm of U's gradient; 0 for any")

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> CoopFlowLearner:
        return CoopFlowLearner(self, shape, levels)

    def phase(self, step: int) -> Phase:
        """What learns in a step of training."""
        since = step - (self.pretrain_steps if self.start == "pretrained" else 0)
        if since < 0:
            return Phase(pretraining=True, flow_learns=True)
        frozen_steps = self.freeze_steps if self.start == "pretrained" else 0
        return Phase(False, since >= frozen_steps and (since - frozen_steps) % self.flow_every == 0)


class Phase(NamedTuple):
    """While it is pretrained the flow learns from data, and U not at all."""

    pretraining: bool
    flow_learns: bool


class CoopFlowLearner(Restoring):
    """The pair: `flow` proposes, a chain on the energy `net` revises."""

    best = "sliced_w2"
    anomaly_formula = "U(x)"
    settings: CoopFlow

    def __init__(self, settings: CoopFlow, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        self.flow = settings.make_flow(self.shape, levels)
        width = [settings.width] * settings.depth if settings.net == "mlp" else settings.width
        self.net = energy_net(self.shape, settings.net, width)
        self.register_buffer("reach", torch.ones(()))
        self.reach: Tensor
        """The box that data fill, [-reach, reach] along every axis."""

    def parts(self) -> dict[str, Part]:
        chosen = self.settings
        betas = (chosen.momentum, chosen.memory)
        return {
            "energy": Part(self.net, chosen.energy_rate, betas, chosen.energy_clip or None),
            "flow": Part(self.flow, chosen.flow_rate, clip=chosen.flow_clip or None),
        }

    def initialise(self, x: Tensor, draws: Draws) -> None:
        self.flow.initialise(x, draws)
        if self._is_points:
            self.reach.copy_(_MARGIN * x.abs().max())

    @property
    def _is_points(self) -> bool:
        return len(self.shape) == 1

    def energy(self, x: Tensor) -> Tensor:
        """U at x, (n, *shape) -> (n,)."""
        energies: Tensor = self.net(x)
        return self.settings.energy_scale * energies

    @torch.no_grad()
    def log_prob_flow(self, x: Tensor, seed: int = 0) -> Tensor:
        """The flow's log q(x), (n,), exact for points; of images a lower bound whose noise the seed fixes."""
        return self.flow.log_prob(x, self.fresh_draws(seed))

    def training_step(self, x: Tensor, draws: Draws) -> TrainingStep:
        phase = self.settings.phase(draws.step)
        proposed = x if phase.pretraining else self.proposals(len(x), draws)
        revised = x if phase.pretraining else self.revise(proposed, draws)
        with torch.set_grad_enabled(not phase.pretraining):
            at_data, at_pair = self.energy(torch.cat([x, revised])).chunk(2)
        with torch.set_grad_enabled(phase.flow_learns):
            log_prob = self.flow.log_prob(revised, draws)
        losses = {"energy": at_data.mean() - at_pair.mean(), "flow": -log_prob.mean()}
        moved = (revised - proposed).square().mean().sqrt()
        return TrainingStep(losses, {"energy/data": at_data.detach().mean(), "moved": moved})

    def proposals(self, n: int, draws: Draws) -> Tensor:
        """x̂: n samples of the flow alone, (n, *shape), without a gradient, and without dropout."""
        with _evaluating(self.flow):
            return self.flow.sample(n, draws)

    def revise(
        self, x: Tensor, draws: Draws, num_steps: int | None = None, step_size: float | None = None
    ) -> Tensor:
        """x̃: where the chain on U takes x, (n, *shape), without a gradient; T and h are those of training."""
        chosen = self.settings
        rule = steps.get("constant", step_size=step_size or chosen.step_size)
        count = chosen.chain_steps if num_steps is None else num_steps
        with frozen(self.net):
            revised = short_run(self.energy, x.detach(), self._mover(), rule, count, draws).x
        return revised if self._is_points else revised.clamp(-1, 1)

    def _mover(self) -> Sampler:
        return samplers.get("ula") if self.settings.noise == "paper" else ClippedDescent(self.reach)

    def validate(self, x: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Distances of the pair's samples to data, and of the flow's alone: sliced W2, and MMD.

        The bandwidth of the MMD is the median distance between data points. In a pixel space both see means
        and correlations more than what a picture shows. While the flow is pretrained there is no pair: its
        distances are infinite, so that no weights of that time are the best.
        """
        data = x[:_MOST_COMPARED]
        proposed = self.proposals(len(data), draws)
        revised = self._synthesis(proposed, draws)
        if self.settings.start == "pretrained" and draws.step <= self.settings.pretrain_steps:
            revised = torch.full_like(revised, math.inf)
        bandwidth = float(torch.pdist(data.flatten(1).cpu()).median())
        return {
            "sliced_w2": distance(sliced_wasserstein2, revised, data),
            "sliced_w2/flow": distance(sliced_wasserstein2, proposed, data),
            "mmd": distance(lambda a, b: mmd(a, b, bandwidth), revised, data),
            "mmd/flow": distance(lambda a, b: mmd(a, b, bandwidth), proposed, data),
        }

    def propose(self, n: int, seed: int = 0) -> Tensor:
        """n samples of the flow alone, (n, *shape)."""
        return self.proposals(n, self.fresh_draws(seed))

    def synthesize(self, n: int, seed: int = 0) -> Tensor:
        """n samples of the pair, (n, *shape): those of `propose` with that seed, revised."""
        draws = self.fresh_draws(seed)
        return self._synthesis(self.proposals(n, draws), draws)

    def _synthesis(self, proposed: Tensor, draws: Draws) -> Tensor:
        return self.revise(proposed, draws, step_size=self._synthesis_step_size)

    @property
    def _synthesis_step_size(self) -> float:
        return self.settings.synthesis_step_size or self.settings.step_size

    # --- what a trained pair does with data -----------------------------------------------------------

    def anomaly_score(self, x: Tensor, seed: int = 0) -> Tensor:
        """U at x, (n,); nothing is drawn. The pair's samples agree with data, exp(-U) need not: it is no
        density of theirs."""
        self.check(x)
        with torch.no_grad():
            return self.energy(x)

    def reconstruct(self, x: Tensor, seed: int = 0) -> Tensor:
        """Where the chain ends, (n, *shape), from the x₀ that gradient descent found to bring it near x."""
        self.check(x)
        seen, draws = Seen(x, torch.zeros_like(x, dtype=torch.bool)), self.fresh_draws(seed)
        return self.within(self._matched(seen, draws, None)[1])

    def interpolate(self, a: Tensor, b: Tensor, k: int, seed: int = 0) -> Tensor:
        """k points from a to b, (n, k, *shape): between the flow's latents of their x₀, and then revised."""
        self.check(a)
        self.check(b)
        seen = Seen(
            torch.cat([a, b]), torch.zeros(2 * len(a), *self.shape, dtype=torch.bool, device=a.device)
        )
        draws = self.fresh_draws(seed)
        starts, _ = self._matched(seen, draws, None)
        with torch.no_grad():
            from_z, to_z = self.flow.flow.to_latent(starts)[0].chunk(2)
            share = torch.linspace(0, 1, k, device=a.device).view(-1, *[1] * len(self.shape))
            between = from_z[:, None] + share * (to_z - from_z)[:, None]
            proposed, _ = self.flow.flow.to_data(between.flatten(0, 1))
        return self._synthesis(proposed, draws).unflatten(0, (len(a), k))

    def restore(self, seen: Seen, draws: Draws, num_steps: int | None = None) -> Tensor:
        """Missing pixels: as in the paper, by descent to an x₀ whose chain ends near what is visible.

        Noise: by the chain itself, from y, on U(x) + |x - y|²/(2 noise²); that of `as_coded` draws nothing
        there, so that all chains of a point are one. num_steps: of the descent, or of the chain. (n, *shape)
        """
        if not seen.noise:
            return self._matched(seen, draws, num_steps)[1]
        fresh, ula = self.proposals(len(seen.y), draws), samplers.get("ula")
        step_size = stable_step(self._synthesis_step_size, ula, 1 / seen.noise**2)
        count = self.settings.chain_steps if num_steps is None else num_steps
        rule = steps.get("constant", step_size=step_size)
        with frozen(self.net):
            start, potential = self.within(seen.start(fresh)), seen.potential(self.energy)
            return short_run(potential, start, ula, rule, count, draws, self._temperature).x

    @property
    def _temperature(self) -> float:
        return 1.0 if self.settings.noise == "paper" else 0.0

    @property
    def rows_at_once(self) -> int:
        # A descent through the chain keeps all of its steps.
        return max(1, super().rows_at_once // max(1, self.settings.chain_steps))

    @property
    def reconstruction_gradients(self) -> int:
        return (NUM_STEPS + 1) * (self.settings.chain_steps + 1)

    def _matched(self, seen: Seen, draws: Draws, num_steps: int | None) -> tuple[Tensor, Tensor]:
        """x₀ and where its chain ends, of as many rows at once as fit into memory."""
        count = NUM_STEPS if num_steps is None else num_steps
        rows = zip(seen.y.split(self.rows_at_once), seen.missing.split(self.rows_at_once), strict=True)
        found = [self._matched_part(Seen(y, missing), draws, count) for y, missing in rows]
        starts, ends = zip(*found, strict=True)
        return torch.cat(starts), torch.cat(ends)

    def _matched_part(self, seen: Seen, draws: Draws, count: int) -> tuple[Tensor, Tensor]:
        """The chain of `paper` has noise, the same at every step of the descent; that of `as_coded` has none,
        and as its authors coded it for this purpose no move is cut off."""
        rule = steps.get("constant", step_size=self._synthesis_step_size)
        start, step = self.proposals(len(seen.y), draws), draws.integers(2**31, (1,))

        def chain(x: Tensor) -> Tensor:
            noise = Draws(int(step), 0, x.device, use=SYNTHESIS)
            ula, length = samplers.get("ula"), self.settings.chain_steps
            return short_run(self.energy, x, ula, rule, length, noise, self._temperature).x

        with frozen(self.net):
            return matched(chain, start, seen, float(self.reach), count)


@dataclass(frozen=True, eq=False)
class ClippedDescent(Sampler):
    """The chain as CoopFlow's authors coded it. It samples nothing: no noise enters, at any temperature.

    x' = clamp(x - clamp(h ∇U(x), ±0.1 r), ±r), for each coordinate; r = 1 where data fill [-1, 1]
    """

    reach: Tensor
    name = "clipped_descent"

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> OverdampedState:
        return OverdampedState(x, energy.grad(x))

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        most = LARGEST_MOVE * self.reach
        x = (state.x - (h * state.grad).clamp(-most, most)).clamp(-self.reach, self.reach)
        grad = energy.grad(x)
        return OverdampedState(x, grad), Info(gradient_evaluations=1, grad=grad)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Within, dropout is off."""
    was = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was)
