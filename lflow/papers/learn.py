"""A model trained in memory: the steps of the training loop, without a folder, pictures or lines of numbers.

For experiments that train many small models and keep only what they find.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from lflow.draws import BEGINNING, DROPOUT, Draws, derived_seed
from lflow.models.base import Learner
from lflow.training.batches import Batches
from lflow.training.config import Config, make_config
from lflow.training.parallel import World
from lflow.training.weights import Weights


def learn(
    config: Mapping[str, Any] | Config,
    every: int = 0,
    look: Callable[[int, Learner], object] = lambda step, learner: None,
) -> Learner:
    """The model that `lflow.train` would end with, on the CPU in float32, in evaluation mode.

    Without warm-up of the learning rate. look: called as look(step, learner) each `every` steps, if any, with
    what the model would be if it ended there. ArithmeticError if a weight is no longer finite.
    """
    made = make_config(config)
    world = World(0, 1, torch.device("cpu"))
    with torch.random.fork_rng(devices=[]):
        batches = Batches(made, world.device)
        torch.manual_seed(made.seed)
        learner = made.model.build(batches.data.shape, batches.data.levels)
        weights = Weights(learner, made.training.ema)
        learner.initialise(batches.whole(0), Draws(made.seed, 0, use=BEGINNING))
        weights.follow()
        for step in range(made.training.num_steps):
            torch.manual_seed(derived_seed(made.seed, DROPOUT, step, world.rank))
            found = learner.training_step(batches.at(step), Draws(made.seed, step))
            rate = made.training.decay ** batches.passes(step)
            weights.descend(torch.stack(list(found.losses.values())).sum(), rate, world)
            if every and (step + 1) % every == 0:
                with weights.shown() as shown:
                    look(step + 1, shown)
    if part := weights.not_finite():
        raise ArithmeticError(f"the weights of {part!r} are not finite after {made.training.num_steps} steps")
    with weights.shown() as shown:
        pass
    return shown.eval()
