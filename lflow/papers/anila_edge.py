"""Where chains are lost on the quartic U = x⁴, over the step size: ULA, AniLA's variants, and their kin.

The gradient grows faster than any line, so no step is stable everywhere: a chain is lost if it starts, or is
thrown, farther out than about |x| = 1/√(2h). All step sizes of a sampler run as one cloud.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lflow import samplers, simulate
from lflow.energies import get as get_energy
from lflow.papers.experiment import Config, Findings
from lflow.samplers.anila import VARIANTS, AniLA
from lflow.steps import StepRule

METHODS = ("ula", *VARIANTS, "tamed_ula", "mala")
SECOND_MOMENT = math.gamma(0.75) / math.gamma(0.25)
"""E x² under e^(-x⁴)."""


@dataclass(frozen=True)
class EachItsOwn(StepRule):
    """A constant step size h for each chain, (n, 1)."""

    sizes: Tensor
    title = "constant, one a chain"
    name = "each_its_own"

    @property
    def step_size(self) -> float:  # type: ignore[override]
        return float(self.sizes.mean())

    def init(self, x: Tensor) -> Tensor:
        return self.sizes.to(x)

    def step_size_at(self, state: Tensor, t: Tensor, grad: Tensor | None) -> Tensor:
        return state


def edge(x: float) -> float:
    """The step size above which ULA throws a chain at x outward: |x - 4hx³| > |x|, so h > 1/(2x²)."""
    return 1 / (2 * x * x)


def work(config: Config) -> Findings:
    """One sampler with one seed at each of the step sizes: the share of chains lost, and E x² of the others.

    `chains` chains a step size, started at `start` times a standard normal; E x² is None where none is left.
    """
    sizes, chains = config["sizes"], config["chains"]
    generator = torch.Generator().manual_seed(config["seed"])
    start = config["start"] * torch.randn(len(sizes) * chains, 1, generator=generator)
    result = simulate(
        get_energy("quartic", dim=1),
        sampler(config["method"], config["b"]),
        EachItsOwn(torch.tensor(sizes).repeat_interleave(chains)[:, None]),
        num_steps=config["steps"],
        init=start,
        record_every=config["steps"],
        seed=config["seed"],
        device="cpu",
    )
    gone = (result.diverged | result.escaped).reshape(len(sizes), chains)
    square = result.positions[-1].double().square().reshape(len(sizes), chains)
    second = [float(row[~lost].mean()) for row, lost in zip(square, gone, strict=True)]
    return {"lost": gone.double().mean(1).tolist(), "second": second}


def sampler(method: str, b: float | None) -> Any:
    """AniLA's variant of that name with the threshold b, or the sampler of that name."""
    return samplers.get(method) if b is None else AniLA(variant=method, threshold=b)
