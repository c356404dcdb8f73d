"""The Fokker-Planck solver against closed forms, and what a finite-volume scheme owes at every step.

Beside each property stands a scheme, an answer or a tolerance that lacks it, and fails the same check.
"""

import itertools
import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch

from lflow import fokker_planck


class Energy(NamedTuple):
    """The least that the solver asks of an energy."""

    function: Callable[[torch.Tensor], torch.Tensor]
    dim: int = 2
    bounds: tuple[tuple[float, float], ...] = ((-4.0, 4.0), (-4.0, 4.0))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def one_dimensional(function: Callable[[torch.Tensor], torch.Tensor], half_width: float = 4.0) -> Energy:
    return Energy(lambda x: function(x[:, 0]), dim=1, bounds=((-half_width, half_width),))


def ornstein_uhlenbeck(
    x: torch.Tensor, time: float, mean: float, std: float, stiffness: float = 1.0, temperature: float = 1.0
) -> torch.Tensor:
    """Density at `time` of dX = -k X dt + √(2T) dW from a normal start."""
    decay = math.exp(-stiffness * time)
    variance = (std * decay) ** 2 + temperature / stiffness * (1 - decay**2)
    return torch.exp(-((x - mean * decay) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


def relative_error(density: torch.Tensor, exact: torch.Tensor) -> float:
    return float((density - exact).abs().max() / exact.max())


def total_mass(U: Energy, density: torch.Tensor) -> torch.Tensor:
    return density.flatten(1).sum(dim=1) * fokker_planck.cell_volume(U, density.shape[1])


NORMAL_1D = one_dimensional(lambda x: x**2 / 2, half_width=6.0)
DOUBLE_WELL = one_dimensional(lambda x: 4 * (x**2 - 1) ** 2, half_width=2.5)
TILTED_WELLS = Energy(lambda x: 2 * (x[:, 0] ** 2 - 1) ** 2 + 0.5 * x[:, 0] + x[:, 1] ** 2)


# Closed forms


@pytest.mark.parametrize("times", [[0.0, 0.3, 1.0, 3.0], [1.0], [0.01, 0.011, 0.5, 0.50001, 6.0]])
def test_ornstein_uhlenbeck_in_one_dimension(times: list[float]) -> None:
    density = fokker_planck.solve(NORMAL_1D, times, (2.0, 0.4), grid=256, temperature=0.7, tolerance=2e-3)
    (x,) = fokker_planck.axes(NORMAL_1D, 256)
    for time, found in zip(times, density, strict=True):
        # The tolerance of the time steps, and as much for the grid.
        assert relative_error(found, ornstein_uhlenbeck(x, time, 2.0, 0.4, temperature=0.7)) < 4e-3
        if 0.3 <= time <= 3:
            fast_clock = ornstein_uhlenbeck(x, 1.05 * time, 2.0, 0.4, temperature=0.7)
            assert relative_error(found, fast_clock) > 4e-3


def test_ornstein_uhlenbeck_in_two_dimensions_has_its_axes_in_order() -> None:
    U = Energy(lambda x: x[:, 0] ** 2 / 2 + 1.5 * x[:, 1] ** 2, bounds=((-5.0, 5.0), (-3.5, 3.5)))
    times = [0.1, 0.4, 2.0]
    density = fokker_planck.solve(U, times, ((1.5, -1.0), (0.4, 0.3)), grid=96)
    x, y = fokker_planck.axes(U, 96)
    for time, found in zip(times, density, strict=True):
        along_x = ornstein_uhlenbeck(x, time, 1.5, 0.4)
        along_y = ornstein_uhlenbeck(y, time, -1.0, 0.3, stiffness=3.0)
        assert relative_error(found, along_x[:, None] * along_y) < 2e-2
        assert relative_error(found.T, along_x[:, None] * along_y) > 0.2


def test_walls_reflect() -> None:
    """Heat in [0, 1] from a point at 1/4: cosine modes."""
    U = Energy(lambda x: 0 * x[:, 0], dim=1, bounds=((0.0, 1.0),))
    density = fokker_planck.solve(U, [0.02, 0.1], (0.25, 0.0), grid=100, tolerance=1e-3)
    (x,) = fokker_planck.axes(U, 100)
    for time, found in zip([0.02, 0.1], density, strict=True):
        k = math.pi * torch.arange(1, 60, dtype=torch.float64)[:, None]
        exact = 1 + 2 * (torch.exp(-(k**2) * time) * (0.25 * k).cos() * (k * x).cos()).sum(dim=0)
        assert relative_error(found, exact) < 3e-3


def test_error_falls_with_the_square_of_the_cell() -> None:
    errors = []
    for grid in (24, 48, 96):
        (x,) = fokker_planck.axes(NORMAL_1D, grid)
        start = ornstein_uhlenbeck(x, 0.0, 1.0, 0.8)
        found = fokker_planck.solve(NORMAL_1D, [0.5], start, grid=grid, tolerance=2e-4)[0]
        errors.append(relative_error(found, ornstein_uhlenbeck(x, 0.5, 1.0, 0.8)))
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    # The time error, at most 2e-4 of the peak, bends the last one.
    assert all(1.7 < order < 2.4 for order in orders), (errors, orders)


def test_time_error_is_what_was_asked_and_of_first_order() -> None:
    def march(count: int, times: tuple[float, ...], doublings: int = 3) -> tuple[np.ndarray, float]:
        edges = fokker_planck._edges(NORMAL_1D, 200)
        generator = fokker_planck._generator(fokker_planck._energy_on_grid(NORMAL_1D, edges), edges, 1.0)
        start = fokker_planck._initial_mass((2.0, 0.4), edges, np.ones(200, dtype=bool))
        return fokker_planck._march(generator, start, np.array(times), doublings, count)

    times = (0.303, 1.0, 2.0)  # between two steps, on a step, at the horizon
    exact, _ = march(5000, times)
    measured = []
    for count in (25, 50):
        frames, predicted = march(count, times)
        true = float(max(np.abs(a - b).max() / b.max() for a, b in zip(frames, exact, strict=True)))
        assert predicted == pytest.approx(true, rel=0.15)
        measured.append(true)
    assert 1.8 < measured[0] / measured[1] < 2.2
    # One step h has the variance h², so a tenth of the step a hundredth of the error.
    assert march(1, (1e-2,), 0)[1] == pytest.approx(100 * march(1, (1e-3,), 0)[1], rel=0.5)
    assert march(1, (1e-3,), 0)[1] > 1e-6


# What holds at every step, on any grid


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("U", [TILTED_WELLS, DOUBLE_WELL, NORMAL_1D])
def test_boltzmann_density_is_exactly_stationary(U: Energy, temperature: float) -> None:
    centres = torch.meshgrid(*fokker_planck.axes(U, 40), indexing="ij")
    energy = U(torch.stack(centres, dim=-1).reshape(-1, U.dim)).reshape((40,) * U.dim)
    start = torch.exp(-energy / temperature)
    exact = start / start.sum() / fokker_planck.cell_volume(U, 40)
    density = fokker_planck.solve(U, [0.01, 1.0, 100.0], start, grid=40, temperature=temperature)
    # Below this, doubles themselves lose digits.
    seen = exact > 1e-290
    assert float(((density - exact).abs() / exact)[:, seen].max()) < 1e-10
    warmer = fokker_planck.solve(U, [1.0], start, grid=40, temperature=1.1 * temperature)[0]
    assert float(((warmer - exact).abs() / exact)[seen].max()) > 1e-2


def test_detailed_balance_and_columns_that_sum_to_zero() -> None:
    edges = fokker_planck._edges(TILTED_WELLS, 24)
    energy = fokker_planck._energy_on_grid(TILTED_WELLS, edges)
    matrix = fokker_planck._generator(energy / 0.5, edges, 0.5).toarray()
    stationary = np.exp(-(energy - energy.min()).ravel() / 0.5)
    flow = matrix * stationary
    np.testing.assert_allclose(flow, flow.T, rtol=1e-12, atol=1e-300)
    assert np.abs(matrix.sum(axis=0)).max() < 1e-12 * np.abs(matrix).max()
    other = matrix * np.exp(-(energy - energy.min()).ravel() / 0.6)
    assert np.abs(other - other.T).max() > 0.1


def centred_step(energy: np.ndarray, width: float, step: float, mass: np.ndarray) -> np.ndarray:
    """One implicit step of the centred scheme: second order and conservative, but not reversible."""
    size = len(energy)
    matrix = np.zeros((size, size))
    for i in range(size - 1):
        velocity = -(energy[i + 1] - energy[i]) / width
        right, left = 1 / width**2 + velocity / (2 * width), 1 / width**2 - velocity / (2 * width)
        matrix[[i, i + 1], i] += [-right, right]
        matrix[[i + 1, i], i + 1] += [-left, left]
    return np.linalg.solve(np.eye(size) - step * matrix, mass)


def test_density_is_never_negative_where_a_centred_scheme_is() -> None:
    U = one_dimensional(lambda x: 50 * x**2)
    density = fokker_planck.solve(U, [1e-4, 1e-2, 0.1, 1.0], (3.0, 0.05), grid=32)
    assert (density >= 0).all()
    (x,) = fokker_planck.axes(U, 32)
    start = torch.exp(-((x - 3.0) ** 2) / 0.1).numpy()
    assert centred_step(50 * x.numpy() ** 2, 0.25, 0.01, start).min() < -1e-3 * start.max()


@pytest.mark.parametrize("U", [TILTED_WELLS, DOUBLE_WELL, one_dimensional(lambda x: 300 * x.cos())])
def test_mass_is_one(U: Energy) -> None:
    density = fokker_planck.solve(U, [0.0, 1e-3, 0.1, 7.0, 5000.0], (0.5, 0.1), grid=50, temperature=0.8)
    assert (density >= 0).all()
    assert float((total_mass(U, density) - 1).abs().max()) < 1e-10
    assert float((total_mass(U, 1.000001 * density) - 1).abs().max()) > 1e-10


def test_double_well_relaxes_at_the_rate_of_its_slowest_mode() -> None:
    edges = fokker_planck._edges(DOUBLE_WELL, 100)
    energy = fokker_planck._energy_on_grid(DOUBLE_WELL, edges)
    matrix = fokker_planck._generator(energy, edges, 1.0).toarray()
    root = np.exp(-energy / 2)
    rate = -np.linalg.eigvalsh(matrix * root / root[:, None])[-2]
    times = [1 / rate, 2 / rate, 20 / rate]
    density = fokker_planck.solve(DOUBLE_WELL, times, (-1.0, 0.2), grid=100, tolerance=2e-3)
    (x,) = fokker_planck.axes(DOUBLE_WELL, 100)
    left = density[:, x < 0].sum(dim=1) * fokker_planck.cell_volume(DOUBLE_WELL, 100)
    # Imbalance decays as exp(-rate t), to the tolerance of 2e-3.
    assert float((left[1] - 0.5) / (left[0] - 0.5)) == pytest.approx(math.exp(-1), rel=1e-2)
    assert float(left[2]) == pytest.approx(0.5, abs=1e-4)
    exact = torch.from_numpy(root**2 / (root**2).sum()) / fokker_planck.cell_volume(DOUBLE_WELL, 100)
    assert relative_error(density[2], exact) < 1e-4
    assert relative_error(density[1], exact) > 1e-2


def test_distance_to_equilibrium_never_grows() -> None:
    """Relative entropy falls, as it does for every reversible chain; here on irregular times."""
    times = [0.0, 1e-4, 1e-3, 0.5, 0.51, 0.52, 4.0, 30.0]
    density = fokker_planck.solve(TILTED_WELLS, times, ((1.5, 2.0), 0.3), grid=40, temperature=0.7)
    centres = torch.meshgrid(*fokker_planck.axes(TILTED_WELLS, 40), indexing="ij")
    energy = TILTED_WELLS(torch.stack(centres, dim=-1).reshape(-1, 2)).reshape(40, 40)
    entropy = (torch.xlogy(density, density) + density * energy / 0.7).sum(dim=(1, 2))
    assert (entropy.diff() < 1e-9).all()
    assert not (entropy.flip(0).diff() < 1e-9).all()


# Starts


def test_narrow_start_has_the_cell_masses_of_the_normal_law() -> None:
    U = Energy(lambda x: 0 * x[:, 0], dim=1, bounds=((0.0, 1.0),))
    at_zero = [fokker_planck.solve(U, [0.0], (0.5, std), grid=10)[0] / 10 for std in (0.0, 1e-4, 0.05)]
    middle = torch.zeros(10, dtype=torch.float64)
    middle[4:6] = 0.5
    assert torch.allclose(at_zero[0], middle)
    assert torch.allclose(at_zero[1], middle)
    beyond_one_cell = (1 - math.erf(0.1 / 0.05 / math.sqrt(2))) / 2
    assert float(at_zero[2][:4].sum()) == pytest.approx(beyond_one_cell, rel=1e-12)
    sampled_at_centres = math.exp(-0.5 * (0.15 / 0.05) ** 2)
    assert sampled_at_centres != pytest.approx(beyond_one_cell, rel=0.1)


def test_start_on_the_grid_is_normalised_and_returned_at_time_zero() -> None:
    start = torch.rand(30, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    density = fokker_planck.solve(TILTED_WELLS, [0.0, 0.1], start, grid=30)
    expected = start / start.sum() / fokker_planck.cell_volume(TILTED_WELLS, 30)
    assert torch.allclose(density[0], expected, rtol=1e-13)
    again = fokker_planck.solve(TILTED_WELLS, [0.1], 1e300 * start.numpy(), grid=30)[0]
    assert torch.allclose(again, density[1], rtol=2e-2, atol=1e-6)
    only_zero = fokker_planck.solve(TILTED_WELLS, torch.tensor([0.0]), start, grid=30)
    assert torch.allclose(only_zero[0], expected, rtol=1e-13)


def test_one_irregular_time_more_changes_the_others_within_the_tolerance() -> None:
    some = fokker_planck.solve(TILTED_WELLS, [0.1, 2.0], ((1.0, 1.0), 0.3), grid=40)
    more = fokker_planck.solve(TILTED_WELLS, [0.013, 0.1, 1.9, 2.0, 2.6], ((1.0, 1.0), 0.3), grid=40)
    for a, b in zip(some, more[[1, 3]], strict=True):
        assert relative_error(a, b) < 0.02
    assert relative_error(some[0], more[0]) > 0.02


# Hostile energies


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 1e8 * (x[:, 0] ** 2 + x[:, 1]),
        lambda x: 1000.0 * ((5 * x).floor().sum(dim=1) % 2),
        lambda x: torch.where(x.norm(dim=1) > 2, math.inf, 3 * x[:, 0]),
        lambda x: x[:, 0] ** 2 * torch.exp(-9 * x[:, 1]) + x[:, 1] ** 2,
        lambda x: 1e300 * x[:, 0].abs(),
    ],
    ids=["cliff", "checkerboard", "disc in infinity", "funnel", "huge"],
)
def test_hostile_energies_give_a_density(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    U = Energy(function)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        density = fokker_planck.solve(U, [0.0, 0.01, 1.0, 50.0], ((0.5, 0.5), 0.3), grid=32)
    assert (density >= 0).all()
    assert float((total_mass(U, density) - 1).abs().max()) < 1e-10
    x, y = fokker_planck.axes(U, 32)
    points = torch.cartesian_prod(x, y)
    assert not density[:, torch.isinf(U(points)).reshape(32, 32)].any()


def test_unguarded_rates_overflow_on_a_hostile_energy() -> None:
    """The square-root rates exp(∓z/2), the usual alternative, on the cliff above."""
    with np.errstate(over="ignore"):
        assert not np.isfinite(np.exp(np.array([2000.0]) / 2)).all()
    assert np.isfinite(fokker_planck._bernoulli(np.array([-2000.0, 0.0, 1e-300, 2000.0]))).all()


# Refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"U": Energy(lambda x: x.sum(dim=1), dim=3, bounds=((0.0, 1.0),) * 3)}, "dimension 3"),
        ({"U": Energy(lambda x: x[:, 0], bounds=((0.0, 1.0),))}, "bounds"),
        ({"U": Energy(lambda x: x[:, 0] * math.nan)}, "NaN"),
        ({"times": [0.0, 1.0, 1.0]}, "increasing"),
        ({"times": [2.0, 1.0]}, "increasing"),
        ({"times": [-1.0, 1.0]}, "at least 0"),
        ({"times": []}, "times"),
        ({"times": [math.inf]}, "finite"),
        ({"times": [1e30]}, "jumps"),
        ({"grid": 1}, "grid"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"initial": torch.ones(16)}, "shape"),
        ({"initial": torch.ones(17, 16)}, "shape"),
        ({"initial": -torch.ones(16, 16)}, "negative"),
        ({"initial": torch.zeros(16, 16)}, "no mass"),
        ({"initial": ((0.0, 0.0), -1.0)}, "negative"),
        ({"initial": ((math.nan, 0.0), 1.0)}, "finite"),
        ({"initial": ((99.0, 0.0), 0.1)}, "no mass"),
    ],
)
def test_refuses_what_it_cannot_solve(changes: dict[str, object], message: str) -> None:
    arguments = {"U": TILTED_WELLS, "times": [1.0], "initial": (0.0, 1.0), "grid": 16} | changes
    with pytest.raises(ValueError, match=message):
        fokker_planck.solve(**arguments)  # type: ignore[arg-type]


def test_says_so_when_it_must_stop_short_of_the_tolerance() -> None:
    with pytest.warns(RuntimeWarning, match="error of about"):
        fokker_planck.solve(NORMAL_1D, [1.0], (2.0, 0.4), grid=16, tolerance=1e-7)
