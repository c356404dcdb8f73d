"""Distances and chain diagnostics against closed forms, direct sums and other people's code.

Where a check is statistical it is seeded and names its error. Beside each stands a wrong variant.
"""

import itertools
import math
import subprocess
import sys
import warnings
from collections.abc import Callable

import numpy as np
import ot
import pytest
import torch
from arviz_stats.base import array_stats

from lflow import metrics


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def autoregression(coefficient: float, *shape: int, seed: int = 0) -> torch.Tensor:
    """Stationary AR(1) chains along dimension 0, of unit variance: ρ_k = coefficient^k."""
    noise = normal(*shape, seed=seed)
    chains = [noise[0]]
    for innovation in noise[1:]:
        chains.append(coefficient * chains[-1] + math.sqrt(1 - coefficient**2) * innovation)
    return torch.stack(chains)


def test_importing_metrics_imports_no_optional_package() -> None:
    code = "import sys, lflow.metrics; sys.exit(any(name in sys.modules for name in ('ot', 'arviz_stats')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Exact transport


def test_wasserstein_distance_of_a_shift_is_its_length() -> None:
    cloud = normal(200, 3)
    shift = torch.tensor([3.0, -4.0, 12.0], dtype=torch.float64)
    assert float(metrics.wasserstein2(cloud, cloud + shift)) == pytest.approx(13.0, rel=1e-10)
    assert float(metrics.wasserstein2(cloud, cloud[torch.randperm(200)])) == pytest.approx(0, abs=1e-7)


def test_wasserstein_distance_is_the_best_of_all_pairings() -> None:
    a, b = normal(6, 2), normal(6, 2, seed=1)
    costs = [
        float((a[list(order)] - b).square().sum(dim=1).mean()) for order in itertools.permutations(range(6))
    ]
    found = float(metrics.wasserstein2(a, b))
    assert found == pytest.approx(math.sqrt(min(costs)), rel=1e-10)
    assert found != pytest.approx(math.sqrt(sorted(costs)[1]), rel=1e-10)


def test_wasserstein_distance_between_normal_laws() -> None:
    """W2(N(0, 1), N(m, s²))² = m² + (s - 1)²; error of 200,000 points by the delta method below 0.5 %."""
    a, b = normal(200_000), 2.0 + 3.0 * normal(200_000, seed=1)
    found = float(metrics.wasserstein2(a, b))
    assert found == pytest.approx(math.sqrt(2**2 + 2**2), rel=0.015)
    unsorted = float((a - b).square().mean().sqrt())
    assert unsorted != pytest.approx(math.sqrt(8), rel=0.015)


@pytest.mark.parametrize(("n", "m"), [(50, 50), (7, 13), (40, 100), (1, 9)])
def test_transport_on_the_line_equals_the_network_simplex(n: int, m: int) -> None:
    a, b = normal(n, 1), 2 * normal(m, 1, seed=1)
    expected = math.sqrt(ot.emd2_1d(a.numpy(), b.numpy()))
    assert float(metrics.wasserstein2(a, b)) == pytest.approx(expected, rel=1e-10)
    flat = torch.zeros(n, 1, dtype=torch.float64), torch.zeros(m, 1, dtype=torch.float64)
    in_the_plane = metrics.wasserstein2(
        *(torch.cat([x, y], dim=1) for x, y in zip((a, b), flat, strict=True))
    )
    assert float(in_the_plane) == pytest.approx(expected, rel=1e-10)


# Sliced transport


@pytest.mark.parametrize("projections", [2, 3, 64])
def test_sliced_distance_of_a_shift_is_exact_in_the_plane(projections: int) -> None:
    cloud = normal(100, 2)
    shift = torch.tensor([3.0, 4.0], dtype=torch.float64)
    found = float(metrics.sliced_wasserstein2(cloud, cloud + shift, projections))
    assert found == pytest.approx(5 / math.sqrt(2), rel=1e-12)
    one_direction = float(metrics.sliced_wasserstein2(cloud, cloud + shift, 1))
    assert one_direction != pytest.approx(5 / math.sqrt(2), rel=1e-2)


@pytest.mark.parametrize("dim", [1, 3, 8])
def test_sliced_distance_of_a_shift_in_expectation(dim: int) -> None:
    cloud = normal(10, dim)
    shift = torch.ones(dim, dtype=torch.float64)
    found = float(metrics.sliced_wasserstein2(cloud, cloud + shift, 20_000, seed=3))
    # u₁² has mean 1/dim and variance 2 (dim - 1)/(dim² (dim + 2)): five standard errors are below 3 %.
    assert found == pytest.approx(1.0, rel=0.03)
    assert dim == 1 or math.sqrt(dim) * found != pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize(("n", "m", "dim"), [(60, 60, 2), (60, 45, 2), (31, 90, 3), (64, 64, 5)])
def test_sliced_distance_equals_that_of_pot(n: int, m: int, dim: int) -> None:
    a, b = normal(n, dim), 0.5 + 2 * normal(m, dim, seed=1)
    directions = metrics.distances._directions(dim, 32, seed=5)
    expected = ot.sliced_wasserstein_distance(a.numpy(), b.numpy(), projections=directions.numpy().T)
    assert float(metrics.sliced_wasserstein2(a, b, 32, seed=5)) == pytest.approx(expected, rel=1e-9)
    single = float(metrics.sliced_wasserstein2(a.float(), b.float(), 32, seed=5))
    assert single == pytest.approx(expected, rel=1e-5)


def test_other_sizes_are_merged_and_not_truncated() -> None:
    a, b = normal(30, 2), normal(31, 2, seed=1)
    doubled = float(metrics.sliced_wasserstein2(a.repeat(31, 1), b.repeat(30, 1)))
    assert float(metrics.sliced_wasserstein2(a, b)) == pytest.approx(doubled, rel=1e-12)
    assert float(metrics.sliced_wasserstein2(a, b[:30])) != pytest.approx(doubled, rel=1e-3)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 25)])
@pytest.mark.parametrize("dim", [1, 2, 4])
def test_frames_equal_one_cloud_at_a_time(n: int, m: int, dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics.distances, "_PROJECTED", 3 * 16 * max(n, m))
    frames, reference = normal(7, n, dim), normal(m, dim, seed=1)
    together = metrics.sliced_wasserstein2_frames(frames, reference, 16)
    apart = torch.stack([metrics.sliced_wasserstein2(frame, reference, 16) for frame in frames])
    assert together.shape == (7,)
    assert torch.allclose(together, apart, rtol=1e-12)
    assert not torch.allclose(together.flip(0), apart, rtol=1e-3)


def test_clouds_far_away_do_not_overflow() -> None:
    cloud = normal(50, 2).float()
    assert float(metrics.sliced_wasserstein2(cloud + 1e25, cloud)) == pytest.approx(1e25, rel=1e-6)


def test_floor_is_what_exact_samples_reach() -> None:
    def sample(n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        return torch.randn(n, 2, generator=generator)

    mean, std = metrics.exact_floor(metrics.sliced_wasserstein2, sample, 500, repeats=20)
    assert 0 < std < mean
    distance = metrics.sliced_wasserstein2(sample(500, generator(99)), sample(500, generator(98)))
    # Four standard deviations of a single pair.
    assert abs(distance - mean) < 4 * std
    assert (
        metrics.sliced_wasserstein2(1.3 * sample(500, generator(99)), sample(500, generator(98)))
        > mean + 4 * std
    )
    larger, _ = metrics.exact_floor(metrics.sliced_wasserstein2, sample, 500, repeats=20, reference_size=50)
    assert larger > 1.5 * mean
    assert metrics.exact_floor(metrics.sliced_wasserstein2, sample, 500, repeats=20)[0] == mean


def test_mmd_equals_a_double_loop() -> None:
    a, b = normal(9, 3), 1 + normal(7, 3, seed=1)

    def mean_kernel(x: torch.Tensor, y: torch.Tensor) -> float:
        return float(np.mean([math.exp(-float((p - q).square().sum()) / (2 * 0.8**2)) for p in x for q in y]))

    expected = math.sqrt(mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b))
    assert float(metrics.mmd(a, b, bandwidth=0.8)) == pytest.approx(expected, rel=1e-10)
    assert float(metrics.mmd(a, b, bandwidth=0.8 * math.sqrt(2))) != pytest.approx(expected, rel=1e-2)
    assert float(metrics.mmd(a, a)) == pytest.approx(0, abs=1e-7)


def test_mmd_between_normal_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    """E k(x, y) for x - y ~ N(δ, 2) in one dimension is (σ²/(σ² + 2))^½ exp(-δ²/(2 (σ² + 2)))."""
    monkeypatch.setattr(metrics.distances, "_BLOCK", 700)
    sigma, shift, n = 1.5, 1.0, 3000
    spread = math.sqrt(sigma**2 / (sigma**2 + 2))
    squared = 2 * spread - 2 * spread * math.exp(-(shift**2) / (2 * (sigma**2 + 2)))
    # The V-statistic counts each point with itself: (1/n + 1/m)(1 - E k) more.
    expected = math.sqrt(squared + 2 / n * (1 - spread))
    found = float(metrics.mmd(normal(n, 1), normal(n, 1, seed=1) + shift, bandwidth=sigma))
    # Standard error of the root at 3,000 points: about 2 %.
    assert found == pytest.approx(expected, rel=0.07)
    assert found**2 != pytest.approx(expected, rel=0.07)


def test_median_bandwidth_follows_the_scale_of_the_points() -> None:
    a, b = normal(300, 2), 0.5 + normal(300, 2, seed=1)
    assert float(metrics.mmd(7 * a, 7 * b)) == pytest.approx(float(metrics.mmd(a, b)), rel=1e-9)
    assert float(metrics.mmd(7 * a, 7 * b, 1.0)) != pytest.approx(float(metrics.mmd(a, b, 1.0)), rel=1e-2)
    pooled = torch.cat([a, b])
    by_hand = float(torch.pdist(pooled).median())
    assert float(metrics.mmd(a, b)) == pytest.approx(float(metrics.mmd(a, b, by_hand)), rel=1e-12)


def stein_kernel(
    x: torch.Tensor, y: torch.Tensor, score: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """The Stein operator applied to both arguments of k, by automatic differentiation."""

    def kernel(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return (1.3**2 + (p - q).square().sum()) ** -0.5

    by_x = torch.func.grad(kernel, argnums=0)(x, y)
    by_y = torch.func.grad(kernel, argnums=1)(x, y)
    mixed = torch.func.jacrev(torch.func.grad(kernel, argnums=0), argnums=1)(x, y).trace()
    return score(x) @ score(y) * kernel(x, y) + score(x) @ by_y + score(y) @ by_x + mixed


def test_stein_discrepancy_equals_the_operator_by_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics.distances, "_BLOCK", 3)
    x = 100 + normal(8, 3)

    def score(p: torch.Tensor) -> torch.Tensor:
        return -((p - 100) ** 3) + 0.2

    expected = torch.stack([stein_kernel(p, q, score) for p in x for q in x]).mean().sqrt()
    assert float(metrics.ksd(x, score, scale=1.3)) == pytest.approx(float(expected), rel=1e-9)
    assert float(metrics.ksd(x, score(x), scale=1.3)) == pytest.approx(float(expected), rel=1e-9)
    assert float(metrics.ksd(x, lambda p: -score(p), scale=1.3)) != pytest.approx(float(expected), rel=1e-2)


def test_stein_discrepancy_of_exact_samples_falls_as_the_root_of_n() -> None:
    """E KSD² = E k₀(x, x)/n = (E|s|²/c + dim/c³)/n = 4/n for N(0, I₂) and c = 1."""
    for n in (100, 800):
        squared = np.mean(
            [float(metrics.ksd(normal(n, 2, seed=seed), lambda x: -x)) ** 2 for seed in range(20)]
        )
        # The spread of one value is about a third of its mean, so this is over five standard errors.
        assert n * squared == pytest.approx(4.0, rel=0.4)
    wrong_scale = float(metrics.ksd(1.5 * normal(2000, 2), lambda x: -x)) ** 2
    assert 2000 * wrong_scale > 40


def test_mode_mass_counts_the_nearest() -> None:
    modes = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    assignment = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    points = modes[assignment] + 0.1 * normal(10, 2).float()
    assert metrics.mode_mass(points, modes).tolist() == pytest.approx([0.5, 0.3, 0.2])
    frames = torch.stack([points, points[[0] * 10]])
    assert metrics.mode_mass(frames, modes).tolist() == [pytest.approx([0.5, 0.3, 0.2]), [1.0, 0.0, 0.0]]
    assert metrics.mode_mass(points, modes.flip(0)).tolist() != pytest.approx([0.5, 0.3, 0.2])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_points_that_are_not_finite_are_counted(bad: float) -> None:
    good, broken = normal(10, 2), normal(10, 2)
    broken[3, 0] = broken[7, 1] = bad
    for distance in (metrics.wasserstein2, metrics.sliced_wasserstein2, metrics.mmd, metrics.mode_mass):
        with pytest.raises(ValueError, match="2 of 10 points"):
            distance(broken, good)
    with pytest.raises(ValueError, match="2 of 10 points in score"):
        metrics.ksd(good, broken)
    with pytest.raises(ValueError, match="2 of 30 points in frames"):
        metrics.sliced_wasserstein2_frames(torch.stack([good, broken, good]), good)
    # The sum of these overflows, and they are finite all the same.
    assert metrics.mode_mass(torch.full((10, 1), 1.7e308, dtype=torch.float64), torch.zeros(1, 1)) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: metrics.wasserstein2(normal(5001, 2), x), "5,000"),
        (lambda x: metrics.sliced_wasserstein2(x, normal(10, 3)), "dimension"),
        (lambda x: metrics.mmd(x[:0], x), "empty"),
        (lambda x: metrics.wasserstein2(normal(2, 5, 2), x), "shape"),
        (lambda x: metrics.mmd(x, x, bandwidth=0.0), "bandwidth"),
        (lambda x: metrics.ksd(x, x[:5]), "score"),
        (lambda x: metrics.ksd(x, x, scale=-1.0), "scale"),
        (lambda x: metrics.sliced_wasserstein2(x, x, 0), "num_projections"),
        (lambda x: metrics.exact_floor(metrics.mmd, lambda n, _: normal(n, 2), 10, repeats=1), "repeats"),
    ],
)
def test_refuses_bad_arguments(call: Callable[[torch.Tensor], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(normal(10, 2))


# Chains


SHAPES = [(4, 2), (5, 3), (6, 2), (7, 4), (9, 1), (37, 1, 2), (64, 200), (101, 4, 3), (250, 7, 2), (1001, 2)]


def as_arviz(chains: torch.Tensor) -> np.ndarray:
    return np.moveaxis(chains.numpy(), (0, 1), (-1, -2))


def diagnostics(chains: torch.Tensor) -> dict[str, tuple[torch.Tensor, np.ndarray]]:
    other = as_arviz(chains)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "ess": (metrics.ess(chains), array_stats.ess(other, method="bulk")),
            "ess_tail": (metrics.ess_tail(chains), array_stats.ess(other, method="tail", prob=0.95)),
            "rhat": (metrics.rhat(chains), array_stats.rhat(other)),
        }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("coefficient", [-0.9, 0.0, 0.5, 0.95])
def test_diagnostics_equal_those_of_arviz(shape: tuple[int, ...], coefficient: float) -> None:
    chains = autoregression(coefficient, *shape)
    apart = chains + torch.arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))
    for case in (chains, (2 * chains).round(), apart, 1e6 + 1e-3 * chains):
        for name, (ours, theirs) in diagnostics(case).items():
            assert ours.shape == shape[2:]
            np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("draws", [8, 13, 16, 22])
def test_diagnostics_of_short_chains_equal_those_of_arviz(draws: int) -> None:
    """Short chains stop Geyer's sequence in every way it can stop: at once, by sign, and at its end."""
    chains = torch.cat([autoregression(c, draws, 2, 100, seed=draws) for c in (-0.7, 0.3, 0.9, 0.99)], dim=2)
    for name, (ours, theirs) in diagnostics(chains).items():
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-10, err_msg=name)


def test_two_values_and_other_tails_as_in_arviz() -> None:
    """Fair coin flips have no spread around their median: arviz-stats then reports the bulk alone."""
    order = torch.randperm(20, generator=generator())
    coins = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(10)[order].reshape(10, 2)
    for name, (ours, theirs) in diagnostics(coins).items():
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-10, err_msg=name)
    assert metrics.rhat(coins).isfinite()
    chains = autoregression(0.7, 200, 3)
    for probability in (0.3, 0.9):
        theirs = array_stats.ess(as_arviz(chains), method="tail", prob=probability)
        assert float(metrics.ess_tail(chains, probability)) == pytest.approx(float(theirs), rel=1e-10)
        assert float(metrics.ess_tail(chains)) != pytest.approx(float(theirs), rel=1e-3)


def test_every_part_of_the_definition_matters_to_arviz() -> None:
    """Plain draws instead of ranks, or whole chains instead of halves, are other numbers."""
    chains = autoregression(0.5, 100, 4).exp()
    bulk, rhat = (array_stats.ess(as_arviz(chains)), array_stats.rhat(as_arviz(chains)))
    by_coordinate = metrics.chains._by_coordinate(chains)
    plain = metrics.chains._ess(metrics.chains._split(by_coordinate))
    whole = metrics.chains._ess(metrics.chains._rank_normalise(by_coordinate))
    assert float(plain) != pytest.approx(float(bulk), rel=1e-3)
    assert float(whole) != pytest.approx(float(bulk), rel=1e-3)
    assert float(metrics.chains._plain_rhat(by_coordinate)) != pytest.approx(float(rhat), rel=1e-3)


def test_constant_short_and_broken_chains() -> None:
    constant = torch.full((10, 3), 2.5)
    assert metrics.ess(constant) == metrics.ess_tail(constant) == 30
    assert metrics.rhat(constant).isnan()
    chains = normal(50, 4, 3)
    chains[7, 2, 1], chains[8, 0, 2] = math.nan, math.inf
    for diagnostic in (metrics.ess, metrics.ess_tail, metrics.rhat):
        assert diagnostic(chains).isnan().tolist() == [False, True, True]
        assert diagnostic(chains[:3]).isnan().all()
        assert diagnostic(chains[:, :, 0].float()).shape == ()
        with pytest.raises(ValueError, match="shape"):
            diagnostic(chains[0, 0])
    assert metrics.rhat(chains[:, :1, 0]).isnan()
    with pytest.raises(ValueError, match="probability"):
        metrics.ess_tail(chains, 1.0)


def test_autocorrelation_equals_a_direct_sum() -> None:
    chains = autoregression(0.6, 23, 5, 2)
    centred = chains - chains.mean(dim=(0, 1))
    covariance = torch.stack([(centred[: 23 - k] * centred[k:]).mean(dim=(0, 1)) for k in range(11)])
    expected = covariance / covariance[0]
    found = metrics.autocorrelation(chains, 10)
    assert torch.allclose(found, expected, rtol=1e-10)
    assert torch.allclose(metrics.autocorrelation(chains[..., 1], 10), expected[:, 1], rtol=1e-10)
    assert torch.allclose(metrics.autocorrelation(chains)[:11], expected, rtol=1e-10)
    assert not torch.allclose(found.roll(1, dims=0), expected, rtol=1e-1)


def test_autocorrelation_of_an_autoregression_is_unbiased_in_short_chains() -> None:
    """ρ_k = 0.8^k from 4,000 chains of 20 draws, whose own means would tell little."""
    chains = autoregression(0.8, 20, 4000)
    expected = 0.8 ** torch.arange(8, dtype=torch.float64)
    # Five standard errors: about 5/sqrt(4000 chains x a few independent draws).
    assert (metrics.autocorrelation(chains, 7) - expected).abs().max() < 0.04
    own_means = chains - chains.mean(dim=0)
    assert (metrics.autocorrelation(own_means, 7) - expected).abs().max() > 0.04


def test_autocorrelation_at_its_edges() -> None:
    assert metrics.autocorrelation(torch.full((9, 3), 0.1)).isnan().all()
    stuck = torch.tensor([-1.0, 1.0]).repeat(50, 1) + 0.01 * normal(50, 2).float()
    assert metrics.autocorrelation(stuck, 20).min() > 0.95
    for lag in (-1, 9):
        with pytest.raises(ValueError, match="max_lag"):
            metrics.autocorrelation(torch.zeros(9, 3), lag)


def test_effective_sample_size_of_an_autoregression() -> None:
    """N (1 - φ)/(1 + φ); the error of 100 chains of 1,000 draws is about 3 %."""
    for coefficient in (0.5, 0.9):
        exact = 100_000 * (1 - coefficient) / (1 + coefficient)
        assert float(metrics.ess(autoregression(coefficient, 1000, 100))) == pytest.approx(exact, rel=0.12)
        assert float(metrics.ess(autoregression(coefficient + 0.05, 1000, 100))) < 0.93 * exact
