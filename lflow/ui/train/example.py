"""The run that the page Train opens on where there is no other: trained as any run is, and shipped.

`python -m lflow.ui.openings train` trains it anew and writes assets/train/example.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from lflow import cli
from lflow.paths import assets_dir
from lflow.training import checkpoint
from lflow.training.folder import RunFolder

CONFIG: dict[str, Any] = {
    "model": "ebm",
    "preset": "rings",
    "training": {"log_every": 20},
}


def example() -> RunFolder:
    """The run that is shipped."""
    return RunFolder(assets_dir() / "train" / "example")


def build() -> None:
    """Train and evaluate it, and write what the page shows of it: no optimiser, no paths, no process."""
    from lflow import train

    shipped = example()
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "example")
        train(CONFIG, run.path, device="cpu")
        shutil.rmtree(shipped.path, ignore_errors=True)
        shipped.create(run.config())
        for picture in run.pictures():
            shutil.copy(picture, shipped.samples)
        shutil.copy(run.metrics_file, shipped.metrics_file)
        checkpoint.write(shipped.best, checkpoint.weights_only(checkpoint.read(run.best)))
        status = run.status()
        kept = {name: status.facts[name] for name in ("device", "seconds", "best", "best_metric")}
        shipped.write_status(status.state, status.step, status.num_steps, **kept)
    cli.main(["evaluate", str(shipped.path)])
