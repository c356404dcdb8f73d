"""`lflow resume`: go on with a run from its last checkpoint. Knows nothing of how training goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lflow.cli import Arguments, Parser
from lflow.commands.train import progress, report


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow resume`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("--num-steps", type=int, metavar="N", help="a new end of the run")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)")


def run(arguments: Arguments) -> int:
    """`lflow resume`."""
    from lflow.training.loop import resume

    resume(arguments.run, arguments.num_steps, arguments.device, progress())
    return report(arguments, arguments.run)
