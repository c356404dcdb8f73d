"""THE training loop: every model learns here, one step after another, and nothing is lost when it ends.

It owns what is not a model's business: the device, lines of numbers, pictures, checkpoints, stopping. A
run that was cut off at any moment ends in the same weights once it is resumed.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lflow.device import find_device
from lflow.draws import VALIDATION, Draws
from lflow.models.base import Learner
from lflow.training import checkpoint
from lflow.training.checkpoint import Checkpoint
from lflow.training.config import Config, make_config, with_training
from lflow.training.curves import Curves
from lflow.training.folder import RunFolder
from lflow.training.learning import Learning
from lflow.training.parallel import World, join
from lflow.training.pictures import picture

AUTOMATIC = ("cuda", "mps", "cpu")
_PATIENCE = 0.5  # seconds between writes of status and metrics
_POINTS = 25  # points of a picture in the plane, for each image of a grid

Say = Callable[[int, int, Mapping[str, float]], object]


def train(
    config: Mapping[str, Any] | Config, run_dir: Path | str, device: str = "auto", say: Say | None = None
) -> Learner:
    """Train a model in a new run folder, and return it as `lflow.load` gives it.

    Args:
        config: a `Config`, or in short {"model": name, "preset": name, "seed": 0, "max_steps": 100}.
        run_dir: a folder that is not there yet, or empty.
        device: "auto" takes CUDA, then MPS, then the CPU.
        say: called as say(step, num_steps, numbers) with each line of metrics.

    SIGTERM and Ctrl-C end the run after the step in progress, with everything saved; `resume` goes on.

    Raises:
        ValueError: a bad configuration or missing data; the sentence says which.
        ArithmeticError: a loss or a weight is no longer finite; the last good checkpoint is kept.
        OSError: the disk is full; the last checkpoint is kept.

    Example:
        >>> model = lflow.train({"model": "ebm", "preset": "rings", "max_steps": 500}, "runs/rings")
        >>> model.synthesize(100).shape
        torch.Size([100, 2])
    """
    made, folder = make_config(config), RunFolder(run_dir)
    with join(find_device(device, AUTOMATIC)) as world, torch.random.fork_rng():
        if world.leads:
            folder.refuse_taken()
        learning = Learning(made, world)  # what is refused of model and data leaves no folder behind
        if world.leads:
            folder.create(made)
        world.wait()
        return _run(made, folder, world, say, learning)


def resume(
    run_dir: Path | str, num_steps: int | None = None, device: str = "auto", say: Say | None = None
) -> Learner:
    """Go on with a run from its last checkpoint, or begin one that is queued; as `train` otherwise.

    num_steps: a new end of the run. ValueError if it lies before the checkpoint.
    """
    folder = RunFolder(run_dir)
    config = folder.config()
    if num_steps is not None:
        config = with_training(config, num_steps=num_steps)
    with join(find_device(device, AUTOMATIC)) as world:
        world.wait()
        return _run(config, folder, world, say)


def _run(
    config: Config, folder: RunFolder, world: World, say: Say | None, learning: Learning | None = None
) -> Learner:
    run: Run | None = None
    with _held(folder, world), torch.random.fork_rng():
        before = folder.status()
        try:
            run = Run(folder, learning or Learning(config, world), say)
            run.go()
        except BaseException as error:
            # A run that is done stays so, whatever a caller asks of it in vain.
            if world.leads and not (run is None and before.state == "done"):
                _say_failed(folder, config, error, before.step if run is None else run.saved)
            raise
    return checkpoint.load(folder.path)


@contextmanager
def _held(folder: RunFolder, world: World) -> Iterator[None]:
    if not world.leads:
        yield
        return
    with folder.held():
        yield


def _say_failed(folder: RunFolder, config: Config, error: BaseException, step: int) -> None:
    stopped = isinstance(error, KeyboardInterrupt)
    message = "interrupted" if stopped else " ".join(str(error).split()) or type(error).__name__
    folder.write_status("stopped" if stopped else "failed", step, config.training.num_steps, message)


class Run:
    """A run in progress."""

    def __init__(self, folder: RunFolder, learning: Learning, say: Say | None) -> None:
        self.folder, self.learning, self.say = folder, learning, say
        self.config, self.training, self.world = learning.config, learning.training, learning.world
        self.batches, self.weights = self.learning.batches, self.learning.weights
        self.step, self.saved, self.seconds, self.best = 0, 0, 0.0, math.inf
        self.unseen: list[tuple[int, dict[str, Tensor], dict[str, Tensor]]] = []
        self.lines: list[dict[str, Any]] = []
        self.stopping, self.began, self.written = False, time.monotonic(), -math.inf
        self._begin()
        self.curves = Curves(folder.path) if self.training.tensorboard and self.world.leads else None

    def _begin(self) -> None:
        if self.folder.last.exists():
            self._restore(checkpoint.read(self.folder.last))
        else:
            self.learning.initialise()
        if self.world.leads:
            self.folder.forget_after(self.step)
            self.folder.write_config(self.config)

    def _restore(self, saved: Checkpoint) -> None:
        if saved.config.model != self.config.model:
            raise ValueError(f"the checkpoint in {self.folder.path} is of another model than its config.json")
        if saved.step > self.training.num_steps:
            raise ValueError(f"num_steps must be at least {saved.step}, where the checkpoint is")
        self.weights.restore(saved)
        self.step = self.saved = saved.step
        self.seconds = float(saved.notes["seconds"])
        best = saved.notes["best"]
        self.best = math.inf if best is None else float(best)

    # --- the loop -------------------------------------------------------------------------------------

    def go(self) -> None:
        """From where the run is to its end, or to where it is told to stop."""
        self._write_status("running", force=True)
        with self._listening():
            while self.step < self.training.num_steps and not self.world.any(self.stopping):
                try:
                    self.take_step()
                except ValueError:
                    self._look()  # what is not a number in a step is what the one before has lost
                    raise
                self.step += 1
                self._after_step(self.step == self.training.num_steps)
        if self.step < self.training.num_steps:
            self.save()
        self._write_status("done" if self.step == self.training.num_steps else "stopped", force=True)
        if self.curves:
            self.curves.close()
        self.world.wait()  # what the others read is then written

    def take_step(self) -> None:
        """One step, and what it found to be looked at later: that would wait for the device."""
        found = self.learning.take_step(self.step)
        self.unseen.append(
            (
                self.step,
                {name: loss.detach().float() for name, loss in found.losses.items()},
                {name: number.detach().float() for name, number in found.metrics.items()},
            )
        )

    def _after_step(self, last: bool) -> None:
        training = self.training

        def due(every: int) -> bool:
            return last or self.step % every == 0

        if due(training.log_every) or due(training.checkpoint_every) or due(training.validate_every):
            self._look()
        if self.world.leads:
            if due(training.validate_every):
                self.validate()
            if due(training.sample_every):
                self.draw()
            if due(training.checkpoint_every):
                self.save()
            self._write_status("running")

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """SIGTERM and a first Ctrl-C end the run after its step; a second Ctrl-C ends it at once."""
        if threading.current_thread() is not threading.main_thread():  # Python allows no handler elsewhere
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def stop(number: int, frame: object) -> None:
            if self.stopping and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.stopping = True

        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # --- what is seen and kept ------------------------------------------------------------------------

    def _look(self) -> None:
        """Average what the steps since the last look gave; ArithmeticError if a loss was not finite."""
        if not self.unseen:
            return
        losses, metrics = self.unseen[-1][1:]
        rows = torch.stack([torch.stack([*each.values(), *more.values()]) for _, each, more in self.unseen])
        rows = self.world.mean(rows).cpu()
        for (step, *_), row in zip(self.unseen, rows, strict=True):
            for name, value in zip(losses, row, strict=False):
                if not value.isfinite():
                    raise ArithmeticError(
                        f"the loss {name!r} is {float(value)} at step {step + 1}. {self._kept}"
                    )
        self.unseen = []
        numbers = dict(
            zip([f"loss/{name}" for name in losses] + list(metrics), rows.mean(0).tolist(), strict=True)
        )
        self._line("train", numbers)

    @property
    def _kept(self) -> str:
        kept = f"the checkpoint of step {self.saved}" if self.saved else "no checkpoint yet"
        return f"Kept: {kept}. A smaller learning rate, or step size of the chains, is the usual cure"

    def _line(self, split: str, numbers: Mapping[str, float]) -> None:
        if not self.world.leads:
            return
        plain = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        seconds = round(self._seconds(), 3)
        self.lines.append({"step": self.step, "seconds": seconds, "split": split, **plain})
        if self.curves:
            self.curves.add(split, self.step, numbers)
        if self.say:
            self.say(self.step, self.training.num_steps, numbers)

    def validate(self) -> None:
        """Look at data that training does not see, and keep the weights if they are the best so far."""
        draws = Draws(self.config.seed, 0, self.world.device, use=VALIDATION)  # each time the same numbers
        draws.step = self.step
        with self.weights.shown() as learner, torch.no_grad():
            found = learner.validate(self.batches.validation(), draws)
        numbers = {name: float(value) for name, value in found.items()}
        self._line("validation", numbers)
        if numbers[self.weights.learner.best] < self.best:
            self.best = numbers[self.weights.learner.best]
            self._keep(self.folder.best)

    def draw(self) -> None:
        """A picture of samples, if they have one."""
        learner, count = self.weights.learner, self.training.num_samples
        if len(learner.shape) == 1 and learner.shape != (2,):
            return
        with self.weights.shown() as shown:
            samples = shown.synthesize(
                count if len(learner.shape) == 3 else _POINTS * count, self.config.seed
            )
        place = self.folder.samples / f"{self.step:06d}.png"
        part = place.with_suffix(".part")  # a page looks on: it never finds half of a picture
        picture(samples).save(part, "PNG")
        part.replace(place)

    def save(self) -> None:
        """Write the last checkpoint."""
        self._look()
        if self.world.leads:
            self._keep(self.folder.last)
        self.saved = self.step

    def _keep(self, path: Path) -> None:
        if wrong := self.weights.not_finite():
            raise ArithmeticError(
                f"the weights of {wrong!r} are not finite after step {self.step}. {self._kept}"
            )
        learner = self.weights.learner
        best = self.best if math.isfinite(self.best) else None
        notes = {"seconds": self._seconds(), "best": best, "best_metric": learner.best}
        made = self.config, learner.shape, learner.levels, self.step, notes
        checkpoint.write(path, Checkpoint(*made, self.weights.tensors()))
        self._flush()

    def _seconds(self) -> float:
        return self.seconds + time.monotonic() - self.began

    def _flush(self) -> None:
        if self.lines:
            self.folder.append_metrics(self.lines)
            self.lines = []

    def _write_status(self, state: str, force: bool = False) -> None:
        now = time.monotonic()
        if not self.world.leads or (not force and now - self.written < _PATIENCE):
            return
        self.written = now
        self._flush()
        facts: dict[str, Any] = {"device": str(self.world.device), "processes": self.world.size}
        facts |= {"pid": os.getpid(), "seconds": round(self._seconds(), 3)}
        facts["best"] = self.best if math.isfinite(self.best) else None
        facts["best_metric"] = self.weights.learner.best
        self.folder.write_status(state, self.step, self.training.num_steps, **facts)
