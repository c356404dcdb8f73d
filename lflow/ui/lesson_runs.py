"""A lesson's runs, side by side and in lockstep: one scene of a panel a run, and the facts of each.

The runs of a lesson share an energy and end at an equal number of gradients, or of steps where these cost
as many. Knows nothing of files, of words and of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow import samplers, steps
from lflow.loop import Result, simulate
from lflow.spec import parameters
from lflow.ui.lesson_facts import Facts, facts
from lflow.ui.packing import MAX_PANELS, Line, Metric, Scene
from lflow.ui.request import Request, starting_points
from lflow.ui.run import flow_density, has_flow
from lflow.ui.scene import distances, make_scene
from lflow.ui.store import Store
from lflow.ui.theme import family_of, shades
from lflow.ui.truth import find_truth

Runs = Mapping[str, Request]
_FRAMES = range(20, 101)


class Seen(NamedTuple):
    """What a reader sees of a lesson: the scene, and the facts of its runs by their names."""

    scene: Scene
    facts: dict[str, Facts]


def check_runs(runs: Runs) -> None:
    """ValueError if these runs cannot stand side by side, or one of them cannot be made at all."""
    if not 1 <= len(runs) <= MAX_PANELS:
        raise ValueError(f"a lesson has 1 to {MAX_PANELS} runs, not {len(runs)}")
    if len({request.energy for request in runs.values()}) > 1:
        raise ValueError("its runs are on different energies")
    for request in runs.values():
        request.check_budget(request.parts())
    if len({request.settings.num_steps for request in runs.values()}) > 1 and len(_gradients(runs)) > 1:
        raise ValueError("its runs end at different numbers of steps and of gradients")
    num_frames(runs)


def _gradients(runs: Runs) -> set[int]:
    return {r.parts().sampler.gradients_per_step * r.settings.num_steps for r in runs.values()}


def num_frames(runs: Runs) -> int:
    """Frames after the start, as many for each run and evenly spread, so that they all show equal moments."""
    totals = {request.settings.num_steps for request in runs.values()}
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


def see(runs: Runs, with_flow: bool, report: Callable[[float], None]) -> Seen:
    """Compute the runs; `report` is told the share that is done, from 0 to 1."""
    labels, frames = labels_of(runs), num_frames(runs)
    found, scenes, truths = {}, [], Store(MAX_PANELS)
    for place, (name, request) in enumerate(runs.items()):

        def progress(step: int, num_steps: int, place: int = place) -> None:
            report((place + step / num_steps) / len(runs))

        parts, settings = request.parts(), request.settings
        flows = with_flow and has_flow(parts, settings)
        flow = _flow(request, frames) if flows else None
        result = _simulate(request, frames, progress)
        truth = truths.get(
            f"{settings.temperature} {settings.num_chains}",
            lambda: find_truth(parts.energy, settings.temperature, settings.num_chains),  # noqa: B023
        )
        away = distances(result, truth)
        scene = make_scene(parts, settings, result, truth, away, flow, interactive=False)
        panel = replace(scene.panels[0], label=labels[name]) if len(runs) > 1 else scene.panels[0]
        scenes.append(replace(scene, panels=[panel]))
        found[name] = facts(parts, settings.temperature, result, truth, away)
    return Seen(_together(list(runs.values()), scenes), found)


_flows = Store(4)


def _flow(request: Request, frames: int) -> Tensor:
    """The continuous-time density at each frame, which no seed changes."""
    settings = replace(request.settings, seed=0)
    shown = torch.arange(frames + 1) * (settings.num_steps // frames)
    key = replace(request, settings=settings).key
    return _flows.get(key, lambda: flow_density(request.parts(), settings, shown))


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


def _together(requests: list[Request], scenes: list[Scene]) -> Scene:
    """Several scenes of one panel as one scene of several."""
    if len(scenes) == 1:
        return scenes[0]
    parts = [request.parts() for request in requests]
    colours = shades([family_of(each.sampler.family, each.rule.name) for each in parts])
    panels = [
        replace(scene.panels[0], colour_light=light, colour_dark=dark)
        for scene, (light, dark) in zip(scenes, colours, strict=True)
    ]
    numbers = [request.settings.num_steps for request in requests]
    clock = {"steps": scenes[0].steps, "step_word": "step"}
    if len(set(numbers)) > 1:
        gradients = parts[0].sampler.gradients_per_step
        clock = {"steps": scenes[0].steps * gradients, "step_word": "gradient"}  # type: ignore[operator]
    alt = " ".join(f"{panel.label}: {scene.alt}" for panel, scene in zip(panels, scenes, strict=True))
    return replace(scenes[0], panels=panels, metrics=_merged(scenes), alt=alt, **clock)


def _merged(scenes: list[Scene]) -> list[Metric]:
    """Each chart once, with the curves of every run that has it; no traces, which would be a tangle."""
    labels = dict.fromkeys(metric.label for scene in scenes for metric in scene.metrics)
    merged = []
    for label in labels:
        have = [(k, m) for k, scene in enumerate(scenes) for m in scene.metrics if m.label == label]
        if label == "Traces":
            continue
        series = [replace(curve, panel=k, dash=k % 2 == 1) for k, metric in have for curve in metric.series]
        merged.append(replace(have[0][1], series=tuple(series), lines=_shared_lines([m for _, m in have])))
    return merged


def _shared_lines(metrics: list[Metric]) -> tuple[Line, ...]:
    """The levels that hold for all: those of other temperatures are other levels."""
    first = metrics[0].lines
    return first if all(metric.lines == first for metric in metrics) else ()


def labels_of(runs: Runs) -> dict[str, str]:
    """What to call each run: its sampler, and what of its settings another run has otherwise."""
    described = {name: _described(request) for name, request in runs.items()}
    labels = {}
    for name, own in described.items():
        others = [other for key, other in described.items() if key != name]
        differs = [text for key, text in own.items() if any(o.get(key, text) != text for o in others)]
        labels[name] = ", ".join([samplers.get(**json.loads(runs[name].sampler)).title, *differs])
    return labels


def _described(request: Request) -> dict[str, str]:
    sampler, rule = json.loads(request.sampler), json.loads(request.rule)
    settings, rule_class = request.settings, steps.get_class(rule["name"])
    start = {"default": "usual start", "box": "from the whole box"}
    own: dict[str, Any] = {
        "rule": f"h {rule_class.title}",
        "h": f"h = {rule['step_size']:g}",
        "temperature": f"T = {settings.temperature:g}",
        "start": start.get(settings.start, f"from ({settings.x:g}, {settings.y:g})"),
    }
    for cls, config in ((samplers.get_class(sampler["name"]), sampler), (rule_class, rule)):
        for parameter in parameters(cls):
            value = config.get(parameter.name)
            if value is not None and parameter.name != "step_size" and not parameter.advanced:
                text = f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
                own[f"{cls.name} {parameter.name}"] = f"{parameter.name.replace('_', ' ')} {text}"
    return own
