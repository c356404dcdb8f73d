"""How fast is training? Each preset's step in images and chain gradients a second, and what surrounds it.

A step is timed as the loop takes it, and again as the model alone does: losses, gradients and optimisers.
What the loop does besides (batches, validations, pictures, checkpoints) is its share at the preset's own
cadence. Knows the loop and nothing of what a model does.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from lflow import models, nets, samplers, steps
from lflow.bench.report import circumstances, finish, measured
from lflow.device import find_device
from lflow.draws import Draws
from lflow.energies import base
from lflow.short_run import frozen, short_run
from lflow.training.config import make_config
from lflow.training.fit import expected
from lflow.training.folder import RunFolder
from lflow.training.learning import Learning
from lflow.training.loop import AUTOMATIC, Run
from lflow.training.parallel import World

CHAINS, DIM, WIDTH = 1024, 128, 128
CAPTURED_AIM = 40e-6
_LARGE = 5_000_000  # weights from which on a step may take minutes on a CPU
_LONG = 4.0  # seconds of a step, from which on validations and pictures may take minutes too


def declare(parser: argparse.ArgumentParser) -> None:
    """The flags of `lflow bench train` besides those of every benchmark."""
    parser.add_argument("--model", nargs="+", metavar="NAME", help="these models only")
    dear = f"also presets of more than {_LARGE:,} weights, and those whose step takes more than {_LONG:g} s"
    parser.add_argument("--large", action="store_true", help=dear)
    parser.add_argument("--turn", type=float, metavar="SECONDS", help="time for each measurement")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")


def run(arguments: argparse.Namespace) -> int:
    """`lflow bench train`."""
    turn = arguments.turn or (0.3 if arguments.quick else 3.0)
    if not turn > 0:
        raise ValueError("--turn takes a positive number of seconds")
    device = find_device(arguments.device, AUTOMATIC)
    names = [models.get_class(name).name for name in arguments.model or models.names()]
    chosen = [(name, preset) for name in names for preset in models.get_class(name).presets]
    found: dict[str, Any] = {"command": _command(arguments), **circumstances()}
    found |= {"device": _device(device), "threads": torch.get_num_threads(), "presets": [], "missing": []}
    for name, preset in chosen:
        print(f"{name}, {preset} ...", file=sys.stderr, flush=True)
        try:
            found["presets"].append(measure(name, preset, device, turn, arguments.large))
        except (ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            if folder := os.environ.get("LFLOW_DATA"):  # a report names no place of a machine
                reason = reason.replace(folder, "the folder that LFLOW_DATA names")
            found["missing"].append({"model": name, "preset": preset, "reason": reason})
    print("a Langevin step ...", file=sys.stderr, flush=True)
    found["langevin"] = langevin(device, turn)
    return finish(arguments, found, markdown)


def _command(arguments: argparse.Namespace) -> str:
    words = ["python -m lflow bench train", *["--quick"] * arguments.quick, *["--write"] * arguments.write]
    words += ["--model", *arguments.model] if arguments.model else []
    words += ["--large"] * arguments.large
    words += ["--turn", f"{arguments.turn:g}"] if arguments.turn else []
    return " ".join([*words, *(["--device", arguments.device] if arguments.device != "auto" else [])])


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def measure(name: str, preset: str, device: torch.device, turn: float, large: bool = True) -> dict[str, Any]:
    """The speed of one preset. ValueError or OSError without its data, or if it is too large."""
    config = make_config({"model": name, "preset": preset})
    with torch.device("meta"):
        weights = sum(p.numel() for p in config.model.build(*expected(config.data)).parameters())
    if weights > _LARGE and not large:
        raise ValueError(f"{weights:,} weights: --large measures it too")
    with tempfile.TemporaryDirectory() as place, torch.random.fork_rng():
        folder = RunFolder(f"{place}/run")
        folder.create(config)
        running = Run(folder, Learning(config, World(0, 1, device)), None)
        learner, training = running.weights.learner, running.training
        batch = running.batches.at(0)
        draws = Draws(0, 0, device)

        def alone() -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=running.learning.bfloat16):
                found = learner.training_step(batch, draws)
            running.weights.descend(
                torch.stack([loss.float() for loss in found.losses.values()]).sum(), 0.0, world
            )

        world = running.world
        with counted() as gradients:
            first = once(alone, device)
        if first > _LONG and not large:
            raise ValueError(f"a step takes {first:.0f} s here: --large measures it too")
        # A model of latent vectors knows its own: a chain of weights is one for a whole batch.
        chain = getattr(learner, "gradient_evaluations", sum(gradients) / len(batch))
        step, model = _paired((running.take_step, alone), device, turn)
        running.unseen.clear()
        others = {
            "validation": (once(running.validate, device), training.validate_every),
            "picture": (once(running.draw, device), training.sample_every),
            "checkpoint": (once(running.save, device), training.checkpoint_every),
        }
        around = sum(seconds / min(every, training.num_steps) for seconds, every in others.values())
        return {
            "model": name,
            "preset": preset,
            "data": config.data.source,
            "batch_size": training.batch_size,
            "parameters": weights,
            "seconds_per_step": step,
            "images_per_second": training.batch_size / step,
            "chain_gradients": chain,
            "gradients_per_second": training.batch_size * chain / step,
            "outside": max(0.0, 1 - model / (step + around)),
            "run_seconds": (step + around) * training.num_steps,
        }


@contextlib.contextmanager
def counted() -> Iterator[list[int]]:
    """Within, the chains of each gradient of an energy are counted."""
    rows: list[int] = []
    real = base.value_and_grad

    def counting(energy: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        rows.append(len(x))
        return real(energy, x)

    with mock.patch.object(base, "value_and_grad", counting):
        yield rows


def _paired(actions: Sequence[Callable[[], object]], device: torch.device, turn: float) -> list[float]:
    """Median seconds of each action; they take turns, so that a slow moment slows all."""
    for action in actions:
        action()
    spent: list[list[float]] = [[] for _ in actions]
    began = time.perf_counter()
    while len(spent[0]) < 3 or time.perf_counter() - began < turn:
        for action, times in zip(actions, spent, strict=True):
            times.append(once(action, device))
    return [statistics.median(times) for times in spent]


def once(action: Callable[[], object], device: torch.device) -> float:
    """Seconds of an action, until the device is done with it."""
    _wait(device)
    began = time.perf_counter()
    action()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# --- one Langevin step on a network ---------------------------------------------------------------------


def langevin(device: torch.device, turn: float) -> dict[str, Any]:
    """Seconds of a ULA step of 1,024 chains in 128 dimensions on an MLP energy: as it is, and captured."""
    torch.manual_seed(0)
    net = nets.energy_net((DIM,), "mlp", WIDTH).to(device)
    x = torch.randn(CHAINS, DIM, device=device)
    ula, rule, num_steps = samplers.get("ula"), steps.get("constant", step_size=1e-3), 20
    with frozen(net):

        def plain() -> None:
            point = x.detach().requires_grad_(True)
            gradient = torch.autograd.grad(net(point).sum(), point)[0]
            x.add_(gradient, alpha=-1e-3).add_(torch.randn_like(x), alpha=(2e-3) ** 0.5)

        def eager() -> None:
            short_run(net, x, ula, rule, num_steps, Draws(0, 0, device))

        by_hand, ours = _paired((plain, eager), device, turn)
        # A run of n steps takes n + 1 gradients.
        found: dict[str, Any] = {"plain autograd": by_hand, "lflow": ours / (num_steps + 1)}
        if device.type == "cuda":
            found["plain autograd, captured"] = _paired((_captured(plain),), device, turn)[0]
    return found


def _captured(step: Callable[[], None]) -> Callable[[], None]:
    """The step as one CUDA graph: its kernels are launched together."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # what is allocated at first must not be in the graph
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


# --- the report -----------------------------------------------------------------------------------------


def markdown(data: Mapping[str, Any]) -> str:
    """The chapter as it stands in benchmarks/RESULTS.md."""
    lines = [
        "# How fast is training?",
        "",
        *measured(data),
        f"Device: {data['device']}; {data['threads']} threads.",
        "",
        "The training step of each preset. Outside: the share of a run's time that its model does not take: "
        "batches, bookkeeping, validations, pictures and checkpoints at the preset's own cadence. Run: the "
        "time of the whole preset at this speed.",
        "",
        "| model | preset | batch | weights | ms a step | images/s | chain gradients/s | outside | run |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *map(_row, data["presets"]),
        "",
        *[f"- {each['model']}, {each['preset']}: not measured: {each['reason']}" for each in data["missing"]],
        *([""] if data["missing"] else []),
        "## A Langevin step on a network",
        "",
        f"ULA, {CHAINS:,} chains in {DIM} dimensions, an MLP energy of width {WIDTH}: "
        + ", ".join(f"{name} {1e6 * seconds:.0f} µs" for name, seconds in data["langevin"].items())
        + ".",
        _aim(data["langevin"]),
    ]
    return "\n".join(lines) + "\n"


def _aim(found: Mapping[str, float]) -> str:
    captured = found.get("plain autograd, captured")
    if captured is None:
        return f"The aim, {1e6 * CAPTURED_AIM:.0f} µs as a CUDA graph, needs a GPU: not measured."
    verdict = "met" if captured <= CAPTURED_AIM else "missed"
    return f"The aim as a CUDA graph (of the plain step): at most {1e6 * CAPTURED_AIM:.0f} µs; {verdict}."


def _row(row: Mapping[str, Any]) -> str:
    minutes = row["run_seconds"] / 60
    cells = [
        row["model"],
        row["preset"],
        str(row["batch_size"]),
        f"{row['parameters']:,}",
        f"{1e3 * row['seconds_per_step']:.1f}",
        f"{row['images_per_second']:,.0f}",
        f"{row['gradients_per_second']:,.0f}" if row["chain_gradients"] else "none",
        f"{100 * row['outside']:.0f} %",
        f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.0f} h",
    ]
    return f"| {' | '.join(cells)} |"
