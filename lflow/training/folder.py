"""A run's folder: what a run writes, and what anyone else reads of it, from whatever process.

    config.json      what the run is made of
    status.json      {"state": queued, running, done, stopped or failed, "step": ...}, replaced as a whole
    metrics.jsonl    a line of numbers every few steps, appended
    samples/         a picture of samples every few steps: 000200.png
    checkpoints/     last.safetensors, best.safetensors
    log.txt          what the process printed, where the app started it
    evaluation.json  what `lflow evaluate` found

Knows nothing of models and of how training goes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from lflow.training.config import Config, read_config

STATES = ("queued", "running", "done", "stopped", "failed")
GONE = "the process ended without saying why; resume goes on from its last checkpoint"
_RUNS = "LFLOW_RUNS"
_FILES = ("lock", "log.txt", "evaluation.json", "metrics.jsonl", "status.json", "config.json")


def runs_folder() -> Path:
    """Where runs lie unless a command says otherwise: the folder that LFLOW_RUNS names, else `runs`."""
    return Path(os.environ.get(_RUNS) or "runs")


class Status(NamedTuple):
    """Where a run stands, as its folder says."""

    state: str
    step: int
    num_steps: int
    message: str
    facts: Mapping[str, Any]
    """All else that status.json holds: device, pid, seconds, and so on."""


class RunFolder:
    """The files of a run."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.status_file = self.path / "status.json"
        self.metrics_file = self.path / "metrics.jsonl"
        self.samples = self.path / "samples"
        self.checkpoints = self.path / "checkpoints"
        self.last = self.checkpoints / "last.safetensors"
        self.best = self.checkpoints / "best.safetensors"
        self.log_file = self.path / "log.txt"
        self.evaluation_file = self.path / "evaluation.json"

    # --- writing --------------------------------------------------------------------------------------

    def create(self, config: Config) -> None:
        """Make the folder of a new run. ValueError if it holds a run already, or something else."""
        self.refuse_taken()
        try:
            for folder in (self.samples, self.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"{self.path} cannot be made ({error.strerror}): name another folder") from None
        self.write_config(config)
        self.write_status("queued", 0, config.training.num_steps)

    def refuse_taken(self) -> None:
        """ValueError where no new run may be made: the folder holds a run already, or something else."""
        if self.exists and not self._never_began:
            raise ValueError(f"{self.path} holds a run already: resume it, or name another folder")
        if not self.exists and self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise ValueError(f"{self.path} is there and is not a run: name a new folder")

    def write_config(self, config: Config) -> None:
        """Replace config.json as a whole."""
        _replace(self.config_file, json.dumps(config.as_json(), indent=1) + "\n")

    def write_status(self, state: str, step: int, num_steps: int, message: str = "", **facts: Any) -> None:
        """Replace status.json as a whole."""
        status = {"state": state, "step": step, "num_steps": num_steps, "message": message}
        _replace(self.status_file, json.dumps({**status, "updated": time.time(), **facts}) + "\n")

    def append_metrics(self, lines: list[dict[str, Any]]) -> None:
        """Append lines of numbers; each has a "step" and a "split", train or validation."""
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(text)

    def forget_after(self, step: int) -> None:
        """Drop lines, a half-written one too, and pictures of later steps than the checkpoint's."""
        if self.metrics_file.exists():
            kept = [json.dumps(line) + "\n" for line in self.metrics() if line["step"] <= step]
            _replace(self.metrics_file, "".join(kept))
        for picture in self.pictures():
            if int(picture.stem) > step:
                picture.unlink()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run while it is trained, so that no other process trains it. ValueError if one does."""
        with (self.path / "lock").open("w") as lock:
            deadline = time.monotonic() + 1  # who only looks whether it is held holds it for a moment
            while not _locked(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise ValueError(f"{self.path} is being trained by another process")
                time.sleep(0.01)
            yield

    def delete(self) -> None:
        """Remove what the run has written, and the folder where nothing else is left in it.

        ValueError while a process trains it.
        """
        with self.held():
            for folder in (self.samples, self.checkpoints, self.path / "tensorboard"):
                if folder.is_dir() and not folder.is_symlink():
                    shutil.rmtree(folder)
            # config.json, which makes the folder a run's, goes last: what is cut off can be gone on with.
            for file in (*self.path.glob("*.part"), *map(self.path.joinpath, _FILES)):
                file.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    # --- reading --------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether the folder is a run's."""
        return self.config_file.is_file()

    @property
    def _never_began(self) -> bool:
        """Whether the run failed before its first step, as for want of data, and left nothing else."""
        status = self.status()
        return status.state == "failed" and status.step == 0 and not self.metrics_file.exists()

    @property
    def is_held(self) -> bool:
        """Whether a process trains it now."""
        lock = self.path / "lock"
        if not lock.exists():
            return False
        with lock.open("r") as file:
            return not _locked(file, fcntl.LOCK_SH)

    def config(self) -> Config:
        """What the run is made of. ValueError if the folder is not a run's."""
        if not self.exists:
            raise ValueError(f"{self.path} is not the folder of a run: it has no config.json")
        return read_config(self.config_file)

    def status(self) -> Status:
        """Where the run stands; one whose process was killed is stopped. ValueError if it is not a run."""
        held = self.is_held  # before the file is read: a run that ends meanwhile is then done, not stopped
        try:
            found = json.loads(self.status_file.read_text(encoding="utf-8"))
            state, step, total = found.pop("state"), found.pop("step"), found.pop("num_steps")
            message = str(found.pop("message", ""))
            step, total = int(step), int(total)
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            raise ValueError(
                f"{self.path} is not the folder of a run: it has no readable status.json"
            ) from None
        if state not in STATES:
            raise ValueError(f"{self.status_file} has the unknown state {state!r}")
        if state == "running" and not held:
            state, message = "stopped", GONE
        return Status(state, step, total, message, found)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of numbers so far, without one that is still being written."""
        if not self.metrics_file.exists():
            return []
        text = self.metrics_file.read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def pictures(self) -> list[Path]:
        """The pictures of samples, in the order of their steps."""
        return sorted(path for path in self.samples.glob("*.png") if path.stem.isdecimal())


def _locked(file: TextIO, how: int) -> bool:
    """Whether the lock could be had; it ends with the file, or with the process."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def runs_in(parent: Path) -> list[RunFolder]:
    """The runs in a folder, at any depth, the newest first."""
    written = {}
    for file in parent.rglob("config.json"):
        with suppress(FileNotFoundError):  # deleted since it was found: no run any more
            written[file] = file.stat().st_mtime
    return [RunFolder(file.parent) for file in sorted(written, key=lambda file: -written[file])]


def new_name(parent: Path, stem: str) -> Path:
    """A folder that is not there yet: stem, stem-2, stem-3, ..."""
    names = (parent / (stem if k == 1 else f"{stem}-{k}") for k in range(1, 1_000_000))
    return next(path for path in names if not path.exists())


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
