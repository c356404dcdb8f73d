"""What does a quasi-symplectic chain save beside leapfrog with kept gradients? A training step at equal K.

Methods take turns, and of each the least time counts, to which other work only adds: on a CPU the
processor's own. Knows nothing of how good the models become.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from lflow import data, models
from lflow.bench.report import circumstances, finish, measured
from lflow.bench.training import once
from lflow.device import find_device
from lflow.draws import Draws
from lflow.models.latent import LatentLearner
from lflow.papers.one_protocol import model_of
from lflow.papers.protocol_findings import NAMES
from lflow.training.loop import AUTOMATIC

COUNTS = (1, 5, 10)
BATCH = 100
METHODS = ("hvae", "hvae_free", "deterministic", "noisy", "reverse_kernel")
"""As the papers' protocol names them."""


def declare(parser: argparse.ArgumentParser) -> None:
    """The flags of `lflow bench chains` besides those of every benchmark."""
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")


def run(arguments: argparse.Namespace) -> int:
    """`lflow bench chains`."""
    device = find_device(arguments.device, AUTOMATIC)
    command = "python -m lflow bench chains" + " --quick" * arguments.quick + " --write" * arguments.write
    found = {"command": command, **circumstances(), "device": device.type, "rows": []}
    for count in COUNTS:
        print(f"K = {count} ...", file=sys.stderr, flush=True)
        found["rows"] += rows(count, device, 10 if arguments.quick else 200)
    return finish(arguments, found, markdown)


def rows(num_steps: int, device: torch.device, turns: int) -> list[dict[str, Any]]:
    """For each method the gradients of a data point, and the least seconds of a training step."""
    x = data.load("digits", "train", limit=BATCH, binary=True).x.to(device)
    learners = {name: _learner(name, num_steps, x).to(device) for name in METHODS}
    least = dict.fromkeys(METHODS, float("inf"))
    for turn in range(turns):
        for name, learner in learners.items():
            took = _seconds(partial(_step, learner, x, turn), device)
            least[name] = min(least[name], took)
    return [
        {
            "method": NAMES[name],
            "K": num_steps,
            "gradients": learner.gradient_evaluations,
            "seconds": least[name],
        }
        for name, learner in learners.items()
    ]


def _learner(name: str, num_steps: int, x: torch.Tensor) -> LatentLearner:
    kind, own = model_of(name, num_steps)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.get(kind, **own, likelihood="bernoulli", latent_dim=8)
        learner = model.build(tuple(x.shape[1:]), 2)
    assert isinstance(learner, LatentLearner)
    return learner


def _step(learner: LatentLearner, x: torch.Tensor, turn: int) -> None:
    losses = learner.training_step(x, Draws(0, turn, x.device)).losses
    torch.stack(list(losses.values())).sum().backward()
    learner.zero_grad()


def _seconds(action: Callable[[], None], device: torch.device) -> float:
    if device.type == "cuda":
        return once(action, device)
    began = time.process_time()
    action()
    return time.process_time() - began


def markdown(found: Mapping[str, Any]) -> str:
    """The chapter as it stands in benchmarks/RESULTS.md."""
    base = {row["K"]: row["seconds"] for row in found["rows"] if row["method"] == NAMES["hvae"]}
    lines = [
        "# What does a quasi-symplectic chain save?",
        "",
        *measured(found),
        f"Device: {found['device']}; {torch.get_num_threads()} threads.",
        "",
        f"A training step (losses and gradients) of {BATCH} black and white digits, 8 numbers in z, the same "
        "networks; HVAE keeps its gradients, so that K steps of leapfrog take K + 1. Methods take turns; the "
        "least time of each.",
        "",
        "| K | method | gradients | ms a step | over HVAE | gradients/s |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in found["rows"]:
        per_second = BATCH * row["gradients"] / row["seconds"]
        lines.append(
            f"| {row['K']} | {row['method']} | {row['gradients']} | {1e3 * row['seconds']:.2f} | "
            f"{row['seconds'] / base[row['K']]:.2f}× | {per_second:,.0f} |"
        )
    return "\n".join(lines) + "\n"
