"""How well do samplers mix for what they cost? Effective sizes on three energies, at the best of a few steps.

A part of `lflow bench`. Each sampler spends the same number of gradients a chain. A step counts only if the
squares it leads to are near those of the target: an effective size knows nothing of bias.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lflow import energies, samplers, simulate
from lflow.metrics import ess

CHAINS = 100
# Modes of the mixture overlap, so that a chain crosses between them.
ENERGIES: dict[str, dict[str, Any]] = {
    "gaussian": {"condition_number": 10.0},
    "gaussian_mixture": {"radius": 1.5, "std": 0.75},
    "banana": {},
}
# Of the stability edge, 2/L or for momentum 2/√L, with L the curvature of the energy.
SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)
TOLERANCE = 0.1
# Effective draws of a chain below which it has not mixed: the size is then little more than a bound.
LEAST = 3
SKIPPED = ("svgd",)  # its particles are no chains


def rows(gradients: int, shares: Sequence[float] = SHARES) -> list[dict[str, Any]]:
    """Each sampler on each energy: effective size for 1,000 gradients and for a second, and at which step."""
    found = []
    for energy_name, parameters in ENERGIES.items():
        energy = energies.get(energy_name, **parameters)
        exact = energy.sample(100_000, torch.Generator().manual_seed(0)).double()
        for name in samplers.names():
            if name in SKIPPED:
                continue
            tried = [_measure(energy, name, gradients, share, exact) for share in shares]
            fair = [row for row in tried if row["bias"] <= TOLERANCE]
            best = max(fair, key=lambda row: row["ess"]) if fair else min(tried, key=lambda row: row["bias"])
            found.append({"energy": energy_name, "sampler": name, "unbiased": bool(fair), **_shown(best)})
    return found


def _measure(energy: Any, name: str, gradients: int, share: float, exact: Tensor) -> dict[str, float]:
    options = {"cooling_steps": max(1, gradients // 10)} if name == "annealed" else {}
    sampler = samplers.get(name, **options)
    # An energy without gradients counts as one: what it takes is about a gradient's time.
    each = max(1, sampler.gradients_per_step)
    curvature = energy.curvature
    momentum = sampler.family == "underdamped" or name == "hmc"
    h = share * (2 / curvature**0.5 if momentum else 2 / curvature)
    steps = max(8, gradients // each)
    began = time.perf_counter()
    start = exact[:CHAINS].float()  # in the target already: what is measured is mixing, not the way there
    result = simulate(energy, sampler, step_size=h, num_steps=steps, init=start, record_every=1, device="cpu")
    seconds = time.perf_counter() - began
    if (result.diverged | result.escaped).any():
        return {"h": h, "ess": 0.0, "bias": math.inf, "gradients": 0.0, "seconds": seconds}
    kept = result.positions[1 + steps // 4 :].double()
    centre = exact.mean(0)
    spread = (kept - centre).square()
    bias = (spread.mean((0, 1)) / (exact - centre).square().mean(0) - 1).abs().max()
    size = torch.cat([ess(kept), ess(spread)]).min().nan_to_num(0.0)
    # What the first quarter cost is not counted: it is spent once.
    used = len(kept) / steps
    spent = used * steps * each * CHAINS
    return {"h": h, "ess": float(size), "bias": float(bias), "gradients": spent, "seconds": used * seconds}


def _shown(row: dict[str, float]) -> dict[str, float | None]:
    if not row["gradients"]:
        nothing = dict.fromkeys(("ess_per_1000_gradients", "ess_per_second", "bias"))
        return {"step_size": row["h"], "mixed": False, **nothing}
    return {
        "step_size": row["h"],
        "mixed": row["ess"] > LEAST * CHAINS,
        "ess_per_1000_gradients": 1000 * row["ess"] / row["gradients"],
        "ess_per_second": row["ess"] / row["seconds"],
        "bias": row["bias"],
    }


def table(found: Sequence[dict[str, Any]]) -> list[str]:
    """As it stands in benchmarks/RESULTS.md: for each energy, effective draws and the step."""
    heads = [f"{name}: per 1,000 gradients | per second | h" for name in ENERGIES]
    lines = [f"| sampler | {' | '.join(heads)} |", "| --- |" + " ---: |" * 3 * len(heads)]
    for name in dict.fromkeys(row["sampler"] for row in found):
        cells = [cell for row in found if row["sampler"] == name for cell in _cells(row)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _cells(row: dict[str, Any]) -> list[str]:
    if row["ess_per_second"] is None:
        return ["-", "-", "-"]
    mark = "" if row["unbiased"] else " (biased)"
    size = f"{'' if row['mixed'] else '< '}{row['ess_per_1000_gradients']:.1f}{mark}"
    return [size, f"{row['ess_per_second']:,.0f}", f"{row['step_size']:.2g}"]
