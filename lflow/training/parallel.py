"""Data parallelism: what the processes of `torchrun` tell each other. One process alone says nothing.

Models are not wrapped: each process computes the gradient of its share of the batch, and the mean of all is
what every optimiser sees. Knows nothing of models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed
from torch.nn import Parameter


@dataclass(frozen=True)
class World:
    """This process among those that train together."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def average_gradients(self, parameters: Sequence[Parameter]) -> None:
        """Replace each gradient by the mean over all processes: one message for all of them."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.size == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        pieces = (flat / self.size).split([gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes; not a number where one of them has none."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values / self.size

    def any(self, flag: bool) -> bool:
        """Whether a process says so."""
        if self.size == 1:
            return flag
        said = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(said)
        return bool(said > 0)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def join(device: torch.device) -> Iterator[World]:
    """The processes that torchrun started, or this one alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(distributed.get_rank(), size, device)
    finally:
        distributed.destroy_process_group()


def is_alone() -> bool:
    """Whether no other process trains with this one."""
    return os.environ.get("WORLD_SIZE", "1") == "1"


def leads() -> bool:
    """Whether this process is the one that reports, before or after it has joined the others."""
    return os.environ.get("RANK", "0") == "0"
