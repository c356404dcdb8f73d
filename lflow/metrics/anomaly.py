"""Finding anomalies: how well a score ranks them, and the two plain scores that any other has to beat.

A score is higher the less a datum is like the training data. Knows nothing of models.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lflow.metrics.distances import finite_points, same_dim

_BLOCK = 1024


class Ranking(NamedTuple):
    """How well a score ranks, and what a score of random numbers would be expected to reach."""

    value: float
    base_rate: float


def auprc(scores: Tensor, is_anomaly: Tensor) -> Ranking:
    """Area under precision and recall (average precision); its base rate is the share of anomalies.

    scores: (n,), higher for what is less usual; is_anomaly: (n,), bool. Raises ValueError where all or none
    are anomalies, and for scores that are not finite.

    >>> auprc(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([False, False, True]))
    Ranking(value=1.0, base_rate=0.3333333333333333)
    """
    from sklearn.metrics import average_precision_score

    values, truth = _checked(scores, is_anomaly)
    value = average_precision_score(truth.numpy(), values.numpy())
    return Ranking(float(value), float(truth.double().mean()))


def auroc(scores: Tensor, is_anomaly: Tensor) -> Ranking:
    """The chance that an anomaly scores higher than another datum, ties counting half; its base rate is ½.

    Arguments and errors as of `auprc`.
    """
    from sklearn.metrics import roc_auc_score

    values, truth = _checked(scores, is_anomaly)
    return Ranking(float(roc_auc_score(truth.numpy(), values.numpy())), 0.5)


def pca_score(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    """Squared distance of each x to the plane of the training data's first principal components, (n,).

    train, x: (m, *shape) and (n, *shape). Raises ValueError for a number of components that is not between 1
    and the least of m and the dimension, and for what is not finite.
    """
    known, points = _flat(train, "train"), _flat(x, "x")
    same_dim(known, points)
    if not 1 <= num_components <= min(known.shape):
        raise ValueError(f"num_components must be between 1 and {min(known.shape)}, got {num_components}")
    mean = known.mean(0)
    axes = torch.linalg.svd(known - mean, full_matrices=False).Vh[:num_components]
    centred = points - mean
    return (centred - centred @ axes.mT @ axes).square().sum(1)


def knn_score(train: Tensor, x: Tensor, k: int) -> Tensor:
    """Distance of each x to the k-th nearest of the training data, (n,).

    train, x: (m, *shape) and (n, *shape); a datum that is itself among the training data is its own first.
    Raises ValueError for a k that is not between 1 and m, and for what is not finite.
    """
    known, points = _flat(train, "train"), _flat(x, "x")
    same_dim(known, points)
    if not 1 <= k <= len(known):
        raise ValueError(f"k must be between 1 and {len(known)}, got {k}")
    return torch.cat([torch.cdist(block, known).kthvalue(k, 1).values for block in points.split(_BLOCK)])


def _flat(x: Tensor, name: str) -> Tensor:
    return finite_points(x.flatten(1) if x.ndim > 2 else x, name).double()


def _checked(scores: Tensor, is_anomaly: Tensor) -> tuple[Tensor, Tensor]:
    values, truth = finite_points(scores, "scores")[:, 0].double(), torch.as_tensor(is_anomaly).cpu().bool()
    if truth.shape != values.shape:
        raise ValueError(f"there are {len(values)} scores, and labels of shape {tuple(truth.shape)}")
    if not 0 < int(truth.sum()) < len(truth):
        raise ValueError("a ranking needs both anomalies and what is none")
    return values, truth
