"""A checkpoint: one safetensors file with weights, optimiser states and what they are of, written whole.

Nothing is ever unpickled. A file is written beside its place and moved there when it is complete and on the
disk, so that what is found is never half of one. Knows nothing of run folders.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lflow.models.base import Learner
from lflow.registry import NotRegistered
from lflow.spec import CONFIG_VERSION, check_version
from lflow.training.config import Config, make_config

_HEADER = "lflow"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. Tensors by name: `model.*`, `average.*` (of the weights), `optimiser.<part>.*`."""

    config: Config
    shape: tuple[int, ...]
    levels: int | None
    step: int
    notes: dict[str, Any]
    tensors: dict[str, Tensor]

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under a prefix, which their names lose."""
        start = prefix + "."
        return {k.removeprefix(start): tensor for k, tensor in self.tensors.items() if k.startswith(start)}

    def learner(self) -> Learner:
        """The model with its weights, their average where there is one. ValueError if they do not fit it."""
        weights = self.group("average") or self.group("model")
        with torch.device("meta"):  # no memory is taken for what the file does not hold
            _check_fit(self.config.model.build(self.shape, self.levels), weights)
        with torch.random.fork_rng(devices=[]):
            learner = self.config.model.build(self.shape, self.levels)
        fill(learner, weights)
        return learner.eval()


def fill(learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors into the model. ValueError if their names or shapes are not the model's."""
    _check_fit(learner, tensors)
    learner.load_state_dict(tensors)


def _check_fit(learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    wanted = {name: tuple(value.shape) for name, value in learner.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if wanted != found:
        wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise ValueError(
            f"the weights do not fit the model: {wrong[0]} has the shape {found.get(wrong[0], 'of nothing')} "
            f"and needs {wanted.get(wrong[0], 'to be absent')}"
        )


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file whole, or leave what was there. OSError if the disk is full."""
    about = {
        "version": CONFIG_VERSION,
        "config": checkpoint.config.as_json(),
        "shape": list(checkpoint.shape),
        "levels": checkpoint.levels,
        "step": checkpoint.step,
        "notes": checkpoint.notes,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part, metadata={_HEADER: json.dumps(about, allow_nan=False)})
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (SafetensorError, OSError) as error:
        part.unlink(missing_ok=True)
        raise OSError(f"{path} could not be written, and what was there is kept: {error}") from error


def read(path: Path, weights: bool = True) -> Checkpoint:
    """Read a file that `write` made, tensors only with weights. ValueError in one sentence if it is none."""
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[_HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys() if weights}  # noqa: SIM118 (no mapping)
        check_version(about, "checkpoint")
        shape, levels, step = _checked(about)
        config = make_config(about["config"])
        notes = {name: about["notes"][name] for name in ("seconds", "best", "best_metric")}
        return Checkpoint(config, shape, levels, step, notes, tensors)
    except NotRegistered as error:  # the file is whole: a class of somebody's own made it
        made_by = f"a {error.kind} named {error.name!r}"
        raise ValueError(
            f"{path} is of {made_by}, which is not known here: import the module that registers it first"
        ) from None
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} is not a checkpoint that lflow can read, or is damaged: {reason}") from None


def _checked(about: Mapping[str, Any]) -> tuple[tuple[int, ...], int | None, int]:
    shape, levels, step = about["shape"], about["levels"], about["step"]
    sizes = isinstance(shape, list) and len(shape) in (1, 3) and all(_is_size(side, 4096) for side in shape)
    if not sizes:
        raise ValueError(f"data cannot have the shape {shape!r}")
    if levels is not None and not _is_size(levels, 65_536):
        raise ValueError(f"levels must be a whole number, got {levels!r}")
    if type(step) is not int or step < 0:
        raise ValueError(f"step must be a whole number, got {step!r}")
    return tuple(shape), levels, step


def _is_size(value: Any, high: int) -> bool:
    return type(value) is int and 1 <= value <= high


def load(path: Path | str) -> Learner:
    """The trained model of a run folder (the best by validation, else the last) or of a checkpoint file.

    The learner is in evaluation mode, on the CPU, with the average of its weights where one was kept.
    ValueError if there is none, or the file is not one. Nothing in the file is run.

    Example:
        >>> lflow.load("runs/first").synthesize(16).shape
        torch.Size([16, 1, 8, 8])
    """
    return read(find(Path(path))).learner()


def find(path: Path, which: str = "best") -> Path:
    """The checkpoint file that a path means: itself, or a folder's last, or its best, else its last."""
    if not path.is_dir():
        return path
    names = ("best", "last") if which == "best" else (which,)
    places = [path / "checkpoints" / f"{name}.safetensors" for name in names]
    found = [place for place in [*places, *sorted(path.glob("*.safetensors"))] if place.is_file()]
    if not found:
        raise ValueError(f"{path} holds no checkpoint yet")
    return found[0]


def step_of(path: Path) -> int | None:
    """The step that a checkpoint is of, by its header alone; None where there is no file.

    ValueError if the file is not a checkpoint.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            return _checked(json.loads((file.metadata() or {})[_HEADER]))[2]
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, OSError):
        raise ValueError(f"{path} is not a checkpoint that lflow can read, or is damaged") from None


def which(run_dir: Path) -> str:
    """Which of a run's two checkpoints is taken and how to take the last, where it is another; else empty."""
    best, last = (run_dir / "checkpoints" / f"{name}.safetensors" for name in ("best", "last"))
    of_best, of_last = step_of(best), step_of(last)
    if of_best is None or of_last is None or of_best == of_last:
        return ""
    return f"the best, at step {of_best:,}, is taken; for the last, at step {of_last:,}, name {last}"


def weights_only(checkpoint: Checkpoint) -> Checkpoint:
    """What is needed to use the model, and not to train it on: a fraction of the size."""
    kept = checkpoint.group("average") or checkpoint.group("model")
    tensors = {f"model.{name}": tensor for name, tensor in kept.items()}
    return Checkpoint(
        checkpoint.config, checkpoint.shape, checkpoint.levels, checkpoint.step, checkpoint.notes, tensors
    )


def optimiser_tensors(part: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as named tensors; its settings are the configuration's."""
    states = optimiser.state_dict()["state"]
    return {
        f"optimiser.{part}.{index}.{name}": torch.as_tensor(value)
        for index, state in states.items()
        for name, value in state.items()
        if value is not None
    }


def fill_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` took, under the names that are left without `optimiser.<part>`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
