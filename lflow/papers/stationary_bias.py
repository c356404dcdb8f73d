"""The bias that a constant step leaves in a scheme's stationary law, by the mean square, on three lines.

Chains start from exact draws and run on for ten units of time before anything is measured: what is left is
the scheme's own law. Knows nothing of figures.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch

from lflow import energies, simulate
from lflow.energies.base import Energy
from lflow.loop import Callback
from lflow.papers.dynamical_system import make_sampler
from lflow.papers.dynamical_system_laws import VARIANCE, target
from lflow.papers.experiment import Config, Findings, Job, gradients_of_all
from lflow.papers.line import LineLaw

SAMPLERS = (*VARIANCE, "baoab", "obabo")
CLOUDS = 5
CLOSED_FORM = VARIANCE | {"baoab": lambda h: 1.0}
"""Stationary E[x²] on N(0,1); that of BAOAB's positions is exact at every stable step."""

_BURN, _APART, _FRAMES = 10.0, 1.0, 20  # units of time before the first frame, and between frames


class Target(NamedTuple):
    """An even target on the line, its law, and the steps to try on it."""

    title: str
    energy: Energy
    law: LineLaw
    step_sizes: tuple[float, ...]


@cache
def targets() -> dict[str, Target]:
    """The targets by name; E[x²] of each by quadrature."""
    points = torch.linspace(-10, 10, 200_001, dtype=torch.float64)

    def known(title: str, name: str, *sizes: float) -> Target:
        energy = energies.get(name, dim=1)
        return Target(title, energy, LineLaw.from_log(points, -energy(points[:, None])), sizes)

    return {
        "gaussian": known("Gaussian N(0, 1)", "gaussian", 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
        "pair": Target("Two modes", *target(), (0.02, 0.04, 0.08, 0.16, 0.32)),
        "quartic": known("Quartic x⁴", "quartic", 0.02, 0.04, 0.08, 0.16),
    }


def jobs(on: str, samplers: tuple[str, ...], chains: int) -> list[Job]:
    """A run for each sampler and step size; `chains` in each of five clouds."""
    return [
        Job(
            {"target": on, "sampler": sampler, "h": h, "chains": chains, "clouds": CLOUDS, "seed": 0},
            (_BURN + (_FRAMES - 1) * _APART)
            / h
            * gradients_of_all(chains * CLOUDS, make_sampler(sampler, exact=True).gradients_per_step),
        )
        for sampler in samplers
        for h in targets()[on].step_sizes
    ]


def work(config: Config, progress: Callback | None = None) -> Findings:
    """E[x²]/truth - 1 of several independent clouds that run side by side; [] where a chain was lost.

    Twenty frames, one unit of time apart, after ten units from exact draws. BAOAB's and OBABO's time is that
    of their own momentum dynamics.
    """
    on, h = targets()[config["target"]], config["h"]
    clouds, chains = config["clouds"], config["chains"]
    first, apart = round(_BURN / h), max(1, round(_APART / h))
    result = simulate(
        on.energy,
        make_sampler(config["sampler"], exact=True),
        step_size=h,
        num_steps=first + (_FRAMES - 1) * apart,
        init=on.energy.sample(clouds * chains, torch.Generator().manual_seed(config["seed"])),
        # What is recorded on the way is not used: it is where `progress` is told, and may end the run.
        record_every=range(first % apart or apart, first + _FRAMES * apart, apart),
        seed=config["seed"],
        device="cpu",
        callback=progress,
    )
    if (result.diverged | result.escaped).any():
        return {"errors": []}
    square = result.positions[-_FRAMES:].double().square().mean((0, 2)).reshape(clouds, chains).mean(1)
    return {"errors": [round(float(each) / on.law.variance() - 1, 7) for each in square]}
