"""How near are generated data to real ones? Fréchet distance, kernel distance, and a classifier's verdict.

Takes features, whoever made them: rows of (n, dim), or data of any further shape, which are flattened. Knows
nothing of models and of extractors.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lflow.metrics.distances import finite_points, same_dim

_BLOCK = 1024
# Squared distances that are equal agree to _TIE, or, by products of matrices, to _ROUNDING of the largest.
_TIE, _ROUNDING = 1e-12, 1e-12
_AGAIN = 2**14


class Estimate(NamedTuple):
    """A value and its standard error, both 0-dim float64."""

    value: Tensor
    standard_error: Tensor


class NeighbourAccuracy(NamedTuple):
    """The share of points whose nearest neighbour is of their own sample, its standard error, and the shares
    of the two samples apart."""

    value: Tensor
    standard_error: Tensor
    of_a: Tensor
    of_b: Tensor


def frechet(features_a: Tensor, features_b: Tensor) -> Tensor:
    """Fréchet distance between the Gaussians that have the means and covariances of two clouds.

    d² = |μ_a - μ_b|² + tr(C_a + C_b - 2 (C_a C_b)^½), and d² is returned, as those who call it FID do.

    With C = L Lᵀ the last trace is the sum of the singular values of L_aᵀ L_b: no product of covariances is
    formed, and covariances of too few points, which are singular, do no harm. Covariances are unbiased. The
    result is biased upwards, by an amount that falls with the number of points: compare at equal numbers.
    Call it FID only if the features are the Inception network's.

    features: (n, dim) and (m, dim), at least two each. Raises ValueError for fewer, and for what is not
    finite.

    Heusel et al. 2017, NeurIPS (arXiv:1706.08500).

    >>> float(frechet(torch.randn(1000, 2), torch.randn(1000, 2) + 1))   # near 2
    """
    x, y = _pair(features_a, features_b, fewest=2)
    (mean_x, root_x), (mean_y, root_y) = _mean_and_root(x), _mean_and_root(y)
    # The squared Frobenius norm of a root is the trace of its covariance.
    traces = root_x.square().sum() + root_y.square().sum()
    cross = torch.linalg.svdvals(root_x.mT @ root_y).sum()
    return ((mean_x - mean_y).square().sum() + traces - 2 * cross).clamp_min(0)


def kid(a: Tensor, b: Tensor, num_blocks: int = 10, seed: int = 0) -> Estimate:
    """Kernel distance: the unbiased MMD² with the kernel k(x, y) = (x·y/dim + 1)³.

    MMD² = mean over i≠j of k(a_i, a_j) + the same of b - 2 mean k(a_i, b_j). Unbiased at any number of
    points, so it is near zero, and as well below as above, for equal laws.

    Each cloud is dealt at random (`seed`) into `num_blocks` blocks that share no point. Returns the mean over
    the blocks and its standard error, which is honest because they are independent. Raises ValueError where
    a block has fewer than two points, and for what is not finite.

    Bińkowski et al. 2018, ICLR (arXiv:1801.01401).

    >>> value, standard_error = kid(torch.randn(1000, 8), torch.randn(1000, 8))
    """
    if num_blocks < 2:
        raise ValueError(f"a standard error needs at least 2 blocks, not {num_blocks}")
    x, y = _pair(a, b, fewest=2 * num_blocks)
    generator = torch.Generator().manual_seed(seed)
    dealt = [
        points[torch.randperm(len(points), generator=generator)].tensor_split(num_blocks) for points in (x, y)
    ]
    values = torch.stack([_unbiased_mmd2(*blocks) for blocks in zip(*dealt, strict=True)])
    return Estimate(values.mean(), values.std() / num_blocks**0.5)


def nearest_neighbour_accuracy(a: Tensor, b: Tensor, seed: int = 0) -> NeighbourAccuracy:
    """How often the nearest other point of a pooled cloud comes from the same sample: 1-NN, leave-one-out.

    Near 0.5, exactly (n - 1)/(2n - 1), for samples of one law; 1 for samples far apart; below 0.5 where one
    copies the other. Unequal sizes would raise it by themselves, so of the larger sample as many points are
    taken, at random (`seed`), as the smaller has. Among several equally near points each counts in part.
    Look at `of_a` and `of_b` too: where b has collapsed into the middle of a they are 0 and 1, and mean 0.5.

    The standard error is that of random labels on the given points: mutual neighbours agree or disagree
    together, which makes it larger than a coin's by up to √2.

    Raises ValueError for fewer than two points, and for what is not finite.

    Lopez-Paz and Oquab 2017, ICLR (arXiv:1610.06545); Schilling 1986, JASA 81 (the variance).

    >>> found = nearest_neighbour_accuracy(torch.randn(500, 2), torch.randn(500, 2))
    """
    x, y = _pair(a, b, fewest=2)
    n = min(len(x), len(y))
    generator = torch.Generator().manual_seed(seed)
    x, y = (points[torch.randperm(len(points), generator=generator)[:n]] for points in (x, y))
    rows, columns, weights = _nearest(torch.cat([x, y]))
    right = weights * ((rows < n) == (columns < n))
    of_a, of_b = right[rows < n].sum() / n, right[rows >= n].sum() / n
    accuracy = (of_a + of_b) / 2
    # The share is Σ_{i<j} (w_ij + w_ji) [i and j agree] / 2n, and for fair labels the terms are uncorrelated.
    _, pair = (torch.minimum(rows, columns) * (2 * n) + torch.maximum(rows, columns)).unique(
        return_inverse=True
    )
    squares = torch.zeros(int(pair.max()) + 1, dtype=torch.float64).index_add_(0, pair, weights).square()
    share = (2 * n * accuracy + 1) / (2 * n + 2)  # away from 0 and 1, where no error would be left
    error = (share * (1 - share) * squares.sum()).sqrt() / (2 * n)
    return NeighbourAccuracy(accuracy, error, of_a, of_b)


def _pair(a: Tensor, b: Tensor, fewest: int) -> tuple[Tensor, Tensor]:
    x, y = (
        finite_points(points.flatten(1) if points.ndim > 2 else points, name).double()
        for points, name in ((a, "the first sample"), (b, "the second sample"))
    )
    same_dim(x, y)
    if min(len(x), len(y)) < fewest:
        raise ValueError(f"each sample needs at least {fewest} points, and one has {min(len(x), len(y))}")
    return x, y


def _mean_and_root(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean, and L with L Lᵀ the covariance."""
    mean = x.mean(0)
    centred = (x - mean) / (len(x) - 1) ** 0.5
    if len(x) < x.shape[1]:  # fewer columns, and the same product
        return mean, centred.mT
    values, vectors = torch.linalg.eigh(centred.mT @ centred)
    return mean, vectors * values.clamp_min(0).sqrt()


def _unbiased_mmd2(x: Tensor, y: Tensor) -> Tensor:
    def off_diagonal_mean(kernel: Tensor) -> Tensor:
        return (kernel.sum() - kernel.trace()) / (len(kernel) * (len(kernel) - 1))

    within = off_diagonal_mean(_kernel(x, x)) + off_diagonal_mean(_kernel(y, y))
    return within - 2 * _kernel(x, y).mean()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.mT / x.shape[1] + 1) ** 3


def _nearest(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each point and its nearest others: rows, columns, and a weight that sums to one over a row."""
    points = points - points.mean(0)
    # Copies are measured once: a generator that has collapsed makes nothing else.
    places, place, copies = points.unique(dim=0, return_inverse=True, return_counts=True)
    rounding = _ROUNDING * points.square().sum(1).max()
    found = []
    for rows in torch.arange(len(points)).split(_BLOCK):
        squared = torch.cdist(points[rows], places).square_()
        own = torch.where(copies[place[rows]] > 1, 0.0, torch.inf).double()
        squared[torch.arange(len(rows)), place[rows]] = own
        row, there = (squared <= squared.amin(1, keepdim=True) + rounding).nonzero(as_tuple=True)
        # Products of matrices are quick and round; those that may be nearest are measured again.
        parts = zip(row.split(_AGAIN), there.split(_AGAIN), strict=True)
        exact = torch.cat([(points[rows[r]] - places[p]).square().sum(1) for r, p in parts])
        least = torch.full((len(rows),), torch.inf, dtype=exact.dtype).scatter_reduce_(0, row, exact, "amin")
        near = exact <= least[row] * (1 + _TIE)
        found.append(torch.stack([rows[row[near]], there[near]]))
    rows, there = torch.cat(found, 1)
    return _at_places(rows, there, place, copies)


def _at_places(rows: Tensor, places: Tensor, place: Tensor, copies: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The points that are at the places, each other than the row itself, and their equal weights."""
    by_place, first = place.argsort(), copies.cumsum(0) - copies
    number = copies[places]
    within = torch.arange(int(number.sum())) - (number.cumsum(0) - number).repeat_interleave(number)
    columns = by_place[first[places].repeat_interleave(number) + within]
    rows = rows.repeat_interleave(number)
    rows, columns = rows[other := rows != columns], columns[other]
    return rows, columns, 1 / rows.bincount()[rows].double()
