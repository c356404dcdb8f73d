"""A finished picture with all that made it: what a reader may take along, whatever page it stands on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lflow.loop import Result
from lflow.ui.packing import AnyScene


@dataclass(frozen=True)
class Outcome:
    """What `take` and `lflow export` turn into files."""

    name: str
    """The stem of the files' names."""
    results: Mapping[str, Result]
    """The runs by the label of their panel; the lab has one."""
    scene: Callable[[], AnyScene]
    """Makes the scene that the player shows, when it is wanted."""
    code: str
    """A Python program that computes the same arrays."""
    config: str
    """The request as JSON, kept in the files."""
