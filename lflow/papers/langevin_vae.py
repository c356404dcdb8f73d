"""Langevin-VAE (Wang & Delingette, arXiv 2009.01675), small and honest, beside HVAE with kept gradients.

On a linear Gaussian model log p(x) is known: how loose is each bound, for K steps and for as many gradients,
with steps that are set and with steps that are learned? On black and white digits with several seeds, paired,
and on a subset of MNIST, where it is at hand, with one: log p(x), reconstruction, gradients and seconds under
one protocol. It says where the paper's order does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lflow.models.latent import LatentLearner
from lflow.papers import langevin_vae_gaussian as gaussian
from lflow.papers import one_protocol
from lflow.papers.experiment import Config, Findings, Job
from lflow.papers.langevin_vae_findings import BOUNDS, METHODS, TUNED, conclude
from lflow.papers.learn import learn

__all__ = ["TITLE", "conclude", "draw", "jobs", "work"]

TITLE = "Langevin-VAE, a quasi-symplectic chain in the encoder (Wang & Delingette 2020)"
TEMPERATURE = 2.0  # T₀ of tempered HVAE where it is set

MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "vae": ("vae", {}),
    "iwae": ("vae", {"objective": "iwae"}),
    "hvae": ("hvae", {}),
    "hvae_fixed": ("hvae", {"tempering": "fixed"}),
    "hvae_free": ("hvae", {"tempering": "free"}),
    "deterministic": ("langevin_vae", {"mode": "deterministic"}),
    "noisy": ("langevin_vae", {"mode": "noisy"}),
    "reverse_kernel": ("langevin_vae", {"mode": "reverse_kernel"}),
}


def matched(num_steps: int) -> int:
    """The draws of an IWAE that take the passes through the decoder that HVAE's K steps take.

    A pass forward or a derivative of one is a unit: a draw takes three; a gradient within a chain is two, and
    to learn through it twice as many more; log p(x, z_K) takes three.
    """
    return 2 * (num_steps + 1) + 1


def model_of(method: str, num_steps: int) -> tuple[str, dict[str, Any]]:
    """A method's model and its own settings, for chains of so many steps."""
    name, own = MODELS[method]
    if method == "iwae":
        return name, {**own, "num_importance": matched(num_steps)}
    return name, dict(own) if name == "vae" else {**own, "num_steps": num_steps}


def jobs(quick: bool, seeds: int) -> list[Job]:
    """Every run: what must hold, bounds, tuned bounds, digits, and MNIST where it is at hand."""
    found = [Job({"part": "correct", "seed": 0}, 10.0)]
    for num_steps in (1, 5, 10) if quick else (1, 2, 5, 10, 20):
        count = 4000 if quick else 20_000
        for start in gaussian.STARTS:
            found += [_bound(method, num_steps, start, count) for method in BOUNDS]
    for num_steps in (5,) if quick else (1, 5, 10):
        tuning = {"tuning": 30 if quick else 150, "count": 4000 if quick else 20_000}
        found += [_tuned(method, num_steps, tuning) for method in TUNED]
    digits: Config = {"data": "digits", "quick": quick, "steps": 120 if quick else 600}
    for seed in range(seeds):
        found += _compared({**digits, "seed": seed}, (2,) if quick else (1, 5, 10))
    if not quick and one_protocol.is_at_hand("mnist"):
        found += _compared({"data": "mnist", "quick": quick, "steps": 600, "seed": 0}, (5,))
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
    return Job({**config, "model": name, "settings": settings, "count": count, "seed": 0}, 3.0 + num_steps)


def _tuned(method: str, num_steps: int, tuning: Config) -> Job:
    """A bound whose chain has learned its steps, friction and tempering, from the wide start."""
    name, settings = model_of(method, num_steps)
    config = {"part": "tuned", "method": method, "num_steps": num_steps, "start": "wide", "seed": 0}
    return Job({**config, **tuning, "model": name, "settings": settings}, 0.3 * tuning["tuning"] * num_steps)


def _compared(config: Config, counts: Sequence[int]) -> list[Job]:
    """Every method, for each number of steps; the VAE, which has none, once."""
    places = [("vae", 0), *((method, count) for count in counts for method in METHODS[1:])]
    larger = 3 if config["data"] == "mnist" else 1
    return [
        Job(
            {"part": "compare", **config, "method": method, "num_steps": count},
            200.0 + larger * config["steps"] * (1 + count),
        )
        for method, count in places
    ]


def work(config: Config) -> Findings:
    """One run."""
    if config["part"] == "correct":
        return gaussian.correctness(config)
    if config["part"] in ("bound", "tuned"):
        return gaussian.gap(config)
    name, model = model_of(config["method"], config["num_steps"])
    run = one_protocol.settings(name, model, config["data"], config["steps"], config["seed"])
    effort = one_protocol.QUICK if config["quick"] else one_protocol.FULL
    x = one_protocol.held_out(config["data"], effort.points)
    learner = learn(run)
    assert isinstance(learner, LatentLearner)
    return one_protocol.measure(learner, x, config["seed"], effort)


def draw(findings: Findings) -> Any:
    """The figure."""
    from lflow.papers import langevin_vae_figure

    return langevin_vae_figure.draw(findings)
