"""Langevin autoencoders (Taniguchi et al., arXiv 2209.07036), small and honest.

Law: where the posterior is Gaussian, how far the marginals of amortised Langevin dynamics lie from it, by the
number d of weights for each of n data and by the condition of GGᵀ. Toy: a random decoder, whose posterior a
grid knows. Digits, black and white, by one protocol with several seeds, paired; MNIST, where it is at hand,
as a subset with one seed. It says where the paper's order does not hold.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lflow.draws import Draws
from lflow.models.amortised import WeightChain, condition_number, images, move_weights
from lflow.models.base import Learner
from lflow.models.lae import LAELearner
from lflow.models.latent import LatentLearner
from lflow.papers import lae_laws, lae_toy, one_protocol
from lflow.papers.experiment import Config, Findings, Job
from lflow.papers.lae_findings import LOST, RATIOS, conclude
from lflow.papers.learn import learn

__all__ = ["TITLE", "conclude", "draw", "jobs", "work"]

TITLE = "LAE, Langevin dynamics of an encoder's last layer (Taniguchi et al. 2022)"
DATA = 6  # n of the Gaussian posteriors
STEP = 0.2  # of 1/L, L the largest curvature of V
_DRAWS = 113  # a use of random numbers, beside those of lflow.draws

MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "vae": ("vae", {}),
    "autoencoder": ("lae", {"metropolis": False, "temperature": 0.0}),
    "lae": ("lae", {"metropolis": False}),
    "lae_mh": ("lae", {"metropolis": True}),
    "clae": ("clae", {"noise": "published"}),
    "clae_still": ("clae", {"noise": "off"}),
}
"""Each method's model, and what sets it apart."""
# CLAE descends plainly, at rates that it bears; its decoder has a layer norm, without which weights are lost.
OWN: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "vae": {"digits": {}, "mnist": {}},
    "lae": {
        "digits": {"encoder_norm": True, "step_size": 6e-6},
        "mnist": {"encoder_norm": True, "step_size": 6e-7},
    },
    "clae": {
        "digits": {"encoder_norm": True, "layer_norm": True, "learning_rate": 1e-3},
        "mnist": {"encoder_norm": True, "layer_norm": True, "learning_rate": 1e-4},
    },
}
"""What a model has beside the protocol's settings, for each data set."""
_COST = {"vae": 4.0, "clae": 5.0, "clae_still": 5.0}  # milliseconds a step; 10 for the others


def jobs(quick: bool, seeds: int) -> list[Job]:
    """Every run: laws, toys, digits, and MNIST where it is at hand."""
    few = min(seeds, 2) if quick else seeds
    found = []
    for seed, dim, ratio in itertools.product(range(few), (1, 2), RATIOS):
        found += [_law(dim, ratio, test, quick, seed) for test in (False, True)]
    size = {"steps": 1200, "fit": 200} if quick else {"steps": 3000, "fit": 400}
    found += [Job({"part": "toy", "seed": seed, **size}, size["steps"] * 1.5) for seed in range(few)]
    for seed in range(few):
        shared = {"part": "compare", "data": "digits", "quick": quick, "seed": seed}
        found += [_compared({**shared, "steps": 80 if quick else 2000}, method) for method in MODELS]
    if not quick and one_protocol.is_at_hand("mnist"):
        shared = {"part": "compare", "data": "mnist", "quick": quick, "seed": 0}
        found += [_compared({**shared, "steps": 1500}, method) for method in MODELS]
    return found


def _law(dim: int, ratio: float, test: bool, quick: bool, seed: int) -> Job:
    size = {"steps": 600, "chains": 200} if quick else {"steps": 3000, "chains": 300}
    config = {"part": "law", "dim": dim, "ratio": ratio, "metropolis": test, "seed": seed, **size}
    return Job(config, size["steps"] * (0.6 + 0.01 * dim * ratio * DATA) * (1 + 0.4 * test))


def _compared(config: Config, method: str) -> Job:
    larger = 3 if config["data"] == "mnist" else 1
    measuring = 2000.0 if config["quick"] else 8000.0
    return Job({**config, "method": method}, larger * (measuring + _COST.get(method, 10.0) * config["steps"]))


def work(config: Config) -> Findings:
    """One run."""
    parts = {"law": _of_a_law, "toy": lae_toy.work, "compare": _of_a_model}
    return parts[config["part"]](config)


# --- the law ----------------------------------------------------------------------------------------------


def _case(dim: int, draws: Draws) -> lae_laws.Conjugate:
    """A posterior variance of 0.3 on the line; in the plane the covariance of the toy."""
    noise = torch.tensor([[0.3 / 0.7]]).double() if dim == 1 else lae_toy.SIGMA.double()
    loading = torch.eye(dim, dtype=torch.float64)
    observed = (
        draws.normal((DATA, dim)).double()
        + draws.normal((DATA, dim)).double() @ torch.linalg.cholesky(noise).T
    )
    return lae_laws.conjugate(observed, loading, noise)


def _of_a_law(config: Config) -> Findings:
    """How far the ends of chains from Φ = 0, and as many exact draws, lie from the posterior."""
    draws = Draws(config["seed"], 0, use=_DRAWS)
    dim, width = config["dim"], round(config["ratio"] * DATA)
    case = _case(dim, draws)
    features = draws.normal((DATA, width)).double() / width**0.5
    curvature = (
        torch.linalg.eigvalsh(features @ features.T).max() * torch.linalg.eigvalsh(case.precision).max()
    )
    h = STEP / float(curvature)
    chain = WeightChain(step_size=h, num_steps=config["steps"], metropolis=config["metropolis"])
    start = torch.zeros(config["chains"], dim, width, dtype=torch.float64)
    moved = move_weights(case.potential, features, start, chain, draws)
    exact = case.exact()
    drawn = lae_laws.of_draws(images(features, moved.x))
    sure = exact.mean + _normal(config["chains"], exact, draws)
    floor = lae_laws.of_draws(sure.view(-1, DATA, dim))
    found: Findings = {"error": lae_laws.marginal_error(drawn, exact, dim)}
    found |= {"correlation": lae_laws.largest_correlation(drawn, dim)}
    found |= {"floor": lae_laws.marginal_error(floor, exact, dim)}
    found |= {"floor_correlation": lae_laws.largest_correlation(floor, dim)}
    found |= {"condition": float(condition_number(features)) if config["ratio"] >= 1 else None}
    found |= {"kept": lae_laws.slowest(case, features, h) ** config["steps"]}
    found |= {"acceptance": None if moved.acceptance is None else float(moved.acceptance)}
    laws = {"predicted": config["steps"], "limit": 10**9}
    for name, count in laws.items():
        law = lae_laws.after(case, features, h, count)
        found[name] = None if config["metropolis"] else lae_laws.marginal_error(law, exact, dim)
    return found


def _largest(matrix: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(matrix).max()


def _normal(count: int, law: lae_laws.Law, draws: Draws) -> Tensor:
    normal = draws.normal((count, len(law.mean))).double()
    return normal @ torch.linalg.cholesky(law.covariance).T


# --- the models -------------------------------------------------------------------------------------------


def _of_a_model(config: Config) -> Findings:
    """What the protocol measures; of a Langevin autoencoder also how its chain fares as it learns."""
    name, own = MODELS[config["method"]]
    chosen = {**OWN[name][config["data"]], **own}
    run = one_protocol.settings(name, chosen, config["data"], config["steps"], config["seed"])
    effort = one_protocol.QUICK if config["quick"] else one_protocol.FULL
    x = one_protocol.held_out(config["data"], effort.points)
    trace: list[Findings] = []

    def look(step: int, learner: Learner) -> None:
        if isinstance(learner, LAELearner):
            trace.append({"step": step} | _chain(learner, x, step))

    try:
        learner = learn(run, config["steps"] // 8, look)
    except ArithmeticError:  # weights are lost, which is a finding
        return LOST
    assert isinstance(learner, LatentLearner)
    return one_protocol.measure(learner, x, config["seed"], effort) | {"trace": trace}


def _chain(learner: LAELearner, x: Tensor, step: int) -> Findings:
    """Of a copy, on held-out data that take the place of a batch: accepted proposals, GGᵀ and Φ."""
    batch = x[torch.arange(one_protocol.BATCH) % len(x)]
    copied = copy.deepcopy(learner)
    found = copied.training_step(batch, Draws(0, step, use=_DRAWS)).metrics
    with torch.no_grad():
        condition = condition_number(learner.features(x[: one_protocol.BATCH]))
    accepted = float(found["acceptance"]) if "acceptance" in found else None
    return {"acceptance": accepted, "condition": float(condition), "norm": float(found["weight_norm"])}


def draw(findings: Findings) -> Any:
    """The figure."""
    from lflow.papers import lae_figure

    return lae_figure.draw(findings)
