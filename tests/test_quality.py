"""Fréchet and kernel distance, 1-NN accuracy and anomaly scores against closed forms and other packages.

Where a check is statistical it is seeded and names its error. Beside each stands a wrong variant.
"""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import ortho_group
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from lflow import metrics
from tests.statistics import LIMIT, one_thread, z_of_mean  # noqa: F401


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(mean: torch.Tensor, covariance: torch.Tensor, n: int, seed: int = 0) -> torch.Tensor:
    """n points whose own mean and covariance are exactly those."""
    x = normal(n, len(mean), seed=seed)
    x = x - x.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(x.mT @ x / (n - 1)), x.mT, upper=False).mT
    return white @ torch.linalg.cholesky(covariance).mT + mean


def test_frechet_of_commuting_covariances() -> None:
    axes = torch.from_numpy(ortho_group.rvs(6, random_state=0))
    a, b = torch.linspace(0.1, 4, 6, dtype=torch.float64), torch.logspace(-4, 1, 6, dtype=torch.float64)
    shift = normal(6)
    x = with_moments(torch.zeros(6, dtype=torch.float64), axes * a @ axes.mT, 50)
    y = with_moments(shift, axes * b @ axes.mT, 80, seed=1)
    expected = shift.square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    assert metrics.frechet(x, y) == pytest.approx(float(expected), rel=1e-9)
    assert metrics.frechet(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_is_that_of_scipys_square_root() -> None:
    x, y = normal(60, 7) @ normal(7, 7, seed=1), normal(90, 7, seed=2) @ normal(7, 7, seed=3) + 1
    a, b = np.cov(x.numpy().T), np.cov(y.numpy().T)
    gap = (x.mean(0) - y.mean(0)).square().sum()
    expected = float(gap) + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert metrics.frechet(x, y) == pytest.approx(expected, rel=1e-8)
    assert metrics.frechet(y, x) == pytest.approx(expected, rel=1e-8)
    wrong = float(gap) + np.trace(a + b - 2 * sqrtm(a).real @ sqrtm(b).real)  # right where they commute
    assert wrong > 1.05 * expected


def test_frechet_of_fewer_points_than_dimensions() -> None:
    # Points of five dimensions, turned into sixty, are as far apart as before.
    x, y = normal(40, 5), 2 * normal(30, 5, seed=1) + 1
    turn = torch.from_numpy(ortho_group.rvs(60, random_state=1)[:5])
    assert metrics.frechet(x @ turn, y @ turn) == pytest.approx(float(metrics.frechet(x, y)), rel=1e-9)


def test_frechet_takes_images_and_refuses_one_point() -> None:
    x, y = normal(20, 1, 2, 2), normal(20, 1, 2, 2, seed=1)
    assert metrics.frechet(x, y) == metrics.frechet(x.flatten(1), y.flatten(1))
    with pytest.raises(ValueError, match="at least 2 points, and one has 1"):
        metrics.frechet(x[:1], y)
    with pytest.raises(ValueError, match="1 of 20 points in the second sample are not finite"):
        metrics.frechet(x, torch.where(torch.arange(20)[:, None, None, None] == 3, torch.nan, y))


def mmd2_by_loops(x: torch.Tensor, y: torch.Tensor) -> float:
    def mean(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
        return math.fsum(float((u @ v / len(u) + 1) ** 3) for u, v in pairs) / len(pairs)

    within = [[(u, v) for i, u in enumerate(z) for j, v in enumerate(z) if i != j] for z in (x, y)]
    return mean(within[0]) + mean(within[1]) - 2 * mean([(u, v) for u in x for v in y])


def test_kid_is_the_mean_over_blocks() -> None:
    x, y = normal(23, 3), normal(17, 3, seed=1)
    found = metrics.kid(x, y, num_blocks=2, seed=4)
    generator = torch.Generator().manual_seed(4)
    blocks = [z[torch.randperm(len(z), generator=generator)].tensor_split(2) for z in (x, y)]
    values = [mmd2_by_loops(*pair) for pair in zip(*blocks, strict=True)]
    assert found.value == pytest.approx(np.mean(values), rel=1e-10)
    assert found.standard_error == pytest.approx(abs(values[0] - values[1]) / 2, rel=1e-10)


def test_kid_is_unbiased_and_knows_its_error() -> None:
    # 60 pairs of equal samples: the mean within LIMIT errors of zero, the spread 1 within 4/√120.
    found = [metrics.kid(normal(120, 4, seed=2 * k), normal(120, 4, seed=2 * k + 1)) for k in range(60)]
    values = torch.stack([each.value for each in found])
    assert abs(z_of_mean(values, 0.0)) < LIMIT
    errors = torch.stack([each.standard_error for each in found])
    assert values.std() / errors.square().mean().sqrt() == pytest.approx(1, abs=0.37)
    with_diagonal = values + 2 * (2**3 - 1) / 12  # what counting each point with itself would add, about
    assert z_of_mean(with_diagonal, 0.0) > 3 * LIMIT
    apart = metrics.kid(normal(120, 4), normal(120, 4, seed=1) + 1)
    assert apart.value > 4 * apart.standard_error


def test_kid_refuses_too_few() -> None:
    with pytest.raises(ValueError, match="at least 20 points, and one has 19"):
        metrics.kid(normal(19, 2), normal(100, 2))
    with pytest.raises(ValueError, match="at least 2 blocks"):
        metrics.kid(normal(19, 2), normal(100, 2), num_blocks=1)


def test_nearest_neighbours_are_scikit_learns() -> None:
    x, y = normal(70, 3), normal(70, 3, seed=1) + 0.7
    pooled, labels = torch.cat([x, y]).numpy(), np.repeat([0, 1], 70)
    right = 0
    for row in range(140):
        others = np.arange(140) != row
        classifier = KNeighborsClassifier(1).fit(pooled[others], labels[others])
        right += classifier.predict(pooled[row : row + 1])[0] == labels[row]
    assert metrics.nearest_neighbour_accuracy(x, y).value == pytest.approx(right / 140, abs=1e-12)


def test_nearest_neighbours_of_equal_laws() -> None:
    # 150 pairs of samples of 40: the mean within LIMIT errors of 39/79, the standard error within 15 %
    # (spread of a standard deviation of 150: 6 %). A coin's error, √(p(1-p)/80), lies further off.
    found = [
        metrics.nearest_neighbour_accuracy(normal(40, 2, seed=2 * k), normal(40, 2, seed=2 * k + 1))
        for k in range(150)
    ]
    values = torch.stack([each.value for each in found])
    assert abs(z_of_mean(values, 39 / 79)) < LIMIT
    errors = torch.stack([each.standard_error for each in found]).square().mean().sqrt()
    assert values.std() == pytest.approx(float(errors), rel=0.15)
    assert values.std() > 1.15 * math.sqrt(0.25 / 80)


def test_nearest_neighbours_of_unequal_sizes() -> None:
    x, y = normal(1000, 2), normal(100, 2, seed=1)
    accuracy, error, *_ = metrics.nearest_neighbour_accuracy(x, y)
    assert abs(accuracy - 99 / 199) < 3.5 * error
    pooled, labels = torch.cat([x, y]).numpy(), np.repeat([0, 1], [1000, 100])
    nearest = NearestNeighbors(n_neighbors=2).fit(pooled).kneighbors(pooled)[1][:, 1]
    assert (labels[nearest] == labels).mean() > 0.5 + 6 * float(error)


def test_ties_count_in_part() -> None:
    x = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    y = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    # (0,0): its nearest is (1,0), wrong. (2,0): the same. (1,0): three at distance 1, one of its own.
    # (1,1): (1,0), right.
    assert metrics.nearest_neighbour_accuracy(x, y).value == pytest.approx((0 + 0 + 1 / 3 + 1) / 4)
    grid = torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0)) / 10
    labels = torch.arange(64).remainder(2) == (torch.arange(64) // 8).remainder(2)  # a chessboard
    assert metrics.nearest_neighbour_accuracy(grid[labels], grid[~labels]).value == 0
    equal = torch.zeros(30, 2)
    assert metrics.nearest_neighbour_accuracy(equal, equal).value == pytest.approx(29 / 59)


def test_copies_are_below_a_half_and_strangers_above() -> None:
    x = normal(50, 200)
    for other, expected in ((x.clone(), (0, 0, 0)), (x + 100, (1, 1, 1)), (0 * x, (0.5, 0, 1))):
        accuracy, error, *apart = metrics.nearest_neighbour_accuracy(x, other)
        assert (accuracy, *apart) == pytest.approx(expected)
        assert error > 0


def test_rankings_are_counts_of_pairs() -> None:
    scores = torch.tensor([3.0, 1.0, 2.0, 2.0, 0.0])
    anomalies = torch.tensor([True, False, True, False, False])
    # Of six pairs the anomaly is higher in five, and one is a tie.
    assert metrics.auroc(scores, anomalies) == pytest.approx((5.5 / 6, 0.5))
    # From the top: precision 1 at recall ½; two at once at 2: precision ⅔ at recall 1.
    assert metrics.auprc(scores, anomalies) == pytest.approx((0.5 * 1 + 0.5 * 2 / 3, 0.4))
    with pytest.raises(ValueError, match="both anomalies and what is none"):
        metrics.auroc(scores, torch.ones(5, dtype=torch.bool))
    with pytest.raises(ValueError, match="5 scores, and labels of shape"):
        metrics.auprc(scores, anomalies[:4])
    with pytest.raises(ValueError, match="1 of 5 points in scores are not finite"):
        metrics.auprc(scores / scores, anomalies)


def test_random_scores_reach_the_base_rate() -> None:
    # 4,000 scores of which 800 are anomalies: the errors are about 0.01.
    anomalies = torch.arange(4000) % 5 == 0
    for metric in (metrics.auprc, metrics.auroc):
        found = metric(normal(4000), anomalies)
        assert found.value == pytest.approx(found.base_rate, abs=0.04)


def test_plain_scores_are_scikit_learns() -> None:
    train, x = normal(80, 2, 3), normal(30, 2, 3, seed=1)
    flat, points = train.flatten(1).numpy(), x.flatten(1).numpy()
    pca = PCA(2, svd_solver="full").fit(flat)
    error = ((points - pca.inverse_transform(pca.transform(points))) ** 2).sum(1)
    assert np.allclose(metrics.pca_score(train, x, 2).numpy(), error)
    distance = NearestNeighbors(n_neighbors=4).fit(flat).kneighbors(points)[0][:, -1]
    assert np.allclose(metrics.knn_score(train, x, 4).numpy(), distance)
    for score in (metrics.pca_score, metrics.knn_score):
        with pytest.raises(ValueError, match="must be between 1 and"):
            score(train, x, 0)
