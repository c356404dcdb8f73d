"""What every energy has: U, its gradient, bounds, modes, exact draws, a start, and how curved it is.

Target p(x) ∝ exp(-U(x)/T). This module knows nothing of samplers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from lflow.energies.grid import GridSampler
from lflow.registry import Registry
from lflow.spec import Declared

Bounds = tuple[tuple[float, float], ...]

registry: Registry[Energy] = Registry("energy", "energies")


class Energy(Declared):
    """A potential U: (n, dim) -> (n,), with what a picture and a test need to know of it.

    A subclass is a frozen dataclass that defines `dim`, `bounds` and `__call__`; where they are simple it
    also defines `grad` in closed form, and the exact sampler: `_draw` at temperature one, or `_draw_at` where
    it is as simple at every temperature.
    """

    title: str = ""
    formula: str = ""
    dim: int
    log_z: float | None = None
    """log ∫ exp(-U), where it is known."""
    cost: float = 1.0
    """Time that a gradient takes, roughly, in units of a simple closed form's."""
    has_data: bool = False
    """Whether `stochastic_grad` estimates the gradient from a minibatch."""
    start: tuple[tuple[float, ...], float] | None = None
    """Mean and standard deviation of the default start; None starts uniformly in the bounds."""
    grid_size: int = 768
    """Cells along an axis for exact draws in the plane without a closed form."""

    @property
    def bounds(self) -> Bounds:
        """The box ((low, high), ...) that holds what is worth seeing."""
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def grad(self, x: Tensor) -> Tensor:
        """∇U(x), shape of x. By automatic differentiation; differentiable in turn where x is."""
        return self.value_and_grad(x)[1]

    def value_and_grad(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """U(x) and ∇U(x) in one evaluation where the gradient is automatic."""
        if type(self).grad is not Energy.grad:
            return self(x), self.grad(x)
        return value_and_grad(self, x)

    def score(self, x: Tensor) -> Tensor:
        """-∇U(x)."""
        return -self.grad(x)

    def hessian_vector(
        self, x: Tensor, v: Tensor, gradient: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """∇²U(x) v, shape of x, by differentiating the gradient: about two to four gradients' work.

        `gradient` replaces ∇U by an estimate of it, such as a minibatch's: the gradient of a function too.
        """
        gradient = gradient or self.grad
        if not _is_functional():
            return _reverse_hessian_vector(gradient, x, v)
        if gradient == self.grad and type(self).grad is Energy.grad:
            # autograd.grad hides the tangent from jvp; the functional gradient does not.
            gradient = torch.func.grad(lambda point: self(point).sum())
        product: Tensor = torch.func.jvp(gradient, (x,), (v,))[1]
        return product

    @property
    def modes(self) -> Tensor | None:
        """The centres of the modes, (m, dim), where the energy has several."""
        return None

    @property
    def has_exact_sampler(self) -> bool:
        """Whether `sample` works: a closed form, or a grid in one and two dimensions."""
        return self.dim <= 2 or self._draws_at_one or self._draws_at_any

    def sample(self, n: int, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """n exact draws from exp(-U/T), (n, dim), float32.

        By closed form where there is one; else, in one and two dimensions, by the inverse distribution
        function on a fine grid. ValueError where neither is possible, or the mass reaches too far for a grid.
        """
        if not temperature > 0:
            raise ValueError(f"exact draws need a temperature above 0, got {temperature:g}")
        if self._draws_at_any:
            return self._draw_at(n, generator, temperature).float()
        if temperature == 1.0 and self._draws_at_one:
            return self._draw(n, generator).float()
        if self.dim <= 2:
            return self._grid_sampler(temperature)(n, generator).float()
        at = "" if temperature == 1.0 else f" at temperature {temperature:g}"
        raise ValueError(f"{self.name or 'this energy'} has no exact sampler in {self.dim} dimensions{at}")

    def _grid_sampler(self, temperature: float) -> GridSampler:
        kept: tuple[float, GridSampler] | None = self.__dict__.get("_kept_grid")
        if kept is None or kept[0] != temperature:
            size = self.grid_size if self.dim == 2 else 16 * self.grid_size
            kept = temperature, GridSampler(self, self.bounds, size, temperature)
            self.__dict__["_kept_grid"] = kept
        return kept[1]

    def log_normaliser(self, temperature: float = 1.0) -> float:
        """log ∫ exp(-U/T): `log_z` at T = 1 where it is known, else from a grid in one or two dimensions.

        ValueError where neither is possible.
        """
        if temperature == 1.0 and self.log_z is not None:
            return self.log_z
        if self.dim > 2:
            raise ValueError(f"{self.name or 'this energy'} has no known normaliser in {self.dim} dimensions")
        return self._grid_sampler(temperature).log_z

    def _draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        raise NotImplementedError

    def _draw_at(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        raise NotImplementedError

    @property
    def _draws_at_one(self) -> bool:
        return type(self)._draw is not Energy._draw

    @property
    def _draws_at_any(self) -> bool:
        return type(self)._draw_at is not Energy._draw_at

    def initial(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n starting points, (n, dim): the energy's own start, or uniform in the bounds."""
        if self.start is not None:
            mean, std = self.start
            return torch.tensor(mean) + std * torch.randn(n, self.dim, generator=generator)
        low, high = torch.tensor(self.bounds).T
        return low + (high - low) * torch.rand(n, self.dim, generator=generator)

    @cached_property
    def curvature(self) -> float:
        """L: the largest eigenvalue of ∇²U in all but 1 % of the target (of the start, without exact draws).

        A sampler's stability edge follows from it; for a Gaussian it is exact.
        """
        generator = torch.Generator().manual_seed(0)
        count = 256 if self.dim <= 16 else 16  # a Hessian each
        points = self._typical(count, generator)
        hessian = torch.func.vmap(torch.func.hessian(lambda point: self(point[None])[0]))
        largest = torch.linalg.eigvalsh(hessian(points.double())).amax(1)
        return float(largest.quantile(0.99))

    def _typical(self, n: int, generator: torch.Generator) -> Tensor:
        # Where the mass reaches too far for exact draws, the start is where a run begins.
        if not self.has_exact_sampler:
            return self.initial(n, generator)
        try:
            return self.sample(n, generator)
        except ValueError:
            return self.initial(n, generator)

    def tables(self, like: Tensor) -> tuple[Tensor, ...]:
        """The energy's constant tensors (`_tables`), kept per device and type so that no step copies them."""
        kept = self.__dict__.setdefault("_kept_tables", {})
        key = (like.device, like.dtype)
        if key not in kept:
            # A table that was made inside torch.func.grad or inference mode would be of no use outside.
            with temporarily_clear_interpreter_stack(), torch.inference_mode(False):
                kept[key] = tuple(table.to(like.device, like.dtype) for table in self._tables())
        found: tuple[Tensor, ...] = kept[key]
        return found

    def _tables(self) -> tuple[Tensor, ...]:
        return ()

    def constant(self, name: str, like: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """A constant tensor of a user of the energy, kept per device and type like the energy's own."""
        kept = self.__dict__.setdefault("_kept_constants", {})
        key = (name, like.device, like.dtype)
        if key not in kept:
            kept[key] = make().to(like)
        found: Tensor = kept[key]
        return found


def value_and_grad(energy: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """U(x), (n,), and ∇U(x), shape of x, of any torch function.

    Where x itself is differentiable (models that learn through the chain) both stay so; elsewhere, as in
    the sampling loop, no graph outlives the call.
    """
    if _is_functional():
        return _functional_value_and_grad(energy, x)
    through = torch.is_grad_enabled() and x.requires_grad
    with torch.enable_grad():
        point = x if through else x.detach().requires_grad_(True)
        value = energy(point)
        gradient = torch.autograd.grad(value.sum(), point, create_graph=through)[0]
    return (value, gradient) if through else (value.detach(), gradient)


def _is_functional() -> bool:
    """Whether Dynamo traces the call, or a torch.func transform runs it."""
    return torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None


def _reverse_hessian_vector(gradient: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    # A Hessian is symmetric, so a reverse derivative of the gradient serves; run eagerly it takes a fraction
    # of the time of jvp, whose dispatch alone is a dozen gradients of a small cloud.
    through = torch.is_grad_enabled() and (x.requires_grad or v.requires_grad)
    with torch.enable_grad():
        point = x if through and x.requires_grad else x.detach().requires_grad_(True)
        slope = gradient(point)
        if not slope.requires_grad:  # a constant gradient
            return torch.zeros_like(x)
        return torch.autograd.grad(slope, point, v, create_graph=through, materialize_grads=True)[0]


def _functional_value_and_grad(energy: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    # Dynamo traces the functional transform, not autograd.grad; and jvp of a score, which is a Hessian-vector
    # product, goes through no other gradient than this.
    def total(point: Tensor) -> tuple[Tensor, Tensor]:
        value = energy(point)
        return value.sum(), value

    gradient, value = torch.func.grad(total, has_aux=True)(x)
    return value, gradient
