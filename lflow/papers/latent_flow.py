"""LFLOW (Xie et al., arXiv 2301.09300), small and honest: the same generator and chain, only the prior changes.

Compare: how well inferred z match the prior, log p(x) of held-out images by annealed importance sampling, and
reconstruction, for N(0, I), a flow and an energy prior. Anomaly: one digit is left out of training, and scores
rank it among all; beside them two plain scores without a model. Digits with several seeds, paired; MNIST, where
it is at hand, as a subset with one seed. It says where the expected does not show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lflow import data
from lflow.draws import Draws
from lflow.evaluation.annealed import Annealing, log_likelihood
from lflow.metrics import auprc, knn_score, nearest_neighbour_accuracy, pca_score
from lflow.models.latent_flow import LatentFlowLearner
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
    """Every run: of the comparison, of the anomalies and their plain scores, and on MNIST where it is there."""
    found: list[Job] = []

    def add(part: str, method: str, seed: int, steps: int, **rest: Any) -> None:
        config = {"part": part, "data": "digits", "latent_dim": 8, "method": method, "seed": seed, "steps": steps}
        cost = steps * COST.get(method, 0.0) * (5 if rest.get("data") == "mnist" else 1)
        found.append(Job(config | rest, cost + 100))

    steps, fewer, digits = (60, 40, MNIST_DIGITS) if quick else (500, 250, tuple(range(10)))
    paths = {"temperatures": 60 if quick else 200, "points": 100}
    for seed in range(seeds):
        for prior in PRIORS:
            add("compare", prior, seed, steps, **paths)
        for prior in ("gaussian", "flow"):
            add("compare", prior, seed, steps, latent_dim=2, **paths)
    for digit in digits:
        for method in PLAIN:
            add("anomaly", method, 0, 0, held_out=digit)
    for seed in range(min(seeds, 2) if quick else seeds):
        for digit in digits:
            for prior in PRIORS[:2] if quick else PRIORS:
                add("anomaly", prior, seed, fewer, held_out=digit, temperatures=50)
    if not quick and _is_at_hand("mnist"):
        mnist = {"data": "mnist", "latent_dim": 20}
        for prior in PRIORS:
            add("compare", prior, 0, 1000, **mnist, **paths)
        for digit in MNIST_DIGITS:
            for method in PLAIN:
                add("anomaly", method, 0, 0, held_out=digit, **mnist)
            for prior in PRIORS:
                add("anomaly", prior, 0, 400, held_out=digit, temperatures=50, **mnist)
    return found


def _is_at_hand(name: str) -> bool:
    try:
        data.open(name, "test")
    except OSError:  # neither here nor to be had
        return False
    return True


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
    chosen = {"source": source, "held_out": config.get("held_out", -1)}
    return {
        "model": {"name": "latent_flow", "latent_dim": config["latent_dim"]},
        "preset": source if method in ("flow", *PLAIN) else f"{source}_{method}",
        "data": chosen | ({"limit": MNIST_IMAGES} if source == "mnist" else {}),
        "training": {"num_steps": max(1, config["steps"])},
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
    validated = learner.validate(x, draws)
    points = {"inferred": inferred[0], "prior": prior, "labels": labels}
    return {
        "nearest": float(nearest_neighbour_accuracy(inferred[0], prior).value),
        "classifier": _classifier_accuracy(inferred[0], prior, config["seed"]),
        "log_likelihood": float(found.log_mean.mean()),
        "stated_error": float(found.standard_error.square().sum().sqrt() / len(found.log_mean)) + found.shared_error,
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
        return float((x - learner.generator(z)).square().mean())


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
    path = Annealing(num_temperatures=config["temperatures"], num_chains=4)
    with torch.no_grad():
        scores = {
            "joint": -learner.log_joint(x, z),
            "likelihood": -log_likelihood(learner, x, path, config["seed"]).log_mean,
            "error": (x - learner.generator(z)).square().flatten(1).sum(1),
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
