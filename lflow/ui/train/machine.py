"""What this machine trains on, and how much of it is free. It holds no memory of the GPU itself.

Knows nothing of runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import NamedTuple

import torch


class Machine(NamedTuple):
    """Processor cores, how many tasks want one (None where the system does not say), and graphics cards."""

    cores: int
    load: float | None
    cards: tuple[str, ...]
    devices: tuple[str, ...]
    """What a run may be told to train on."""


def machine() -> Machine:
    """This machine, now."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    devices = ("auto", "cpu", *(["cuda"] if cuda else []), *(["mps"] if mps else []))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return Machine(cores, load, _cards() if cuda else (), devices)


def _cards() -> tuple[str, ...]:
    """Name and free memory of each card, from the driver: asking through torch would take memory of it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return (torch.cuda.get_device_name(),)
    query = [tool, "--query-gpu=name,memory.free,memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=10)
    if done.returncode:
        return (torch.cuda.get_device_name(),)
    return tuple(_card(line) for line in done.stdout.splitlines() if line.count(",") >= 2)


def _card(line: str) -> str:
    name, free, total = (part.strip() for part in line.rsplit(",", 2))
    if not (free.isdecimal() and total.isdecimal()):  # a part of a card, of which the driver says nothing
        return name
    return f"{name}, {int(free) / 1024:.0f} of {int(total) / 1024:.0f} GiB free"
