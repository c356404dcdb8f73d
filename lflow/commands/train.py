"""`lflow train`: a new run from the command line. Knows nothing of how training goes.

Under `torchrun` every process runs the command, and the first one reports.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lflow.cli import PROGRAM, STOPPED, Arguments, Parser, add_parameters, given, listed, show, without_effect
from lflow.spec import parameters


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow train`."""
    from lflow import models
    from lflow.training.config import SEED, DataChoice, Training
    from lflow.training.folder import runs_folder

    parser.add_argument("model", metavar="MODEL", help=f"one of: {', '.join(models.names())}")
    parser.add_argument("--preset", default="", help="the model's settings for a data set, by name")
    add_parameters(parser, (SEED,), defaults=True)
    parser.add_argument("--max-steps", type=int, metavar="N", help="end after so many steps at most")
    parser.add_argument(
        "--run-dir", type=Path, metavar="DIR", help=f"a new folder (default {runs_folder()}/MODEL-PRESET)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)")
    _declare_parameters(parser, "data", DataChoice, "")
    _declare_parameters(parser, "training", Training, "")
    named = words[0] if words and words[0] in models.names() else None
    if named:
        _declare_parameters(parser, "model", models.get_class(named), named)
    parser.epilog = "Name the model before --help, and its presets and parameters are listed too."
    if named and models.get_class(named).presets:
        presets = models.get_class(named).presets
        parser.epilog = listed("presets", {name: each.about for name, each in presets.items()})


def _declare_parameters(parser: Parser, role: str, owner: Any, name: str) -> None:
    pairs: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME=VALUE"}
    parser.add_argument(f"--{role}-param", help=f"a parameter of the {role}, by name", **pairs)
    add_parameters(parser, parameters(owner), role, name)


def run(arguments: Arguments) -> int:
    """`lflow train`."""
    from lflow import models, train
    from lflow.training.config import DataChoice, Training, make_config
    from lflow.training.folder import new_name, runs_folder
    from lflow.training.parallel import leads

    owner = models.get_class(arguments.model)
    owners = {"model": owner, "data": DataChoice, "training": Training}
    asked = {part: given(arguments, part, each) for part, each in owners.items()}
    config = make_config(
        {
            **asked,
            "model": {"name": arguments.model, **asked["model"]},
            "preset": arguments.preset,
            "seed": arguments.seed,
            "max_steps": arguments.max_steps,
        }
    )
    stem = "-".join(filter(None, (arguments.model, config.preset)))
    folder = arguments.run_dir or new_name(runs_folder(), stem)
    notes = [note for part in asked for note in without_effect(getattr(config, part), asked[part])]
    for note in filter(None, (config.remark, *notes) if leads() else ()):
        print(f"lflow: {note}", file=sys.stderr)
    train(config, folder, arguments.device, progress())
    return report(arguments, folder)


def report(arguments: Arguments, path: Path) -> int:
    """Say how a run ended; the exit code."""
    from lflow.training import checkpoint
    from lflow.training.folder import RunFolder
    from lflow.training.parallel import is_alone, leads

    if not leads():
        return 0
    folder = RunFolder(path)
    status = folder.status()
    found: dict[str, Any] = {"run": str(path), "state": status.state, "step": status.step}
    found |= {"num_steps": status.num_steps, **status.facts}
    lines = [line for line in folder.metrics() if line["split"] == "validation"]
    found["best_step"] = checkpoint.step_of(folder.best)
    found["validation"] = lines[-1] if lines else None
    further = {"stopped": "", "done": " --num-steps N"}.get(status.state)
    end = "" if further is None else f"; to go on: {PROGRAM} resume {shlex.quote(str(path))}{further}"
    told = f"{path}: {status.state} at step {status.step:,}{end}"
    show(arguments, found, "\n".join(filter(None, (told, checkpoint.which(path)))))
    # Of several processes one that ends otherwise than with 0 is for torchrun a failure of all.
    return STOPPED if status.state == "stopped" and is_alone() else 0


def progress() -> Callable[[int, int, Mapping[str, float]], None]:
    """Numbers to standard error now and then; on a terminal each line takes the place of the last."""
    terminal, last, is_read = sys.stderr.isatty(), 0.0, True

    def say(step: int, num_steps: int, numbers: Mapping[str, float]) -> None:
        nonlocal last, is_read
        now = time.monotonic()
        if not is_read or (now - last < (0.5 if terminal else 5.0) and step < num_steps):
            return
        last = now
        told = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        start, end = ("\r\033[K", "" if step < num_steps else "\n") if terminal else ("", "\n")
        try:
            print(f"{start}{step:,} of {num_steps:,}  {told}", end=end, file=sys.stderr, flush=True)
        except BrokenPipeError:  # whoever read along has gone: no reason to end a run
            is_read = False

    return say
