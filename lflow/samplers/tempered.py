"""Several temperatures, to cross barriers: cooling from hot, and replicas that exchange places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.noise import Draw, StepNoise
from lflow.samplers.base import Info, Sampler, metropolis, registry, sqrt, where_accepted
from lflow.spec import param


class AnnealedState(NamedTuple):
    """Positions, the gradient there, and the steps taken."""

    x: Tensor
    grad: Tensor
    t: Tensor


@registry.register("annealed")
@dataclass(frozen=True)
class Annealed(Sampler):
    """Annealed Langevin: ULA that starts hot and cools geometrically to the target's temperature.

    x' = x - h ∇U(x) + √(2hT_t) ξ,  T_t = T · heat^{max(0, 1 - t/cooling_steps)}

    It samples the target only after the cooling; how well its modes are filled depends on how slowly it
    cooled. (Kirkpatrick, Gelatt & Vecchi 1983, Science 220, 671)
    """

    title = "Annealed Langevin"
    formula = r"x' = x - h\,\nabla U(x) + \sqrt{2hT_t}\;\xi, \quad T_t = T\,c^{\max(0,\,1 - t/M)}"
    reference = "Kirkpatrick, Gelatt & Vecchi 1983, Science 220, 671"
    edge_formula = "2/L"

    heat: float = param(
        10.0, 1.0, 1e4, log=True, shown=(1.0, 100.0), help="c, first temperature over the last"
    )
    cooling_steps: int = param(
        300, 1, 1_000_000, log=True, shown=(10, 5000), help="M, steps until T is reached"
    )

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> AnnealedState:
        return AnnealedState(x, energy.grad(x), torch.zeros((), dtype=x.dtype, device=x.device))

    def step(
        self, state: AnnealedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[AnnealedState, Info]:
        hotter = self.heat ** (1 - state.t / self.cooling_steps).clamp_min(0.0)
        x = state.x - h * state.grad + sqrt(2 * h * temperature * hotter) * noise.primary
        grad = energy.grad(x)
        return AnnealedState(x, grad, state.t + 1), Info(gradient_evaluations=1, grad=grad)

    def stability_edge(self, curvature: float) -> float:
        return 2 / curvature


class ReplicaState(NamedTuple):
    """The target's replica, and the hot ones behind it, (n, replicas - 1, ...), with energy and gradient."""

    x: Tensor
    energy: Tensor
    grad: Tensor
    hot_x: Tensor
    hot_energy: Tensor
    hot_grad: Tensor


@registry.register("replica_exchange")
@dataclass(frozen=True)
class ReplicaExchange(Sampler):
    """Replica exchange (parallel tempering): MALA at a ladder of temperatures, and swaps of neighbours.

    Each replica k takes a MALA step at T_k = T·ratio^k; then one pair of neighbours (i, i+1), chosen at
    random, swaps with probability min(1, exp((1/T_i - 1/T_{i+1}) (U_i - U_{i+1}))). The law of replica 0,
    the one that is shown, is exact once the hot ones, which start as its copies, have spread: swapped with
    while still too cold, they make it too cold for a while. Its acceptance is that of its MALA step.
    (Swendsen & Wang 1986, Phys. Rev. Lett. 57, 2607; Geyer 1991)
    """

    title = "Replica exchange"
    formula = (
        r"T_k = T\,c^k, \quad \alpha_{\text{swap}} = "
        r"\min\left(1, e^{(1/T_i - 1/T_{i+1})(U_i - U_{i+1})}\right)"
    )
    reference = "Swendsen & Wang 1986, Phys. Rev. Lett. 57, 2607"
    family = "accept"
    has_accept_step = True

    num_replicas: int = param(4, 2, 32, shown=(2, 12), help="number of temperatures")
    ratio: float = param(2.5, 1.0, 100.0, log=True, shown=(1.1, 10.0), help="c, a temperature over the next")

    @property
    def gradients_per_step(self) -> int:
        return self.num_replicas

    @property
    def start_gradients(self) -> int:  # type: ignore[override]
        return self.num_replicas

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        hot = self.num_replicas - 1
        return (Draw("normal", (hot,)), Draw("uniform", (self.num_replicas,)), Draw("uniform", (2,)))

    def init(self, x: Tensor, energy: Energy, noise: StepNoise, temperature: Any = 1.0) -> ReplicaState:
        value, grad = energy.value_and_grad(x)
        hot = self.num_replicas - 1
        return ReplicaState(x, value, grad, *(_repeat(tensor, hot) for tensor in (x, value, grad)))

    def step(
        self, state: ReplicaState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[ReplicaState, Info]:
        xi, accept_uniform, swap_uniform = noise.extra
        ladder = temperature * self.ratio ** torch.arange(self.num_replicas, device=state.x.device).to(
            state.x
        )
        x = torch.cat([state.x[:, None], state.hot_x], 1)
        value = torch.cat([state.energy[:, None], state.hot_energy], 1)
        grad = torch.cat([state.grad[:, None], state.hot_grad], 1)
        xi = torch.cat([noise.primary[:, None], xi], 1)
        x, value, grad, probability = _mala(x, value, grad, energy, h, ladder, xi, accept_uniform)
        order = self._swap(value, ladder, swap_uniform)
        x, value, grad = (_reorder(tensor, order) for tensor in (x, value, grad))
        new = ReplicaState(x[:, 0], value[:, 0], grad[:, 0], x[:, 1:], value[:, 1:], grad[:, 1:])
        return new, Info(self.num_replicas, probability[:, 0], new.grad)

    def _swap(self, value: Tensor, ladder: Tensor, uniform: Tensor) -> Tensor:
        """For each chain the replica that moves to each rung, (n, replicas), after one neighbour swap."""
        pairs = self.num_replicas - 1
        lower = (uniform[:, :1] * pairs).long().clamp_max(pairs - 1)
        cold, hot = ladder[lower], ladder[lower + 1]
        # (1/T_i - 1/T_j)(U_i - U_j), times T_i T_j so that nothing is divided by a zero temperature.
        log_ratio = (hot - cold) * (value.gather(1, lower) - value.gather(1, lower + 1))
        swap = cold * hot * torch.log1p(-uniform[:, 1:]) <= log_ratio
        rung = torch.arange(self.num_replicas, device=value.device).expand(value.shape)
        up, down = swap & (rung == lower), swap & (rung == lower + 1)
        return rung + up.long() - down.long()


def _repeat(tensor: Tensor, count: int) -> Tensor:
    return tensor[:, None].expand(len(tensor), count, *tensor.shape[1:]).clone()


def _reorder(tensor: Tensor, order: Tensor) -> Tensor:
    index = order.reshape(*order.shape, *[1] * (tensor.ndim - 2)).expand_as(tensor)
    return tensor.gather(1, index)


def _mala(
    x: Tensor,
    value: Tensor,
    grad: Tensor,
    energy: Energy,
    h: Any,
    ladder: Tensor,
    xi: Tensor,
    uniform: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One MALA step of every replica at its own temperature; tensors (n, replicas, ...)."""
    rungs = x.shape[:2]
    warmth = ladder.reshape(1, -1, *[1] * (x.ndim - 2))
    h = h.unsqueeze(1) if isinstance(h, Tensor) and h.ndim > 1 else h  # a step of each chain's own
    y = x - h * grad + sqrt(2 * h * warmth) * xi
    value_y, grad_y = (
        part.reshape(*rungs, *part.shape[1:]) for part in energy.value_and_grad(y.flatten(0, 1))
    )
    width = 2 * sqrt(h)
    forward, backward = (y - x + h * grad) / width, (x - y + h * grad_y) / width
    difference = (forward.square() - backward.square()).flatten(2).sum(2)
    accept, probability = metropolis(value - value_y + difference, ladder, uniform)
    flat = accept.flatten()

    def chosen(new: Tensor, old: Tensor) -> Tensor:
        return where_accepted(flat, new.flatten(0, 1), old.flatten(0, 1)).reshape(old.shape)

    return chosen(y, x), chosen(value_y, value), chosen(grad_y, grad), probability
