"""Each step-size rule against its formula, computed here in numpy, and against the law that it leads to.

Laws are tested on 30,000 chains: a probability of 0.1 to 0.002, a variance to about 1 %.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lflow import energies, samplers, simulate, steps
from lflow.samplers import Info
from lflow.steps import check_pair
from tests.statistics import (
    LIMIT,
    largest,
    one_thread,  # noqa: F401  (for every test here)
    z_of_mean,
    z_of_variance,
)

NAMES = steps.names()
N_01 = energies.get("gaussian", dim=1)
X = torch.tensor([[0.3, -0.2], [3.0, 4.0], [0.0, 0.0]], dtype=torch.float64)


def sizes(rule: Any, x: Tensor, infos: list[Info]) -> np.ndarray:
    """The step sizes that a rule gives while a sampler tells it `infos`, (steps + 1, ...)."""
    state, found = rule.init(x), []
    grad = infos[0].grad
    for t, info in enumerate([*infos, infos[-1]]):
        found.append(rule.step_size_at(state, torch.tensor(float(t), dtype=x.dtype), grad))
        state, grad = rule.update(state, info), info.grad
    return torch.stack([torch.broadcast_to(h, found[-1].shape) for h in found]).numpy()


def told(count: int, seed: int = 0) -> list[Info]:
    """What a sampler might tell of `count` steps."""
    random = np.random.default_rng(seed)
    return [
        Info(1, torch.from_numpy(random.uniform(size=3)), torch.from_numpy(random.normal(size=(3, 2)) * 3))
        for _ in range(count)
    ]


def test_constant() -> None:
    assert (sizes(steps.get("constant", step_size=0.3), X, told(5)) == 0.3).all()


def test_polynomial() -> None:
    found = sizes(steps.get("polynomial", step_size=0.3, power=0.7, offset=20), X, told(50))
    np.testing.assert_allclose(found, 0.3 * (1 + np.arange(51) / 20) ** -0.7, rtol=1e-12)


def test_cyclical() -> None:
    found = sizes(steps.get("cyclical", step_size=0.3, cycle_length=10), X, told(35))
    expected = [0.15 * (1 + math.cos(math.pi * (t % 10) / 10)) for t in range(36)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[0] == found[10] == pytest.approx(0.3)
    assert (found > 0).all()


def test_anisotropic_is_one_size_for_each_chain() -> None:
    rule = steps.get("anisotropic", step_size=0.3, threshold=2.0)
    found = rule.step_size_at(rule.init(X), torch.tensor(0.0), X)
    expected = 0.3 / np.maximum(1, np.linalg.norm(X.numpy(), axis=1) / 2.0)
    np.testing.assert_allclose(found.numpy(), expected[:, None], rtol=1e-12)
    images = torch.randn(4, 3, 5, 5)
    assert rule.step_size_at(rule.init(images), torch.tensor(0.0), images).shape == (4, 1, 1, 1)


def test_rmsprop_is_one_size_for_each_coordinate() -> None:
    infos = told(20)
    found = sizes(steps.get("rmsprop", step_size=0.3, decay=0.9, floor=0.01), X, infos)
    v = np.ones((3, 2))
    for t, info in enumerate(infos):
        np.testing.assert_allclose(found[t], 0.3 / (0.01 + np.sqrt(v)), rtol=1e-12)
        assert info.grad is not None
        v = 0.9 * v + 0.1 * info.grad.numpy() ** 2


def hoffman_gelman(step_size: float, target: float, acceptances: list[float]) -> tuple[list[float], float]:
    """Algorithm 5 of arXiv 1111.4246, γ = 0.05, t0 = 10, κ = 0.75: the steps taken, and the one kept."""
    mu, log_average, shortfall = math.log(10 * step_size), 0.0, 0.0
    taken = [step_size]
    for m, acceptance in enumerate(acceptances, 1):
        shortfall = (1 - 1 / (m + 10)) * shortfall + (target - acceptance) / (m + 10)
        log_step = mu - math.sqrt(m) / 0.05 * shortfall
        log_average = m**-0.75 * log_step + (1 - m**-0.75) * log_average
        taken.append(math.exp(log_step))
    return taken, math.exp(log_average)


def test_dual_averaging_is_that_of_hoffman_and_gelman() -> None:
    infos = told(40)
    found = sizes(steps.get("target_acceptance", step_size=0.2, target=0.7, warmup=30), X, infos)
    acceptances = [float(info.acceptance.mean()) for info in infos[:30] if info.acceptance is not None]
    taken, kept = hoffman_gelman(0.2, 0.7, acceptances)
    np.testing.assert_allclose(found[:30], taken[:30], rtol=1e-10)
    np.testing.assert_allclose(found[30:], kept, rtol=1e-10)


@pytest.mark.parametrize(("sampler", "target"), [("mala", 0.574), ("hmc", 0.8), ("random_walk", 0.234)])
def test_the_target_is_reached_and_the_step_then_stays(sampler: str, target: float) -> None:
    U = energies.get("gaussian", dim=10, condition_number=10.0)
    rule = steps.get("target_acceptance", target=target, warmup=300)
    r = simulate(U, sampler, rule, num_steps=500, num_chains=200, init=U.sample(200), record_every=20)
    after = r.steps > 300
    assert float((r.acceptance[after].mean() - target).abs()) < 0.05
    assert len(r.step_sizes[after].unique()) == 1
    assert len(r.step_sizes[1:15].unique()) == 14


def test_kinds() -> None:
    kinds = {name: steps.get_class(name).kind for name in NAMES}
    assert kinds == {
        "constant": "time",
        "polynomial": "time",
        "cyclical": "time",
        "anisotropic": "state",
        "target_acceptance": "adaptive",
        "rmsprop": "state",
    }


@pytest.mark.parametrize("rule", NAMES)
@pytest.mark.parametrize("sampler", samplers.names())
def test_pairs_that_would_falsify_are_refused_by_name(sampler: str, rule: str) -> None:
    accepts = samplers.get(sampler).has_accept_step
    kind = steps.get_class(rule).kind
    if (kind == "state") == accepts and kind != "time":
        with pytest.raises(ValueError, match=f"the {rule} rule .* {sampler}[ :].* use") as refused:
            check_pair(samplers.get(sampler), steps.get(rule))
        assert ("variant='metropolis'" in str(refused.value)) == accepts
        with pytest.raises(ValueError, match=f"the {rule} rule"):
            simulate(N_01, sampler, rule, num_steps=1, num_chains=1)
    elif kind == "time" or (kind == "adaptive") == accepts:
        check_pair(samplers.get(sampler), steps.get(rule))
        r = simulate(N_01, sampler, rule, num_steps=20, num_chains=10, record_every=7)
        assert r.positions.isfinite().all()
        assert (r.step_sizes[1:] > 0).all()
    else:
        check_pair(samplers.get(sampler), steps.get(rule))


def normal() -> Tensor:
    return torch.randn(30_000, 1, generator=torch.Generator().manual_seed(1))


def anisotropic(threshold: float) -> Tensor:
    rule = steps.get("anisotropic", step_size=0.02, threshold=threshold)
    return simulate(N_01, "ula", rule, num_steps=600, init=normal(), record_every=600).positions[-1]


def law_of_printed_anila(x: np.ndarray, b: float) -> np.ndarray:
    """exp(-x²/2)·max(1, |x|/b), not normalised."""
    return np.exp(-(x**2) / 2) * np.maximum(1, np.abs(x) / b)


def test_ula_with_the_anisotropic_rule_has_the_law_of_the_printed_anila() -> None:
    """Threshold 0.5 and h = 0.02, whose own bias is below what is seen: P(|x| < ¼) = .109, variance 1.79."""
    x = anisotropic(0.5).double()
    grid = np.linspace(-8, 8, 16_001)
    density = law_of_printed_anila(grid, 0.5)
    density /= density.sum()
    near, variance = density[np.abs(grid) < 0.25].sum(), (density * grid**2).sum()
    assert (near, variance) == (pytest.approx(0.109, abs=1e-3), pytest.approx(1.79, abs=5e-3))
    inside = (x.abs() < 0.25).double()
    assert abs(float(z_of_mean(inside, near))) < LIMIT < abs(float(z_of_mean(inside, 0.197)))
    # At h = 0.02 the variance is 1.81 (by simulation of the exact scheme): ULA's own error, of order h.
    assert largest(z_of_variance(x, 1.81)) < LIMIT < largest(z_of_variance(x, 1.0))
    edges = np.linspace(-4, 4, 41)
    expected = np.add.reduceat(density, np.searchsorted(grid, edges))[:-1]
    found = np.histogram(x.numpy(), edges)[0] / len(x)
    assert np.abs(found - expected).sum() / 2 < 0.02
    normal = np.exp(-((edges[:-1] + 0.1) ** 2) / 2) * 0.2 / math.sqrt(2 * math.pi)
    assert np.abs(found - normal).sum() / 2 > 0.1


def test_a_huge_threshold_is_ula_itself() -> None:
    plain = simulate(N_01, "ula", step_size=0.02, num_steps=600, init=normal(), record_every=600)
    assert torch.equal(anisotropic(1e6), plain.positions[-1])


def test_rmsprop_is_wrong_by_as_much_as_its_memory_is_shorter_than_the_chains() -> None:
    """Variance on N(0, 1): nearly 1 where v hardly moves; a smaller step makes it worse, not better."""
    found = []
    for decay, step_size, num_steps in (
        (0.999, 0.1, 300),
        (0.99, 0.1, 300),
        (0.99, 0.01, 600),
        (0.0, 0.01, 600),
    ):
        rule = steps.get("rmsprop", step_size=step_size, decay=decay)
        r = simulate(N_01, "ula", rule, init=normal(), num_steps=num_steps, record_every=num_steps)
        found.append(float(r.positions[-1].double().square().mean()))
    assert found == sorted(found)
    assert found[0] < 1.1
    assert found[2] > 1.25
