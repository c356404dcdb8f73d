"""`lflow export`: what a link shows, as a file. Knows nothing of pages: lflow.ui.link reads the link."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lflow.cli import Arguments, Parser, add_parameters, new_file, progress, show, whole_file
from lflow.spec import Parameter

_WIDTH = Parameter("width", 0, 0, 4096, unit="px", help="of a picture or a film; 0: as suits its kind")


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow export`."""
    parser.add_argument("link", metavar="LINK", help="a page's address, as copied from it, or its query")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="its ending says what to make"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    add_parameters(parser, (_WIDTH,), defaults=True)
    parser.add_argument("--dark", action="store_true", help="draw on a dark ground")
    parser.add_argument("--progress", action="store_true", help="report progress even where no terminal is")
    parser.epilog = (
        "FILE ends in .py (a program), .npz or .csv (arrays), .png (a picture), .gif or .mp4 (films)."
    )


def run(arguments: Arguments) -> int:
    """`lflow export`."""
    from lflow.ui import link
    from lflow.ui.files import KINDS, Look

    out: Path = new_file(arguments.out, arguments.force)
    ending = out.suffix.lower()
    if ending not in KINDS:
        raise ValueError(f"--out must end in one of {', '.join(KINDS)}; got {out.name!r}")
    outcome = link.outcome(arguments.link)
    look = Look(arguments.width or None, arguments.dark)
    data = KINDS[ending].make(outcome, look, progress(arguments.progress, "frames"))
    assert data is not None  # nothing stops it
    with whole_file(out) as file:
        file.write(data)
    report = {"out": str(out), "bytes": len(data), "kind": ending[1:], "name": outcome.name}
    show(arguments, report, f"{out}: {len(data) / 1e6:.2f} MB")
    return 0
