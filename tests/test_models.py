"""What every model is held to, whatever it learns."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import lflow
from lflow import models
from lflow.draws import Draws
from lflow.models.base import Learner
from lflow.training.config import Config, make_config, read_config
from lflow.training.loop import resume, train

OURS = [name for name in models.names() if models.get_class(name).__module__.startswith("lflow.")]
PRESETS = [(name, preset) for name in OURS for preset in models.get_class(name).presets]
SMALL = [each for each in PRESETS if "_paper" not in each[1]]
# What is at hand without a network; a model's first preset for each of these kinds is run.
AT_HAND = {"rings": "points", "digits": "images", "two_moons": "points", "gaussian_mixture": "points"}


def runnable() -> list[tuple[str, str]]:
    """For each model, its first preset of points and its first of images."""
    found: dict[tuple[str, str], str] = {}
    for name, preset in SMALL:
        kind = AT_HAND.get(models.get_class(name).presets[preset].data)
        if kind:
            found.setdefault((name, kind), preset)
    return [(name, preset) for (name, _), preset in found.items()]


def shortened(name: str, preset: str, num_steps: int) -> Config:
    """A preset, small enough for a test: few steps, small batches, everything at every second step."""
    often = {"log_every": 1, "checkpoint_every": 2, "validate_every": 2, "sample_every": 4, "num_samples": 4}
    training = {**often, "num_steps": num_steps, "batch_size": 8}
    return make_config({"model": name, "preset": preset, "data": {"limit": 80}, "training": training})


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / "checkpoints" / "last.safetensors")


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_a_preset_is_what_the_model_declares(name: str, preset: str, tmp_path: Path) -> None:
    config = make_config({"model": name, "preset": preset})
    assert config.preset == preset
    assert models.get_class(name).presets[preset].about
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.as_json()))
    assert read_config(path) == config


@pytest.mark.parametrize(("name", "preset"), runnable())
def test_a_run_in_two_pieces_is_a_run(name: str, preset: str, tmp_path: Path) -> None:
    train(shortened(name, preset, 4), tmp_path / "whole", "cpu")
    train(shortened(name, preset, 2), tmp_path / "pieces", "cpu")
    learner = resume(tmp_path / "pieces", 4, "cpu")
    whole, pieces = weights(tmp_path / "whole"), weights(tmp_path / "pieces")
    assert whole.keys() == pieces.keys()
    assert [key for key in whole if not torch.equal(whole[key], pieces[key])] == []
    begun = models.get(name, **_parameters(shortened(name, preset, 4))).build(learner.shape, learner.levels)
    assert any(not torch.equal(a, b) for a, b in zip(begun.parameters(), learner.parameters(), strict=True))
    samples = lflow.load(tmp_path / "whole").synthesize(3, seed=1)
    assert samples.shape == (3, *learner.shape)
    assert bool(samples.isfinite().all())
    assert not samples.requires_grad
    torch.testing.assert_close(lflow.load(tmp_path / "whole").synthesize(3, seed=1), samples, rtol=0, atol=0)


def _parameters(config: Config) -> dict[str, Any]:
    return {key: value for key, value in config.model.config().items() if key != "name"}


def prepared(name: str, preset: str) -> tuple[Learner, Tensor]:
    """A model with its first batch, before any step."""
    config = make_config({"model": name, "preset": preset})
    opened = lflow.data.open(config.data.source, "train", **config.data.options() | {"limit": 16})
    data = opened.all().x
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = config.model.build(opened.shape, opened.levels)
    learner.initialise(data, Draws(0, 0))
    return learner, data


@pytest.mark.parametrize(("name", "preset"), runnable())
def test_a_step_is_a_function_of_seed_and_number(name: str, preset: str) -> None:
    first, x = prepared(name, preset)
    second, _ = prepared(name, preset)
    torch.manual_seed(1)  # all that is random comes from the draws
    one = first.training_step(x, Draws(5, 3))
    torch.manual_seed(2)
    other = second.training_step(x, Draws(5, 3))
    assert one.losses.keys() == other.losses.keys()
    for key, loss in one.losses.items():
        assert loss.shape == ()
        assert torch.equal(loss, other.losses[key]), key
    assert all(metric.shape == () for metric in one.metrics.values())


@pytest.mark.parametrize(("name", "preset"), runnable())
def test_every_weight_that_learns_is_in_a_part_and_only_one(name: str, preset: str) -> None:
    learner, x = prepared(name, preset)
    parts = learner.parts()
    listed = [id(p) for part in parts.values() for p in part.module.parameters()]
    assert len(listed) == len(set(listed))
    assert all(part.learning_rate > 0 for part in parts.values())
    torch.stack([*learner.training_step(x, Draws(0, 0)).losses.values()]).sum().backward()
    moved = {id(p) for p in learner.parameters() if p.grad is not None}
    assert moved
    assert moved <= set(listed)
    assert all(p.requires_grad for p in learner.parameters() if id(p) in set(listed))  # none was left frozen


@pytest.mark.parametrize(("name", "preset"), runnable())
def test_one_point_and_a_partial_batch(name: str, preset: str) -> None:
    learner, x = prepared(name, preset)
    for n in (1, 3):
        losses = learner.training_step(x[:n], Draws(0, 1)).losses
        assert all(bool(loss.isfinite()) for loss in losses.values())
        assert learner.synthesize(n).shape == (n, *learner.shape)


@pytest.mark.parametrize(("name", "preset"), runnable())
def test_validation_names_its_best(name: str, preset: str) -> None:
    learner, x = prepared(name, preset)
    learner.eval()
    with torch.no_grad():
        found = learner.validate(x, Draws(0, 0))
    assert learner.best in found
    assert all(value.shape == () and bool(value.isfinite()) for value in found.values())


class Exchange:
    """What processes, here threads, tell each other: `gather` waits for all of them, as among processes."""

    def __init__(self, world_size: int) -> None:
        self.barrier = threading.Barrier(world_size, timeout=120)
        self.held: dict[int, Tensor] = {}

    def gather(self, draws: Draws, x: Tensor) -> Tensor:
        """The rows of all, in the order of the global batch."""
        self.held[draws.rank] = x.detach()
        self.barrier.wait()
        rows = torch.cat([self.held[rank] for rank in range(draws.world_size)])
        self.barrier.wait()  # nobody writes the next ones before all have read these
        return rows

    def agreed(self, draws: Draws, x: Tensor) -> Tensor:
        """What the first one has."""
        return x.detach() if draws.world_size == 1 else self.gather(draws, x[None])[0]


@pytest.mark.parametrize(("name", "preset"), runnable())
def test_two_shares_are_the_batch(name: str, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of the gradients of two processes, each with its share, is that of one with all; and what a
    step itself has moved is the same on both as on one."""

    def step(rank: int, world_size: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        learner, x = learners.pop()
        each = len(x) // world_size
        draws = Draws(5, 3, rank=rank, world_size=world_size)
        try:
            found = learner.training_step(x[rank * each : (rank + 1) * each], draws)
        except BaseException:
            exchange.barrier.abort()
            raise
        torch.stack([*found.losses.values()]).sum().backward()
        gradients = {key: p.grad for key, p in learner.named_parameters() if p.grad is not None}
        held = {key: p.detach() for key, p in learner.named_parameters() if not p.requires_grad}
        return gradients, held | dict(learner.named_buffers())

    learners = [prepared(name, preset) for _ in range(3)]
    exchange = Exchange(2)
    alone, moved = step(0, 1)
    monkeypatch.setattr(Draws, "gather", lambda draws, x: exchange.gather(draws, x))
    monkeypatch.setattr(Draws, "agreed", lambda draws, x: exchange.agreed(draws, x))
    with ThreadPoolExecutor(2) as processes:
        futures = [processes.submit(step, rank, 2) for rank in (0, 1)]
        (first, held), (second, other) = (future.result() for future in futures)
    assert alone.keys() == first.keys() == second.keys()
    for key, whole in alone.items():
        mean = (first[key] + second[key]) / 2
        # Chains carry rounding on: sums over a batch are in another order.
        torch.testing.assert_close(
            mean, whole, rtol=1e-2, atol=1e-3 * float(whole.abs().max()) + 1e-7, msg=key
        )
    for key, whole in moved.items():
        torch.testing.assert_close(held[key], other[key], rtol=0, atol=0, msg=key)
        torch.testing.assert_close(held[key], whole, rtol=1e-2, atol=1e-3, msg=key)
