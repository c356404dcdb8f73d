"""A Python program that computes the arrays of a run, to be run anywhere where lflow is installed.

`python_code` writes the program of one run, `simulate_code` one call of `lflow.simulate`, for programs of
several. Texts come from checked requests, and every value of theirs is written as a literal. Knows nothing of
pages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lflow import __version__
from lflow.ui.request import FORMULA, POINTS, Cloud, RaceSettings, Request

IMPORTS = (
    "import numpy",
    "import torch",
    "",
    "import lflow",
    "",
    "torch.set_num_threads(1)  # as it ran: more threads may round sums in another order",
)
_POINTS_A_LINE = 4


def file_name(request: Request) -> str:
    """A short name for the files of a run."""
    names = (json.loads(config)["name"] for config in (request.energy, request.sampler, request.rule))
    return "-".join(("lflow", *names, f"seed{request.settings.seed}"))


def python_code(request: Request, record_every: int) -> str:
    """A program that computes the arrays of this run as `r`, and keeps them in a file."""
    settings = request.settings
    sampler, energy = (json.loads(config)["name"] for config in (request.sampler, request.energy))
    start = start_code(settings)
    run = {
        "num_steps": settings.num_steps,
        "num_chains": settings.num_chains,
        "temperature": settings.temperature,
        "record_every": record_every,
        "seed": settings.seed,
    }
    lines = [
        f"# Written by lflow {__version__}: {sampler} on {energy}, {settings.num_chains:,} particles, "
        f"{settings.num_steps * (1 + settings.more):,} steps.",
        "# With the same lflow and torch it gives the same positions, to the last bit.",
        *IMPORTS,
        "",
        *energy_code(request.energy),
        *start,
        *simulate_code("r", request.sampler, request.rule, run, {"init": "init"} if start else {}),
    ]
    if settings.more:
        again = f"num_steps={settings.num_steps}, record_every={record_every}"
        lines += [f"for _ in range({settings.more}):  # continued"]
        lines += [f'    r = lflow.simulate(U, {again}, device="cpu", resume=r)']
    file = f"{file_name(request)}.npz"
    lines += [
        "",
        "# r.positions: (frames, particles, 2); r.steps and r.gradient_evaluations: one number a frame.",
        f"numpy.savez({file!r}, positions=r.positions, steps=r.steps)",
        f'print("positions", tuple(r.positions.shape), "are in", {file!r})',
    ]
    return "\n".join(lines) + "\n"


class LaneProgram(NamedTuple):
    """One lane of a race as its program needs it."""

    label: str
    sampler: str
    rule: str
    steps: Sequence[int]
    """The steps that are recorded; the last is the last."""
    noise_seed: int


def race_code(energy: str, settings: RaceSettings, lanes: Sequence[LaneProgram], name: str) -> str:
    """A program that computes the arrays of a race as `runs`, by label, and keeps them in a file."""
    start = start_code(settings)
    run = {"num_chains": settings.num_chains, "temperature": settings.temperature, "seed": settings.seed}
    each, shape = f"{settings.gradients:,} gradients a particle each", "(frames, particles, 2)"
    return several_code(each, [*energy_code(energy), *start], lanes, run, bool(start), name, shape)


def several_code(
    each: str,
    making: Sequence[str],
    lanes: Sequence[LaneProgram],
    run: Mapping[str, Any],
    has_start: bool,
    name: str,
    shape: str,
) -> str:
    """A program of several runs as `runs`, by label, which it keeps in a file.

    each: what every lane does, in words. making: lines that make the energy `U` and, where it has_start, the
    positions `init`. run: arguments of all lanes. shape: of the positions of a run.
    """
    lines = [
        f"# Written by lflow {__version__}: {', '.join(lane.label for lane in lanes)}, {each}.",
        "# With the same lflow and torch it gives the same positions, to the last bit.",
        *IMPORTS,
        "",
        *making,
        "runs = {}",
    ]
    for lane in lanes:
        names = {"record_every": _steps_code(lane.steps), "noise": f"lflow.Noise({lane.noise_seed})"}
        names |= {"init": "init"} if has_start else {}
        settings = {"num_steps": lane.steps[-1], **run}
        lines += simulate_code(f"runs[{lane.label!r}]", lane.sampler, lane.rule, settings, names)
    lines += [
        "",
        f"# Of each run: positions {shape}, and of each frame its step and gradients.",
        'kept = ("positions", "steps", "gradient_evaluations")',
        'arrays = {"labels": list(runs)}',
        "for number, r in enumerate(runs.values(), 1):",
        '    arrays |= {f"{number}_{name}": getattr(r, name) for name in kept}',
        f"numpy.savez({name + '.npz'!r}, **arrays)",
        f'print(len(runs), "runs are in", {name + ".npz"!r})',
    ]
    return "\n".join(lines) + "\n"


def _steps_code(steps: Sequence[int]) -> str:
    """The steps as a range where they are one, else as a list."""
    every = steps[1] - steps[0] if len(steps) > 1 else 1
    as_range = range(steps[0], steps[-1] + 1, every)
    return repr(as_range if list(as_range) == list(steps) else list(steps))


def energy_code(config: str) -> list[str]:
    """Lines that make the energy `U` of a configuration; points of your own are written out."""
    values = json.loads(config)
    if values["name"] == FORMULA:
        box = ((-values["reach"], values["reach"]),) * 2
        return [f"U = lflow.energies.from_expression({values['text']!r}, bounds={box})"]
    if values["name"] != POINTS:
        return [f"U = lflow.energies.get({_arguments(values)})"]
    pairs = [f"({float(x)!r}, {float(y)!r})" for x, y in values["points"]]
    starts = range(0, len(pairs), _POINTS_A_LINE)
    rows = [f"    {', '.join(pairs[start : start + _POINTS_A_LINE])}," for start in starts]
    rest = f"bandwidth={values['bandwidth']!r}" + (
        f", bounds={values['bounds']}" if "bounds" in values else ""
    )
    making = f"U = lflow.energies.from_points(points, {rest})"
    return [f"points = [  # {len(pairs):,} of your own", *rows, "]", making]


def start_code(settings: Cloud) -> list[str]:
    """Lines that make the start `init` from `U`; none where the energy chooses its own."""
    if settings.start == "point":
        point = f"torch.tensor([{settings.x!r}, {settings.y!r}])"
        return [f"init = {point}.expand({settings.num_chains}, 2).clone()"]
    if settings.start == "box":
        return [
            "low, high = torch.tensor(U.bounds).T",
            f"generator = torch.Generator().manual_seed({settings.seed})",
            f"init = low + (high - low) * torch.rand({settings.num_chains}, 2, generator=generator)",
        ]
    return []


def simulate_code(
    result: str, sampler: str, rule: str, run: Mapping[str, Any], names: Mapping[str, str]
) -> list[str]:
    """Lines that call `lflow.simulate` on `U` and keep what it returns under the name `result`.

    sampler, rule: configurations. run: further arguments by value. names: further arguments that are names of
    the program, such as {"init": "init", "noise": "noise"}.
    """
    lines = [f"{result} = lflow.simulate(", "    U,"]
    for argument, module, config in (("sampler", "samplers", sampler), ("step", "steps", rule)):
        lines.append(f"    {argument}=lflow.{module}.get({_arguments(json.loads(config))}),")
    lines += [f"    {name}={value!r}," for name, value in run.items()]
    lines += [f"    {name}={value}," for name, value in names.items()]
    return [*lines, '    device="cpu",', ")"]


def _arguments(config: dict[str, Any]) -> str:
    name = config.pop("name")
    return ", ".join([repr(name), *(f"{k}={v!r}" for k, v in config.items())])
