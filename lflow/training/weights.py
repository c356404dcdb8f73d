"""The weights of a run: the model, its optimisers, and the average of the weights where one is kept.

Knows nothing of data and of folders.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lflow.models.base import Learner, Part
from lflow.training.checkpoint import Checkpoint, fill, fill_optimiser, optimiser_tensors
from lflow.training.parallel import World


class Weights:
    """What a step changes."""

    def __init__(self, learner: Learner, ema: float) -> None:
        self.learner = learner.train()
        self.parts = learner.parts()
        self.optimisers = {name: _optimiser(part) for name, part in self.parts.items()}
        averaging = get_ema_multi_avg_fn(ema)
        self.average = AveragedModel(learner, multi_avg_fn=averaging) if ema else None

    def follow(self) -> None:
        """Let the average begin at the weights as they are now."""
        if self.average is not None:
            self.average.module.load_state_dict(self.learner.state_dict())

    def descend(self, loss: Tensor, rate: float, world: World) -> None:
        """Differentiate the loss and move every part that it has a gradient for."""
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        world.average_gradients([p for part in self.parts.values() for p in part.module.parameters()])
        for name, part in self.parts.items():
            if part.clip is not None:
                torch.nn.utils.clip_grad_norm_(part.module.parameters(), part.clip)
            for group in self.optimisers[name].param_groups:
                group["lr"] = part.learning_rate * rate
            self.optimisers[name].step()
        if self.average is not None:
            self.average.update_parameters(self.learner)

    @contextmanager
    def shown(self) -> Iterator[Learner]:
        """The model to validate and to show, in evaluation mode: the average where one is kept."""
        learner = self.learner if self.average is None else self.average.module
        assert isinstance(learner, Learner)
        learner.eval()
        try:
            yield learner
        finally:
            learner.train()

    def not_finite(self) -> str | None:
        """The name of a part, or of a weight in none, that is not finite; None if all are."""
        weights = {name: list(part.module.parameters()) for name, part in self.parts.items()}
        in_parts = {id(weight) for each in weights.values() for weight in each}
        weights |= {n: [w] for n, w in self.learner.named_parameters() if id(w) not in in_parts}
        for name, each in weights.items():
            if not bool(torch.stack([weight.detach().sum() for weight in each]).isfinite().all()):
                return name
        return None

    def tensors(self) -> dict[str, Tensor]:
        """Everything, by name, for a checkpoint."""
        found = {f"model.{name}": tensor for name, tensor in self.learner.state_dict().items()}
        if self.average is not None:
            averaged = self.average.module.state_dict()
            found |= {f"average.{name}": tensor for name, tensor in averaged.items()}
            found["averaged"] = self.average.n_averaged
        for name, optimiser in self.optimisers.items():
            found |= optimiser_tensors(name, optimiser)
        # A file may hold no tensor twice: what networks share is written once for each name.
        return {name: tensor.detach().clone() for name, tensor in found.items()}

    def restore(self, saved: Checkpoint) -> None:
        """Put back what `tensors` gave. ValueError if it is of another model or cannot be trained on."""
        wanted = {"average", "averaged"} if self.average is not None else set()
        # A part that has learned nothing yet has no state, nor has plain descent; the others have some.
        if saved.step and any(part.optimiser != "sgd" for part in self.parts.values()):
            wanted.add("optimiser")
        missing = sorted(key for key in wanted if key not in saved.tensors and not saved.group(key))
        if missing:
            raise ValueError(f"the checkpoint cannot be trained on: it lacks {missing[0]!r}")
        fill(self.learner, saved.group("model"))
        if self.average is not None:
            average = self.average.module
            assert isinstance(average, Learner)
            fill(average, saved.group("average"))
            self.average.n_averaged.copy_(saved.tensors["averaged"])
        for name, optimiser in self.optimisers.items():
            fill_optimiser(optimiser, saved.group(f"optimiser.{name}"))


def _optimiser(part: Part) -> torch.optim.Optimizer:
    parameters, rate, betas = part.module.parameters(), part.learning_rate, part.betas
    if part.optimiser == "adam":
        return torch.optim.Adam(parameters, rate, betas)
    if part.optimiser == "adamax":
        return torch.optim.Adamax(parameters, rate, betas)
    if part.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, rate)
    if part.optimiser == "sgd":
        return torch.optim.SGD(parameters, rate)
    raise ValueError(f"there is no optimiser {part.optimiser!r}: adam, adamax, rmsprop or sgd")
