"""One run on a plane at a given number of gradients, and all that is asked of it: a cell of a map over two
parameters. Knows nothing of maps.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from lflow import energies, metrics, samplers, simulate
from lflow.energies.base import Energy
from lflow.exact import PROJECTIONS, Exact, exact
from lflow.loop import Callback
from lflow.papers.experiment import Config, Findings


def work(config: Config, progress: Callback | None = None) -> Findings:
    """What a small cloud comes to after the given number of gradients a chain.

    config: energy and sampler with their names and parameters, h, chains, gradients, seed. A sampler
    without gradients takes as many steps.

    ratio: sliced W2 to exact draws over what exact draws show (their floor); reach: 97.5 % of exact
    draws show less of it. energy_error: mean energy minus the target's. Both None where a chain
    was lost; lost: the share of chains that overflowed or left for good. acceptance: mean over the run; None
    without an accept step. steps: taken.
    """
    energy, truth = known(json.dumps(config["energy"], sort_keys=True), config["chains"])
    sampler = samplers.get(**config["sampler"])
    taken = max(1, sampler.steps_for(config["gradients"]))
    result = simulate(
        energy,
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
        found["ratio"] = round(away / truth.floor.mean, 4)
        found["energy_error"] = round(float(energy(last).mean()) - truth.mean_energy, 4)
    found["acceptance"] = round(acceptance, 4) if sampler.has_accept_step else None
    return found | {"reach": round(truth.floor.high / truth.floor.mean, 4)}


@lru_cache(maxsize=32)
def known(energy: str, chains: int) -> tuple[Energy, Exact]:
    """An energy, given as JSON, and its exact draws for a cloud of that size."""
    target = energies.get(**json.loads(energy))
    return target, exact(target, chains)
