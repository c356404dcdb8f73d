"""Stationary laws of a sampler without drawing from it: each is computed from the sampler's own step.

On a Gaussian a step is linear in its state and its noise, and its covariance solves a Lyapunov equation. On a
line, a step that is Gaussian given where it starts has a transition density; any other has a transition
matrix, by quadrature over its noise. All in double precision, so that a test of a law needs no chains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lflow.energies import Energy
from lflow.noise import StepNoise
from lflow.samplers import Sampler

Step = Callable[[Tensor, Tensor], Tensor]

_NOT_LINEAR = ("inner_step", "t")  # what a state carries beside the linear part of it
_GAUSS_LEGENDRE = np.polynomial.legendre.leggauss(5)


def linear_map(sampler: Sampler, energy: Energy, h: float, T: float, alpha: float) -> tuple[Any, Any]:
    """(M, N) of a step s' = M s + N ξ in one dimension, all uniforms being alpha."""
    draws = sampler.extra(energy)
    kinds = ["normal", *(draw.kind for draw in draws)]
    normals = kinds.count("normal")
    start = sampler.init(torch.zeros(1, 1).double(), energy, _noise(kinds, torch.zeros(1, normals), alpha), T)
    fields = [name for name in start._fields if name not in _NOT_LINEAR]
    basis = torch.eye(len(fields) + normals, dtype=torch.float64)
    many = {name: getattr(start, name) for name in start._fields if name in _NOT_LINEAR}
    many = {name: value.expand(len(basis), 1) if value.ndim else value for name, value in many.items()}
    state = type(start)(**many, **{name: basis[:, [i]] for i, name in enumerate(fields)})
    end, _ = sampler.step(state, energy, h, T, _noise(kinds, basis[:, len(fields) :], alpha))
    columns = torch.cat([getattr(end, name) for name in fields], 1).T.numpy()
    return columns[:, : len(fields)], columns[:, len(fields) :]


def _noise(kinds: Sequence[str], normals: Tensor, alpha: float) -> StepNoise:
    columns = iter(normals.double().split(1, 1))
    uniform = torch.full((len(normals),), alpha, dtype=torch.float64)
    primary, *extra = [next(columns) if kind == "normal" else uniform for kind in kinds]
    return StepNoise(primary, tuple(extra))


def second_moments(sampler: Sampler, energy: Energy, h: float, T: float = 1.0) -> tuple[Any, Any]:
    """(A, b) of P' = A P + b for the second moments P of the state, averaged over a uniform draw."""
    parts = []
    for node, weight in zip(*_GAUSS_LEGENDRE, strict=True):  # exact: polynomials of degree 4 in alpha
        M, N = linear_map(sampler, energy, h, T, (node + 1) / 2)
        parts.append((weight / 2 * np.kron(M, M), weight / 2 * (N @ N.T).flatten()))
    return sum(part[0] for part in parts), sum(part[1] for part in parts)


def variance(sampler: Sampler, energy: Energy, h: float, T: float = 1.0) -> float:
    """The stationary variance of the position on a Gaussian in one dimension."""
    A, b = second_moments(sampler, energy, h, T)
    return float(np.linalg.solve(np.eye(len(b)) - A, b)[0])


def growth(sampler: Sampler, energy: Energy, h: float) -> float:
    """The factor by which second moments grow a step; above 1 the scheme is unstable."""
    return float(np.abs(np.linalg.eigvals(second_moments(sampler, energy, h)[0])).max())


def one_step(sampler: Sampler, energy: Energy, h: Any, T: float = 1.0) -> Step:
    """(x, ξ) -> x' of a sampler whose state follows from its position; further normals are 1."""

    def step(x: Tensor, xi: Tensor) -> Tensor:
        uniform = [draw.kind == "uniform" for draw in sampler.extra(energy)]
        extra = tuple(torch.ones(len(x)).double() if u else torch.ones_like(x) for u in uniform)
        noise = StepNoise(xi, extra)
        size = h(energy.grad(x)) if callable(h) else h
        moved: Tensor = sampler.step(sampler.init(x, energy, noise, T), energy, size, T, noise)[0].x
        return moved

    return step


def density(step: Step, grid: np.ndarray, to_line: Callable[[Tensor], Tensor] | None = None) -> np.ndarray:
    """The stationary density on an even grid of a step that is Gaussian given where it starts; sums to one.

    `to_line` takes positions to the coordinate in which the step is Gaussian; the grid is of positions whose
    image is even.
    """
    to_line = to_line or (lambda x: x)
    x = torch.from_numpy(grid)[:, None]
    at, small = to_line(x).numpy()[:, 0], 1e-4
    mean = to_line(step(x, torch.zeros_like(x))).numpy()
    slope = (to_line(step(x, small * torch.ones_like(x))).numpy() - mean) / small
    away = (at[None] - mean) / np.abs(slope)
    kernel = np.exp(-(away**2) / 2)
    # What would leave the grid stays at its end, as it does in a box.
    return _fixed_point(kernel / kernel.sum(1, keepdims=True))


def law_by_quadrature(
    step: Callable[..., Tensor], grid: np.ndarray, normals: int, uniform: bool
) -> np.ndarray:
    """Weights on the grid that integrate a smooth function by the stationary law of step(x, ξ..., [α]).

    Gauss-Hermite nodes for each normal, Gauss-Legendre for the uniform, cubic interpolation between points.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(16 if normals == 1 else 10)
    axes = [(nodes, weights / weights.sum())] * normals
    if uniform:
        axes.append(((_GAUSS_LEGENDRE[0] + 1) / 2, _GAUSS_LEGENDRE[1] / 2))
    points = np.stack([a.flatten() for a in np.meshgrid(*(axis[0] for axis in axes), indexing="ij")])
    shares = np.stack([a.flatten() for a in np.meshgrid(*(axis[1] for axis in axes), indexing="ij")]).prod(0)
    size, width = len(grid), grid[1] - grid[0]
    x = torch.from_numpy(np.repeat(grid, len(shares)))[:, None]
    draws = [torch.from_numpy(np.tile(row, size)) for row in points]
    moved = step(x, *draws).numpy()[:, 0].clip(grid[1], grid[-2] - 1e-9)
    left = ((moved - grid[0]) / width).astype(int).clip(1, size - 3)
    t = (moved - grid[left]) / width
    cubic = [-t * (t - 1) * (t - 2) / 6, (t + 1) * (t - 1) * (t - 2) / 2]
    cubic += [-(t + 1) * t * (t - 2) / 2, (t + 1) * t * (t - 1) / 6]
    matrix = np.zeros((size, size))
    rows, mass = np.repeat(np.arange(size), len(shares)), np.tile(shares, size)
    for offset, part in zip((-1, 0, 1, 2), cubic, strict=True):
        np.add.at(matrix, (rows, left + offset), mass * part)
    return _fixed_point(matrix)


def _fixed_point(transition: np.ndarray) -> np.ndarray:
    equations = transition.T - np.eye(len(transition))
    equations[-1] = 1.0
    return np.linalg.solve(equations, np.eye(len(transition))[-1])


def total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """Half the sum of |a - b|, each made to sum to one."""
    return float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
