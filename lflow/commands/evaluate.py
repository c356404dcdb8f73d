"""`lflow evaluate`: how good a trained model is, in numbers. Knows nothing of what is measured."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lflow.cli import Arguments, Parser, add_parameters, show, whole_file
from lflow.spec import Parameter

NUM = Parameter("num", 1000, 20, 1_000_000, help="samples in each of five batches, at most")
LIMIT = Parameter("limit", 0, 0, 100_000_000, help="data points of the test split, at most; 0 for all")


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow evaluate`."""
    from lflow.training.config import SEED

    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or a checkpoint file")
    add_parameters(parser, (NUM, LIMIT, SEED), defaults=True)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)")
    parser.epilog = "In a run's folder the numbers are also written to evaluation.json."


def run(arguments: Arguments) -> int:
    """`lflow evaluate`."""
    from lflow.device import find_device
    from lflow.evaluation.report import report, table
    from lflow.evaluation.subject import Subject
    from lflow.spec import CONFIG_VERSION
    from lflow.training import checkpoint
    from lflow.training.folder import RunFolder

    device = find_device(arguments.device)
    file = checkpoint.find(arguments.run)
    saved = checkpoint.read(file)
    subject = Subject(saved.learner().to(device), saved.config.data, arguments.num, arguments.limit)
    subject.seed, subject.tell = arguments.seed, _progress()
    began = time.monotonic()
    scores = report(subject)
    found: dict[str, Any] = {"version": CONFIG_VERSION, "checkpoint": file.name, "step": saved.step}
    found |= {"model": saved.config.model.name, "data": saved.config.data.source, "num": arguments.num}
    found |= {"limit": arguments.limit, "seed": arguments.seed}
    found["scores"] = [_plain(score._asdict()) for score in scores]
    folder = RunFolder(arguments.run)
    if folder.exists:
        with whole_file(folder.evaluation_file) as out:
            out.write((json.dumps(found, indent=1, allow_nan=False) + "\n").encode())
    found |= {"checkpoint": str(file), "seconds": round(time.monotonic() - began, 3)}
    show(arguments, found, f"{file} at step {saved.step:,}\n{table(scores)}")
    return 0


def _plain(value: Any) -> Any:
    """What JSON can hold: a number that is not finite is null."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _progress() -> Callable[[str, int, int], None]:
    """Tells what is measured, to standard error, on a terminal, after a second."""
    began, terminal = time.monotonic(), sys.stderr.isatty()

    def tell(what: str, done: int, total: int) -> None:
        if terminal and time.monotonic() - began > 1:
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return tell
