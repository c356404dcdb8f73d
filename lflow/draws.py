"""The random numbers of one training step, the same however many processes share the work.

They are drawn for the global batch on every process, and each takes its share: two processes train what one
would. They depend on the seed and the step alone, so a run that is resumed needs no generator's state. This
module knows nothing of models, and of samplers only what noise they ask for.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lflow.noise import Draw, StepNoise

TRAINING, VALIDATION, SYNTHESIS, SHUFFLING, BEGINNING, DROPOUT = range(100, 106)
"""What the numbers are for: each use has a stream of its own."""


def derived_seed(*numbers: int) -> int:
    """A seed that is a function of whole numbers, and for others is another in practice."""
    state = np.random.SeedSequence([int(number) for number in numbers]).generate_state(1, np.uint64)[0]
    return int(state) % 2**63


class Draws:
    """Random numbers for step `step` of the run `seed`, on `device`; process `rank` of `world_size`.

    Every shape begins with this process's share of the batch, n; the numbers of world_size · n are drawn.
    """

    def __init__(
        self,
        seed: int,
        step: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world_size: int = 1,
        use: int = TRAINING,
    ) -> None:
        self.step, self.rank, self.world_size = step, rank, world_size
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(derived_seed(seed, use, step))

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers."""
        return self._share(torch.randn(self._global(shape), generator=self.generator, device=self.device))

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Uniform numbers in [0, 1)."""
        return self._share(torch.rand(self._global(shape), generator=self.generator, device=self.device))

    def integers(self, high: int, shape: Sequence[int]) -> Tensor:
        """Whole numbers from 0 to high - 1."""
        whole = torch.randint(high, self._global(shape), generator=self.generator, device=self.device)
        return self._share(whole)

    def step_noise(self, x: Tensor, extra: Sequence[Draw]) -> StepNoise:
        """The numbers of one sampler step for chains like x."""
        return StepNoise(self.normal(x.shape), tuple(self._one(x, ask) for ask in extra))

    def whole(self) -> Draws:
        """The same stream, unshared: every process gets the same numbers, of the shape that is asked for."""
        found = copy.copy(self)
        found.rank, found.world_size = 0, 1
        return found

    def gather(self, x: Tensor) -> Tensor:
        """The rows of all processes, in the order of the global batch; no gradient passes."""
        if self.world_size == 1:
            return x.detach()
        parts = [torch.empty_like(x) for _ in range(self.world_size)]
        torch.distributed.all_gather(parts, x.detach().contiguous())
        return torch.cat(parts)

    def agreed(self, x: Tensor) -> Tensor:
        """x as the first process has it, on every process; no gradient passes."""
        found = x.detach().clone()
        if self.world_size > 1:
            torch.distributed.broadcast(found, 0)
        return found

    def share(self, rows: Tensor) -> Tensor:
        """This process's share of rows that every process holds."""
        return self._share(rows)

    def _one(self, x: Tensor, ask: Draw) -> Tensor:
        if ask.kind == "normal":
            return self.normal((len(x), *ask.per_chain, *x.shape[1:]))
        return self.uniform((len(x), *ask.per_chain))

    def _global(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (shape[0] * self.world_size, *shape[1:])

    def _share(self, rows: Tensor) -> Tensor:
        each = len(rows) // self.world_size
        return rows[self.rank * each : (self.rank + 1) * each]
