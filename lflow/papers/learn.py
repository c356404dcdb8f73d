"""A model trained in memory: the steps of the training loop, without a folder, pictures or lines of numbers.

For experiments that train many small models and keep only what they find.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from lflow.models.base import Learner
from lflow.training.config import Config, make_config
from lflow.training.learning import Learning
from lflow.training.parallel import World


class WeightsLost(ArithmeticError):
    """A weight is no longer finite."""


def learn(
    config: Mapping[str, Any] | Config,
    every: int = 0,
    look: Callable[[int, Learner], object] = lambda step, learner: None,
) -> Learner:
    """The model that `lflow.train` would end with, on the CPU in float32, in evaluation mode.

    look: called as look(step, learner) each `every` steps, if any, with what the model would be if it ended
    there. WeightsLost if a weight is no longer finite at the end.
    """
    made = make_config(config)
    with torch.random.fork_rng(devices=[]):
        learning = Learning(made, World(0, 1, torch.device("cpu")))
        learning.initialise()
        for step in range(made.training.num_steps):
            learning.take_step(step)
            if every and (step + 1) % every == 0:
                with learning.weights.shown() as shown:
                    look(step + 1, shown)
    if part := learning.weights.not_finite():
        raise WeightsLost(f"the weights of {part!r} are not finite after {made.training.num_steps} steps")
    with learning.weights.shown() as shown:
        pass
    return shown.eval()
