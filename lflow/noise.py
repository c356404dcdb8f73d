"""The random numbers of a run, in two streams.

`primary` is the ξ of each step: the Brownian increment of a step of size h is √h ξ. `extra` is all else
that a sampler draws: accept uniforms, bridges, further normals, minibatches. Two samplers that share a
primary stream share their noise, whatever else each of them draws. This module knows nothing of samplers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_STREAMS = {"primary": 0, "extra": 1, "start": 2}


class Draw(NamedTuple):
    """One extra draw: "normal" is (n, *per_chain, *shape) like the state, "uniform" is (n, *per_chain)."""

    kind: str
    per_chain: tuple[int, ...] = ()


NORMAL = Draw("normal")
UNIFORM = Draw("uniform")


class StepNoise(NamedTuple):
    """The random numbers of one step: ξ of the state's shape, and the extra draws in the order asked for."""

    primary: Tensor
    extra: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False)
class Noise:
    """Where a run takes its random numbers from: a seed, or given primary normals.

    Args:
        seed: seeds both streams.
        primary: (steps, num_chains, *shape), standard normal: step t takes row t. None draws from the seed.

    Example:
        >>> shared = lflow.Noise(seed=7)
        >>> a = lflow.simulate(U, sampler="ula", noise=shared)
        >>> b = lflow.simulate(U, sampler="mala", noise=shared)   # the same ξ at every step
    """

    seed: int = 0
    primary: Tensor | None = None

    def same_as(self, other: Noise) -> bool:
        """Whether both give the same numbers."""
        a, b = self.primary, other.primary
        given = a is b or (a is not None and b is not None and torch.equal(a, b))
        return given and self.seed == other.seed


def generator(seed: int, stream: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one stream of a seed; different streams and seeds do not overlap in practice."""
    state = np.random.SeedSequence([int(seed), _STREAMS[stream]]).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(state) % 2**63)


class Stream:
    """The noise of a run in progress, one step at a time."""

    def __init__(self, noise: Noise, device: torch.device) -> None:
        self.noise = noise
        self._given = None if noise.primary is None else noise.primary.to(device)
        self._primary = generator(noise.seed, "primary", device)
        self._extra = generator(noise.seed, "extra", device)

    def draw(self, x: Tensor, extra: Sequence[Draw], step: int | None) -> StepNoise:
        """The numbers of one step for a state shaped like x; step None is the draw before the first step."""
        return StepNoise(self._primary_normals(x, step), tuple(self._one(x, ask) for ask in extra))

    def _primary_normals(self, x: Tensor, step: int | None) -> Tensor:
        given = self._given
        if given is None or step is None:
            source = self._primary if step is not None else self._extra
            return torch.randn(x.shape, generator=source, device=x.device, dtype=x.dtype)
        if step >= len(given):
            raise ValueError(f"the given noise holds {len(given)} steps, and step {step + 1} was asked for")
        return given[step].to(x.dtype)

    def _one(self, x: Tensor, ask: Draw) -> Tensor:
        if ask.kind == "normal":
            full = (len(x), *ask.per_chain, *x.shape[1:])
            return torch.randn(full, generator=self._extra, device=x.device, dtype=x.dtype)
        shape = (len(x), *ask.per_chain)
        return torch.rand(shape, generator=self._extra, device=x.device, dtype=x.dtype)

    def get_state(self) -> tuple[Tensor, Tensor]:
        """The state of both streams, to continue from."""
        return self._primary.get_state(), self._extra.get_state()

    def set_state(self, state: tuple[Tensor, Tensor]) -> None:
        """Continue from a state that `get_state` gave."""
        self._primary.set_state(state[0])
        self._extra.set_state(state[1])
