"""An outcome as files: the program, the arrays, the pictures. The same for the pages and for `lflow export`.

Knows nothing of Streamlit.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from lflow.loop import Result
from lflow.ui import film
from lflow.ui.film.files import Progress
from lflow.ui.outcome import Outcome

_ARRAYS = ("positions", "steps", "gradient_evaluations", "acceptance", "step_sizes", "diverged", "escaped")


class Look(NamedTuple):
    """How a picture is drawn."""

    width: int | None = None
    """In pixels; each kind of file has its own."""
    dark: bool = False


Make = Callable[[Outcome, Look, Progress | None], bytes | None]


class Kind(NamedTuple):
    """A kind of file: what it is called, its media type, and how it is made; None where that was stopped."""

    title: str
    media_type: str
    make: Make


def npz(outcome: Outcome) -> bytes:
    """The arrays of every run, and what was asked for as text.

    One run has its arrays under the names that `lflow.simulate` gives them. Of several, the names begin with
    the number of the run, as in `1_positions`, and `labels` holds what the runs are called, in that order.
    """
    arrays: dict[str, Any] = {"config": np.array(outcome.config)}
    several = len(outcome.results) > 1
    if several:
        arrays["labels"] = np.array(list(outcome.results))
    for number, result in enumerate(outcome.results.values(), 1):
        start = f"{number}_" if several else ""
        arrays |= {f"{start}{name}": getattr(result, name).numpy() for name in _ARRAYS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def last_frames(outcome: Outcome) -> bytes:
    """The last frame of every run as CSV, a row a particle or an image; of several runs, the first column
    names them. The columns of an image are its pixels, row by row."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    several = len(outcome.results) > 1
    shape = next(iter(outcome.results.values())).positions.shape[2:]
    what, columns = "particle", ["x", "y"]
    if len(shape) > 1:
        what, columns = "image", [f"pixel_{number}" for number in range(shape.numel())]
    writer.writerow([*["run"] * several, what, *columns, "diverged", "escaped"])
    for label, result in outcome.results.items():
        writer.writerows([*[label] * several, *row] for row in _rows(result))
    return buffer.getvalue().encode()


def _rows(result: Result) -> Iterator[list[Any]]:
    # float32 writes itself with as many digits as tell it from its neighbours.
    last, lost = result.positions[-1].flatten(1).numpy(), (result.diverged.tolist(), result.escaped.tolist())
    for number, (place, diverged, escaped) in enumerate(zip(last, *lost, strict=True)):
        yield [number, *map(str, place), diverged, escaped]


KINDS: dict[str, Kind] = {
    ".py": Kind("Python program", "text/x-python", lambda outcome, *_: outcome.code.encode()),
    ".npz": Kind("All frames (NPZ)", "application/octet-stream", lambda outcome, *_: npz(outcome)),
    ".csv": Kind("Last frame (CSV)", "text/csv", lambda outcome, *_: last_frames(outcome)),
    ".png": Kind("Picture (PNG)", "image/png", lambda outcome, look, _: film.png(outcome.scene(), -1, *look)),
    ".gif": Kind(
        "Film (GIF)", "image/gif", lambda outcome, look, report: film.gif(outcome.scene(), *look, report)
    ),
    ".mp4": Kind(
        "Film (MP4)", "video/mp4", lambda outcome, look, report: film.mp4(outcome.scene(), *look, report)
    ),
}
"""What can be taken along, by the ending of a file's name."""
