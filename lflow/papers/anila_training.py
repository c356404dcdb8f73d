"""AniLA (Karimi, Xie & Li, arXiv 2310.12667) in training: an energy learned from chains of each variant.

Rings: where the chains end over training, and the learned density on a grid, which shows what a bias of the
chains does to the energy. Digits: the Fréchet distance of where chains end. All methods of a part take as
many gradients an iteration and share network, data, noise, seeds and step size, which is tuned for none: as
the energy grows steep, which of them bear that step is a part of what is found. `lflow.papers.anila` is about
the chains themselves.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lflow import data
from lflow.energies import get as get_energy
from lflow.evaluation.extractor import classifier_features
from lflow.evaluation.grid import against
from lflow.metrics import frechet, sliced_wasserstein2
from lflow.models.base import Learner
from lflow.models.ebm import EBM, EBMLearner
from lflow.papers.anila_training_findings import METHODS, RADII, conclude
from lflow.papers.experiment import Config, Findings, Job
from lflow.papers.learn import WeightsLost, learn

__all__ = ["TITLE", "conclude", "draw", "jobs", "work"]

TITLE = "AniLA / STANLEY in training: energies learned from its chains (Karimi, Xie & Li 2023)"
_SAMPLERS: dict[str, dict[str, Any]] = {
    "ula": {"sampler": "ula"},
    "ula_half": {"sampler": "ula"},
    "paper": {"sampler": "anila", "variant": "paper"},
    # Without the kink of γ, which a finite step makes of ∇γ.
    "corrected": {"sampler": "anila", "variant": "corrected", "smooth": True},
    "mala": {"sampler": "mala"},
}
_STEP_SIZE = {"rings": 0.05, "digits": 1.0}
_LEARNING_RATE = 2e-3
_THRESHOLD = {"rings": 2.0, "digits": 0.1}
_COST = {"corrected": 1.5, "mala": 1.2}
_LOOKS = 5
_GRID = 200  # cells an axis: the sum of a smooth density over them converges faster than any power
_ANGLES = 64


def jobs(quick: bool, seeds: int) -> list[Job]:
    """Every run: of the rings, and of the digits with fewer seeds."""
    found = []

    def add(part: str, method: str, seed: int, steps: int, gradients: int, chains: int) -> None:
        b = _THRESHOLD[part] if _SAMPLERS[method]["sampler"] == "anila" else None
        config = {"part": part, "method": method, "seed": seed, "h": _STEP_SIZE[part], "b": b, "steps": steps}
        gradients = gradients // 2 if method == "ula_half" else gradients
        cost = steps * gradients * _COST.get(method, 1.0) * (2 if part == "digits" else 1)
        found.append(Job(config | {"gradients": gradients, "chains": chains}, cost))

    for seed in range(seeds):
        for method in METHODS["rings"]:
            add("rings", method, seed, *((40, 40, 1000) if quick else (1000, 50, 3000)))
    for seed in range(min(seeds, 2 if quick else 3)):
        for method in METHODS["digits"]:
            add("digits", method, seed, *((40, 30, 500) if quick else (200, 60, 1000)))
    return found


def work(config: Config) -> Findings:
    """One run."""
    return (_digits if config["part"] == "digits" else _rings)(config)


def _train(config: Config, look: Any) -> float:
    """Train, looking five times; 1 if the weights were lost, else 0."""
    chosen = {**_SAMPLERS[config["method"]], "step_size": config["h"], "start": "noise"}
    chosen |= {"threshold": config["b"]} if config["b"] is not None else {}
    chain = EBM(**chosen).chain_sampler().steps_for(config["gradients"])
    run = {
        "model": {"name": "ebm", **chosen, "chain_steps": chain, "learning_rate": _LEARNING_RATE},
        "preset": config["part"],
        "training": {"num_steps": config["steps"], "batch_size": 100, "ema": 0.98},
        "seed": config["seed"],
    }
    try:
        learn(run, max(1, config["steps"] // _LOOKS), look)
    except WeightsLost:
        return 1.0
    return 0.0


def _rings(config: Config) -> Findings:
    """Sliced W2 of chains to the rings, and KL of the rings to the learned density, over training.

    kl_own: KL to e^{-U}·max(1, |∇U|/b), the law of printed AniLA; radial: the learned density of the radius;
    edge: its mass at the edge of the grid. None where a chain was lost.
    """
    rings = get_energy("rings")
    # Seeds far from those of the data to learn from.
    truth, as_many = (
        rings.sample(n, torch.Generator().manual_seed(1_000_000 + k))
        for k, n in enumerate((20_000, config["chains"]))
    )
    found: Findings = {"at": [], "w2": [], "kl": [], "radial": None, "kl_own": None, "edge": None}
    found["floor"] = float(sliced_wasserstein2(as_many, truth))

    def look(step: int, learner: Learner) -> None:
        assert isinstance(learner, EBMLearner)
        ends = learner.synthesize(config["chains"], config["seed"])
        whole = bool(ends.isfinite().all())
        found["at"].append(step)
        found["w2"].append(float(sliced_wasserstein2(ends, truth)) if whole else None)
        grid = against(learner.energy, rings, learner.settings.temperature, size=_GRID) if whole else None
        found["kl"].append(float(grid.kl) if grid else None)
        if grid is not None and step == config["steps"]:
            found["edge"] = float(grid.edge)
            found["radial"] = _radial(learner, float(grid.log_z))
            if config["method"] == "paper":
                found["kl_own"] = float(against(_own_law(learner), rings, size=_GRID).kl)

    lost = _train(config, look)
    return {**found, "lost": lost}


def _radial(learner: EBMLearner, log_z: float) -> list[float]:
    """The learned density of the radius at RADII, in closed form but for a sum over angles."""
    radius = torch.tensor(RADII, dtype=torch.float64)[:, None]
    angle = 2 * math.pi * torch.arange(_ANGLES, dtype=torch.float64) / _ANGLES
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], 2).reshape(-1, 2)
    with torch.no_grad():
        energy = learner.energy(points.float()).double().reshape(-1, _ANGLES)
    density = torch.exp(-energy / learner.settings.temperature - log_z).mean(1)
    found: list[float] = (2 * math.pi * radius[:, 0] * density).tolist()
    return found


def _own_law(learner: EBMLearner) -> Any:
    """-log of the law of printed AniLA's chains on the learned energy: U - log max(1, |∇U|/b), at T = 1."""

    def energy(x: Tensor) -> Tensor:
        with torch.enable_grad():
            point = x.detach().requires_grad_(True)
            value = learner.energy(point)
            slope = torch.autograd.grad(value.sum(), point)[0]
        return (value - (slope.norm(dim=1) / learner.settings.threshold).clamp_min(1).log()).detach()

    return energy


def _digits(config: Config) -> Findings:
    """Fréchet distance of where chains end to held-out digits, in the features of a classifier."""
    extractor = classifier_features("digits", device="cpu")
    test = extractor.features(data.load("digits", "test").x)
    training = data.load("digits", "train", limit=config["chains"]).x
    found: Findings = {"at": [], "frechet": [], "floor": float(frechet(extractor.features(training), test))}

    def look(step: int, learner: Learner) -> None:
        ends = learner.synthesize(config["chains"], config["seed"]).clamp(-1, 1)
        whole = bool(ends.isfinite().all())
        found["at"].append(step)
        found["frechet"].append(float(frechet(extractor.features(ends), test)) if whole else None)

    lost = _train(config, look)
    return {**found, "lost": lost}


def draw(findings: Findings) -> Any:
    """The figure."""
    from lflow.papers import anila_training_figure

    return anila_training_figure.draw(findings)
