"""Variational autoencoders: their bounds against exact laws, and what breaks a bound."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from lflow.papers.langevin_vae_gaussian import (
    DIM,
    SIGMA,
    STARTS,
    Case,
    data_of,
    gaps,
    linear_case,
)
from tests.statistics import LIMIT, one_thread, z_of_mean  # noqa: F401  (a fixture)

N = 20_000
SCALES = torch.linspace(0.5, 1.3, DIM)
FIXED: dict[str, Any] = {"learn_step_size": False, "step_size": 0.3, "num_steps": 5}
QS: dict[str, Any] = {**FIXED, "learn_friction": False}
HALF = 2**-0.1  # α of each of five steps that T₀ = 2 takes

CHAINS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": ("vae", {}),
    "hvae": ("hvae", FIXED),
    "hvae_tempered": ("hvae", {**FIXED, "tempering": "free", "initial_factor": HALF}),
    "hvae_fixed": ("hvae", {**FIXED, "tempering": "fixed", "initial_temperature": 2.0}),
    "still_0.1": ("langevin_vae", {**QS, "mode": "deterministic", "friction": 0.1}),
    "noisy_0.1": ("langevin_vae", {**QS, "mode": "noisy", "friction": 0.1}),
    "still_0.5": ("langevin_vae", {**QS, "mode": "deterministic", "friction": 0.5}),
    "noisy_0.5": ("langevin_vae", {**QS, "mode": "noisy", "friction": 0.5}),
    "reverse_kernel": ("langevin_vae", {**QS, "mode": "reverse_kernel", "friction": 0.5}),
}


def case_of(name: str, start: str, scales: Tensor | None = None, **changes: Any) -> Case:
    model, settings = CHAINS[name]
    return linear_case(model, start, scales, **{**settings, **changes})


# --- the exact gap, by linear algebra on one coordinate at a time -----------------------------------------


def exact_gap(name: str, start: str, scales: Tensor) -> float:
    """E[bound] - log p(x): positions and momenta are linear in the normals that are drawn."""
    shift, factor = STARTS[start]
    return sum(
        _coordinate_gap(*CHAINS[name], float(1 + (scale / SIGMA) ** 2), shift, factor) for scale in scales
    )


def _coordinate_gap(
    model: str, settings: dict[str, Any], precision: float, shift: float, factor: float
) -> float:
    count = 0 if model == "vae" else settings["num_steps"]
    z, p = (torch.zeros(3 + count, dtype=torch.float64) for _ in range(2))  # 1, z's normal, p's, then noise
    z[0], z[1], p[2] = shift, factor / precision**0.5, 1.0
    h, ratio = FIXED["step_size"], 0.0
    if model == "hvae":
        alphas = _alphas(settings)
        p = p / math.prod(alphas)
        for alpha in alphas:
            p = p - h / 2 * precision * z
            z = z + h * p
            p = alpha * (p - h / 2 * precision * z)
    elif model == "langevin_vae":
        friction, mode = settings["friction"], settings["mode"]
        for k in range(count):
            noise = torch.zeros_like(p)
            noise[3 + k] = 1.0
            if mode == "reverse_kernel":
                kept = math.exp(-friction * h)
                ratio -= float(p.square().sum()) / 2
                p = kept * p + math.sqrt(1 - kept**2) * noise
                ratio += float(p.square().sum()) / 2
                p = p - h / 2 * precision * z
                z = z + h * p
                p = p - h / 2 * precision * z
                continue
            p = math.exp(-friction * h / 2) * p
            z = z + h / 2 * p
            p = p - h * precision * z + (mode == "noisy") * math.sqrt(2 * friction * h) * noise
            z = z + h / 2 * p
            p = math.exp(-friction * h / 2) * p
            ratio -= friction * h
    after = -(precision * float(z.square().sum()) - math.log(precision) + float(p.square().sum())) / 2
    before = -(1 - math.log(precision) + 2 * math.log(factor) + 1) / 2
    return after - before + ratio


def _alphas(settings: dict[str, Any]) -> list[float]:
    count = settings["num_steps"]
    if settings.get("tempering") == "free":
        return [settings["initial_factor"]] * count
    if settings.get("tempering") == "fixed":
        first = settings["initial_temperature"]
        at = [(1 - first) * k**2 / count**2 + first for k in range(count + 1)]
        return [(after / before) ** 0.5 for before, after in pairwise(at)]
    return [1.0] * count


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("name", CHAINS)
def test_the_bound_is_what_linear_algebra_says(name: str, start: str) -> None:
    """20,000 draws: standard errors of 0.001 to 0.03 nats."""
    found, expected = gaps(case_of(name, start, SCALES), N, 0), exact_gap(name, start, SCALES)
    if name == "vae" and start == "exact":
        assert found.abs().max() < 1e-5
        return
    assert abs(float(z_of_mean(found, expected))) < LIMIT
    assert float(z_of_mean(found, 0.0)) < LIMIT  # never above
    assert abs(float(z_of_mean(found, expected - 0.15))) > LIMIT  # what would be seen


# papers.md, section 4; -3.56 there is -3.50 by the formulas above, within what its own draws leave open.
TABLE = {
    "vae": (0.0, -3.53),
    "hvae": (-0.004, -3.56),
    "hvae_tempered": (-0.45, -2.10),
    "still_0.1": (-0.09, -2.79),
    "noisy_0.1": (-1.27, -4.02),
    "still_0.5": (-1.78, -1.93),
    "noisy_0.5": (-6.30, -6.46),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_gaps_that_were_known_before(name: str) -> None:
    """Where every number of z has the precision 5."""
    for start, expected in zip(STARTS, TABLE[name], strict=True):
        assert exact_gap(name, start, torch.ones(DIM)) == pytest.approx(expected, abs=0.06)
        assert float(gaps(case_of(name, start), N, 1).mean()) == pytest.approx(expected, abs=0.13)


def test_the_reverse_kernel_recovers_as_the_chain_grows() -> None:
    means = {k: float(gaps(case_of("reverse_kernel", "wide", num_steps=k), N, 2).mean()) for k in (5, 10, 20)}
    assert means[5] == pytest.approx(-3.2, abs=0.1)
    assert means[10] == pytest.approx(-2.9, abs=0.15)
    assert means[5] < means[10] < means[20] < 0
    noisy = [float(gaps(case_of("noisy_0.5", "wide", num_steps=k), N, 2).mean()) for k in (5, 10, 20)]
    assert noisy[0] > noisy[1] > noisy[2]
    lost = gaps(case_of("noisy_0.5", "wide", num_steps=10, friction=1.0), N, 2)
    assert float(lost.mean()) == pytest.approx(-21, abs=1)


@pytest.mark.parametrize("name", [name for name in CHAINS if name not in ("still_0.5", "noisy_0.5")])
def test_the_exponential_of_a_bound_is_p_of_x_on_average(name: str) -> None:
    weights = gaps(case_of(name, "exact"), N, 3).exp()
    assert abs(float(z_of_mean(weights, 1.0))) < LIMIT or float((weights - 1).abs().max()) < 1e-5


def test_a_determinant_without_d_is_no_bound() -> None:
    case = case_of("still_0.5", "exact")
    wrong = gaps(case, N, 4) + 5 * 0.5 * 0.3 * (DIM - 1)  # -Kνε for -Kνdε
    assert float(z_of_mean(wrong, 0.0)) > 10 * LIMIT


def test_noise_credited_by_forgetting_friction_is_no_bound() -> None:
    case = case_of("noisy_0.5", "wide", num_steps=20, friction=1.0)
    wrong = gaps(case, N, 5) + 20 * 1.0 * 0.3 * DIM
    assert float(z_of_mean(wrong, 0.0)) > 10 * LIMIT
    credited = gaps(case_of("reverse_kernel", "wide", num_steps=20, friction=1.0), N, 5)
    assert float(z_of_mean(credited, 0.0)) < -10 * LIMIT


def test_the_importance_weighted_bound_rises_with_k() -> None:
    found = [
        gaps(linear_case("vae", "wide", objective="iwae", num_importance=k), 4000, 6) for k in (1, 3, 20, 200)
    ]
    assert torch.equal(found[0], gaps(linear_case("vae", "wide"), 4000, 6))
    means = [float(each.mean()) for each in found]
    for one, other in pairwise(found):
        assert float(z_of_mean(other - one, 0.0)) > LIMIT
    assert means[-1] < 0
    assert means[-1] > -0.1
    exact = linear_case("vae", "exact", objective="iwae", num_importance=5)
    assert gaps(exact, 100, 7).abs().max() < 1e-5


def test_data_of_the_linear_model_have_its_law() -> None:
    x = data_of(linear_case("vae"), N, 0)
    assert abs(float(z_of_mean(x.square().sum(1), DIM * (1 + SIGMA**2)))) < LIMIT
