"""`lflow sample`: a sampler on an energy, as numbers and a file.

Flags of the named energy, sampler and step rule are made from their declarations. Knows nothing of how
sampling works.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lflow import __version__
from lflow.cli import Arguments, Parser, add_parameters, given, new_file, progress, show, whole_file
from lflow.spec import CONFIG_VERSION, Parameter, parameters

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from lflow.energies.base import Energy
    from lflow.loop import Result
    from lflow.samplers.base import Sampler

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


def declare(parser: Parser, words: Sequence[str]) -> None:
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


def run(arguments: Arguments) -> int:
    from lflow import samplers, simulate, steps
    from lflow.device import find_device

    out = new_file(arguments.out, arguments.force) if arguments.out else None
    owners = _owners(arguments)
    energy = _energy(arguments, owners["energy"])
    sampler = samplers.get(arguments.sampler, **given(arguments, "sampler", owners["sampler"]))
    rule = steps.get(arguments.step, **given(arguments, "step", owners["step"]))
    run = {parameter.name: getattr(arguments, parameter.name) for parameter in _RUN}
    how: dict[str, Any] = {"device": find_device(arguments.device), "compile": arguments.compile}
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


def _save(out: Path, result: Result, config: Mapping[str, Any], points: Any) -> None:
    import numpy as np

    names = ("positions", "steps", "gradient_evaluations", "acceptance", "step_sizes", "diverged", "escaped")
    arrays = {name: getattr(result, name).numpy() for name in names}
    arrays["config"] = np.array(json.dumps(config))
    if points is not None:
        arrays["points"] = np.array(points)
    with whole_file(out) as file:
        np.savez(file, allow_pickle=False, **arrays)


def _summary(energy: Energy, sampler: Sampler, result: Result, temperature: float) -> dict[str, Any]:
    """Where the run ended, over the chains that are neither frozen nor gone."""
    last = result.positions[-1][~(result.diverged | result.escaped)]
    steps, accepted = result.steps.diff(), result.acceptance[1:]
    domain = sampler.restricts_to
    restricted = (
        [f"{sampler.name} keeps to {domain}: not compared with draws from elsewhere"] if domain else []
    )
    comparable = len(last) > 1 and not domain
    return {
        "gradients_per_chain": int(result.gradient_evaluations[-1]),
        "acceptance": None if accepted.isnan().any() else float((accepted * steps).sum() / steps.sum()),
        "diverged": int(result.diverged.sum()),
        "escaped": int(result.escaped.sum()),
        "mean": last.double().mean(0).tolist() if len(last) else None,
        "variance": last.double().var(0).tolist() if len(last) > 1 else None,
        "sliced_w2": _distance(energy, last[:100_000], temperature) if comparable else None,
        "notes": _lost(energy, sampler, result) + restricted,
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
