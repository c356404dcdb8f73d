"""A lesson's runs, side by side and in lockstep: one scene of a panel a run, and the facts of each.

The runs of a lesson share an energy. They are shown at equal steps where all take as many, else at equal
gradients. Unlike the lanes of a race they may differ in start and temperature. Knows nothing of files, of
words and of the page.
"""

from __future__ import annotations

import json
import math
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
from lflow.ui.request import Parts, Request, starting_points
from lflow.ui.run import flow_density, has_flow
from lflow.ui.scene import make_race_scene, make_scene
from lflow.ui.store import Store
from lflow.ui.track import Track, track_of

Runs = Mapping[str, Request]
_MOST_FRAMES = 100


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
    moments_of(runs)


class Moments(NamedTuple):
    """What the frames show: counts of steps, or of gradients a particle, and by name which."""

    counts: Tensor
    word: str

    def steps_of(self, parts: Parts) -> list[int]:
        """The steps that a run has taken at each moment."""
        return racing.paid_steps(parts, self.counts) if self.word == "gradient" else self.counts.tolist()


def moments_of(runs: Runs) -> Moments:
    """Moments at which each run has taken as many steps, or else spent as many gradients.

    ValueError where neither is so at the end.
    """
    totals = {request.settings.num_steps for request in runs.values()}
    whole, word = 1, "step"
    if len(totals) > 1:
        pairs = [(request.parts().sampler, request.settings.num_steps) for request in runs.values()]
        totals = {sampler.start_gradients + sampler.gradients_per_step * n for sampler, n in pairs}
        # Between multiples of every cost, a run would be shown a part of a step behind the others.
        whole, word = math.lcm(*(max(1, sampler.gradients_per_step) for sampler, _ in pairs)), "gradient"
    if len(totals) > 1:
        raise ValueError("its runs end at different numbers of steps and of gradients")
    (total,) = totals
    every = whole * math.ceil(total / (whole * _MOST_FRAMES))
    return Moments(torch.tensor([*range(0, total, every), total]), word)


def with_seed(runs: Runs, seed: int) -> dict[str, Request]:
    """The same runs of another seed."""
    return {name: replace(r, settings=replace(r.settings, seed=seed)) for name, r in runs.items()}


def see(runs: Runs, with_flow: bool, report: racing.Report) -> Seen:
    """Compute the runs; `report` is told the share that is done, from 0 to 1, and of which run."""
    moments, known = moments_of(runs), Store(2 * MAX_PANELS)
    tracks, found = [], {}
    for place, ((name, request), label) in enumerate(
        zip(runs.items(), labels_of(runs).values(), strict=True)
    ):

        def progress(step: int, num_steps: int, place: int = place, label: str = label) -> None:
            report((place + step / num_steps) / len(runs), label)

        parts = request.parts()
        taken = moments.steps_of(parts)
        result = _simulate(request, taken, progress)
        frames = torch.searchsorted(result.steps, torch.tensor(taken))
        report((place + 1) / len(runs), f"{label} beside its target")
        track = track_of(request, result, name, known, label if len(runs) > 1 else "", frames)
        tracks.append(track)
        found[name] = facts(track, request.settings.temperature)
    if with_flow:
        report(1.0, "the exact flow, without particles")
        (request,) = runs.values()
        return Seen(make_scene(tracks[0], _flow(request, tracks[0].result), interactive=False), found)
    report(1.0, "the picture")
    return Seen(_scene(list(runs.values()), tracks, moments), found)


def _scene(requests: list[Request], tracks: list[Track], moments: Moments) -> Scene:
    if len(tracks) == 1:
        return make_scene(tracks[0], interactive=False)
    scene = make_race_scene(tracks, moments.counts, moments.word)
    if len({request.settings.temperature for request in requests}) > 1:
        # The levels of one temperature are not those of another.
        scene = replace(scene, metrics=[replace(metric, lines=()) for metric in scene.metrics])
    return scene


_flows = Store(4)


def _flow(request: Request, result: Result) -> Tensor | None:
    """The continuous-time density at each frame, which no seed changes; None where the run follows none."""
    parts, settings = request.parts(), replace(request.settings, seed=0)
    if not has_flow(parts, settings):
        return None
    key = replace(request, settings=settings).key
    return _flows.get(key, lambda: flow_density(parts, settings, result.steps))


def _simulate(request: Request, taken: list[int], progress: Callable[[int, int], None]) -> Result:
    """The run, with a frame after each of the steps `taken`."""
    parts, settings = request.parts(), request.settings
    return simulate(
        parts.energy,
        sampler=parts.sampler,
        step=parts.rule,
        num_steps=settings.num_steps,
        num_chains=settings.num_chains,
        temperature=settings.temperature,
        init=starting_points(parts.energy, settings),
        record_every=sorted(set(taken) - {0}),
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
