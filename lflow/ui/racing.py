"""Several samplers on one energy: each runs as far as its gradients pay, all are shown at equal gradients.

Knows no widgets: the race page, the AniLA page and `lflow export` run the same races.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lflow.loop import Result, simulate
from lflow.noise import Noise
from lflow.ui import names
from lflow.ui.explain import number
from lflow.ui.outcome import Outcome
from lflow.ui.packing import Scene
from lflow.ui.program import LaneProgram, race_code
from lflow.ui.request import Parts, Race, RaceSettings, Request, starting_points
from lflow.ui.scene import make_race_scene
from lflow.ui.store import Store
from lflow.ui.track import Track, track_of

MOST_FRAMES, LEAST_FRAMES = 120, 30
MOST_POSITIONS = 750_000
"""Particles × frames of a lane: four lanes of them are 12 MB on the wire."""
Report = Callable[[float, str], None]


class Row(NamedTuple):
    """What a sampler costs and gets, for the table of a race. None where it is not known."""

    label: str
    step_size: float
    gradients_a_step: int
    steps: int
    seconds: float | None
    distance: float | None
    over_floor: float | None
    gradients_to_twice_the_floor: int | None
    acceptance: float | None
    lost: int


def gradient_counts(settings: RaceSettings) -> Tensor:
    """The gradients spent by each frame: evenly spaced, the last one all of them."""
    frames = max(LEAST_FRAMES, min(MOST_FRAMES, MOST_POSITIONS // settings.num_chains))
    every = -(-settings.gradients // frames)
    return torch.tensor([*range(0, settings.gradients, every), settings.gradients])


def run_race(race: Race, store: Store, report: Report | None = None) -> list[Track]:
    """Run every lane, or find it in the store. ValueError if one is refused, or the race over the budget.

    report: called with the share that is done and what is running.
    """
    race.check_budget()
    names = labels([request.parts() for request in race.requests()])
    return [
        run_lane(race, lane, label, store, _of_lane(report, lane, len(names), label))
        for lane, label in enumerate(names)
    ]


def run_lane(
    race: Race, lane: int, label: str, store: Store, progress: Callable[[int, int], None] | None = None
) -> Track:
    """Run one lane, or find it in the store."""
    request = race.requests()[lane]
    result, _ = _run_lane(race, lane, request, store, progress)
    frames = _frames(request.parts(), result, gradient_counts(race.settings))
    return track_of(request, result, lane_key(race, lane), store, label, frames)


def _of_lane(report: Report | None, lane: int, lanes: int, label: str) -> Callable[[int, int], None] | None:
    if report is None:
        return None
    return lambda step, steps: report((lane + step / steps) / lanes, label)


def lane_key(race: Race, lane: int) -> str:
    """Names a lane's run: what it computes does not depend on the others."""
    noise = noise_seed(race, lane)
    return json.dumps([race.energy, race.lanes[lane], race.settings.config() | {"same_noise": noise}])


def noise_seed(race: Race, lane: int) -> int:
    """The seed of a lane's noise: the race's own where all take the same."""
    return race.settings.seed + (0 if race.settings.same_noise else 1_000_003 * lane)


def paid_steps(parts: Parts, counts: Tensor) -> list[int]:
    """The steps that each count of gradients pays for."""
    return [parts.sampler.steps_for(count) for count in counts.tolist()]


def _run_lane(
    race: Race, lane: int, request: Request, store: Store, progress: Callable[[int, int], None] | None
) -> tuple[Result, float]:
    """The run of a lane and the seconds that it took."""
    parts = request.parts()
    paid = paid_steps(parts, gradient_counts(race.settings))

    def compute() -> tuple[Result, float]:
        began = time.perf_counter()
        result = simulate(
            parts.energy,
            sampler=parts.sampler,
            step=parts.rule,
            num_steps=paid[-1],
            num_chains=race.settings.num_chains,
            temperature=race.settings.temperature,
            init=starting_points(parts.energy, race.settings),
            record_every=sorted(set(paid) - {0}),
            seed=race.settings.seed,
            noise=Noise(noise_seed(race, lane)),
            device="cpu",
            callback=progress,
        )
        return result, time.perf_counter() - began

    return store.get(f"lane {lane_key(race, lane)}", compute)


def _frames(parts: Parts, result: Result, counts: Tensor) -> Tensor:
    """Which frame of the run is the last that each count of gradients paid for."""
    return torch.searchsorted(result.steps, torch.tensor(paid_steps(parts, counts)))


def labels(lanes: Sequence[Parts]) -> list[str]:
    """What tells the lanes apart: sampler and variant; then the rule; then the step size; then a number."""
    found = [_sampler_label(parts) for parts in lanes]
    told: list[Callable[[Parts, int], str]] = [
        lambda parts, _: "" if parts.rule.name == "constant" else f", {parts.rule.title}",
        lambda parts, _: f", h {number(parts.rule.step_size)}",
        lambda _, lane: f" ({lane + 1})",
    ]
    for tell in told:
        more = [tell(parts, lane) for lane, parts in enumerate(lanes)]
        same = [[k for k, label in enumerate(found) if label == mine] for mine in found]
        # Only what differs among those that look the same tells them apart.
        found = [
            mine + (more[lane] if len({more[k] for k in same[lane]}) > 1 else "")
            for lane, mine in enumerate(found)
        ]
    return found


def _sampler_label(parts: Parts) -> str:
    if parts.sampler.name == "anila":
        return f"{parts.sampler.title}, {names.ANILA[str(parts.sampler.config()['variant'])]}"
    return parts.sampler.title


def make_scene(race: Race, tracks: Sequence[Track], interactive: bool = False) -> Scene:
    """What the player shows of a race that was run: a panel a lane, and gradients for a clock."""
    return make_race_scene(tracks, gradient_counts(race.settings), "gradient", interactive)


def table(race: Race, tracks: Sequence[Track], store: Store) -> list[Row]:
    """What each sampler costs and gets."""
    rows = []
    for lane, (track, request) in enumerate(zip(tracks, race.requests(), strict=True)):
        result, seconds = _run_lane(race, lane, request, store, None)
        lost = int((result.diverged | result.escaped).sum())
        floor, away = track.truth.floor, None if lost else track.away
        near = None if away is None or floor is None else _first_below(result, away, 2 * floor.mean)
        accepted = float(result.acceptance[1:].nanmean())
        rows.append(
            Row(
                track.label,
                track.parts.rule.step_size,
                track.parts.sampler.gradients_per_step,
                int(result.steps[-1]),
                seconds,
                None if away is None else away[-1],
                None if away is None or floor is None else away[-1] / floor.mean,
                near,
                accepted if track.parts.sampler.has_accept_step else None,
                lost,
            )
        )
    return rows


def _first_below(result: Result, away: Sequence[float], level: float) -> int | None:
    """The gradients after which the distance is below a level in every frame to the end."""
    above = [frame for frame, value in enumerate(away) if not value <= level]
    first = above[-1] + 1 if above else 0
    return int(result.gradient_evaluations[first]) if first < len(away) else None


def outcome(race: Race, store: Store, report: Report | None = None) -> Outcome:
    """A race as what can be taken along."""
    tracks = run_race(race, store, report)
    samplers: list[Any] = [json.loads(lane.sampler)["name"] for lane in race.lanes]
    energy = json.loads(race.energy)["name"]
    name = "-".join(["lflow-race", energy, *samplers, f"seed{race.settings.seed}"])
    lanes = [
        LaneProgram(
            track.label, lane.sampler, lane.rule, track.result.steps[1:].tolist(), noise_seed(race, k)
        )
        for k, (track, lane) in enumerate(zip(tracks, race.lanes, strict=True))
    ]
    return Outcome(
        name=name,
        results={track.label: track.result for track in tracks},
        scene=lambda: make_scene(race, tracks),
        code=race_code(race.energy, race.settings, lanes, name),
        config=race.key,
    )
