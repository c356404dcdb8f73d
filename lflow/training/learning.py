"""A model that learns: what one step changes, by the weights, the seed and the step's number alone.

It knows nothing of folders, pictures, checkpoints and of when to stop.
"""

from __future__ import annotations

import torch

from lflow.draws import BEGINNING, DROPOUT, Draws, derived_seed
from lflow.models.base import TrainingStep
from lflow.training.batches import Batches
from lflow.training.config import Config
from lflow.training.parallel import World
from lflow.training.weights import Weights


class Learning:
    """The data and the weights of a run, and the step that brings them together.

    Building it seeds torch's global generator, from which networks take their first weights.
    """

    def __init__(self, config: Config, world: World) -> None:
        self.config, self.training, self.world = config, config.training, world
        self.batches = Batches(config, world.device, world.rank, world.size)
        torch.manual_seed(config.seed)
        learner = config.model.build(self.batches.data.shape, self.batches.data.levels).to(world.device)
        self.weights = Weights(learner, self.training.ema)

    def initialise(self) -> None:
        """Set what depends on data, from the first global batch."""
        draws = Draws(self.config.seed, 0, self.world.device, use=BEGINNING)
        self.weights.learner.initialise(self.batches.whole(0), draws)
        self.weights.follow()

    def take_step(self, step: int) -> TrainingStep:
        """One step: a batch, its losses, and what they move."""
        world, weights = self.world, self.weights
        # Dropout takes the global generator; all else that is random comes from `draws`.
        torch.manual_seed(derived_seed(self.config.seed, DROPOUT, step, world.rank))
        draws = Draws(self.config.seed, step, world.device, world.rank, world.size)
        with torch.autocast(world.device.type, torch.bfloat16, enabled=self.bfloat16):
            found = weights.learner.training_step(self.batches.at(step), draws)
        total = torch.stack([loss.float() for loss in found.losses.values()]).sum()
        weights.descend(total, self._rate(step), world)
        return found

    @property
    def bfloat16(self) -> bool:
        """Whether networks compute in bfloat16."""
        auto = self.training.precision == "auto" and self.world.device.type == "cuda"
        return auto or self.training.precision == "bfloat16"

    def _rate(self, step: int) -> float:
        """The factor of the learning rates at this step."""
        warm = min(1.0, (step + 1) / self.training.warmup) if self.training.warmup else 1.0
        return warm * self.training.decay ** self.batches.passes(step)
