"""Langevin-VAE (Wang & Delingette, arXiv 2009.01675), small and honest, beside HVAE with kept gradients.

On a linear Gaussian model log p(x) is known: how loose is each bound, for K steps and for as many gradients,
with steps that are set and with steps that are learned? On black and white digits with several seeds, paired,
and on a subset of MNIST, where it is at hand, with one: log p(x), reconstruction, gradients and seconds under
one protocol. It says where the order that the paper claims does not hold.
"""

from __future__ import annotations

from typing import Any

from lflow.papers import langevin_vae_gaussian as gaussian
from lflow.papers import one_protocol
from lflow.papers.experiment import Config, Findings, Job
from lflow.papers.langevin_vae_findings import BOUNDS, METHODS, TUNED, conclude
from lflow.papers.one_protocol import model_of

__all__ = ["TITLE", "conclude", "draw", "jobs", "work"]

TITLE = "Langevin-VAE, a quasi-symplectic chain in the encoder (Wang & Delingette 2020)"
COUNTS = (1, 5, 10)  # steps of a chain on digits
TEMPERATURE = 2.0  # T₀ of tempered HVAE where it is set


def jobs(quick: bool, seeds: int) -> list[Job]:
    """Every run: what must hold, bounds, tuned bounds, digits, and MNIST where it is at hand."""
    found = [Job({"part": "correct", "seed": 0}, 1000.0)]
    for num_steps in (1, 5, 10) if quick else (1, 2, 5, 10, 20):
        count = 4000 if quick else 20_000
        for start in gaussian.STARTS:
            found += [_bound(method, num_steps, start, count) for method in BOUNDS]
    for num_steps in (5,) if quick else (1, 5, 10):
        tuning = {"tuning": 30 if quick else 150, "count": 4000 if quick else 20_000}
        found += [_tuned(method, num_steps, tuning) for method in TUNED]
    found.append(one_protocol.plain("digits", quick))
    for seed in range(min(seeds, 2) if quick else seeds):
        found += one_protocol.compared("digits", quick, seed, METHODS, (5,) if quick else COUNTS)
    if not quick and one_protocol.is_at_hand("mnist"):
        found += [
            *one_protocol.compared("mnist", quick, 0, METHODS, (5,)),
            one_protocol.plain("mnist", quick),
        ]
    return found


def _bound(method: str, num_steps: int, start: str, count: int) -> Job:
    """A bound with steps of a set size."""
    kind, friction = BOUNDS[method]
    name, settings = model_of("hvae_free" if kind == "hvae_tempered" else kind, num_steps)
    if name != "vae":
        settings |= {"step_size": gaussian.STEP_SIZE, "learn_step_size": False}
    if kind == "hvae_tempered":
        settings |= {"initial_factor": TEMPERATURE ** (-0.5 / num_steps)}
    if name == "langevin_vae":
        settings |= {"friction": friction, "learn_friction": False}
    config = {"part": "bound", "method": method, "num_steps": num_steps, "start": start, "tuning": 0}
    cost = 3e-4 * count * (3 + num_steps)
    return Job({**config, "model": name, "settings": settings, "count": count, "seed": 0}, cost)


def _tuned(method: str, num_steps: int, tuning: Config) -> Job:
    """A bound whose chain has learned its steps, friction and tempering, from the wide start."""
    name, settings = model_of(method, num_steps)
    config = {"part": "tuned", "method": method, "num_steps": num_steps, "start": "wide", "seed": 0}
    return Job(
        {**config, **tuning, "model": name, "settings": settings}, tuning["tuning"] * (1.2 + 0.4 * num_steps)
    )


def work(config: Config) -> Findings:
    """One run."""
    if one_protocol.is_one(config):
        return one_protocol.work(config)
    return (gaussian.correctness if config["part"] == "correct" else gaussian.gap)(config)


def draw(findings: Findings) -> Any:
    """The figure."""
    from lflow.papers import langevin_vae_figure

    return langevin_vae_figure.draw(findings)
