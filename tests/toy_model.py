"""A model for tests of the loop: small, but with all that can go wrong when a run is cut off or shared.

It has two parts with an optimiser each, persistent chains, dropout-free networks, noise in its loss and a
start that depends on data. Run as a script, it is the command line with this model known to it. What the
environment says makes it end itself at a step (`TOY_KILL=137`: kill -9, `TOY_TERM=137`: SIGTERM) or lose
its loss (`TOY_NAN=137`).
"""

from __future__ import annotations

import math
import os
import signal
import sys
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lflow import samplers, steps
from lflow.draws import Draws
from lflow.models.base import Learner, Model, Part, Preset, TrainingStep, registry
from lflow.short_run import frozen, short_run
from lflow.spec import param

CHAINS = 16


@registry.register("toy")
@dataclass(frozen=True)
class Toy(Model):
    """A Gaussian and an energy, each fitted to the data."""

    title = "toy"
    presets = {  # noqa: RUF012 (as the base declares it)
        "rings": Preset(
            "rings",
            "the rings",
            training={
                "num_steps": 40,
                "batch_size": 16,
                "ema": 0.9,
                "warmup": 5,
                "decay": 0.9,
                "log_every": 5,
                "checkpoint_every": 10,
                "validate_every": 10,
                "sample_every": 20,
                "num_samples": 4,
            },
            data_options={"limit": 200},
        ),
    }

    learning_rate: float = param(0.01, 1e-6, 1e6, log=True)

    def build(self, shape: tuple[int, ...], levels: int | None = None) -> ToyLearner:
        return ToyLearner(self, shape, levels)


class ToyLearner(Learner):
    """The two parts."""

    best = "nll"
    settings: Toy

    def __init__(self, settings: Toy, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__(settings, shape, levels)
        self.mean = nn.Parameter(torch.zeros(self.shape))
        self.log_std = nn.Parameter(torch.zeros(self.shape))
        self.gaussian = nn.ParameterList([self.mean, self.log_std])
        self.net = nn.Sequential(nn.Linear(self.shape[0], 8), nn.SiLU(), nn.Linear(8, 1))
        self.chains: Tensor
        self.register_buffer("chains", torch.zeros(CHAINS, *self.shape))

    def parts(self) -> dict[str, Part]:
        rate = self.settings.learning_rate
        return {
            "gaussian": Part(self.gaussian, rate, optimiser="adamax"),
            "energy": Part(self.net, rate, clip=1.0),
        }

    def initialise(self, x: Tensor, draws: Draws) -> None:
        self.mean.data.copy_(x.mean(0))
        self.chains.copy_(x[:CHAINS])

    def energy(self, x: Tensor) -> Tensor:
        return self.net(x)[:, 0] + x.square().sum(1) / 2

    def training_step(self, x: Tensor, draws: Draws) -> TrainingStep:
        _obey_the_environment(draws)
        noisy = x + 0.1 * draws.normal(x.shape)
        start = draws.share(self.chains)
        with frozen(self.net):
            rule = steps.get("constant", step_size=0.05)
            run = short_run(self.energy, start, samplers.get("mala"), rule, 3, draws)
        self.chains.copy_(draws.gather(run.x))
        losses = {
            "nll": -self.log_prob(noisy).mean(),
            "energy": (self.energy(x) - self.energy(run.x)).mean() + 1e-3 * self.energy(x).square().mean(),
        }
        if draws.step == int(os.environ.get("TOY_NAN", -1)):
            losses["energy"] = losses["energy"] * torch.nan
        assert run.acceptance is not None
        return TrainingStep(losses, {"acceptance": run.acceptance})

    def log_prob(self, x: Tensor) -> Tensor:
        scaled = (x - self.mean) / self.log_std.exp()
        return -(scaled.square() / 2 + self.log_std + math.log(2 * math.pi) / 2).sum(1)

    def validate(self, x: Tensor, draws: Draws) -> dict[str, Tensor]:
        return {"nll": -self.log_prob(x).mean()}

    @torch.no_grad()
    def synthesize(self, n: int, seed: int = 0) -> Tensor:
        noise = self.fresh_draws(seed).normal((n, *self.shape))
        return self.mean + self.log_std.exp() * noise


def _obey_the_environment(draws: Draws) -> None:
    for name, number in (("TOY_KILL", signal.SIGKILL), ("TOY_TERM", signal.SIGTERM)):
        if draws.step == int(os.environ.get(name, -1)) and draws.rank == 0:
            os.kill(os.getpid(), number)


if __name__ == "__main__":
    from lflow.cli import main

    sys.exit(main(sys.argv[1:]))
