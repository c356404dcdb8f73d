"""AniLA (Karimi, Xie & Li, arXiv 2310.12667), small and honest: what its variants sample, and what they cost.

Line: on N(0,1) the density of each variant against its closed form. Rings: the same on four rings, radially.
Threshold: how near each sampler comes to the rings with an equal number of gradients, over the threshold b.
Budgets: the same on any of the targets, after several numbers of gradients (for the app, not for the figure).
Quartic: where ULA diverges, and what taming is worth. Names the biases of the printed and the coded
algorithms, which the Metropolis one does not have and the corrected one only as h → 0; trains no model.
"""

from __future__ import annotations

from typing import Any

import torch

from lflow import samplers, simulate
from lflow.energies import get as get_energy
from lflow.metrics import kl_on_grid
from lflow.papers.anila_findings import conclude
from lflow.papers.anila_laws import (
    BINS,
    LAWS,
    ON_LINE,
    PLACES,
    RANGE,
    REFERENCES,
    SMOOTH,
    TUNING_SEED,
    core,
    distance,
    offsets,
    variant_law,
)
from lflow.papers.experiment import Config, Findings, Job
from lflow.papers.line import LineLaw
from lflow.samplers.anila import VARIANTS, AniLA

__all__ = ["TITLE", "conclude", "draw", "jobs", "work"]

TITLE = "AniLA / STANLEY, anisotropic Langevin (Karimi, Xie & Li 2023)"
STEP_SIZES = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016]
HMC_STEP_SIZES = [0.01, 0.02, 0.04, 0.08, 0.12, 0.2]
THRESHOLDS = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
# Of the laws: step, threshold, steps before the first of ten frames, and steps between them.
LAW_RUNS: dict[str, dict[str, Any]] = {
    "line": {"h": 0.02, "b": 0.5, "burn": 1500, "gap": 100},
    "rings": {"h": 0.001, "b": 2.0, "burn": 1500, "gap": 100},
}


def jobs(quick: bool, seeds: int) -> list[Job]:
    """Every run: of the laws, of the thresholds (the tuning seed first), and of the quartic."""
    found = []

    def add(cost: float, part: str, method: str, seed: int, chains: int, **rest: Any) -> None:
        config = {"part": part, "method": method, "seed": seed, "chains": chains, **rest}
        weight = {"corrected": 3, SMOOTH: 3, "metropolis": 2}.get(method, 1)
        found.append(Job(config, cost * weight * chains))

    many, few = (2000, 2000) if quick else (20_000, 10_000)
    for seed in range(seeds):
        for part, place in LAW_RUNS.items():
            place = place | ({"burn": place["burn"] // 2, "gap": 50} if quick else {})
            for method in ("ula", *LAWS):
                add(place["burn"] + 10 * place["gap"], part, method, seed, many, **place)
        for method in ("ula", *VARIANTS, "tamed_ula", "mala"):
            add(500, "quartic", method, seed, few, h=0.05, b=2.0, steps=500)
        add(1, "quartic", "exact", seed, few)
    sizes, leaps, thresholds, gradients = STEP_SIZES, HMC_STEP_SIZES, THRESHOLDS, 1000
    if quick:
        sizes, leaps, thresholds, gradients = sizes[1::2], leaps[1::2], thresholds[1::2], 300
    for seed in (TUNING_SEED, *range(seeds)):
        for method in (*REFERENCES, *VARIANTS):
            for h in leaps if method == "hmc" else sizes:
                for b in thresholds if method in VARIANTS else (None,):
                    add(gradients, "threshold", method, seed, few, h=h, b=b, gradients=gradients)
        if seed != TUNING_SEED:
            add(1, "threshold", "exact", seed, few)
    return found


def _sampler(method: str, b: float | None, smooth: bool = False) -> samplers.Sampler:
    if method in LAWS:
        variant = method.removesuffix("_smooth")
        return AniLA(variant=variant, threshold=b or 1.0, smooth=smooth or method == SMOOTH)
    return samplers.get(method)


def work(config: Config) -> Findings:
    """One run."""
    others = {"threshold": _threshold, "budgets": _budgets, "quartic": _quartic}
    return others.get(config["part"], _law)(config)


def _law(config: Config) -> Findings:
    """A variant's cloud, started in e^f: its histogram, and its divergence from e^f and from its own law.

    None for each if a chain was lost.
    """
    part, smooth = config["part"], config.get("smooth", False)
    on_line, energy = part in ON_LINE, PLACES[part].energy()
    generator = torch.Generator().manual_seed(config["seed"])
    gap = config["gap"]
    result = simulate(
        energy,
        _sampler(config["method"], config["b"], smooth),
        step_size=config["h"],
        num_steps=config["burn"] + 10 * gap,
        init=energy.sample(config["chains"], generator),
        record_every=gap,
        seed=config["seed"],
        device="cpu",
    )
    if (result.diverged | result.escaped).any():
        return dict.fromkeys(("histogram", "core", "variance", "kl_truth", "kl_own"))
    frames = result.positions[-10:].double()
    values = (frames if on_line else frames.norm(dim=2, keepdim=True)).flatten()
    bounds = [RANGE[part]]
    counts = torch.histc(values, BINS, *bounds[0])
    truth, own = (variant_law(part, method, config["b"], smooth) for method in ("truth", config["method"]))
    return {
        "histogram": (counts / len(values) / ((bounds[0][1] - bounds[0][0]) / BINS)).tolist(),
        "core": float(core(values, part).double().mean()),
        "variance": float(values.var()) if on_line else float(offsets(values).square().mean()),
        "kl_truth": float(kl_on_grid(values, truth.energy, bounds, BINS)),
        "kl_own": float(kl_on_grid(values, own.energy, bounds, BINS)),
    }


def _threshold(config: Config) -> Findings:
    """W2 within the rings after a number of gradients, from the authors' start 2 N(0, I)."""
    # Exact draws take no gradients.
    found = _budgets(config | {"place": "rings", "budgets": [config.get("gradients")]})
    return {"w2": found["w2"][0], "lost": found["lost"]}


def _budgets(config: Config) -> Findings:
    """W2 to a target after each of some numbers of gradients, from 2 N(0, I); None where chains were lost.

    Of exact draws ("exact") there is one. The acceptance is that of the whole run.
    """
    place = config["place"]
    energy = PLACES[place].energy()
    generator = torch.Generator().manual_seed(config["seed"])
    if config["method"] == "exact":
        return {"w2": [distance(place, energy.sample(config["chains"], generator))], "lost": 0.0}
    sampler = _sampler(config["method"], config["b"])
    steps = [sampler.steps_for(most) for most in config["budgets"]]
    result = simulate(
        energy,
        sampler,
        step_size=config["h"],
        num_steps=steps[-1],
        init=2 * torch.randn(config["chains"], energy.dim, generator=generator),
        record_every=steps,
        seed=config["seed"],
        device="cpu",
    )
    gone = (result.num_diverged + result.num_escaped)[1:].tolist()
    w2 = [None if lost else distance(place, x) for lost, x in zip(gone, result.positions[1:], strict=True)]
    share = float((result.diverged | result.escaped).double().mean())
    taken = torch.tensor([0, *steps]).diff().double()
    accepted = float((result.acceptance[1:].double() * taken).sum() / taken.sum())
    return {"w2": w2, "lost": share, "acceptance": accepted}


def _quartic(config: Config) -> Findings:
    """On U = Σ x⁴ from a start three times too wide: the share of chains lost, else W2 of a coordinate."""
    energy = get_energy("quartic")
    points = torch.linspace(-3, 3, 60_001, dtype=torch.float64)
    law = LineLaw.from_log(points, -(points**4))
    if config["method"] == "exact":
        return {"lost": 0.0, "w2": law.w2(law.draw(2 * config["chains"], 10_000 + config["seed"]))}
    generator = torch.Generator().manual_seed(config["seed"])
    result = simulate(
        energy,
        _sampler(config["method"], config["b"]),
        step_size=config["h"],
        num_steps=config["steps"],
        init=3 * torch.randn(config["chains"], 2, generator=generator),
        record_every=config["steps"],
        seed=config["seed"],
        device="cpu",
    )
    lost = float((result.diverged | result.escaped).double().mean())
    return {"lost": lost, "w2": None if lost else law.w2(result.positions[-1].flatten())}


def draw(findings: Findings) -> Any:
    """The figure."""
    from lflow.papers import anila_figure

    return anila_figure.draw(findings)
