"""Starting and stopping a run in a process of its own, which outlives whoever started it.

The process is `python -m lflow resume FOLDER`, as on the command line. Knows nothing of pages.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from lflow.training.config import Config, with_training
from lflow.training.folder import RunFolder


def start(config: Config, run_dir: Path | str, device: str = "auto") -> RunFolder:
    """Make the folder of a new run and train it in a new process. ValueError if the folder is taken."""
    folder = RunFolder(run_dir)
    folder.create(config)
    go_on(folder, device)
    return folder


def go_on(folder: RunFolder, device: str = "auto", num_steps: int | None = None) -> int:
    """Resume the run in a new process, and give its number. ValueError if a process trains it already.

    Until the process has begun, which takes seconds, the folder says queued.
    """
    if folder.is_held:
        raise ValueError(f"{folder.path} is being trained already")
    config, status = folder.config(), folder.status()
    total = config.training.num_steps
    if num_steps is not None:
        total = with_training(config, num_steps=num_steps).training.num_steps
    kept = {name: fact for name, fact in status.facts.items() if name not in ("updated", "pid")}
    folder.write_status("queued", status.step, total, **kept)
    # The folder comes last and after "--": a name that begins with a dash is no flag.
    command = [sys.executable, "-m", "lflow", "resume", "--device", device]
    command += [] if num_steps is None else ["--num-steps", str(num_steps)]
    with folder.log_file.open("ab") as log:
        process = subprocess.Popen(
            [*command, "--", str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return process.pid


def stop(folder: RunFolder) -> bool:
    """Ask the process that trains the run to end with everything saved; False if there is none."""
    status = folder.status()
    number = status.facts.get("pid")
    if status.state != "running" or not isinstance(number, int) or number <= 1:
        return False
    os.kill(number, signal.SIGTERM)
    return True
