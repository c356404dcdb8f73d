"""`lflow runs`: the runs in a folder and where they stand. Knows nothing of how training goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lflow.cli import PROGRAM, Arguments, Parser, show


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow runs`."""
    from lflow.training.folder import runs_folder

    default = runs_folder()
    told = f"where to look (default {default})"
    parser.add_argument("folder", type=Path, nargs="?", default=default, metavar="FOLDER", help=told)


def run(arguments: Arguments) -> int:
    """`lflow runs`."""
    from lflow.training import checkpoint
    from lflow.training.folder import runs_in

    rows, broken = [], []
    for run in runs_in(arguments.folder):
        try:
            config, status, best_step = run.config(), run.status(), checkpoint.step_of(run.best)
        except ValueError as error:
            broken.append(str(error))
            continue
        about: dict[str, Any] = {"run": str(run.path), "model": config.model.name, "data": config.data.source}
        about |= {"preset": config.preset, "state": status.state, "step": status.step}
        about |= {"num_steps": status.num_steps, "best": status.facts.get("best")}
        about |= {"best_step": best_step}
        rows.append({**about, "message": status.message})
    show(arguments, {"runs": rows, "unreadable": broken}, _table(rows, broken, arguments.folder))
    return 0


def _table(rows: Sequence[Mapping[str, Any]], broken: Sequence[str], folder: Path) -> str:
    if not rows and not broken:
        return f"no runs in {folder}: `{PROGRAM} train MODEL` starts one"
    width = max((len(row["run"]) for row in rows), default=0)
    lines = [
        f"{row['run']:{width}}  {row['model']:12} {row['data']:12} {row['state']:8} "
        f"{row['step']:>8,} of {row['num_steps']:,}{_best(row)}  {row['message']}".rstrip()
        for row in rows
    ]
    return "\n".join([*lines, *broken])


def _best(row: Mapping[str, Any]) -> str:
    """Which step is the best, where it is not the last."""
    return "" if row["best_step"] in (None, row["step"]) else f", the best at {row['best_step']:,}"
