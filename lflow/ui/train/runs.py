"""The runs that there are, from the page and from the command line alike, and what each says of itself.

A run has a name, its place in the folder of runs; a name that comes from anywhere else is only ever compared
with these. Where there is no run, an example that is shipped stands for one. Knows nothing of widgets.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lflow import data
from lflow.training.config import Config
from lflow.training.folder import RunFolder, Status, runs_folder, runs_in
from lflow.ui.train.example import example

EXAMPLE = "an example"
UNREADABLE = "unreadable"
_NO_STATUS = Status(UNREADABLE, 0, 1, "", {})
_BEGINS_WITHIN = 120.0  # seconds, in which a queued run's process begins on a busy machine
Runs = Mapping[str, RunFolder]


@dataclass(frozen=True)
class Snapshot:
    """A run as it stands now; `refused` says why it cannot be read."""

    name: str
    folder: RunFolder
    config: Config | None = None
    status: Status = _NO_STATUS
    lines: list[dict[str, Any]] = field(default_factory=list)
    refused: str = ""

    @property
    def is_example(self) -> bool:
        """Whether it is the shipped one, which nothing can change."""
        return self.name == EXAMPLE

    @property
    def state(self) -> str:
        """Where it stands; a queued run whose process never came is stopped."""
        return "stopped" if self.is_late else self.status.state

    @property
    def is_late(self) -> bool:
        """Whether it was to begin and has not."""
        since = time.time() - (self.fact("updated") or 0.0)
        return self.status.state == "queued" and since > _BEGINS_WITHIN

    @property
    def seconds(self) -> float | None:
        """How long it has been trained, where it says so."""
        return self.fact("seconds")

    def fact(self, name: str) -> float | None:
        """A number that the status tells; None where it does not."""
        value = self.status.facts.get(name)
        return float(value) if isinstance(value, int | float) else None

    @property
    def is_active(self) -> bool:
        """Whether a process trains it, or is about to."""
        return self.state in ("queued", "running")


def find() -> Runs:
    """Every run by its name, the newest first, and the example last."""
    parent = runs_folder()
    found = {run.path.relative_to(parent).as_posix(): run for run in runs_in(parent)}
    return found | {EXAMPLE: example()}


def look(name: str, folder: RunFolder, numbers: bool = False) -> Snapshot:
    """How a run stands; with its numbers, where they are wanted."""
    try:
        lines = _checked(folder.metrics()) if numbers else []
        return Snapshot(name, folder, folder.config(), folder.status(), lines)
    except (OSError, ValueError) as error:
        return Snapshot(name, folder, refused=str(error))


def _checked(lines: list[Any]) -> list[dict[str, Any]]:
    for line in lines:
        named = isinstance(line, dict) and isinstance(line.get("step"), int)
        if not named or line.get("split") not in ("train", "validation"):
            raise ValueError(f"metrics.jsonl has a line that is none of a run: {str(line)[:80]}")
        numbers = [value for name, value in line.items() if name != "split" and value is not None]
        if not all(isinstance(value, int | float) for value in numbers):
            raise ValueError(f"metrics.jsonl has a value that is no number: {str(line)[:80]}")
    return lines


def states(runs: Runs) -> dict[str, str]:
    """The state of every run by its name."""
    return {name: look(name, folder).state for name, folder in runs.items()}


def of_points(config: Config) -> bool:
    """Whether a run learns points in the plane, and not images."""
    source = config.data.source
    return source in data.names() and len(data.describe(source).shape) == 1


def seconds_taken(config: Config, runs: Runs) -> float | None:
    """How long the newest finished run took here that differs from a configuration in its seed alone."""
    for name, folder in runs.items():
        seen = look(name, folder)
        mine = seen.config
        if mine is None or seen.is_example or seen.status.state != "done":
            continue
        if (mine.model, mine.data, mine.training) == (config.model, config.data, config.training):
            return seen.seconds
    return None
