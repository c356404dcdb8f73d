"""`lflow evaluate`: how good a trained model is, or several, in numbers. It knows nothing of measures."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lflow.cli import Arguments, Parser, add_parameters, new_file, show, teller, whole_file
from lflow.spec import Parameter

if TYPE_CHECKING:
    import torch

    from lflow.evaluation.subject import Subject

NUM = Parameter("num", 1000, 20, 1_000_000, help="samples in each of five batches, at most")
CHECKPOINT = Parameter(
    "checkpoint",
    "best",
    choices=("best", "last"),
    help="of a run's folder: the best by what its model validates, or the last",
)
LIMIT = Parameter("limit", 0, 0, 100_000_000, help="data points of the test split, at most; 0 for all")


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow evaluate`."""
    from lflow.training.config import SEED

    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or a checkpoint file")
    parser.add_argument(
        "--compare", type=Path, nargs="+", metavar="RUN", help="others, measured in the same way: a table"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="of a comparison: also write it, as .csv")
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    add_parameters(parser, (NUM, LIMIT, CHECKPOINT, SEED), defaults=True)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)")
    parser.epilog = (
        "In a run's folder the numbers are also written to evaluation.json, except by a comparison. Runs are "
        "compared whose data are the same, and whose likelihoods are of the same kind; models validate by "
        "different numbers, which choose the best, and the table names them."
    )


def run(arguments: Arguments) -> int:
    """`lflow evaluate`."""
    from lflow.device import find_device

    device = find_device(arguments.device)
    if arguments.compare:
        return _compare(arguments, device)
    if arguments.out or arguments.force:
        raise ValueError("--out and --force are for a comparison: name other runs by --compare")
    return _evaluate(arguments, device)


def _evaluate(arguments: Arguments, device: torch.device) -> int:
    from lflow.evaluation.report import report, table
    from lflow.training.folder import RunFolder

    began = time.monotonic()
    about, subject = _subject(arguments, arguments.run, device)
    scores = report(subject)
    found = _found(arguments, about, scores)
    folder = RunFolder(arguments.run)
    if folder.exists:
        kept = found | {"checkpoint": Path(found["checkpoint"]).name}
        with whole_file(folder.evaluation_file) as out:
            out.write((json.dumps(kept, indent=1, allow_nan=False) + "\n").encode())
    found |= {"seconds": round(time.monotonic() - began, 3)}
    show(arguments, found, f"{found['checkpoint']} at step {found['step']:,}\n{table(scores)}")
    return 0


def _compare(arguments: Arguments, device: torch.device) -> int:
    from lflow.evaluation.comparison import as_csv, check, side_by_side
    from lflow.evaluation.report import report

    paths = list(dict.fromkeys([arguments.run, *arguments.compare]))
    if len(paths) < 2:
        raise ValueError("--compare needs another run than the first")
    out: Path | None = new_file(arguments.out, arguments.force) if arguments.out else None
    if out is not None and out.suffix.lower() != ".csv":
        raise ValueError(f"--out must end in .csv; got {out.name!r}")
    began = time.monotonic()
    opened = {str(path): _subject(arguments, path, device, f"{path}: ") for path in paths}
    check({name: subject for name, (_, subject) in opened.items()})
    found = {name: report(subject) for name, (_, subject) in opened.items()}
    runs = [_found(arguments, opened[name][0], scores) for name, scores in found.items()]
    if out is not None:
        with whole_file(out) as file:
            file.write(as_csv(found).encode())
    are_distinct = len({path.name for path in paths}) == len(paths)
    heads = {str(path): path.name if are_distinct else str(path) for path in paths}
    table = side_by_side(
        {heads[name]: scores for name, scores in found.items()},
        {heads[name]: _chosen(about) for name, (about, _) in opened.items()},
    )
    show(arguments, {"runs": runs, "seconds": round(time.monotonic() - began, 3)}, table)
    return 0


def _subject(
    arguments: Arguments, path: Path, device: torch.device, named: str = ""
) -> tuple[dict[str, Any], Subject]:
    """What is evaluated, and what is known of it before; named: before each line of progress."""
    from lflow.evaluation.subject import Subject
    from lflow.training import checkpoint

    file = checkpoint.find(path, arguments.checkpoint)
    saved = checkpoint.read(file)
    learner, data = saved.learner().to(device), saved.config.data
    about = {"checkpoint": str(file), "step": saved.step, "model": saved.config.model.name}
    about |= {"best_metric": saved.notes["best_metric"]}
    tell = teller(True)
    return about | {"data": data.source}, Subject(
        learner,
        data,
        arguments.num,
        arguments.limit,
        arguments.seed,
        lambda what, done, total: tell(named + what, done, total),
    )


def _chosen(about: dict[str, Any]) -> str:
    """Which checkpoint it is, and what chose it."""
    name = Path(about["checkpoint"]).stem
    by = f" by {about['best_metric']}" if name == "best" else ""
    return f"{name}{by}, step {about['step']:,}"


def _found(arguments: Arguments, about: dict[str, Any], scores: Sequence[Any]) -> dict[str, Any]:
    from lflow.evaluation.report import as_json
    from lflow.spec import CONFIG_VERSION

    protocol = {"num": arguments.num, "limit": arguments.limit, "seed": arguments.seed}
    return {"version": CONFIG_VERSION, **about, **protocol, "scores": as_json(scores)}
