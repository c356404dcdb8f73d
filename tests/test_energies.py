"""What every energy owes: its gradient, its bounds, what else it claims to know. Draws: test_draws.py."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from lflow import energies
from lflow.energies import Energy
from lflow.energies.grid import GridSampler, cell_centres, energy_on_grid
from tests.statistics import (
    LIMIT,
    largest,
    one_thread,  # noqa: F401  (for every test here)
    z_of_mean,
    z_of_two_samples,
)

NAMES = energies.names()
VARIANTS: dict[str, Callable[[], Energy]] = {
    **{name: partial(energies.get, name) for name in NAMES},
    "narrow turned gaussian": lambda: energies.get("gaussian", condition_number=100.0, angle=30.0),
    "gaussian in 5 dimensions": lambda: energies.get("gaussian", dim=5, condition_number=10.0, angle=-50.0),
    "uneven grid mixture": lambda: energies.get(
        "gaussian_mixture", num_modes=7, layout="grid", weight_ratio=20.0, radius=3.0
    ),
    "random mixture": lambda: energies.get("gaussian_mixture", num_modes=5, layout="random", std=1.0),
    "student_t in 4 dimensions": lambda: energies.get("student_t", dim=4, dof=5.0),
    "two wide rings": lambda: energies.get("rings", num_rings=2, width=0.5, spacing=1.5),
    "other pinwheel": lambda: energies.get("pinwheel", num_arms=3, twist=-1.0),
    "long banana": lambda: energies.get("banana", bend=1.0, scale=3.0),
    "funnel in 3 dimensions": lambda: energies.get("funnel", dim=3, scale=1.0),
    "tilted well in 3 dimensions": lambda: energies.get("double_well", dim=3, tilt=1.0),
    "quartic in 1 dimension": lambda: energies.get("quartic", dim=1, scale=3.0),
    "logistic in 4 dimensions": lambda: energies.get("logistic_regression", dim=4),
    "callable": lambda: energies.from_callable(lambda x: x.cosh().sum(1), dim=3, bounds=((-2, 2),) * 3),
    "expression": lambda: energies.from_expression("x**2 + (y-1)**4 + sin(x*y)/2"),
    "points": lambda: energies.from_points(np.random.default_rng(0).normal(size=(60, 2)) * [1.0, 3.0]),
}
PLANAR = ["narrow turned gaussian", "uneven grid mixture", "two wide rings", "long banana", "points"]
every_energy = pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scattered(U: Energy, n: int = 48) -> Tensor:
    """Points of float64, half of them in the bounds and half in a box twice as wide, and the origin."""
    low, high = torch.tensor(U.bounds, dtype=torch.float64).T
    unit = torch.rand(n, U.dim, generator=generator(), dtype=torch.float64)
    unit[n // 2 :] = 2 * unit[n // 2 :] - 0.5
    return torch.cat([low + (high - low) * unit, torch.zeros(1, U.dim, dtype=torch.float64)])


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    scale = expected.abs().flatten(1).amax(1).clamp_min(1.0) if expected.ndim > 1 else expected.abs() + 1
    assert (
        (found - expected)
        .abs()
        .flatten(1 if expected.ndim > 1 else 0)
        .le(tolerance * scale.reshape(-1, *[1] * min(1, expected.ndim - 1)))
        .all()
    )


# Values and gradients


@every_energy
def test_gradient_is_that_of_the_value(make: Callable[[], Energy]) -> None:
    U = make()
    x = scattered(U).requires_grad_()
    (automatic,) = torch.autograd.grad(U(x).sum(), x)
    assert automatic.isfinite().all()
    points = x.detach()
    value, grad = U.value_and_grad(points)
    assert_close(U.grad(points), automatic)
    assert_close(grad, automatic)
    assert_close(value, U(points), 1e-12)
    assert_close(U.score(points), -automatic)
    assert_close(torch.func.grad(lambda p: U(p).sum())(points), automatic)
    with pytest.raises(AssertionError):
        assert_close(1.0001 * U.grad(points), automatic)


@every_energy
def test_second_derivatives_by_every_road(make: Callable[[], Energy]) -> None:
    """A fresh energy first used inside a transform, its Hessian-vector product by jvp of the score."""
    U = make()
    x = scattered(make(), 8)[:8]
    hessian = torch.func.vmap(torch.func.hessian(lambda point: U(point[None])[0]))(x)
    direction = torch.randn(x.shape, generator=generator(1), dtype=x.dtype)
    product = torch.einsum("nij,nj->ni", hessian, direction)
    with torch.no_grad():
        by_jvp = torch.func.jvp(U.score, (x,), (direction,))[1]
    start = x.clone().requires_grad_()
    (by_graph,) = torch.autograd.grad((U.grad(start) * direction).sum(), start)
    assert_close(-by_jvp, product, 1e-7)
    assert_close(by_graph, product, 1e-7)


@every_energy
def test_shapes_types_and_purity(make: Callable[[], Energy]) -> None:
    U = make()
    with torch.inference_mode():
        U(scattered(U))  # what is kept from here must serve elsewhere
    for dtype in (torch.float32, torch.float64):
        x = scattered(U).to(dtype)
        before = x.clone()
        value, grad = U.value_and_grad(x)
        assert (value.shape, value.dtype) == ((len(x),), dtype)
        assert (grad.shape, grad.dtype) == (x.shape, dtype)
        assert not value.requires_grad
        assert not grad.requires_grad
        assert torch.equal(x, before)
        point = x.requires_grad_()
        assert U.grad(point).requires_grad
    single, double = scattered(U).float()[:24], scattered(U).float()[:24].double()
    assert_close(U(single).double(), U(double), 2e-5)
    assert_close(U.grad(single).double(), U.grad(double), 2e-4)


# What an energy claims to know


@pytest.mark.parametrize("name", NAMES)
def test_bounds_hold_the_mass(name: str) -> None:
    """98 % of it at least (the funnel 98.7, Student's t 99.3, the others 99.6 and more)."""
    U = energies.get(name)
    draws, (low, high) = U.sample(20_000, generator()), torch.tensor(U.bounds).T
    inside = float(((draws >= low) & (draws <= high)).all(1).double().mean())
    assert inside > {"funnel": 0.98, "student_t": 0.99}.get(name, 0.995)


def numerical_log_z(U: Energy) -> float:
    """log ∫ exp(-U) by midpoints, spectrally exact on smooth peaks; tails by a change of variables."""
    t = torch.linspace(-12, 12, 1201, dtype=torch.float64)
    if U.name == "student_t":  # x = sinh t along the radius, and the sphere's surface
        radius, sphere = t.sinh().abs(), 2 * math.pi ** (U.dim / 2) / math.gamma(U.dim / 2)
        points = torch.cat([radius[:, None], torch.zeros(len(t), U.dim - 1)], 1)
        density = torch.exp(-U(points)) * radius ** (U.dim - 1) * t.cosh()
        return float(torch.log(sphere / 2 * density.sum() * 0.02))
    if U.name == "funnel":  # x = u exp(v/2)
        u, v = torch.cartesian_prod(t[::4], t).T
        exponent = v / 2 - U(torch.stack([u * torch.exp(v / 2), v], 1))
        return float(exponent.logsumexp(0)) + math.log(0.08 * 0.02)
    box = [(low - (high - low) / 2, high + (high - low) / 2) for low, high in U.bounds]
    points = torch.cartesian_prod(*cell_centres(box, 800 if U.dim == 2 else 20_000)).reshape(-1, U.dim)
    volume = math.prod(high - low for low, high in box) / len(points)
    return float(torch.logsumexp(-U(points), 0)) + math.log(volume)


@pytest.mark.parametrize("name", [*NAMES, *PLANAR[:3], "other pinwheel", "quartic in 1 dimension"])
def test_log_z(name: str) -> None:
    U = VARIANTS[name]()
    if U.log_z is not None:
        assert numerical_log_z(U) == pytest.approx(U.log_z, abs=2e-4)
    else:
        assert name in ("two_moons", "logistic_regression", "checkerboard", "double_well", "muller_brown")


@pytest.mark.parametrize("name", NAMES)
def test_modes_are_minima(name: str) -> None:
    """The energy rises all around each mode; by overlap or rounding it may be off by 0.1 widths."""
    U = energies.get(name)
    if U.modes is None:
        return
    assert U.modes.shape[1] == U.dim
    around = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.7, 0.7], [-0.7, -0.7]])
    width = U.curvature**-0.5
    for mode in U.modes:
        assert (U(mode + 0.5 * width * around) > U(mode[None])).all()
        assert float(U.grad(mode[None].double()).norm()) < 0.1 / width
        assert not (U(mode + 0.5 * width + 0.5 * width * around) > U(mode[None] + 0.5 * width)).all()


def test_modes_of_the_tilted_well() -> None:
    for tilt, count in ((0.0, 2), (2.0, 2), (5.0, 1), (-5.0, 1)):
        U = energies.get("double_well", tilt=tilt)
        assert U.modes is not None
        assert len(U.modes) == count
        assert float(U.grad(U.modes.double()).abs().max()) < 1e-5


@pytest.mark.parametrize("dim", [1, 2, 7])
@pytest.mark.parametrize("condition_number", [1.0, 30.0, 1e6])
@pytest.mark.parametrize("angle", [0.0, 35.0])
def test_curvature_and_spectrum_of_a_gaussian(dim: int, condition_number: float, angle: float) -> None:
    U = energies.get("gaussian", dim=dim, condition_number=condition_number, angle=angle)
    hessian = torch.func.hessian(lambda p: U(p[None])[0])(torch.ones(dim, dtype=torch.float64))
    spectrum = torch.linalg.eigvalsh(hessian)
    assert float(spectrum[-1]) == pytest.approx(U.curvature, rel=1e-9)
    assert float(spectrum[0]) == pytest.approx(1.0, rel=1e-6)
    assert Energy.curvature.func(U) == pytest.approx(U.curvature, rel=1e-6)  # type: ignore[attr-defined]


def test_curvature_elsewhere() -> None:
    assert energies.get("gaussian_mixture").curvature == pytest.approx(4.0, rel=0.05)
    t = energies.get("student_t")
    at_origin = torch.func.hessian(lambda p: t(p[None])[0])(torch.zeros(2, dtype=torch.float64))
    assert float(at_origin[0, 0]) == pytest.approx(t.curvature)
    # 12 a x² in the well, and the largest x² that 99 % of draws reach.
    assert 8 * 3 < energies.get("double_well").curvature < 12 * 3 * 2.2**2


# Energies with data, and energies of one's own


def test_stochastic_gradient_is_unbiased() -> None:
    """100,000 minibatches of 32: standard error about 0.4 %, so that a scale 10 % off is seen."""
    U = energies.get("logistic_regression", dim=3)
    x = torch.tensor([[-1.0, 0.5, 2.0]])
    estimate = U.stochastic_grad(x.expand(100_000, 3), 32, generator())  # type: ignore[attr-defined]
    exact = U.grad(x.double())[0]
    assert largest(z_of_mean(estimate, exact)) < LIMIT
    prior = x[0].double() / 9
    assert largest(z_of_mean(prior + 1.1 * (estimate - prior), exact)) > LIMIT
    whole = (torch.arange(569)[None] + 0.5) / 569
    assert_close(U.stochastic_grad(x.double(), uniform=whole.double()), exact[None])  # type: ignore[attr-defined]
    last = torch.full((1, 4), 1 - 2.0**-24)  # the largest number that torch.rand gives
    assert U.stochastic_grad(x, uniform=last).isfinite().all()  # type: ignore[attr-defined]


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_logistic_regression_agrees_with_sklearn(scale: float) -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    U = energies.get("logistic_regression", dim=4, prior_scale=scale)
    features, target = load_breast_cancer(return_X_y=True)
    chosen = features[:, [0, 1, 4, 5]]
    standard = (chosen - chosen.mean(0)) / chosen.std(0, ddof=1)
    model = LogisticRegression(C=scale**2, fit_intercept=False, tol=1e-10, max_iter=1000)
    model.fit(standard, target)
    mode = torch.from_numpy(model.coef_)
    assert float(U.grad(mode).abs().max()) < 1e-3
    assert float(U.grad(1.01 * mode).abs().max()) > 0.1
    low, high = torch.tensor(U.bounds).T
    assert torch.allclose((low + high)[None].double() / 2, mode, atol=1e-3)


def test_from_callable_checks_what_it_is_given() -> None:
    def half_square(x: Tensor) -> Tensor:
        return x.square().sum(1) / 2

    U = energies.from_callable(half_square, dim=2, bounds=((-4, 4), (-3, 3)))
    assert U.bounds == ((-4.0, 4.0), (-3.0, 3.0))
    right = energies.get("gaussian").sample(20_000, generator(1))
    inside = right[(right.abs() < torch.tensor([6.0, 6.0])).all(1)]
    assert z_of_two_samples(U.sample(20_000, generator()), inside) < LIMIT
    assert z_of_two_samples(1.05 * U.sample(20_000, generator()), inside) > LIMIT
    wrong_shapes = (lambda x: x, lambda x: x.sum(0), lambda x: x.sum(1, keepdim=True), torch.sum)
    for wrong in wrong_shapes:
        with pytest.raises(ValueError, match=r"must map \(n, 2\) to \(n,\)"):
            energies.from_callable(wrong, dim=2)
    for bounds in (((-4, 4),), ((4, -4), (-4, 4)), ((-4, math.inf), (-4, 4))):
        with pytest.raises(ValueError, match="bounds must be 2 pairs"):
            energies.from_callable(half_square, dim=2, bounds=bounds)


def test_from_expression_has_the_closed_form() -> None:
    U = energies.from_expression("x**2 + (y-1)**4 + x*y")
    x = scattered(U)
    closed = torch.stack([2 * x[:, 0] + x[:, 1], 4 * (x[:, 1] - 1) ** 3 + x[:, 0]], 1)
    assert_close(U.grad(x), closed)
    with pytest.raises(ValueError, match="not"):
        energies.from_expression("__import__('os')")


def test_from_points_is_a_density() -> None:
    U = VARIANTS["points"]()
    wide = energies.from_points(np.random.default_rng(0).normal(size=(60, 2)) * [1.0, 3.0], bandwidth=2.0)
    assert numerical_log_z(U) == pytest.approx(0.0, abs=1e-6)
    assert numerical_log_z(wide) == pytest.approx(0.0, abs=1e-6)
    for wrong in (np.zeros((20, 3)), np.full((20, 2), np.nan), np.zeros(20)):
        with pytest.raises(ValueError, match="points must be finite and of shape"):
            energies.from_points(wrong)


def test_exact_draws_reach_beyond_the_bounds_or_are_refused() -> None:
    """A Gaussian of deviation 10 in bounds of ±4; a law with a tail that no grid holds."""
    wide = energies.from_callable(lambda x: x.square().sum(1) / 200)
    draws = wide.sample(40_000, generator())
    assert draws.std(0).tolist() == pytest.approx([10.0, 10.0], rel=5 / math.sqrt(2 * 40_000))
    assert wide.log_normaliser() == pytest.approx(math.log(2 * math.pi * 100), abs=1e-3)
    heavy = energies.from_expression("1.1*log(1+r**2)")
    with pytest.raises(ValueError, match="too far for exact draws"):
        heavy.sample(10)


def test_density_on_a_grid_is_normalised_and_oriented() -> None:
    U = energies.get("gaussian", condition_number=4.0)
    box = ((-8.0, 8.0), (-6.0, 6.0))
    density = torch.exp(-energy_on_grid(U, box, 160) - GridSampler(U, box, 160).log_z)
    x, y = cell_centres(box, 160)
    assert float(density.sum()) * 0.1 * 0.075 == pytest.approx(1.0, abs=1e-9)
    exact = torch.exp(-(x[:, None] ** 2) / 2 - 2 * y**2) / math.pi
    assert float((density - exact).abs().max()) < 1e-6
    assert float((density.T - exact).abs().max()) > 0.05
