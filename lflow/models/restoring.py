"""What is seen of damaged data, and how a model that has a chain for it fills in pixels or takes out noise.

No pairs of damaged and whole data are learned from: the model knows data, and is told what is missing, or how
much noise there is. Knows nothing of how a model makes its chains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lflow import samplers, steps
from lflow.draws import Draws
from lflow.models.base import Learner
from lflow.samplers.base import Sampler, squared_norm
from lflow.short_run import short_run

NUM_CHAINS = 4
_LEAPFROG, _ACCEPTANCE, _FIRST_STEP = 5, 0.8, 0.05


class Seen(NamedTuple):
    """Data of which some is missing, the rest as it is, or with noise added: y = x + noise·ε.

    y: (n, *shape), zero where it is missing, so that what was there has no say. missing: (n, *shape), bool.
    """

    y: Tensor
    missing: Tensor
    noise: float = 0.0

    @property
    def visible(self) -> Tensor:
        """Ones and zeros, (n, *shape)."""
        return (~self.missing).to(self.y.dtype)

    def start(self, fresh: Tensor) -> Tensor:
        """y where it is visible, and something else elsewhere."""
        return torch.where(self.missing, fresh, self.y)

    def end(self, made: Tensor) -> Tensor:
        """What was made; without noise the visible is what it was, to the bit."""
        return made if self.noise else self.start(made)

    def potential(
        self, energy: Callable[[Tensor], Tensor], temperature: float = 1.0
    ) -> Callable[[Tensor], Tensor]:
        """U of x given what is seen: U(x) with the visible held, or U(x) + T |x - y|²/(2 noise²) over it."""
        if not self.noise:
            return lambda x: energy(self.start(x))
        scale = temperature / (2 * self.noise**2)
        return lambda x: energy(x) + scale * squared_norm((x - self.y) * self.visible)


def check_shape(x: Tensor, shape: tuple[int, ...]) -> None:
    """ValueError unless x is a batch of data points of that shape."""
    if x.shape[1:] != shape:
        raise ValueError(f"data of this model have the shape {shape}, not {tuple(x.shape[1:])}")


def seen_of(y: Tensor, shape: tuple[int, ...], mask: Tensor | None, noise: float = 0.0) -> Seen:
    """What is seen of y. ValueError for a mask, a noise or data that do not fit the shape of a data point."""
    check_shape(y, shape)
    if not 0 <= noise < torch.inf:
        raise ValueError(f"noise is a standard deviation, 0 or more, got {noise}")
    given = torch.zeros(shape) if mask is None else torch.as_tensor(mask)
    try:
        missing = (given != 0).to(y.device).expand(y.shape)
    except RuntimeError:
        raise ValueError(f"a mask of {tuple(given.shape)} does not fit data of {tuple(y.shape)}") from None
    return Seen(y.masked_fill(missing, 0.0), missing, float(noise))


class Restoring(Learner):
    """A model that can restore: a subclass says how, `restore`."""

    def check(self, x: Tensor, missing: Tensor | None = None) -> None:
        """ValueError where x, (n, *shape), are not such data as the model knows; what is missing may be any.

        A subclass may ask for more than the shape. It is asked by what takes data from outside.
        """
        check_shape(x, self.shape)

    def restore(self, seen: Seen, draws: Draws, num_steps: int | None = None) -> Tensor:
        """One restored point for each row of what is seen, (n, *shape), without a gradient."""
        raise NotImplementedError

    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        num_chains: int = NUM_CHAINS,
        seed: int = 0,
        num_steps: int | None = None,
    ) -> Tensor:
        """x with what is missing filled in by several chains, whose spread says how sure the model is.

        mask: like x or one of it; what is not zero is missing, and has no say. What is visible stays as it
        is. num_steps: of a chain; None for the model's own. (n, *shape) -> (n, num_chains, *shape).

        Example:
            >>> left = torch.zeros(1, 8, 8)
            >>> left[..., :4] = 1
            >>> chains = lflow.load("runs/latent").inpaint(x, left)
            >>> chains.mean(1), chains.std(1)
        """
        seen = seen_of(x, self.shape, mask)
        self.check(seen.y, seen.missing)
        return self._restored(seen, num_chains, seed, num_steps)

    def recover(
        self,
        y: Tensor,
        noise: float,
        mask: Tensor | None = None,
        num_chains: int = NUM_CHAINS,
        seed: int = 0,
        num_steps: int | None = None,
    ) -> Tensor:
        """x of y = x + noise·ε, of which a mask may be missing too, by several chains.

        (n, *shape) -> (n, num_chains, *shape); their mean is the model's guess.
        """
        return self._restored(seen_of(y, self.shape, mask, noise), num_chains, seed, num_steps)

    def within(self, x: Tensor) -> Tensor:
        """x, of images with grey values cut off at -1 and 1, where chains and noise may lead beyond."""
        return x if self.levels is None else x.clamp(-1, 1)

    def _restored(self, seen: Seen, num_chains: int, seed: int, num_steps: int | None) -> Tensor:
        rows = Seen(
            seen.y.repeat_interleave(num_chains, 0), seen.missing.repeat_interleave(num_chains, 0), seen.noise
        )
        made = self.within(self.restore(rows, self.fresh_draws(seed), num_steps))
        return rows.end(made).unflatten(0, (-1, num_chains))


def adjusted_chain(
    potential: Callable[[Tensor], Tensor], start: Tensor, num_steps: int, draws: Draws
) -> Tensor:
    """Where chains on exp(-U) are after `num_steps` trajectories of HMC, which keep that law; like start.

    One step size for all, adapted in the first half, of ten steps at least: fewer than 20 steps hardly leave
    it time, and end near where they start. Where U is not finite no step was accepted, and nothing was
    drawn: nan, so that a start is never taken for an end.
    """
    hmc = samplers.get("hmc", num_leapfrog=_LEAPFROG)
    rule = steps.get(
        "target_acceptance", step_size=_FIRST_STEP, target=_ACCEPTANCE, warmup=max(10, num_steps // 2)
    )
    ends = short_run(potential, start, hmc, rule, num_steps, draws).x
    with torch.no_grad():
        found = potential(ends).isfinite()
    return torch.where(found.view(-1, *[1] * (ends.ndim - 1)), ends, torch.nan)


def stable_step(step_size: float, sampler: Sampler, curvature: float) -> float:
    """The step, or half of the largest that is stable on such a curvature, where that is less."""
    edge = sampler.stability_edge(curvature) if curvature else None
    return step_size if edge is None else min(step_size, edge / 2)
