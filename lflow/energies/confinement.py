"""Whether a formula is an energy one can sample: finite, with a finite gradient, and rising far away.

Knows a formula as a function on points and as the list of its operations, nothing of how it was compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lflow.energies.expression import FUNCTIONS, OPERATORS, Formula, compile_expression

Energy = Callable[..., Tensor]
Bounds = Sequence[tuple[float, float]]

# Rings of 2 to 2^14 half-widths around the bounds: beyond the 1,000 widths at which a run calls a particle
# lost, and near enough that float64 still resolves a valley one unit wide.
_RADII = 2.0 ** torch.arange(1, 15, dtype=torch.float64)
_SIDES = ("right", "upper right", "top", "upper left", "left", "lower left", "bottom", "lower right")


def check(formula: Formula, bounds: Bounds) -> None:
    """Refuse a formula that is no energy to sample: ValueError says what is wrong, and where.

    On a grid over the bounds, U and its gradient must be finite in float64 and in float32, and U must not
    fall into a pole. On rings of radius R outside, the mass ∮ exp(-U) must fall faster than R^-1.05, so that
    exp(-U) can be integrated. `bounds` is ((x0, x1), (y0, y1)), or ((x0, x1),) for one dimension.

    >>> check(compile_expression("x**2 + y**2"), ((-4, 4), (-4, 4)))
    """
    box = torch.tensor([[float(low), float(high)] for low, high in bounds], dtype=torch.float64)
    if box.shape != (formula.dim, 2) or not bool(box.isfinite().all() and (box[:, 0] < box[:, 1]).all()):
        raise ValueError(f"the bounds must be {formula.dim} finite pair(s), each with its lower end first")
    points = _grid(box)
    # A caller may hold gradients off; the check needs them, whatever the page around it does.
    with torch.inference_mode(False), torch.enable_grad():
        for dtype in (torch.float64, torch.float32):
            _refuse_not_finite(formula, points.to(dtype).clone().requires_grad_())
    _refuse_pole(formula, points, box)
    _refuse_unconfined(formula, box.mean(1), (box[:, 1] - box[:, 0]) / 2)


def _grid(box: Tensor) -> Tensor:
    axes = []
    for low, high in box.tolist():
        axis = torch.linspace(low, high, 121, dtype=torch.float64)
        # The origin and the axes are where formulas break; they need not fall on the grid by themselves.
        axes.append(torch.cat([axis, axis.new_zeros(1)]).unique() if low <= 0 <= high else axis)
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))


def _name(point: Tensor) -> str:
    numbers = ", ".join(str(round(value, 4) + 0.0) for value in point.tolist())
    return f"(x, y) = ({numbers})" if len(point) == 2 else f"x = {numbers}"


def _cause(formula: Formula, point: Tensor) -> str:
    """Which operation first leaves the finite numbers at a point (dim,): inner ones come first in `steps`."""
    needs = {name: f.needs for name, f in [*FUNCTIONS.items(), *OPERATORS.values()]}
    broken = (name for name, term in formula.steps if not bool(term(point[0], point[-1]).isfinite()))
    return next((f"{name} needs {needs[name]}" for name in broken), "a number is too large")


def _refuse_not_finite(formula: Formula, points: Tensor) -> None:
    energy = formula(points)
    (gradient,) = torch.autograd.grad(energy.sum(), points)
    precision = "" if points.dtype == torch.float64 else " in single precision"
    distance = (points - points.mean(0)).detach().square().sum(1)
    checks = {"energy": energy.isfinite(), "gradient of the energy": gradient.isfinite().all(1)}
    for what, finite in checks.items():
        if not bool(finite.all()):
            point = points[distance.masked_fill(finite, math.inf).argmin()].detach()
            cause = _cause(formula, point) if what == "energy" else "a root or a quotient is too steep there"
            raise ValueError(f"the {what} is not finite{precision} near {_name(point)}: {cause}")


def _refuse_pole(formula: Formula, points: Tensor, box: Tensor) -> None:
    """Zoom in on the lowest grid point: each zoom gains ever less at a minimum, but not at a pole."""
    energy = formula(points)
    point, lows, span = points[energy.argmin()], [float(energy.min())], float(energy.max() - energy.min())
    # Odd fractions of the grid's step: a zoom that lands on the pole itself sees nothing below it.
    around = (points - box.mean(1)) / 58.7
    for _ in range(8):
        near = torch.clamp(point + around, box[:, 0], box[:, 1])
        energy, around = formula(near), around / 7.3
        point, lows = near[energy.argmin()], [*lows, float(energy.min())]
    if lows[0] - lows[-1] > 1 + span or not lows[-2] - lows[-1] < 1e-2 * (1 + lows[0] - lows[-2]):
        raise ValueError(f"the energy falls without end near {_name(point)}: particles would gather there")


def _refuse_unconfined(formula: Formula, centre: Tensor, half_width: Tensor) -> None:
    angles, energy, mass = _rings(formula, centre, half_width)
    usable = int((~energy.isnan()).all(1).long().cumprod(0).sum())
    # Overflow far out (inf - inf) is forgiven; NaN within a few widths of the bounds is met at once.
    if usable < 3:
        index = int(energy[usable].isnan().long().argmax())
        point = _at(angles[usable, index], _RADII[usable], centre, half_width)
        raise ValueError(f"the energy is not a number at {_name(point)}: {_cause(formula, point)}")
    if _integrable(mass[:usable]):
        return
    last, first = usable - 1, (usable - 1) // 2
    rise = (energy[last] - energy[first])[: 256 if formula.dim == 2 else 2]
    everywhere = not bool((rise > 1.05 * formula.dim * (_RADII[last] / _RADII[first]).log()).any())
    side = round(float(angles[last, energy[last].argmin()]) / (math.pi / 4)) % 8
    compass = zip("xy", (math.cos(side * math.pi / 4), math.sin(side * math.pi / 4)), strict=True)
    limits = ", ".join(f"{axis} → {'+' if sign > 0 else '-'}∞" for axis, sign in compass if abs(sign) > 0.1)
    toward = "in any direction" if everywhere else f"toward the {_SIDES[side]} ({limits})"
    problem = f"the energy does not rise enough {toward}: particles would leave for good"
    # Toward an axis that coordinate alone may do; advice is given only where it helps.
    whole = "r" if formula.dim == 2 else "x"
    along = whole if everywhere or side % 2 else "xy"[side // 2 % 2]
    for cure in (f"0.1*{along}**2", f"0.1*{whole}**2", f"0.1*{whole}**4"):
        added = compile_expression(cure, formula.dim)
        if _integrable(_rings(lambda x, added=added: formula(x) + added(x), centre, half_width)[2]):
            raise ValueError(f"{problem}; add for instance {cure}")
    raise ValueError(problem)


def _integrable(mass: Tensor) -> bool:
    """Whether the log mass of a ring falls by more than log R over the outer half of the doublings."""
    last, first = len(mass) - 1, (len(mass) - 1) // 2
    fall = torch.where(mass[last] == -math.inf, math.inf, mass[first] - mass[last])
    return bool(fall > 1.05 * (_RADII[last] / _RADII[first]).log())


def _at(angles: Tensor, radii: Tensor, centre: Tensor, half_width: Tensor) -> Tensor:
    directions = torch.stack([angles.cos(), angles.sin()], dim=-1)[..., : len(centre)]
    return centre + radii[..., None] * directions * half_width


def _rings(energy: Energy, centre: Tensor, half_width: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Angles and energies (rings, points) on each ring, and the log of its mass ∮ exp(-U) (rings,).

    A valley that narrows, as along a parabola, slips between rays however many there are. So the lowest
    places of each ring are zoomed in on, and every point met is a node of the trapezoidal rule for the mass.
    """
    count = 256 if len(centre) == 2 else 2
    width = 2 * math.pi / count
    angles = (torch.arange(count, dtype=torch.float64) * width).expand(len(_RADII), count)
    met = energy(_at(angles, _RADII[:, None], centre, half_width))
    if count == 2:
        return angles, met, torch.logsumexp(-met, 1)
    minimum = (met <= met.roll(1, 1)) & (met <= met.roll(-1, 1))
    best = angles.gather(1, torch.where(minimum, met, math.inf).topk(12, dim=1, largest=False).indices)
    nodes = [(angles, met)]
    for level in range(16):
        near = best[..., None] + torch.linspace(-1, 1, 9, dtype=torch.float64) * width / 4**level
        found = energy(_at(near, _RADII[:, None, None], centre, half_width))
        best = near.gather(2, found.argmin(2, keepdim=True))[..., 0]
        nodes.append((near.flatten(1), found.flatten(1)))
    angles, met = (torch.cat(parts, 1) for parts in zip(*nodes, strict=True))
    ordered, order = angles.sort(1)
    gaps = (ordered[:, 2:] - ordered[:, :-2]).clamp(min=1e-300) / 2
    mass = torch.logsumexp(gaps.log() - met.gather(1, order)[:, 1:-1], 1) + _RADII.log()
    return angles, met, mass
