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
from lflow.paths import assets_dir
from lflow.training.config import Config
from lflow.training.folder import RunFolder, Status, runs_folder, runs_in

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
        since = time.time() - float(self.status.facts.get("updated", 0.0))
        return self.status.state == "queued" and since > _BEGINS_WITHIN

    @property
    def is_active(self) -> bool:
        """Whether a process trains it, or is about to."""
        return self.state in ("queued", "running")


def example() -> RunFolder:
    """The run that is shipped."""
    return RunFolder(assets_dir() / "train" / "example")


def find() -> Runs:
    """Every run by its name, the newest first, and the example last."""
    parent = runs_folder()
    found = {run.path.relative_to(parent).as_posix(): run for run in runs_in(parent)}
    return found | {EXAMPLE: example()}


def look(name: str, folder: RunFolder, numbers: bool = False) -> Snapshot:
    """How a run stands; with its numbers, where they are wanted."""
    try:
        lines = folder.metrics() if numbers else []
        return Snapshot(name, folder, folder.config(), folder.status(), lines)
    except (OSError, ValueError) as error:
        return Snapshot(name, folder, refused=str(error))


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
            return float(seen.status.facts["seconds"])
    return None
