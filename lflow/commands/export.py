"""`lflow export`: what a link shows, or what a run has learned, as a file.

Knows nothing of pages, whose links lflow.ui.link reads, and nothing of how training goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lflow.cli import Arguments, Parser, add_parameters, new_file, progress, show, whole_file
from lflow.spec import Parameter

_WIDTH = Parameter("width", 0, 0, 4096, unit="px", help="of a picture or a film; 0: as suits its kind")
_WEIGHTS = ".safetensors"


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow export`."""
    parser.add_argument(
        "source",
        metavar="LINK|RUN",
        help="a page's address, as copied from it, or its query; or a run's folder",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="its ending says what to make"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    add_parameters(parser, (_WIDTH,), defaults=True)
    parser.add_argument("--dark", action="store_true", help="draw on a dark ground")
    parser.add_argument("--progress", action="store_true", help="report progress even where no terminal is")
    parser.epilog = (
        "Of a link, FILE ends in .py (a program), .npz or .csv (arrays), .png (a picture), .gif or .mp4 "
        f"(films); of a run, in {_WEIGHTS}: its best weights, to use and to pass on, not to train on."
    )


def run(arguments: Arguments) -> int:
    """`lflow export`."""
    out: Path = new_file(arguments.out, arguments.force)
    about = _weights(arguments, out) if out.suffix.lower() == _WEIGHTS else _view(arguments, out)
    size = out.stat().st_size
    show(arguments, {"out": str(out), "bytes": size, **about}, f"{out}: {size / 1e6:.2f} MB")
    return 0


def _weights(arguments: Arguments, out: Path) -> dict[str, Any]:
    from lflow.training import checkpoint

    saved = checkpoint.read(checkpoint.find(Path(arguments.source)))
    checkpoint.write(out, checkpoint.weights_only(saved))
    return {"kind": _WEIGHTS[1:], "name": saved.config.model.name, "step": saved.step}


def _view(arguments: Arguments, out: Path) -> dict[str, Any]:
    from lflow.ui import link
    from lflow.ui.files import KINDS, Look

    ending = out.suffix.lower()
    if ending not in KINDS:
        known = ", ".join([*KINDS, _WEIGHTS])
        raise ValueError(f"--out must end in one of {known}; got {out.name!r}")
    outcome = link.outcome(arguments.source)
    look = Look(arguments.width or None, arguments.dark)
    data = KINDS[ending].make(outcome, look, progress(arguments.progress, "frames"))
    assert data is not None  # nothing stops it
    with whole_file(out) as file:
        file.write(data)
    return {"kind": ending[1:], "name": outcome.name}
