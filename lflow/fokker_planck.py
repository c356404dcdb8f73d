"""The continuous-time Langevin flow itself, on a 1-D or 2-D grid: the ground truth for every sampler.

Solves ∂_t p = ∇·(p ∇U) + T Δp, the law of dX = -∇U dt + √(2T) dW, inside the energy's bounds with walls
that let nothing through. It knows nothing of particles, samplers or step-size rules; it needs only U's values
on a grid, never its gradient.

**Space.** Mass jumps between neighbouring cells at the Scharfetter-Gummel rates

    q_ij = (T/w²) B((U_j - U_i)/T),    B(z) = z/(eᶻ - 1),    w the distance of the cell centres.

Since B(z) = e⁻ᶻ B(-z), detailed balance π_i q_ij = π_j q_ji holds with π = exp(-U/T) at the centres, so π is
stationary exactly, not up to the grid's error. Among all rates with detailed balance these are the only ones
whose mean velocity w (q_ij - q_ji) is exactly -ΔU/w: the square-root rates exp(∓z/2) overflow where the
energy is steep, and a centred difference has negative rates there (|z| > 2), hence negative densities. The
price is an effective temperature T (z/2) coth(z/2) along a slope, second order in w: refine the grid until
|∇U| w < T wherever the density matters.

**Time.** Implicit Euler, (I - h L) p' = p, where L moves mass by q. Its matrix is an M-matrix whose columns
sum to one, so LU without pivoting only ever adds non-negative numbers: densities stay non-negative in
floating point and mass is kept, for any h. No second-order linear scheme is positive for every h (Bolley and
Crouzeix 1978). Since (I - hL)⁻¹ = E[exp(τL)] with τ exponential of mean h, the answer after several steps is
the exact law at a *random* time of mean t and variance V = Σ h²: the error is ½ V ∂_tt p to leading order. So
steps grow in proportion to t (as V should), and the solver measures ½ V |∂_tt p| and repeats with more steps
where it is too large. Requested times between two steps are interpolated linearly, which keeps sign, mass and
stationarity.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sparse
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from scipy.special import ndtr

Array = NDArray[np.float64]

# Beyond this drop (in units of T) between neighbours the uphill rate is zero in double precision and the
# downhill one a thousand times diffusion: a steeper step would change no density, only the condition of the
# matrix.
_STEEPEST = 1000.0
_STEPS_PER_DOUBLING = 48
_MOST_STEPS = 6000
# Rounding in the factors is about 1e-16 * step * rate, relative to the density.
_STIFFEST = 1e12


class Energy(Protocol):
    """What this module needs of an energy."""

    @property
    def dim(self) -> int: ...

    @property
    def bounds(self) -> Sequence[Sequence[float]]: ...

    def __call__(self, x: torch.Tensor, /) -> torch.Tensor: ...


def axes(U: Energy, grid: int = 128) -> tuple[torch.Tensor, ...]:
    """Cell centres along each axis: a tuple of `dim` float64 tensors of shape (grid,), in the units of x.

    Raises ValueError unless U.dim is 1 or 2, its bounds are finite intervals, and grid >= 2.

    >>> (x,) = axes(U, grid=4)      # U.bounds == ((0.0, 1.0),)
    >>> x.tolist()
    [0.125, 0.375, 0.625, 0.875]
    """
    return tuple(torch.from_numpy((edges[1:] + edges[:-1]) / 2) for edges in _edges(U, grid))


def cell_volume(U: Energy, grid: int = 128) -> float:
    """Length or area of one cell, so that `density.sum() * cell_volume(U, grid)` is one.

    Raises ValueError as `axes` does.
    """
    return math.prod(float(edges[1] - edges[0]) for edges in _edges(U, grid))


def solve(
    U: Energy,
    times: Sequence[float] | torch.Tensor,
    initial: torch.Tensor | Array | tuple[Any, Any],
    grid: int = 128,
    temperature: float = 1.0,
    *,
    tolerance: float = 0.01,
) -> torch.Tensor:
    """Density of the Langevin flow dX = -∇U dt + √(2T) dW at each requested time.

    p(·, t) solves ∂_t p = ∇·(p ∇U) + T Δp in U.bounds with no-flux walls; exp(-U/T) is stationary.

    U: energy, (n, dim) float64 -> (n,), with dim 1 or 2; U = +inf marks cells that nothing enters.
    times: increasing, >= 0, evenly spaced or not; at 0 the initial density is returned.
    initial: a density at the cell centres, (grid,) or (grid, grid) indexed [x, y], or a tuple (mean, std),
        each a number or one per axis: the normal density averaged over each cell, exact for any std >= 0.
        Either is normalised to mass one over the cells where U is finite.
    grid: cells along each axis. temperature: T > 0.
    tolerance: greatest error of the time stepping, relative to the peak of the density at the same time. The
        error of the grid comes on top: it falls as 1/grid², and is small where |∇U| · (cell width) < T.

    Returns float64 densities (not masses), (len(times), grid) or (len(times), grid, grid), indexed [time, x,
    y]. Raises ValueError for T <= 0, a dimension other than 1 or 2, times that are negative or do not
    increase, an initial density of the wrong shape, with negative or non-finite values or without mass, and
    an energy that is NaN or -inf. Warns (RuntimeWarning) with its size if the time error exceeds the
    tolerance after 6,000 steps.

    (Scharfetter & Gummel 1969, IEEE Trans. Electron Devices 16)

    >>> density = solve(U, times=[0.0, 0.5, 2.0], initial=((1.0, -1.0), 0.3), grid=64)
    >>> density.shape, float(density[2].sum() * cell_volume(U, 64))
    (torch.Size([3, 64, 64]), 1.0)
    """
    if not temperature > 0 or not math.isfinite(temperature):
        raise ValueError(f"temperature must be a positive number, not {temperature}: T = 0 has no density")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, not {tolerance}")
    moments = _checked_times(times)
    edges = _edges(U, grid)
    energy = _energy_on_grid(U, edges)
    mass = _initial_mass(initial, edges, np.isfinite(energy))
    frames = _flow(_generator(energy / temperature, edges, temperature), mass.ravel(), moments, tolerance)
    density = frames / cell_volume(U, grid)
    return torch.from_numpy(density).reshape(len(moments), *energy.shape)


def _flow(generator: sparse.csc_matrix, mass: Array, times: Array, tolerance: float) -> Array:
    """March with the usual number of steps, and again with more while the measured error asks for it."""
    horizon = float(times[-1])
    if horizon == 0:
        return mass[None].copy()
    first = float(times[times > 0][0])
    doublings = min(math.ceil(math.log2(horizon / first)), 40)
    count = _STEPS_PER_DOUBLING
    frames, error = _march(generator, mass, times, doublings, count)
    most = max(_MOST_STEPS // (doublings + 1), count)
    while error > tolerance and count < most:
        count = min(math.ceil(1.2 * count * error / tolerance), most)
        frames, error = _march(generator, mass, times, doublings, count)
    if error > tolerance:
        message = (
            f"time steps leave an error of about {error:.1%} of the peak density (asked: {tolerance:.1%})"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    return frames


def _march(
    generator: sparse.csc_matrix, mass: Array, times: Array, doublings: int, count: int
) -> tuple[Array, float]:
    """Masses at `times`, and the largest time error at any of them relative to the peak.

    `count` equal steps reach horizon / 2^doublings, and `count` more each doubling of the time after that.
    """
    frames: list[Array] = []
    variance = worst = 0.0
    for block in range(doublings + 1):
        end = float(times[-1]) * 2.0 ** (block - doublings)
        begin = end / 2 if block else 0.0
        step = (end - begin) / count
        solver = _factorise(generator, step)
        for k in range(count):
            after = solver.solve(mass)
            # Only rounding is corrected here: the exact solution has this mass already.
            after /= after.sum()
            last = block == doublings and k == count - 1
            while len(frames) < len(times) and (last or times[len(frames)] <= begin + (k + 1) * step):
                part = min(max((times[len(frames)] - begin) / step - k, 0.0), 1.0)
                frames.append((1 - part) * mass + part * after)
                # Interpolating is one more random choice of the time, hence the last term.
                spread = variance + part * step**2 + part * (1 - part) * step**2
                curvature = np.abs(generator @ (after - mass)).max() / step
                worst = max(worst, float(spread * curvature / 2 / frames[-1].max()))
            variance += step**2
            mass = after
    return np.stack(frames), worst


def _factorise(generator: sparse.csc_matrix, step: float) -> Any:
    if step * float(-generator.diagonal().min()) > _STIFFEST:
        raise ValueError(
            f"a time step of {step:.3g} spans more than {_STIFFEST:.0e} jumps between cells: "
            "ask for earlier times or a coarser grid"
        )
    matrix = sparse.identity(generator.shape[0], format="csc") - step * generator
    # Pivots stay on the diagonal: that is what keeps the solution positive, and the fill-in half of COLAMD's.
    options = {"SymmetricMode": True}
    return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)


def _generator(reduced: Array, edges: list[Array], temperature: float) -> sparse.csc_matrix:
    """The matrix L of dp/dt = L p for cell masses p, from U/T on the grid: columns sum to zero."""
    cells = np.arange(reduced.size).reshape(reduced.shape)
    rows, columns, values = [], [], []
    for axis in range(reduced.ndim):
        width = edges[axis][1] - edges[axis][0]
        low = np.take(cells, range(reduced.shape[axis] - 1), axis).ravel()
        high = np.take(cells, range(1, reduced.shape[axis]), axis).ravel()
        # inf - inf is NaN, but such a face is shut anyway
        with np.errstate(invalid="ignore"):
            rise = np.clip(reduced.ravel()[high] - reduced.ravel()[low], -_STEEPEST, _STEEPEST)
        shut = ~np.isfinite(reduced.ravel()[low] + reduced.ravel()[high])
        rise[shut] = 0.0
        conductance = np.where(shut, 0.0, temperature / width**2)
        up, down = conductance * _bernoulli(rise), conductance * _bernoulli(-rise)
        rows += [high, low, low, high]
        columns += [low, low, high, high]
        values += [up, -up, down, -down]
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csc_matrix(entries, shape=(reduced.size, reduced.size))


def _bernoulli(z: Array) -> Array:
    """z / (e^z - 1), which is 1 at z = 0."""
    with np.errstate(over="ignore"):
        return np.where(z == 0, 1.0, z / np.where(z == 0, 1.0, np.expm1(z)))


def _checked_times(times: Sequence[float] | torch.Tensor) -> Array:
    moments = torch.as_tensor(times, dtype=torch.float64).cpu().reshape(-1).numpy()
    if len(moments) == 0 or not np.isfinite(moments).all() or moments[0] < 0 or (np.diff(moments) <= 0).any():
        raise ValueError(f"times must be finite, at least 0 and increasing, not {times}")
    return moments


def _edges(U: Energy, grid: int) -> list[Array]:
    if U.dim not in (1, 2):
        raise ValueError(
            f"Fokker-Planck grids are for 1-D and 2-D energies, and this one has dimension {U.dim}"
        )
    if grid < 2:
        raise ValueError(f"grid must be at least 2 cells along each axis, not {grid}")
    bounds = [(float(low), float(high)) for low, high in U.bounds]
    if len(bounds) != U.dim or not all(low < high and math.isfinite(high - low) for low, high in bounds):
        raise ValueError(f"bounds must be one finite interval for each of {U.dim} dimensions, not {U.bounds}")
    return [np.linspace(low, high, grid + 1) for low, high in bounds]


def _energy_on_grid(U: Energy, edges: list[Array]) -> Array:
    centres = [torch.from_numpy((edge[1:] + edge[:-1]) / 2) for edge in edges]
    points = torch.stack(torch.meshgrid(*centres, indexing="ij"), dim=-1)
    with torch.no_grad():
        energy = U(points.reshape(-1, len(edges))).double().reshape(points.shape[:-1]).numpy()
    bad = int(np.count_nonzero(np.isnan(energy) | np.isneginf(energy)))
    if bad:
        raise ValueError(f"the energy is NaN or -inf at {bad} of {energy.size} cell centres")
    return energy


def _initial_mass(initial: Any, edges: list[Array], allowed: NDArray[np.bool_]) -> Array:
    if isinstance(initial, tuple):
        mass = _normal_mass(initial, edges)
    else:
        mass = torch.as_tensor(initial).detach().cpu().double().numpy()
    if mass.shape != allowed.shape:
        raise ValueError(f"the initial density has shape {mass.shape}, and the grid is {allowed.shape}")
    if not np.isfinite(mass).all() or (mass < 0).any():
        raise ValueError("the initial density must be finite and nowhere negative")
    mass = np.where(allowed, mass, 0.0)
    # A first division keeps the sum of huge densities finite.
    mass = mass / max(float(mass.max()), 1e-300)
    if mass.sum() == 0:
        raise ValueError("the initial density has no mass inside the bounds where the energy is finite")
    return mass / mass.sum()


def _normal_mass(initial: tuple[Any, Any], edges: list[Array]) -> Array:
    if len(initial) != 2:
        raise ValueError(f"initial must be a density or a pair (mean, std), not {len(initial)} values")
    shape = (len(edges),)
    means, stds = (np.broadcast_to(np.asarray(value, dtype=np.float64), shape) for value in initial)
    if not np.isfinite(means).all() or not np.isfinite(stds).all() or (stds < 0).any():
        raise ValueError(f"the initial mean and std must be finite, and std not negative: {initial}")
    mass = np.ones(())
    for edge, mean, std in zip(edges, means, stds, strict=True):
        # std = 0 is a point mass: any std far below the cell gives the same cell masses
        scaled = (edge - mean) / max(float(std), 1e-9 * float(edge[1] - edge[0]))
        # differences of the smaller tail: 1 - 1e-20 would round away
        right = scaled[:-1] > 0
        share = np.where(right, ndtr(-scaled[:-1]) - ndtr(-scaled[1:]), ndtr(scaled[1:]) - ndtr(scaled[:-1]))
        mass = np.multiply.outer(mass, share)
    return mass
