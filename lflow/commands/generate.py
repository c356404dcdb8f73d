"""`lflow generate`: samples of a trained model, as a picture or as arrays. Knows nothing of training."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lflow.cli import Arguments, Parser, add_parameters, new_file, progress, show, whole_file
from lflow.spec import Parameter

if TYPE_CHECKING:
    from torch import Tensor

    from lflow.training.checkpoint import Checkpoint

NUM = Parameter("num", 64, 1, 10_000_000, help="samples")
ENDINGS = (".png", ".npz", ".npy")


def declare(parser: Parser, words: Sequence[str]) -> None:
    """The flags of `lflow generate`."""
    from lflow.training.config import SEED

    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or a checkpoint file")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="its ending says what to make"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    add_parameters(parser, (NUM, SEED), defaults=True)
    parser.add_argument("--device", default="cpu", help="cpu, auto, cuda, cuda:1 or mps (default cpu)")
    parser.add_argument("--progress", action="store_true", help="report progress even where no terminal is")
    parser.epilog = (
        "FILE ends in .png (images, or points), .npz or .npy (arrays). Of a run the best checkpoint "
        "is taken. Another kind of device gives other samples for the same seed."
    )


def run(arguments: Arguments) -> int:
    """`lflow generate`."""
    from lflow.device import find_device
    from lflow.evaluation.synthesis import synthesize
    from lflow.training import checkpoint

    out: Path = new_file(arguments.out, arguments.force)
    ending = out.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"--out must end in one of {', '.join(ENDINGS)}; got {out.name!r}")
    device = find_device(arguments.device)
    file = checkpoint.find(arguments.run)
    saved = checkpoint.read(file)
    learner = saved.learner().to(device)
    if arguments.progress or sys.stderr.isatty():  # a chain may be long, and tells nothing of itself
        print(f"drawing {arguments.num:,} samples of {file}", file=sys.stderr, flush=True)
    began = time.monotonic()
    samples = synthesize(learner, arguments.num, arguments.seed, progress(arguments.progress, "samples"))
    seconds = round(time.monotonic() - began, 3)
    lost = int((~samples.flatten(1).isfinite().all(1)).sum())
    _save(out, ending, samples, saved)
    report = {"out": str(out), "checkpoint": str(file), "step": saved.step, "num": len(samples)}
    report |= {"shape": list(samples.shape[1:]), "seed": arguments.seed, "seconds": seconds, "lost": lost}
    gone = f"; {lost:,} are not finite" if lost else ""
    show(arguments, report, f"{out}: {len(samples):,} samples of {file} at step {saved.step:,}{gone}")
    return 0


def _save(out: Path, ending: str, samples: Tensor, saved: Checkpoint) -> None:
    import json

    import numpy as np

    from lflow.training.pictures import picture

    image = picture(samples) if ending == ".png" else None  # before the file is touched: not all have one
    with whole_file(out) as file:
        if image is not None:
            image.save(file, "PNG")
        elif ending == ".npy":
            np.save(file, samples.numpy(), allow_pickle=False)
        else:
            config = np.array(json.dumps(saved.config.as_json()))
            np.savez(file, allow_pickle=False, samples=samples.numpy(), config=config)
