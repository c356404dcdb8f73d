"""What every model is: declared settings, and the networks that they build and that learn.

A model of your own takes one file: a frozen dataclass under `@registry.register("name")` whose fields are
its hyperparameters and whose `build` gives a `Learner`, a torch module with a `training_step`. Where the
module is imported, `lflow.train` and `lflow.load` know it; the command line and the app find it through an
entry point in the group `lflow.models` (see lflow/registry.py). Models know nothing of folders, of loops and
of pages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from lflow.draws import SYNTHESIS, Draws
from lflow.registry import Registry
from lflow.spec import Declared

_MOST_NUMBERS = 2**20  # of what a task takes at once: 341 colour images of 32 pixels


class Part(NamedTuple):
    """Networks that learn together, and how: optimiser, settings, largest norm of a gradient."""

    module: nn.Module
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = None
    optimiser: str = "adam"
    """adam, adamax, rmsprop or sgd."""


class TrainingStep(NamedTuple):
    """What a step gives: losses by name, whose sum is descended, and numbers to watch (0-dimensional)."""

    losses: dict[str, Tensor]
    metrics: dict[str, Tensor]


@dataclass(frozen=True)
class Preset:
    """A model's settings for a data set: what differs from the defaults."""

    data: str
    about: str
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    data_options: Mapping[str, Any] = field(default_factory=dict)


class Model(Declared):
    """Base of the models: a frozen dataclass of hyperparameters that builds what learns."""

    title: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    presets: ClassVar[Mapping[str, Preset]] = {}

    @property
    def equation(self) -> str:
        """The formula as these settings have it, in LaTeX."""
        return self.formula

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> Learner:
        """The networks for data of that shape, (c, h, w) in [-1, 1] or (dim,); `levels` grey values a pixel.

        ValueError if the model is not for such data.
        """
        raise NotImplementedError

    def remark(self, batch_size: int) -> str:
        """What one should know before it learns from batches of that size, in a sentence; empty for nothing.

        Of what is allowed and is yet not what the model's reference is about.
        """
        return ""


class Learner(nn.Module):
    """Base of what learns. Besides `training_step` and `synthesize`, a subclass offers what it can of
    `log_prob(x)`, `reconstruct(x)`, `interpolate(a, b, k)`, `inpaint(x, mask)`, `recover(y, noise)` and
    `anomaly_score(x)`: lflow/tasks asks what there is, and gives all but `log_prob` a `seed` too."""

    best: ClassVar[str] = ""
    """The metric of `validate` that is least for the best weights."""
    anomaly_formula: str = ""
    """What `anomaly_score` is, where it is offered."""

    def __init__(self, settings: Model, shape: tuple[int, ...], levels: int | None = None) -> None:
        super().__init__()
        self.settings, self.shape, self.levels = settings, tuple(shape), levels

    def parts(self) -> dict[str, Part]:
        """What learns, by name. A part that a step gives no gradient is left as it is."""
        raise NotImplementedError

    def initialise(self, x: Tensor, draws: Draws) -> None:
        """Set what depends on data (activation normalisation, chains) from the first global batch, once.

        `draws` are of one process: every process sees the same.
        """

    def training_step(self, x: Tensor, draws: Draws) -> TrainingStep:
        """Losses of a batch x, (n, *shape)."""
        raise NotImplementedError

    def validate(self, x: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Numbers that say how good the model is on data x that it has not seen, `best` among them."""
        raise NotImplementedError

    def synthesize(self, n: int, seed: int = 0) -> Tensor:
        """n new data points, (n, *shape), without a gradient."""
        raise NotImplementedError

    @property
    def rows_at_once(self) -> int:
        """Data points that a task gives the model at once: as many as fit into memory."""
        return max(1, _MOST_NUMBERS // math.prod(self.shape))

    @property
    def reconstruction_gradients(self) -> int:
        """Gradients of its networks, about, that `reconstruct` takes of a data point, where it offers it."""
        return 1

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.parameters()).device

    def fresh_draws(self, seed: int) -> Draws:
        """Random numbers to use a trained model with."""
        return Draws(seed, 0, self.device, use=SYNTHESIS)


registry: Registry[Model] = Registry("model", "models")
