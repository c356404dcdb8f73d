"""How well a model tells data of a label that it never saw from those that it learned.

Its own anomaly score beside two that take no training: the distance to the plane of the first principal
components, and to the fifth nearest neighbour. Knows nothing of how a score is made.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lflow.data import DataSet
from lflow.evaluation.subject import Score, Subject
from lflow.evaluation.synthesis import parts
from lflow.metrics import auprc, auroc, knn_score, pca_score

_COMPONENTS, _NEIGHBOURS, _RESAMPLES = 20, 5, 100


def ranked(subject: Subject) -> list[Score]:
    """AUPRC and AUROC, where the run held a label out and the model has an anomaly score."""
    if not hasattr(subject.learner, "anomaly_score") or subject.choice.held_out < 0:
        return []
    return areas(subject, subject.test, own_scores(subject, subject.test).cpu().double())


def own_scores(subject: Subject, x: DataSet | Tensor) -> Tensor:
    """The model's own anomaly scores of n data points, (n,), in parts that fit into memory."""
    learner: Any = subject.learner
    rows = parts(
        len(x), learner.rows_at_once, subject.seed, lambda done, of: subject.tell("anomaly scores", done, of)
    )
    found = []
    for part, seed in rows:
        each = x[part] if isinstance(x, Tensor) else x.batch(part, subject.device)
        with torch.no_grad():
            found.append(learner.anomaly_score(each, seed=seed))
    return torch.cat(found)


def areas(subject: Subject, found: DataSet, own: Tensor) -> list[Score]:
    """AUPRC and AUROC of scores, (n,) on the CPU, that n test data points have; none where they are not of
    both kinds."""
    truth = found.labels == subject.choice.held_out
    if not 0 < int(truth.sum()) < len(truth):
        return []
    x, known = found.all().x, subject.training.all().x
    components = min(_COMPONENTS, *known.flatten(1).shape)
    rivals = {"PCA": pca_score(known, x, components), "k-NN": knn_score(known, x, _NEIGHBOURS)}
    about = f"{int(truth.sum()):,} of {len(truth):,} test data points are of the label that was held out"
    scores = []
    for name, area in (("AUPRC", auprc), ("AUROC", auroc)):
        value = area(own, truth)
        beside = {"base rate": value.base_rate} | {k: area(each, truth).value for k, each in rivals.items()}
        error = _error(lambda rows, area=area: area(own[rows], truth[rows]).value, truth, subject.seed)
        scores.append(Score(name, value.value, error, "", beside, about))
    return scores


def _error(value: object, truth: Tensor, seed: int) -> float:
    """The standard deviation over resampled test data, as many of both kinds each time."""
    generator = torch.Generator().manual_seed(seed)
    kinds = [torch.nonzero(truth)[:, 0], torch.nonzero(~truth)[:, 0]]

    def again(rows: Tensor) -> Tensor:
        return rows[torch.randint(len(rows), (len(rows),), generator=generator)]

    assert callable(value)
    resampled = [value(torch.cat([again(rows) for rows in kinds])) for _ in range(_RESAMPLES)]
    return float(torch.tensor(resampled).std())
