"""Energies of a user's own: a torch function, a formula, a set of points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lflow.energies.base import Bounds, Energy
from lflow.energies.confinement import check
from lflow.energies.expression import Formula, compile_expression
from lflow.energies.points import PointCloud
from lflow.spec import param


@dataclass(frozen=True, eq=False)
class FromCallable(Energy):
    """Any torch function U: (n, dim) -> (n,) as an energy."""

    function: Callable[[Tensor], Tensor]
    dim: int
    box: Bounds
    title = "function"
    name = "from_callable"

    @property
    def bounds(self) -> Bounds:
        return self.box

    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x)


@dataclass(frozen=True)
class FromExpression(Energy):
    """A formula in x, y and r as an energy in the plane; two of the same text and box are equal."""

    text: str
    box: Bounds
    compiled: Formula = field(init=False, repr=False, compare=False)
    title = "your formula"
    name = "from_expression"
    dim = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "compiled", compile_expression(self.text))
        check(self.compiled, self.box)

    @property
    def formula(self) -> str:  # type: ignore[override]
        return f"U = \\texttt{{{self.compiled.text}}}"

    @property
    def cost(self) -> float:  # type: ignore[override]
        return max(1.0, len(self.compiled.steps) / 27)

    @property
    def bounds(self) -> Bounds:
        return self.box

    def __call__(self, x: Tensor) -> Tensor:
        return self.compiled(x)


@dataclass(frozen=True)
class FromPoints(Energy):
    """Kernel density of a set of points: U(x) = -log (1/m) Σ_i N(x; p_i, diag(h²)), log_z = 0.

    h is Scott's rule times `bandwidth`.
    """

    points: tuple[tuple[float, float], ...] = field(repr=False)
    bandwidth: float = param(1.0, 0.1, 5.0, log=True, help="smoothing, in units of Scott's rule")
    box: Bounds | None = None
    """What the picture shows; None for the range of the points, and a margin."""
    cloud: PointCloud = field(init=False, repr=False, compare=False)
    title = "your points"
    name = "from_points"
    formula = r"U = -\log \tfrac1m \sum_i \mathcal{N}(x;\, p_i, h^2)"
    dim = 2
    log_z = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        cloud = PointCloud(torch.tensor(self.points, dtype=torch.float64), self.bandwidth)
        object.__setattr__(self, "cloud", cloud)

    @property
    def cost(self) -> float:  # type: ignore[override]
        return max(1.0, len(self.points) / 33)

    @property
    def bounds(self) -> Bounds:
        return self.box or self.cloud.bounds

    def __call__(self, x: Tensor) -> Tensor:
        return self.cloud.energy(x)

    def grad(self, x: Tensor) -> Tensor:
        return self.cloud.grad(x)

    def value_and_grad(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.cloud.energy_and_grad(x)

    def _draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        return self.cloud.sample(n, generator)


def from_callable(
    function: Callable[[Tensor], Tensor], dim: int = 2, bounds: Sequence[Sequence[float]] | None = None
) -> Energy:
    """An energy from any torch function (n, dim) -> (n,). Chains start uniformly in the bounds.

    `bounds` is a pair (low, high) for each dimension, (-4, 4) each if not given.

    ValueError if the bounds do not fit `dim` or the function returns another shape.

    Example:
        >>> lflow.energies.from_callable(lambda x: x.square().sum(1) / 2, dim=2, bounds=((-4, 4), (-4, 4)))
    """
    box = _box(bounds if bounds is not None else [(-4.0, 4.0)] * dim, dim)
    n = dim + 1  # not dim: a sum over the wrong axis must not pass
    probe = torch.tensor([[low + 0.4 * (high - low) for low, high in box]] * n)
    shape = tuple(function(probe).shape)
    if shape != (n,):
        raise ValueError(f"the function must map (n, {dim}) to (n,); it maps ({n}, {dim}) to {shape}")
    return FromCallable(function, dim, box)


def from_expression(text: str, bounds: Sequence[Sequence[float]] = ((-4.0, 4.0), (-4.0, 4.0))) -> Energy:
    """An energy in the plane from a formula in x, y and r, such as "x**2 + (y-1)**4".

    Only an allow-list of mathematics is understood; nothing is ever evaluated as code. ValueError says
    what is wrong: an unknown name, a value that is not finite, or an energy that does not confine.
    """
    return FromExpression(text, _box(bounds, 2))


def from_points(
    points: ArrayLike | Tensor, bandwidth: float = 1.0, bounds: Sequence[Sequence[float]] | None = None
) -> Energy:
    """The kernel density of points in the plane, (m, 2), as an energy.

    `bounds` is what a picture shows; if not given, the range of the points and a margin.
    """
    array = np.asarray(points, dtype=float)
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise ValueError(f"points must be finite and of shape (m, 2), got shape {array.shape}")
    box = None if bounds is None else _box(bounds, 2)
    return FromPoints(tuple((float(x), float(y)) for x, y in array), bandwidth, box)


def _box(bounds: Sequence[Sequence[float]], dim: int) -> Bounds:
    box = tuple((float(low), float(high)) for low, high in bounds)
    if len(box) != dim or not all(np.isfinite(pair).all() and pair[0] < pair[1] for pair in box):
        raise ValueError(f"bounds must be {dim} pairs (low, high) with low < high, got {bounds!r}")
    return box
