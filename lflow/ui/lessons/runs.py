"""A lesson's runs, side by side and in lockstep: one scene of a panel a run, and the facts of each.

The runs of a lesson share an energy and end at an equal number of gradients, or of steps where these cost
as many. Unlike the lanes of a race they may differ in start and temperature. Knows nothing of files, of words
and of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from lflow import samplers, steps
from lflow.loop import Result, simulate
from lflow.spec import Declared, parameters
from lflow.ui import racing
from lflow.ui.lessons.facts import Facts, facts
from lflow.ui.packing import MAX_PANELS, Scene
from lflow.ui.request import Request, starting_points
from lflow.ui.run import flow_density, has_flow
from lflow.ui.scene import Track, distances, make_race_scene, make_scene
from lflow.ui.store import Store
from lflow.ui.truth import Truth, find_truth

Runs = Mapping[str, Request]
_FRAMES = range(20, 101)


class Seen(NamedTuple):
    """What a reader sees of a lesson: the scene, and the facts of its runs by their names."""

    scene: Scene
    facts: dict[str, Facts]


def check_runs(runs: Runs, with_flow: bool) -> None:
    """ValueError if these runs cannot stand side by side, or one of them cannot be made at all."""
    if not 1 <= len(runs) <= MAX_PANELS:
        raise ValueError(f"a lesson has 1 to {MAX_PANELS} runs, not {len(runs)}")
    if len({request.energy for request in runs.values()}) > 1:
        raise ValueError("its runs are on different energies")
    if with_flow and len(runs) > 1:
        raise ValueError("the exact flow is drawn over one run, and it has several")
    for request in runs.values():
        request.check_budget(request.parts())
    spent = {r.parts().sampler.gradients_per_step * r.settings.num_steps for r in runs.values()}
    if len(_totals(runs)) > 1 and len(spent) > 1:
        raise ValueError("its runs end at different numbers of steps and of gradients")
    num_frames(runs)


def _totals(runs: Runs) -> set[int]:
    return {request.settings.num_steps for request in runs.values()}


def num_frames(runs: Runs) -> int:
    """Frames after the start, as many for each run and evenly spread, so that they all show equal moments."""
    totals = _totals(runs)
    fitting = [count for count in _FRAMES if all(total % count == 0 for total in totals)]
    if not fitting:
        raise ValueError(
            f"its numbers of steps ({', '.join(map(str, sorted(totals)))}) have no common divisor from "
            f"{_FRAMES[0]} to {_FRAMES[-1]}, which the frames need"
        )
    return fitting[-1]


def with_seed(runs: Runs, seed: int) -> dict[str, Request]:
    """The same runs of another seed."""
    return {name: replace(r, settings=replace(r.settings, seed=seed)) for name, r in runs.items()}


def see(runs: Runs, with_flow: bool, report: racing.Report) -> Seen:
    """Compute the runs; `report` is told the share that is done, from 0 to 1, and of which run."""
    frames, truths = num_frames(runs), Store(MAX_PANELS)
    flow = _flow(next(iter(runs.values())), frames) if with_flow else None
    tracks, found = [], {}
    for place, ((name, request), label) in enumerate(
        zip(runs.items(), labels_of(runs).values(), strict=True)
    ):

        def progress(step: int, num_steps: int, place: int = place, label: str = label) -> None:
            report((place + step / num_steps) / len(runs), label)

        parts, temperature = request.parts(), request.settings.temperature
        result = _simulate(request, frames, progress)
        truth = _truth(request, truths)
        away = distances(result, truth)
        tracks.append(Track(label, parts, result, torch.arange(frames + 1), truth, away))
        found[name] = facts(parts, temperature, result, truth, away)
    return Seen(_scene(list(runs.values()), tracks, flow), found)


def _scene(requests: list[Request], tracks: list[Track], flow: Tensor | None) -> Scene:
    first = tracks[0]
    if len(tracks) == 1:
        settings = requests[0].settings
        return make_scene(
            first.parts, settings, first.result, first.truth, first.away, flow, interactive=False
        )
    clock, word = first.result.steps, "step"
    if len({request.settings.num_steps for request in requests}) > 1:
        clock, word = clock * first.parts.sampler.gradients_per_step, "gradient"
    scene = make_race_scene(tracks, clock, word)
    if len({request.settings.temperature for request in requests}) > 1:
        # The levels of one temperature are not those of another.
        scene = replace(scene, metrics=[replace(metric, lines=()) for metric in scene.metrics])
    return scene


def _truth(request: Request, truths: Store) -> Truth:
    energy, settings = request.parts().energy, request.settings
    key = f"{settings.temperature} {settings.num_chains}"
    return truths.get(key, lambda: find_truth(energy, settings.temperature, settings.num_chains))


_flows = Store(4)


def _flow(request: Request, frames: int) -> Tensor | None:
    """The continuous-time density at each frame, which no seed changes; None where the run follows none."""
    parts, settings = request.parts(), replace(request.settings, seed=0)
    if not has_flow(parts, settings):
        return None
    shown = torch.arange(frames + 1) * (settings.num_steps // frames)
    key = replace(request, settings=settings).key
    return _flows.get(key, lambda: flow_density(parts, settings, shown))


def _simulate(request: Request, frames: int, progress: Callable[[int, int], None]) -> Result:
    parts, settings = request.parts(), request.settings
    return simulate(
        parts.energy,
        sampler=parts.sampler,
        step=parts.rule,
        num_steps=settings.num_steps,
        num_chains=settings.num_chains,
        temperature=settings.temperature,
        init=starting_points(parts.energy, settings),
        record_every=settings.num_steps // frames,
        seed=settings.seed,
        device="cpu",
        callback=progress,
    )


def labels_of(runs: Runs) -> dict[str, str]:
    """What to call each run: its sampler, and what of its settings another run has otherwise."""
    described = {name: _described(request) for name, request in runs.items()}
    labels = {}
    for name, own in described.items():
        others = [other for key, other in described.items() if key != name]
        differs = [text for key, text in own.items() if any(o.get(key, text) != text for o in others)]
        labels[name] = ", ".join([racing.labels([runs[name].parts()])[0], *differs])
    return labels


def _described(request: Request) -> dict[str, str]:
    sampler, rule = json.loads(request.sampler), json.loads(request.rule)
    settings, rule_class = request.settings, steps.get_class(rule["name"])
    starts = {"default": "usual start", "box": "from the whole box"}
    return {
        "rule": f"h {rule_class.title}",
        "h": f"h = {rule['step_size']:g}",
        "temperature": f"T = {settings.temperature:g}",
        "start": starts.get(settings.start, f"from ({settings.x:g}, {settings.y:g})"),
        **_parameters(samplers.get_class(sampler["name"]), sampler, {"variant"}),
        **_parameters(rule_class, rule, {"step_size"}),
    }


def _parameters(cls: type[Declared], config: Mapping[str, object], told: set[str]) -> dict[str, str]:
    """The parameters of a class in words, but those that are told elsewhere and the advanced ones."""
    found = {}
    for parameter in parameters(cls):
        if parameter.name in config and parameter.name not in told and not parameter.advanced:
            value = config[parameter.name]
            text = f"{value:g}" if isinstance(value, float) else str(value)
            found[f"{cls.name} {parameter.name}"] = f"{parameter.name.replace('_', ' ')} {text}"
    return found
