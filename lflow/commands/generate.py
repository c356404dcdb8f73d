"""`lflow generate`: what a trained model makes, as a picture, arrays or numbers. It trains nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lflow.cli import Arguments, Parser, add_parameters, listed, new_file, show, teller, whole_file
from lflow.spec import counted, parameters

if TYPE_CHECKING:
    from lflow.evaluation.subject import Subject
    from lflow.tasks import Outcome, Settings
    from lflow.training.checkpoint import Checkpoint

ENDINGS = (".png", ".npz", ".npy", ".json")
SAMPLES = 64


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow generate`."""
    from lflow.tasks import TASKS, Settings
    from lflow.training.config import SEED

    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or a checkpoint file")
    parser.add_argument(
        "--task", default="synthesize", help=f"one of {', '.join(TASKS)} (default synthesize)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="its ending says what to make"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    add_parameters(parser, (SEED,), defaults=True)
    add_parameters(parser, parameters(Settings), "task")
    parser.add_argument("--device", default="cpu", help="cpu, auto, cuda, cuda:1 or mps (default cpu)")
    parser.add_argument("--progress", action="store_true", help="report progress even where no terminal is")
    parser.epilog = (
        listed("tasks", {task.name: task.about for task in TASKS.values()})
        + "\n\nFILE ends in .png (images, or points), .npz or .npy (arrays), .json (numbers). Of a run the "
        f"best checkpoint is taken. Without --num there are {SAMPLES} samples. Another kind of device gives "
        "other samples for the same seed."
    )


def run(arguments: Arguments) -> int:
    """`lflow generate`."""
    from lflow.device import find_device
    from lflow.evaluation.report import as_json, table
    from lflow.evaluation.subject import Subject
    from lflow.tasks import find, perform
    from lflow.tasks.picture import omitted
    from lflow.training import checkpoint

    out: Path = new_file(arguments.out, arguments.force)
    if out.suffix.lower() not in ENDINGS:
        raise ValueError(f"--out must end in one of {', '.join(ENDINGS)}; got {out.name!r}")
    settings, task = _settings(arguments), arguments.task
    device = find_device(arguments.device)
    file = checkpoint.find(arguments.run)
    saved = checkpoint.read(file)
    wanted = arguments.progress or sys.stderr.isatty()
    if wanted:  # a chain may be long, and tells nothing of itself
        print(f"{task} by {file}: {settings.num:,} asked for", file=sys.stderr, flush=True)
    subject = Subject(saved.learner().to(device), saved.config.data, seed=arguments.seed, tell=teller(wanted))
    began = time.monotonic()
    outcome = perform(task, subject, settings)
    made = next(iter(outcome.rows.values()))
    report = {"task": task, "out": str(out), "checkpoint": str(file), "step": saved.step, "num": len(made)}
    report |= {"shape": list(made.shape[1:]), "seed": arguments.seed, "lost": outcome.lost}
    report |= {"seconds": round(time.monotonic() - began, 3), "rows": list(outcome.rows)}
    notes = [*outcome.notes, *(omitted(outcome) if out.suffix.lower() == ".png" else [])]
    report |= {"scores": as_json(outcome.scores), "notes": notes}
    _save(out, outcome, subject, saved, report)
    lines = [f"{out}: {counted(len(made), find(task).noun)} of {file} at step {saved.step:,}"]
    lines += [beside] if (beside := checkpoint.which(arguments.run)) else []
    lines += [*notes, f"rows: {', '.join(outcome.rows)}"]
    show(arguments, report, "\n".join([*lines, *([table(outcome.scores)] if outcome.scores else [])]))
    return 0


def _settings(arguments: Arguments) -> Settings:
    """What the flags say. ValueError for one that the task does not use."""
    from lflow.tasks import Settings, find

    uses, num = find(arguments.task).uses, {"num": SAMPLES} if arguments.task == "synthesize" else {}
    given = {
        p.name: vars(arguments)[f"task.{p.name}"]
        for p in parameters(Settings)
        if f"task.{p.name}" in arguments
    }
    if unused := [name for name in given if name not in uses]:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in uses)
        raise ValueError(f"--{unused[0].replace('_', '-')} is not for {arguments.task}, which takes {flags}")
    if "share" in given and given.get("mask") != "random":
        raise ValueError("--share is for --mask random")
    return Settings(**(num | given))


def _as_numpy(array: Any) -> Any:
    return array.cpu().numpy() if hasattr(array, "cpu") else array


def _save(
    out: Path, outcome: Outcome, subject: Subject, saved: Checkpoint, report: Mapping[str, Any]
) -> None:
    import numpy as np

    from lflow.tasks.picture import BEHIND, rows_picture

    ending, arrays = out.suffix.lower(), {k: _as_numpy(each) for k, each in outcome.arrays.items()}
    if ending == ".npy" and len(arrays) > 1:
        raise ValueError(f"{report['task']} makes {len(arrays)} arrays: let --out end in .npz")
    image = None
    if ending == ".png":  # not all have one: before the file is
        image = rows_picture(outcome, lambda: subject.training.batch(slice(BEHIND)))
    with whole_file(out) as file:
        if image is not None:
            image.save(file, "PNG")
        elif ending == ".json":
            file.write((json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
        elif ending == ".npy":
            np.save(file, next(iter(arrays.values())), allow_pickle=False)
        else:
            config = np.array(json.dumps(saved.config.as_json()))
            np.savez(file, allow_pickle=False, config=config, **arrays)
