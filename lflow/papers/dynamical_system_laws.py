"""What `dynamical_system` measures against: stationary variances in closed form, the pair of modes, and the
midpoint scheme with independent noises, which is wrong on purpose. Knows nothing of runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from lflow.energies.base import Energy
from lflow.energies.gaussian import IsotropicMixture
from lflow.noise import NORMAL, UNIFORM, Draw, StepNoise
from lflow.papers.line import LineLaw
from lflow.samplers.base import Info, per_chain, sqrt
from lflow.samplers.langevin import OverdampedState
from lflow.samplers.midpoint import RandomizedMidpoint

METHODS = ("ula", "rmm", "ormm", "srk", "leimkuhler_matthews", "proximal", "mala")
WRONG = "rmm_independent"
DECAYING = ("ula", "rmm", "ormm", "srk", "leimkuhler_matthews", WRONG)
TUNING_SEEDS = (1000, 1001, 1002)
INNER = 3  # steps of the implicit step's solver, where gradients are counted
DECAY = {"step_size": 0.2, "power": 0.6, "offset": 10.0}


@dataclass(frozen=True)
class IndependentMidpoint(RandomizedMidpoint):
    """The randomized midpoint gone wrong: its two lines take independent noises, not the same path.

    m = x - αh ∇U(x) + √(2T) W̃_{αh};  x' = x - h ∇U(m) + √(2T) W_h,  W̃ independent of W
    """

    name = WRONG

    def extra(self, energy: Energy) -> tuple[Draw, ...]:
        return (UNIFORM, NORMAL)

    def step(
        self, state: OverdampedState, energy: Energy, h: Any, temperature: Any, noise: StepNoise
    ) -> tuple[OverdampedState, Info]:
        uniform, other = noise.extra
        alpha = per_chain(uniform, state.x)
        middle = state.x - alpha * h * state.grad + sqrt(2 * temperature * alpha * h) * other
        x = state.x - h * energy.grad(middle) + sqrt(2 * h * temperature) * noise.primary
        grad = energy.grad(x)
        return OverdampedState(x, grad), Info(gradient_evaluations=2, grad=grad)


@dataclass(frozen=True)
class Pair(IsotropicMixture):
    """½ N(-1.5, ½²) + ½ N(1.5, ½²): two modes that mix, on the line."""

    name = "pair"
    dim = 1
    start = ((0.0,), 1.0)
    component_std = 0.5
    bounds = ((-4.0, 4.0),)

    @property
    def means(self) -> Tensor:
        return torch.tensor([[-1.5], [1.5]], dtype=torch.float64)

    @property
    def weights(self) -> Tensor:
        return torch.tensor([0.5, 0.5], dtype=torch.float64)


def curvature_between() -> float:
    """U'' of the pair at 0, its least: an implicit step is well posed for h below -1/U''."""
    variance, mean = Pair.component_std**2, float(Pair().means[1])
    return 1 / variance - mean**2 / variance**2


def _ormm_variance(h: float) -> float:
    # Stationary E x², E x m₋, E m₋² of the chain (x, last midpoint): three linear equations.
    # m = x - αh m₋ + √2 W_αh:  E m² = A - hB + h²C/3 + h,  E xm = A - hB/2;  x' = x - hm + √2 W_h.
    square = torch.tensor([1.0, -h, h * h / 3], dtype=torch.float64)
    cross = torch.tensor([1.0, -h / 2, 0.0], dtype=torch.float64)
    rows = torch.stack(
        [torch.tensor([1.0, 0, 0]).double() + h * h * square - 2 * h * cross, cross - h * square, square]
    )
    constants = torch.tensor([h**3 + 2 * h - 2 * h * h, h - h * h, h], dtype=torch.float64)
    return float(torch.linalg.solve(torch.eye(3, dtype=torch.float64) - rows, constants)[0])


VARIANCE: dict[str, Callable[[float], float]] = {
    "ula": lambda h: 1 / (1 - h / 2),
    "proximal": lambda h: 1 / (1 + h / 2),
    "rmm": lambda h: (2 * h - 2 * h**2 + h**3) / (2 * h - 2 * h**2 + h**3 - h**4 / 3),
    "ormm": _ormm_variance,
    "srk": lambda h: (2 * h - 2 * h**2 + 2 * h**3 / 3) / (2 * h - 2 * h**2 + h**3 - h**4 / 4),
    "leimkuhler_matthews": lambda h: 1.0,
    "mala": lambda h: 1.0,
    WRONG: lambda h: (2 * h + h**3) / (2 * h - 2 * h**2 + h**3 - h**4 / 3),
}
"""Stationary variance on N(0,1) as a function of the step."""


@cache
def target() -> tuple[Energy, LineLaw]:
    """The pair, and its law."""
    energy = Pair()
    points = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
    return energy, LineLaw.from_log(points, -energy(points[:, None]))
