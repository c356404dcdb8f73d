"""How fast is sampling? lflow beside the obvious loop and its peers, in one run, as ratios.

Contenders take turns, repetition by repetition, and each is compared with the plain loop of the same
repetition, so that a machine that slows down for a while slows all of them. Knows the public API only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from lflow import energies, samplers, simulate
from lflow.bench import mixing
from lflow.bench.report import circumstances, finish, measured

PLAIN, EAGER, COMPILED = "plain autograd", "lflow", "lflow compiled"
STEP_SIZE = 0.05
# Name, contender, least ratio to the plain loop at one thread and AIM_CHAINS chains.
AIM_CHAINS = 10_000
AIMS = {EAGER: 1.1, COMPILED: 3.0}
SAMPLER_CHAINS = 2000
# A gradient of any sampler should take at most this many of ULA's.
COST_AIM = 1.5

Runner = Callable[[int], object]
"""Takes that many steps."""


def declare(parser: argparse.ArgumentParser) -> None:
    """The flags of `lflow bench sampling` besides those of every benchmark."""
    parser.add_argument("--chains", type=int, nargs="+", metavar="N", help="sizes of the cloud")
    parser.add_argument("--turn", type=float, metavar="SECONDS", help="length of a turn of one contender")
    parser.add_argument("--no-compile", action="store_true", help="leave out the compiled runs")


def run(arguments: argparse.Namespace) -> int:
    """`lflow bench sampling`."""
    quick = arguments.quick
    sizes = arguments.chains or ([1000, 10_000] if quick else [1000, 10_000, 100_000])
    turn, repetitions = arguments.turn or (0.1 if quick else 0.4), 3 if quick else 9
    if min(sizes) < 2 or not turn > 0:
        raise ValueError("--chains takes numbers of at least 2, --turn a positive number of seconds")
    all_threads = torch.get_num_threads()
    flags = [
        f"--{flag.replace('_', '-')}" for flag in ("quick", "write", "no_compile") if vars(arguments)[flag]
    ]
    flags += ["--chains", *map(str, arguments.chains)] if arguments.chains else []
    flags += ["--turn", f"{arguments.turn:g}"] if arguments.turn else []
    data: dict[str, Any] = {
        "command": " ".join(["python -m lflow bench sampling", *flags]),
        **circumstances(PEERS),
    }
    data["mixture"] = []
    try:
        for threads in sorted({1, all_threads}):
            torch.set_num_threads(threads)
            for chains in sizes:
                print(f"{threads} thread(s), {chains:,} chains ...", file=sys.stderr, flush=True)
                found = contenders(chains, not arguments.no_compile, peers=threads == all_threads)
                rates = take_turns(found, chains, turn, repetitions)
                data["mixture"] += [
                    {"threads": threads, "chains": chains, **row} for row in _rows(rates, PLAIN)
                ]
        torch.set_num_threads(1)
        print("every sampler ...", file=sys.stderr, flush=True)
        data["samplers"] = sampler_rows(turn / 2, repetitions)
        print("mixing ...", file=sys.stderr, flush=True)
        data["mixing"] = mixing.rows(
            max(40, min(4000, int(10_000 * turn))), mixing.SHARES[:: 2 if quick else 1]
        )
    finally:
        torch.set_num_threads(all_threads)
    data["aims"] = _aims(data["mixture"])
    return finish(arguments, data, markdown)


def take_turns(
    found: Mapping[str, Runner], chains: int, turn: float, repetitions: int
) -> dict[str, list[float]]:
    """Particle-steps a second of each contender, one number a repetition."""
    steps = {name: _steps_in(runner, turn) for name, runner in found.items()}
    rates: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(repetitions):
        for name, runner in found.items():
            rates[name].append(chains * steps[name] / _seconds(runner, steps[name]))
    return rates


def _steps_in(runner: Runner, seconds: float) -> int:
    runner(2)  # compiles
    return max(3, min(100_000, int(5 * seconds / _seconds(runner, 5))))


def _seconds(runner: Runner, steps: int) -> float:
    began = time.perf_counter()
    runner(steps)
    return time.perf_counter() - began


def _rows(rates: Mapping[str, list[float]], base: str) -> list[dict[str, Any]]:
    def ratio(name: str) -> float:
        return statistics.median(one / other for one, other in zip(rates[name], rates[base], strict=True))

    return [
        {"contender": name, "particle_steps_per_second": statistics.median(found), "ratio": ratio(name)}
        for name, found in rates.items()
    ]


def _aims(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    aims = []
    for contender, aim in AIMS.items():
        key = (1, AIM_CHAINS, contender)
        ratios = [row["ratio"] for row in rows if (row["threads"], row["chains"], row["contender"]) == key]
        aims.append({"contender": contender, "aim": aim, "ratio": ratios[0] if ratios else None})
    return aims


# --- the contenders ------------------------------------------------------------------------------------


def _target() -> Any:
    return energies.get("gaussian_mixture")


def mixture() -> Callable[[Tensor], Tensor]:
    """The energy of the 8-mode mixture as one would write it down, up to a constant."""
    target = _target()
    means, variance = target.means.float(), target.std**2
    return lambda x: -torch.logsumexp(-(x[:, None] - means).square().sum(-1) / (2 * variance), 1)


def plain_autograd(energy: Callable[[Tensor], Tensor], x: Tensor, steps: int) -> Tensor:
    """Overdamped Langevin in the obvious lines."""
    for _ in range(steps):
        x.requires_grad_(True)
        gradient = torch.autograd.grad(energy(x).sum(), x)[0]
        x = x.detach() - STEP_SIZE * gradient + (2 * STEP_SIZE) ** 0.5 * torch.randn_like(x)
    return x.detach()


def contenders(chains: int, compiled: bool, peers: bool) -> dict[str, Runner]:
    """ULA on the mixture, from the same cloud of starts, by each of them."""
    target, energy = _target(), mixture()
    start = target.initial(chains, torch.Generator().manual_seed(0))

    def lflow(steps: int, compile: bool = False) -> object:
        return simulate(
            target,
            "ula",
            step_size=STEP_SIZE,
            num_steps=steps,
            init=start,
            record_every=steps,
            compile=compile,
        )

    found: dict[str, Runner] = {
        PLAIN: lambda steps: plain_autograd(energy, start.clone(), steps),
        EAGER: lflow,
    }
    if compiled:
        found[COMPILED] = lambda steps: lflow(steps, compile=True)
    for name, make in PEERS.items() if peers else ():
        if find_spec(name):
            found[f"{name} {version(name)}"] = make(start)
    return found


def _torchebm(start: Tensor) -> Runner:
    core, peer = import_module("torchebm.core"), import_module("torchebm.samplers")
    energy = mixture()
    model = type("Mixture", (core.BaseModel,), {"forward": lambda self, x: energy(x)})(device="cpu")
    sampler = peer.LangevinDynamics(model, step_size=STEP_SIZE, device="cpu")
    return lambda steps: sampler.sample(x=start.clone(), n_steps=steps)


def _jax(start: Tensor) -> Runner:
    jax, jnp = import_module("jax"), import_module("jax.numpy")
    target = _target()
    means, variance = jnp.asarray(target.means.float().numpy()), target.std**2

    def energy(x: Any) -> Any:
        return -jax.nn.logsumexp(-((x - means) ** 2).sum(-1) / (2 * variance))

    gradient = jax.vmap(jax.grad(energy))

    def step(_: Any, carry: Any) -> Any:
        x, (key, now) = carry[0], jax.random.split(carry[1])
        return x - STEP_SIZE * gradient(x) + (2 * STEP_SIZE) ** 0.5 * jax.random.normal(now, x.shape), key

    many = jax.jit(lambda x, key, steps: jax.lax.fori_loop(0, steps, step, (x, key))[0])
    x, key = jnp.asarray(start.numpy()), jax.random.key(0)
    return lambda steps: many(x, key, steps).block_until_ready()


# Peers run where they are installed. JAX fixes its threads at its start, so all of them race on all threads.
PEERS: dict[str, Callable[[Tensor], Runner]] = {"torchebm": _torchebm, "jax": _jax}


def sampler_rows(turn: float, repetitions: int) -> list[dict[str, Any]]:
    """Every sampler with its defaults on the mixture, eager.

    `per_gradient` is its rate of gradients over ULA's, `cost_of_gradient` the time of one over ULA's.
    """
    target, gradients = _target(), {}
    found: dict[str, Runner] = {}
    for name in samplers.names():
        probe = simulate(target, name, num_steps=2, num_chains=64, record_every=1)
        gradients[name] = int(
            probe.gradient_evaluations.diff()[-1]
        )  # the first also counts those of the start

        def runner(steps: int, name: str = name) -> object:
            return simulate(target, name, num_steps=steps, num_chains=SAMPLER_CHAINS, record_every=steps)

        found[name] = runner
    rows = _rows(take_turns(found, SAMPLER_CHAINS, turn, repetitions), "ula")
    for row in rows:
        each = gradients[row["contender"]]
        row["gradients_per_step"] = each
        row["gradients_per_second"] = each * row["particle_steps_per_second"]
        row["per_gradient"] = each * row["ratio"] / gradients["ula"] or None
        row["cost_of_gradient"] = 1 / row["per_gradient"] if row["per_gradient"] else None
    return rows


# --- the report ----------------------------------------------------------------------------------------


def markdown(data: Mapping[str, Any]) -> str:
    """The results as they stand in benchmarks/RESULTS.md."""
    lines = [
        "# How fast is sampling?",
        "",
        *measured(data),
        "",
        "## ULA on the 8-mode Gaussian mixture",
        "",
        "Millions of particle-steps a second (median), and the ratio to plain autograd in the same "
        "repetition (median). JAX fixes its threads at its start, so peers are measured at all threads only.",
        "",
        *_mixture_table(data["mixture"]),
        "",
        f"Aims, at one thread and {AIM_CHAINS:,} chains:",
        "",
        *[_aim_line(aim) for aim in data["aims"]],
        "",
        "## Every sampler",
        "",
        f"Its defaults, on the same mixture; {SAMPLER_CHAINS:,} chains, eager, one thread. The last column "
        f"is the time that a gradient costs, with all around it, over ULA's; the aim: {COST_AIM:g} or less. "
        "A Hessian-vector product counts as one gradient.",
        "",
        "| sampler | M particle-steps/s | gradients a step | M gradients/s | cost of a gradient |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in data["samplers"]:
        cost = row["cost_of_gradient"]
        share = "-" if cost is None else f"{cost:.2f}×" + " (missed)" * (cost > COST_AIM)
        speeds = f"{row['particle_steps_per_second'] / 1e6:.2f}", f"{row['gradients_per_second'] / 1e6:.2f}"
        cells = row["contender"], speeds[0], str(row["gradients_per_step"]), speeds[1], share
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, *_mixing_lines(data["mixing"])]) + "\n"


def _mixing_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [
        "",
        "## Effective draws",
        "",
        f"Of {mixing.CHAINS} chains from exact draws, after the first quarter, bulk, the least over "
        "coordinates and their squares, at the best of a few steps: the largest among those that are right "
        f"about the squares to {100 * mixing.TOLERANCE:g} % ('biased' where none is). A gradient-free step "
        f"counts as a gradient; svgd has no chains. '<': fewer than {mixing.LEAST} a chain: not mixed.",
        "",
        *mixing.table(rows),
    ]


def _mixture_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys((row["threads"], row["chains"]) for row in rows))
    cells = {
        (row["contender"], row["threads"], row["chains"]): f"{row['particle_steps_per_second'] / 1e6:.1f} "
        f"({row['ratio']:.2f}×)"
        for row in rows
    }
    heads = [f"{threads} thread{'s' * (threads > 1)}, {chains:,}" for threads, chains in columns]
    table = [f"| | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(columns)]
    for name in dict.fromkeys(row["contender"] for row in rows):
        table.append(f"| {name} | {' | '.join(cells.get((name, *column), '-') for column in columns)} |")
    return table


def _aim_line(aim: Mapping[str, Any]) -> str:
    if aim["ratio"] is None:
        return f"- {aim['contender']}: at least {aim['aim']:g}×; not measured"
    verdict = "met" if aim["ratio"] >= aim["aim"] else "missed"
    return f"- {aim['contender']}: at least {aim['aim']:g}×; measured {aim['ratio']:.2f}×, {verdict}"
