"""One run on a plane at a given number of gradients, and all that is asked of it: a cell of a map over two
parameters. Knows nothing of maps.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow import energies, metrics, samplers, simulate
from lflow.energies.base import Energy
from lflow.loop import Callback
from lflow.papers.experiment import Config, Findings

PROJECTIONS = 16
_REPEATS = 20
_MANY = 20_000
_DRAWS_SEED = 20_000


class Truth(NamedTuple):
    """Exact draws to compare with, what as many others show beside them, and the mean energy."""

    energy: Energy
    draws: Tensor
    floor: float
    spread: float
    mean_energy: float


def work(config: Config, progress: Callback | None = None) -> Findings:
    """What a small cloud comes to after the given number of gradients a chain.

    config: energy and sampler with their names and parameters, h, chains, gradients, seed. A sampler
    without gradients takes as many steps.

    ratio: sliced W2 to exact draws over what exact draws show (their floor); spread: the standard deviation
    of that for exact draws themselves. energy_error: mean energy minus the target's. Both None where a chain
    was lost; lost: the share of chains that overflowed or left for good. acceptance: mean over the run; None
    without an accept step. steps: taken.
    """
    truth = find_truth(json.dumps(config["energy"], sort_keys=True), config["chains"])
    sampler = samplers.get(**config["sampler"])
    taken = max(1, sampler.steps_for(config["gradients"]))
    result = simulate(
        truth.energy,
        sampler,
        step_size=config["h"],
        num_steps=taken,
        num_chains=config["chains"],
        record_every=taken,
        seed=config["seed"],
        device="cpu",
        callback=progress,
    )
    lost = float((result.diverged | result.escaped).double().mean())
    last = result.positions[-1]
    acceptance = float(result.acceptance[-1])
    found: dict[str, Any] = {"ratio": None, "energy_error": None, "lost": round(lost, 4), "steps": taken}
    if lost == 0:
        away = float(metrics.sliced_wasserstein2(last, truth.draws, PROJECTIONS))
        found["ratio"] = round(away / truth.floor, 4)
        found["energy_error"] = round(float(truth.energy(last).mean()) - truth.mean_energy, 4)
    found["acceptance"] = round(acceptance, 4) if sampler.has_accept_step else None
    return found | {"spread": round(truth.spread / truth.floor, 4)}


@lru_cache(maxsize=32)
def find_truth(energy: str, chains: int) -> Truth:
    """The truth of an energy, given as JSON, for a cloud of that size."""
    target = energies.get(**json.loads(energy))
    generator = torch.Generator().manual_seed(_DRAWS_SEED)
    draws, many = target.sample(chains, generator), target.sample(_MANY, generator)
    away = torch.stack(
        [
            metrics.sliced_wasserstein2(target.sample(chains, generator), draws, PROJECTIONS)
            for _ in range(_REPEATS)
        ]
    )
    return Truth(target, draws, float(away.mean()), float(away.std()), float(target(many).mean()))
