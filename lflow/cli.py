"""`python -m lflow <command>`: the commands, their flags, how they report and how they fail.

A command is a line in COMMANDS: a function that declares its flags and one that runs. Flags of declared
parameters are made from their declarations. Exit 0 on success, 2 on a bad argument, 1 on failure, each with
one line on standard error. Nothing heavy is imported before a command needs it. This module knows nothing of
how sampling works.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from lflow import __version__, paths
from lflow.spec import CONFIG_VERSION, Parameter, parameters

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from lflow.energies.base import Energy
    from lflow.loop import Result
    from lflow.samplers.base import Sampler

Arguments = argparse.Namespace


class Command(NamedTuple):
    """A line of help, what declares the flags (it sees the words that follow the name), and what runs."""

    help: str
    declare: Callable[[Parser, Sequence[str]], None]
    run: Callable[[Arguments], int]


class Parser(argparse.ArgumentParser):
    """argparse, except that a bad argument is a ValueError."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that the words (of the command line) ask for; returns the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    # OpenMP threads that spin while they wait make torch on a busy machine up to 60 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        arguments = _parser(words).parse_args(words)
        return COMMANDS[arguments.command].run(arguments)
    except SystemExit as stop:  # argparse, after --help
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print("lflow: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        print("lflow:", " ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1


def _parser(words: Sequence[str]) -> Parser:
    parser = Parser(prog="lflow", allow_abbrev=False, description="Langevin flows from the command line.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        added.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if words and words[0] == name:
            command.declare(added, words[1:])
    return parser


def in_module(help: str, name: str) -> Command:
    """A command whose `declare` and `run` live in a module that is loaded when they are needed."""
    return Command(help, lambda *a: import_module(name).declare(*a), lambda *a: import_module(name).run(*a))


def show(arguments: Arguments, data: Mapping[str, Any], text: str) -> None:
    """Print what a command found: one JSON object, or the text for people."""
    print(json.dumps(data, allow_nan=False) if arguments.json else text, flush=True)


def progress(wanted: bool) -> Callable[[int, int], None] | None:
    """A callback (done, total) that writes to standard error, if that is a terminal or somebody wants it."""
    terminal, last = sys.stderr.isatty(), time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > 0.5:
            end, last = "\r" if terminal and done < total else "\n", time.monotonic()
            print(f"{done:,} of {total:,} steps", end=end, file=sys.stderr, flush=True)

    return report if wanted or terminal else None


def add_parameters(
    parser: Parser, declared: Sequence[Parameter], role: str = "", owner: str = "", defaults: bool = False
) -> None:
    """One flag for each parameter, checked by its declaration; a taken name gets the role before it.

    Values arrive as `role.name`, or `name` without a role; absent if not given, unless `defaults`.
    """
    group = parser.add_argument_group(f"parameters of the {role} {owner}") if role and declared else parser
    for parameter in declared:
        flag = f"--{parameter.name.replace('_', '-')}"
        if flag in parser._option_string_actions:
            flag = f"--{role}-{flag[2:]}"
        options: dict[str, Any] = {"type": _parse(parameter), "help": _help(parameter)}
        options["dest"] = f"{role}.{parameter.name}" if role else parameter.name
        options["default"] = parameter.default if defaults else argparse.SUPPRESS
        options["metavar"] = "|".join(parameter.choices or ()) or parameter.kind.__name__.upper()
        if parameter.kind is bool:  # the flag alone says true
            options |= {"nargs": "?", "const": True}
        group.add_argument(flag, **options)


def _help(parameter: Parameter) -> str:
    low, high = parameter.low, parameter.high
    span = "" if low is None else f"{low:g} or more, " if high is None else f"{low:g} to {high:g}, "
    facts = f"{span}default {parameter.default} {parameter.unit}".rstrip()
    return f"{parameter.help} ({facts})".replace("%", "%%")


def _parse(parameter: Parameter) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return parameter.parse(text)
        except ValueError as error:  # argparse keeps the sentence of this error type only
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def given(arguments: Arguments, role: str, owner: Any) -> dict[str, Any]:
    """An owner's parameters as the flags, and `--<role>-param name=value`, give them."""
    known = {parameter.name: parameter for parameter in parameters(owner)}
    values = {name: vars(arguments)[f"{role}.{name}"] for name in known if f"{role}.{name}" in arguments}
    for pair in getattr(arguments, f"{role}_param"):
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in known:
            has = ", ".join(known) or "no parameters"
            raise ValueError(f"--{role}-param takes name=value, got {pair!r}; {owner.name} has: {has}")
        if name in values:
            raise ValueError(f"{owner.name}: {name} is given twice")
        values[name] = known[name].parse(text.strip())
    return values


_RUN = (
    Parameter("num_steps", 1000, 1, 1e9, help="steps to take"),
    Parameter("num_chains", 2000, 1, 1e9, help="size of the cloud"),
    Parameter("temperature", 1.0, 0.0, help="T of the target exp(-U/T); 0 is gradient descent"),
    Parameter("record_every", 10, 1, 1e9, help="steps between frames"),
    Parameter("seed", 0, 0, help="fixes every random number of the run"),
)


def _declare_choices(parser: Parser) -> None:
    from lflow import energies, samplers, steps

    what = parser.add_mutually_exclusive_group()
    what.add_argument("--energy", metavar="NAME", help=f"one of: {', '.join(energies.names())}")
    what.add_argument("--formula", metavar="TEXT", help='an energy in x, y and r, such as "x**2 + y**2"')
    what.add_argument("--points", metavar="FILE", help="CSV or NPY: the energy is their kernel density")
    parser.add_argument("--sampler", default="ula", help=f"one of: {', '.join(samplers.names())}")
    parser.add_argument("--step", default="constant", help=f"one of: {', '.join(steps.names())}")


def _owners(arguments: Arguments) -> dict[str, Any]:
    """The classes that are named, by role; None while no energy is."""
    from lflow import energies, samplers, steps
    from lflow.energies.custom import FromPoints

    named = energies.get_class(arguments.energy) if arguments.energy is not None else None
    return {
        "energy": FromPoints if arguments.points is not None else named,
        "sampler": samplers.get_class(arguments.sampler),
        "step": steps.get_class(arguments.step),
    }


def _declare_sample(parser: Parser, words: Sequence[str]) -> None:
    first = Parser(add_help=False, allow_abbrev=False)
    _declare_choices(first)
    owners = _owners(first.parse_known_args(words)[0])
    _declare_choices(parser)
    for role in owners:
        pairs: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME=VALUE"}
        parser.add_argument(f"--{role}-param", help=f"a parameter of the {role}, by name", **pairs)
    add_parameters(parser, _RUN, defaults=True)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default auto)")
    parser.add_argument("--compile", action="store_true", help="compile the step: faster in long runs")
    parser.add_argument("--out", type=Path, metavar="FILE.npz", help="write the frames and the configuration")
    parser.add_argument("--force", action="store_true", help="overwrite the file of --out")
    parser.add_argument("--progress", action="store_true", help="report progress even where no terminal is")
    for role, owner in owners.items():
        if owner:
            add_parameters(parser, parameters(owner), role, owner.name)
    parser.epilog = "Name --energy, --sampler and --step before --help, and their parameters are listed too."


def _run_sample(arguments: Arguments) -> int:
    from lflow import samplers, simulate, steps

    out = _output(arguments)
    owners = _owners(arguments)
    energy = _energy(arguments, owners["energy"])
    sampler = samplers.get(arguments.sampler, **given(arguments, "sampler", owners["sampler"]))
    rule = steps.get(arguments.step, **given(arguments, "step", owners["step"]))
    run = {parameter.name: getattr(arguments, parameter.name) for parameter in _RUN}
    how = {"device": _device(arguments.device), "compile": arguments.compile}
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        result = simulate(energy, sampler, rule, callback=progress(arguments.progress), **run, **how)
    seconds = time.perf_counter() - began
    how["device"] = str(result.checkpoint.carry.alive.device)
    config = {"version": CONFIG_VERSION, "lflow": __version__, "energy": _energy_config(arguments, energy)}
    config |= {"sampler": sampler.config(), "step": rule.config(), **run, **how}
    speed = {"seconds": seconds, "particle_steps_per_second": run["num_chains"] * run["num_steps"] / seconds}
    report = {"config": config, "out": str(out) if out else None, **speed}
    report |= _summary(energy, sampler, result, run["temperature"])
    report["notes"] += [str(warning.message) for warning in warned]
    if out:
        _save(out, result, config, getattr(energy, "points", None))
    show(arguments, report, _table(report))
    return 0


def _output(arguments: Arguments) -> Path | None:
    out: Path | None = arguments.out
    if out and (out.is_dir() or not out.parent.is_dir()):
        raise ValueError(f"--out must name a file in a folder that exists, got {out}")
    if out and out.exists() and not arguments.force:
        raise ValueError(f"{out} exists already: name another file, or overwrite it with --force")
    return out


def _energy(arguments: Arguments, owner: Any) -> Energy:
    from lflow import energies
    from lflow.energies.points import read_points

    if arguments.formula is not None:
        if arguments.energy_param:
            raise ValueError("--energy-param is for a named energy: a formula has no parameters")
        return energies.from_expression(arguments.formula)
    if owner is None:
        raise ValueError("name an energy: --energy, --formula or --points")
    values = given(arguments, "energy", owner)
    if arguments.points is not None:
        return energies.from_points(read_points(arguments.points), **values)
    return energies.get(arguments.energy, **values)


def _energy_config(arguments: Arguments, energy: Energy) -> dict[str, Any]:
    if arguments.formula is not None:
        return {"name": "from_expression", "formula": arguments.formula}
    # The points themselves are kept in the file of --out.
    return energy.config() | ({"points": Path(arguments.points).name} if arguments.points else {})


def _device(name: str) -> str:
    import torch

    try:
        torch.empty(0, device="cpu" if name == "auto" else name)
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without CUDA
        raise ValueError(f"the device {name!r} cannot be used here: {str(error).splitlines()[0]}") from None
    return name


def _save(out: Path, result: Result, config: Mapping[str, Any], points: Any) -> None:
    import numpy as np

    names = ("positions", "steps", "gradient_evaluations", "acceptance", "step_sizes", "diverged", "escaped")
    arrays = {name: getattr(result, name).numpy() for name in names}
    arrays["config"] = np.array(json.dumps(config))
    if points is not None:
        arrays["points"] = np.array(points)
    part = out.with_name(out.name + ".part")  # so that an interrupted run leaves no broken file
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    part.replace(out)


def _summary(energy: Energy, sampler: Sampler, result: Result, temperature: float) -> dict[str, Any]:
    """Where the run ended, over the chains that are neither frozen nor gone."""
    last = result.positions[-1][~(result.diverged | result.escaped)]
    steps, accepted = result.steps.diff(), result.acceptance[1:]
    return {
        "gradients_per_chain": int(result.gradient_evaluations[-1]),
        "acceptance": None if accepted.isnan().any() else float((accepted * steps).sum() / steps.sum()),
        "diverged": int(result.diverged.sum()),
        "escaped": int(result.escaped.sum()),
        "mean": last.double().mean(0).tolist() if len(last) else None,
        "variance": last.double().var(0).tolist() if len(last) > 1 else None,
        "sliced_w2": _distance(energy, last[:100_000], temperature) if len(last) > 1 else None,
        "notes": _lost(energy, sampler, result),
    }


def _distance(energy: Energy, last: Tensor, temperature: float) -> dict[str, float] | None:
    """Sliced W2 to exact draws, and between two exact samples of that size; None without exact draws."""
    import torch

    from lflow.metrics import exact_floor, sliced_wasserstein2

    def sample(n: int, generator: Generator) -> Tensor:
        return energy.sample(n, generator, temperature)

    try:
        distance = sliced_wasserstein2(last, sample(len(last), torch.Generator().manual_seed(1)))
        floor, spread = exact_floor(sliced_wasserstein2, sample, len(last))
    except ValueError:  # no exact draws in this dimension, or at this temperature
        return None
    return {"distance": float(distance), "floor": float(floor), "floor_std": float(spread)}


def _lost(energy: Energy, sampler: Sampler, result: Result) -> list[str]:
    from lflow import samplers

    if not (result.diverged | result.escaped).any():
        return []
    edges = {known.name: known.stability_edge(energy.curvature) for known in (samplers.get("ula"), sampler)}
    said = ", ".join(f"{edge:.3g} for {name}" for name, edge in edges.items() if edge is not None)
    return [
        f"{int(result.diverged.sum()):,} chains diverged (they overflowed and are frozen), "
        f"{int(result.escaped.sum()):,} escaped beyond 1,000 widths of the bounds; with the curvature "
        f"L = {energy.curvature:.3g} of this energy the largest stable step is {said} (2/L for ula)"
    ]


def _table(report: Mapping[str, Any]) -> str:
    """The report for people: a line each, numbers short."""

    def short(value: Any) -> str:
        if isinstance(value, Mapping):
            return ", ".join(f"{key} {short(each)}" for key, each in value.items())
        if isinstance(value, list):
            return ", ".join(map(short, value[:4])) + (", ..." if len(value) > 4 else "")
        return f"{value:,.4g}" if isinstance(value, float) else "-" if value is None else str(value)

    rows = [*report["config"].items(), *report.items()]
    lines = [f"{k.replace('_', ' '):<27}{short(v)}" for k, v in rows if k not in ("config", "notes")]
    return "\n".join(lines + [f"note: {note}" for note in report["notes"]])


def _declare_app(parser: Parser, words: Sequence[str]) -> None:
    add_parameters(parser, (Parameter("port", 8501, 1, 65535, help="where the app listens"),), defaults=True)
    parser.add_argument("--headless", action="store_true", help="open no browser")


def _run_app(arguments: Arguments) -> int:
    if find_spec("streamlit") is None:
        raise RuntimeError("the app needs Streamlit: pip install 'lflow[app]'")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", arguments.port))
        except OSError as error:
            why = f"port {arguments.port}: {error.strerror}; choose another with --port"
            raise RuntimeError(why) from None
    # Streamlit reads the theme and its settings from beside the script, in a checkout and in a wheel.
    command = [sys.executable, "-m", "streamlit", "run", str(paths.main_script())]
    command += ["--server.port", str(arguments.port), "--server.showEmailPrompt", "false"]
    command += ["--server.headless", "true"] if arguments.headless else []
    url = f"http://127.0.0.1:{arguments.port}"
    show(arguments, {"url": url}, f"lflow runs at {url}; Ctrl-C ends it")
    app = subprocess.Popen(command, stdout=sys.stderr if arguments.json else None)
    signal.signal(signal.SIGTERM, lambda *_: app.terminate())
    while True:
        try:
            code = app.wait()
            return code if code >= 0 else 128 - code  # as a shell counts signals
        except KeyboardInterrupt:  # the terminal has told the app too: let it end
            continue


COMMANDS = {
    "sample": Command("run a sampler on an energy", _declare_sample, _run_sample),
    "bench": in_module("measure speed, beside plain autograd and peers", "lflow.bench"),
    "app": Command("open the lab in a browser", _declare_app, _run_app),
}
