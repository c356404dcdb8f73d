"""LFLOW (Xie et al., arXiv 2301.09300), small and honest: one generator and chain, only the prior changes.

Compare: how well inferred z match the prior, log p(x) of held-out images by annealed importance sampling,
and reconstruction, for N(0, I), a flow and an energy prior. Anomaly: one digit is left out of training, and
scores rank it among all; beside them two plain scores without a model. Digits with several seeds, paired;
MNIST, where it is at hand, as a subset with one seed. It says where the expected does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lflow import data
from lflow.draws import Draws
from lflow.evaluation.annealed import Annealing, bounds, log_likelihood
from lflow.metrics import auprc, knn_score, nearest_neighbour_accuracy, pca_score
from lflow.models.latent_flow import LatentFlowLearner
from lflow.papers import one_protocol
from lflow.papers.experiment import Config, Findings, Job
from lflow.papers.latent_flow_findings import PLAIN, PRIORS, conclude
from lflow.papers.learn import learn
from lflow.training.batches import Batches
from lflow.training.config import make_config

__all__ = ["TITLE", "conclude", "draw", "jobs", "work"]

TITLE = "LFLOW, a flow prior and short-run inference (Xie, Zhu, Xu, Li & Li 2023)"
LONGER = (1, 2, 5, 20)  # chains for inference, as multiples of the chain of training
NEIGHBOURS = 5
COST = {"gaussian": 1.0, "flow": 6.0, "ebm": 6.0}  # of a step of training
MNIST_IMAGES, MNIST_DIGITS = 10_000, (1, 4, 9)
_EVALUATION = 110  # a use of random numbers, beside those of lflow.draws


def jobs(quick: bool, seeds: int) -> list[Job]:
    """Every run: comparisons, anomalies and their plain scores; on MNIST too where it is at hand."""
    digits: Config = {"data": "digits", "latent_dim": 8, "rate": 0.01}
    steps, fewer, few = (40, 30, 2) if quick else (400, 200, seeds)
    tested = {"temperatures": 10, "points": 30} if quick else {"temperatures": 200, "points": 100}
    found = []
    for seed in range(seeds):
        found += _comparisons(digits | {"seed": seed, "steps": steps} | tested, PRIORS)
        plane = digits | {"latent_dim": 2, "seed": seed, "steps": steps}
        if seed < few:
            found += _comparisons(plane | tested, ("gaussian", "flow"))
    for seed in range(few):
        for digit in MNIST_DIGITS if quick else range(10):
            left_out = digits | {"seed": seed, "steps": fewer, "held_out": digit}
            # The chains of an energy prior make it the dearest: it is ranked with two seeds.
            found += _rankings(left_out, PRIORS if seed < 2 and not quick else PRIORS[:2])
    if quick or not one_protocol.is_at_hand("mnist"):
        return found
    mnist: Config = {"data": "mnist", "latent_dim": 20, "rate": 0.003, "seed": 0}
    found += _comparisons(mnist | {"steps": 600} | tested, PRIORS)
    for digit in MNIST_DIGITS:
        found += _rankings(mnist | {"steps": 300, "held_out": digit}, PRIORS)
    return found


def _comparisons(config: Config, priors: Sequence[str]) -> list[Job]:
    return [_job({"part": "compare", "method": prior, **config}) for prior in priors]


def _rankings(config: Config, priors: Sequence[str]) -> list[Job]:
    """Of one digit; plain scores are the same for every seed."""
    methods = (*PLAIN, *priors) if config["seed"] == 0 else priors
    return [_job({"part": "anomaly", "method": method, "temperatures": 50, **config}) for method in methods]


def _job(config: Config) -> Job:
    weight = COST.get(config["method"], 0.0) * (5 if config["data"] == "mnist" else 1)
    return Job(config, 100 + weight * config["steps"])


def work(config: Config) -> Findings:
    """One run."""
    if config["method"] in PLAIN:
        return _plain(config)
    learner = learn(_settings(config))
    assert isinstance(learner, LatentFlowLearner)
    return (_compared if config["part"] == "compare" else _ranked)(config, learner)


def _settings(config: Config) -> dict[str, Any]:
    """The run that the configuration means, after the preset for its data and prior."""
    source, method = config["data"], config["method"]
    # An energy prior learns a fifth as fast, as its authors have it.
    slower = 5 if method == "ebm" else 1
    rates = {"learning_rate": config["rate"], "prior_learning_rate": config["rate"] / slower}
    chosen = {"source": source, "held_out": config.get("held_out", -1)}
    return {
        "model": {"name": "latent_flow", "latent_dim": config["latent_dim"]} | rates,
        "preset": source if method in ("flow", *PLAIN) else f"{source}_{method}",
        "data": chosen | ({"limit": MNIST_IMAGES} if source == "mnist" else {}),
        "training": {"num_steps": config["steps"]},
        "seed": config["seed"],
    }


def _held_out(config: Config) -> data.Data:
    """The images of the test split: all digits, a thousand of MNIST."""
    return data.load(config["data"], "test", limit=1000)


def _compared(config: Config, learner: LatentFlowLearner) -> Findings:
    """How near the prior is to inferred z, and the model to held-out images; the plane's own points too."""
    x, labels = _held_out(config)
    draws = Draws(config["seed"], 0, use=_EVALUATION)
    with torch.no_grad():
        prior = learner.prior.sample(len(x), draws)
        chains = [(k * learner.settings.num_steps) for k in LONGER]
        inferred = [learner.infer(x, draws, count) for count in chains]
    path = Annealing(num_temperatures=config["temperatures"])
    found = log_likelihood(learner, x[: config["points"]], path, config["seed"])
    enclosed = (
        bounds(learner, config["points"], path, seed=config["seed"]) if learner.prior.normalised else None
    )
    validated = learner.validate(x, draws)
    points = {"inferred": inferred[0], "prior": prior, "labels": labels}
    return {
        "nearest": float(nearest_neighbour_accuracy(inferred[0], prior).value),
        "classifier": _classifier_accuracy(inferred[0], prior, config["seed"]),
        "log_likelihood": float(found.log_mean.mean()),
        "stated_error": float(found.standard_error.square().sum().sqrt() / len(found.log_mean))
        + found.shared_error,
        "gap": float((enclosed.upper - enclosed.lower).mean()) if enclosed else None,
        "effective": float(found.effective_sample_size.mean()),
        "sliced_w2": float(validated["sliced_w2"]),
        "acceptance": float(validated["acceptance"]),
        "squared_error": [_error(learner, x, z) for z in inferred],
        "log_joint": [float(learner.log_joint(x, z).detach().mean()) for z in inferred],
        "points": _rounded(points) if config["latent_dim"] == 2 else None,
    }


def _error(learner: LatentFlowLearner, x: Tensor, z: Tensor) -> float:
    """Mean squared error of a pixel."""
    with torch.no_grad():
        return float((x - learner.decoder.mean(z)).square().mean())


def _rounded(points: dict[str, Tensor]) -> dict[str, Any]:
    return {name: values.mul(1000).round().div(1000).tolist() for name, values in points.items()}


def _classifier_accuracy(a: Tensor, b: Tensor, seed: int) -> float:
    """How well a support-vector machine with a Gaussian kernel tells a from b: five folds, its defaults."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    x, y = torch.cat([a, b]).numpy(), np.repeat([0, 1], [len(a), len(b)])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return float(cross_val_score(SVC(), x, y, cv=folds).mean())


def _ranked(config: Config, learner: LatentFlowLearner) -> Findings:
    """Average precision of each score for the digit that was left out."""
    x, labels = _held_out(config)
    draws = Draws(config["seed"], 0, use=_EVALUATION)
    z = learner.infer(x, draws)
    path = Annealing(num_temperatures=config["temperatures"], num_chains=4, sampler="mala")
    with torch.no_grad():
        scores = {
            "joint": -learner.log_joint(x, z),
            "likelihood": -log_likelihood(learner, x, path, config["seed"]).log_mean,
            "error": (x - learner.decoder.mean(z)).square().flatten(1).sum(1),
        }
    return _precisions(scores, labels == config["held_out"])


def _plain(config: Config) -> Findings:
    """The same of a score without a model, from the data that the models were trained on."""
    x, labels = _held_out(config)
    known = Batches(make_config(_settings(config)), torch.device("cpu")).training()
    if config["method"] == "pca":
        score = pca_score(known, x, config["latent_dim"])
    else:
        score = knn_score(known, x, NEIGHBOURS)
    return _precisions({"distance": score}, labels == config["held_out"])


def _precisions(scores: dict[str, Tensor], anomalies: Tensor) -> Findings:
    ranked = {name: auprc(score, anomalies) for name, score in scores.items()}
    rates = {ranking.base_rate for ranking in ranked.values()}
    return {"base_rate": rates.pop()} | {name: ranking.value for name, ranking in ranked.items()}


def draw(findings: Findings) -> Any:
    """The figure."""
    from lflow.papers import latent_flow_figure

    return latent_flow_figure.draw(findings)
