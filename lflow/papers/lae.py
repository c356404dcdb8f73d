"""Langevin autoencoders (Taniguchi et al., arXiv 2209.07036), small and honest.

Law: where the posterior is Gaussian, how far the marginals of amortised Langevin dynamics lie from it, by the
number d of weights for each of n data and by the condition of GGᵀ. Toy: a random decoder, whose posterior a
grid knows. Digits, black and white, beside VAE, IWAE, HVAE and Langevin-VAE by one protocol with several
seeds, paired; MNIST, where it is at hand, as a subset with one seed. It says where the order that the paper
claims does not hold.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from torch import Tensor

from lflow.draws import Draws
from lflow.models.amortised import WeightChain, condition_number, images, move_weights
from lflow.models.lae import LAELearner
from lflow.models.latent import LatentLearner
from lflow.papers import lae_laws, lae_toy, one_protocol
from lflow.papers.experiment import Config, Findings, Job
from lflow.papers.lae_findings import METHODS, RATIOS, conclude

__all__ = ["TITLE", "conclude", "draw", "jobs", "work"]

TITLE = "LAE, Langevin dynamics of an encoder's last layer (Taniguchi et al. 2022)"
DATA = 6  # n of the Gaussian posteriors
STEP = 0.2  # of 1/L, L the largest curvature of V
BESIDE = 5  # K of the chains that it stands beside
_DRAWS = 113  # a use of random numbers, beside those of lflow.draws


def jobs(quick: bool, seeds: int) -> list[Job]:
    """Every run: laws, toys, digits, and MNIST where it is at hand."""
    few = min(seeds, 2) if quick else seeds
    found = []
    for seed, dim, ratio in itertools.product(range(few), (1, 2), RATIOS):
        found += [_law(dim, ratio, test, quick, seed) for test in (False, True)]
    size = {"steps": 1200, "fit": 200} if quick else {"steps": 3000, "fit": 400}
    found += [Job({"part": "toy", "seed": seed, **size}, size["steps"] * 1.5) for seed in range(few)]
    found.append(one_protocol.plain("digits", quick))
    for seed in range(few):
        found += one_protocol.compared("digits", quick, seed, METHODS, (BESIDE,))
    if not quick and one_protocol.is_at_hand("mnist"):
        found += [
            *one_protocol.compared("mnist", quick, 0, METHODS, (BESIDE,)),
            one_protocol.plain("mnist", quick),
        ]
    return found


def _law(dim: int, ratio: float, test: bool, quick: bool, seed: int) -> Job:
    size = {"steps": 600, "chains": 200} if quick else {"steps": 3000, "chains": 300}
    config = {"part": "law", "dim": dim, "ratio": ratio, "metropolis": test, "seed": seed, **size}
    return Job(config, size["steps"] * (0.6 + 0.01 * dim * ratio * DATA) * (1 + 0.4 * test))


def work(config: Config) -> Findings:
    """One run."""
    if one_protocol.is_one(config):
        return one_protocol.work(config, _chain)
    return (_of_a_law if config["part"] == "law" else lae_toy.work)(config)


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
    found |= {"floor": lae_laws.marginal_error(floor, exact, dim)}
    found |= {"condition": float(condition_number(features)) if config["ratio"] >= 1 else None}
    found |= {"kept": lae_laws.slowest(case, features, h) ** config["steps"]}
    found |= {"acceptance": None if moved.acceptance is None else float(moved.acceptance)}
    laws = {"predicted": config["steps"], "limit": 10**9}
    for name, count in laws.items():
        law = lae_laws.after(case, features, h, count)
        found[name] = None if config["metropolis"] else lae_laws.marginal_error(law, exact, dim)
    return found


def _normal(count: int, law: lae_laws.Law, draws: Draws) -> Tensor:
    normal = draws.normal((count, len(law.mean))).double()
    return normal @ torch.linalg.cholesky(law.covariance).T


# --- the chain --------------------------------------------------------------------------------------------


def _chain(learner: LatentLearner, x: Tensor) -> Findings:
    """Of a copy, a batch of data that it has not seen: accepted proposals, GGᵀ, and how far its slowest
    direction gets; nothing of what is no Langevin autoencoder.

    moved: 1 - (1 - hλ)^T, the share of the way to its place that a direction with the least eigenvalue λ of
    GGᵀ goes in the T steps for a batch, where U has a curvature of one, as the prior alone gives it.
    """
    if not isinstance(learner, LAELearner):
        return {}
    batch = x[: one_protocol.BATCH]
    found = copy.deepcopy(learner).training_step(batch, Draws(0, 0, use=_DRAWS)).metrics
    with torch.no_grad():
        features = learner.features(batch)
        least = torch.linalg.eigvalsh(features.double() @ features.double().T)[0].clamp_min(0.0)
    chain = learner.settings.chain()
    return {
        "acceptance": float(found["acceptance"]) if "acceptance" in found else None,
        "condition": float(condition_number(features)),
        "ratio": features.shape[1] / len(features),
        "moved": float(1 - (1 - chain.step_size * least) ** chain.num_steps),
    }


def draw(findings: Findings) -> Any:
    """The figure."""
    from lflow.papers import lae_figure

    return lae_figure.draw(findings)
