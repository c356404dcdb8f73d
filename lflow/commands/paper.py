"""`lflow paper`: a paper's experiment, as numbers and a figure. Knows nothing of what a paper is about."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from lflow.cli import Arguments, Parser, add_parameters, show
from lflow.papers import PAPERS
from lflow.spec import Parameter, counted, did_you_mean

_WORKERS = Parameter(
    "workers", 0, 0, 256, help="processes that share the runs; 0: one for each core, up to 8"
)
_SEEDS = Parameter(
    "seeds",
    5,
    2,
    1000,
    help="seeds that are reported; more where there is tuning, and of models at most two with --quick",
)


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow paper`."""
    parser.add_argument("paper", metavar="PAPER", help=f"one of: {', '.join(PAPERS)}")
    parser.add_argument("--train", action="store_true", help="the paper's experiment that trains models")
    parser.add_argument("--quick", action="store_true", help="a first look, within two minutes")
    add_parameters(parser, (_SEEDS, _WORKERS), defaults=True)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of results.json, figure.svg, figure.png and parts.jsonl (default runs/papers/PAPER)",
    )
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run in the folder found")
    parser.epilog = "An interrupted run goes on where it stopped when the same command is given again."


def run(arguments: Arguments) -> int:
    """`lflow paper`."""
    from lflow.papers import experiment
    from lflow.papers.workers import number_of

    name = _known(arguments.paper + "-train" * arguments.train)
    folder: Path = arguments.out or Path("runs", "papers", name + "-quick" * arguments.quick)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out must name a folder, and {folder} is a file")
    if arguments.fresh:
        (folder / "parts.jsonl").unlink(missing_ok=True)
    command = ["python", "-m", "lflow", "paper", name, *["--quick"] * arguments.quick]
    command += ["--seeds", str(arguments.seeds), "--out", str(folder)]
    paper: Any = import_module(PAPERS[name])
    workers = number_of(arguments.workers)
    results = experiment.run(
        paper, folder, shlex.join(command), arguments.quick, arguments.seeds, _progress(), workers
    )
    show(arguments, results, _text(results))
    return 0


def _known(name: str) -> str:
    known = name.replace("_", "-")
    if known not in PAPERS:
        hint = did_you_mean(known, PAPERS)
        raise ValueError(f"there is no paper named {name!r}.{hint} Known: {', '.join(PAPERS)}")
    return known


def _progress() -> Callable[[str], None]:
    """Lines to standard error; where that is a terminal, each takes the place of the last."""
    start, end = ("\r\033[K", "") if sys.stderr.isatty() else ("", "\n")

    def say(line: str) -> None:
        finished = line.startswith(("100", "stopped"))
        print(start + line, end="\n" if finished else end, file=sys.stderr, flush=True)

    return say


def _text(results: dict[str, Any]) -> str:
    said = [f"{paragraph.strip()}\n" for paragraph in (results["title"], *results["findings"]["sentences"])]
    said += [f"figure: {file}" for file in results["figures"]]
    seeds = ", ".join(f"{part} {count}" for part, count in results["seeds"].items())
    runs = f"{counted(len(results['runs']), 'run')}, {results['seconds']:.0f} s of work"
    return "\n".join([*said, f"{runs}; seeds: {seeds}"])
