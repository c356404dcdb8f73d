"""Karimi, Hsieh & Krause 2023 (arXiv 2210.13867), small and honest: one family of schemes, three questions.

Variance: is each scheme's stationary variance on N(0,1) what algebra says? The midpoint scheme with
independent noises, to which the theorem applies as well, shows how wrong a scheme may be. Budget: which
scheme makes most of a number of gradients? Decay: with steps that fall like k^-0.6 the last iterate keeps
approaching the target, whatever the scheme; the theorem gives no rate, and none is claimed here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lflow import samplers, simulate, steps
from lflow.energies import get as get_energy
from lflow.loop import Callback
from lflow.papers.dynamical_system_findings import conclude
from lflow.papers.dynamical_system_laws import (
    DECAY,
    DECAYING,
    INNER,
    METHODS,
    TUNING_SEEDS,
    VARIANCE,
    WRONG,
    IndependentMidpoint,
    target,
)
from lflow.papers.experiment import Config, Findings, Job
from lflow.samplers.base import Sampler

__all__ = ["TITLE", "conclude", "draw", "jobs", "work"]

TITLE = "A dynamical system view of Langevin-based non-convex sampling (Karimi, Hsieh & Krause 2023)"
STEP_SIZES = [0.006, 0.01, 0.016, 0.025, 0.04, 0.063, 0.1, 0.16, 0.25, 0.4]


def jobs(quick: bool, seeds: int) -> list[Job]:
    """Every run: of the variances, of the budgets (tuning seeds first), of the decay, and exact draws."""
    chains = {"variance": 6000, "budget": 8000, "decay": 8000}
    budgets, gradients, sizes = [12, 24, 48, 96], 800, STEP_SIZES[1::2]
    if not quick:
        chains = {"variance": 40_000, "budget": 60_000, "decay": 60_000}
        budgets, gradients, sizes = [12, 24, 48, 96, 192, 384], 4000, STEP_SIZES
    found = []

    def add(cost: float, part: str, method: str, seed: int, **rest: Any) -> None:
        config = {"part": part, "method": method, "seed": seed, "chains": chains[part], **rest}
        found.append(Job(config, cost * chains[part]))

    for seed in range(seeds):
        for method in VARIANCE:
            for h in (0.1, 0.25, 0.5):
                add(30 / h * make_sampler(method).gradients_per_step, "variance", method, seed, h=h)
    for seed in (*TUNING_SEEDS, *range(seeds)):
        for method in METHODS:
            for h in sizes:
                add(4 * budgets[-1], "budget", method, seed, h=h, budgets=budgets)
    for seed in range(seeds):
        for method in DECAYING:
            for rule in ("constant", "polynomial"):
                add(3 * gradients, "decay", method, seed, rule=rule, decay=DECAY, gradients=gradients)
        for part in ("budget", "decay"):
            add(1, part, "exact", seed)
    return found


def make_sampler(method: str, exact: bool = False) -> Sampler:
    """The sampler of a method; the implicit step solved in three gradients, or as exactly as it comes."""
    if method == WRONG:
        return IndependentMidpoint()
    return samplers.get(method, **({"num_inner": INNER} if method == "proximal" and not exact else {}))


def mirrored(x: Tensor) -> Tensor:
    """The values of even chains and their mirror images, (2n,)."""
    # The energy and the start are even: a chain from -x with the noise -ξ is the mirror image of this one.
    return torch.cat([x.flatten(), -x.flatten()])


def work(config: Config, progress: Callback | None = None) -> Findings:
    """One run."""
    if config["method"] == "exact":
        _, law = target()
        return {"w2": law.w2(mirrored(law.draw(config["chains"], 10_000 + config["seed"])))}
    return {"variance": _variance, "budget": _budget, "decay": _decay}[config["part"]](config, progress)


def _variance(config: Config, progress: Callback | None) -> Findings:
    """The mean square over ten frames 2/h steps apart, after 10/h steps from N(0,1); None if one was lost."""
    h, start = config["h"], torch.Generator().manual_seed(config["seed"])
    gap = round(2 / h)
    sampler = make_sampler(config["method"], exact=True)
    result = simulate(
        get_energy("gaussian", dim=1),
        sampler,
        step_size=h,
        num_steps=14 * gap,
        init=torch.randn(config["chains"], 1, generator=start),
        record_every=gap,
        seed=config["seed"],
        device="cpu",
        callback=progress,
    )
    if (result.diverged | result.escaped).any():
        return {"variance": None}
    return {"variance": float(result.positions[5:].double().square().mean())}


def _budget(config: Config, progress: Callback | None) -> Findings:
    """W2 of the last iterate that each number of gradients pays for; infinite (None) if a chain was lost."""
    energy, law = target()
    sampler, budgets = make_sampler(config["method"]), config["budgets"]
    frames = [sampler.steps_for(budget) for budget in budgets]
    result = simulate(
        energy,
        sampler,
        step_size=config["h"],
        num_steps=frames[-1],
        num_chains=config["chains"],
        record_every=1,
        seed=config["seed"],
        device="cpu",
        callback=progress,
    )
    if (result.diverged | result.escaped).any():
        return {"w2": [None] * len(budgets)}
    return {"w2": [law.w2(mirrored(result.positions[frame])) for frame in frames]}


def _decay(config: Config, progress: Callback | None) -> Findings:
    """W2 along a run with constant or falling steps, at gradient counts that grow geometrically."""
    energy, law = target()
    sampler = make_sampler(config["method"])
    parts = config["decay"] if config["rule"] == "polynomial" else {"step_size": config["decay"]["step_size"]}
    rule = steps.get(config["rule"], **parts)
    result = simulate(
        energy,
        sampler,
        rule,
        num_steps=sampler.steps_for(config["gradients"]),
        num_chains=config["chains"],
        record_every=max(1, 6 // sampler.gradients_per_step),
        seed=config["seed"],
        device="cpu",
        callback=progress,
    )
    taken = result.gradient_evaluations
    wanted = torch.logspace(1.2, torch.log10(taken[-1].double()).item(), 25)
    frames = sorted({int((taken - count).abs().argmin()) for count in wanted})
    lost = bool((result.diverged | result.escaped).any())
    return {
        "gradients": [int(taken[frame]) for frame in frames],
        "w2": [None if lost else law.w2(mirrored(result.positions[frame])) for frame in frames],
    }


def draw(findings: Findings) -> Any:
    """The figure."""
    from lflow.papers import dynamical_system_figure

    return dynamical_system_figure.draw(findings)
