"""The page's runs as what can be taken along: for the page and for `lflow export`."""

from __future__ import annotations

import json

from lflow.ui.images import runs
from lflow.ui.images.keys import Asked
from lflow.ui.images.model import trained
from lflow.ui.images.scene import make_scene
from lflow.ui.outcome import Outcome
from lflow.ui.program import LaneProgram, several_code
from lflow.ui.request import as_json
from lflow.ui.store import Store


def outcome(asked: Asked, store: Store) -> Outcome:
    """Run the lanes, or find them in the store. ValueError if they are over the budget."""
    model = trained()
    tracks = runs.run(asked, model, store)
    name = "-".join(["lflow-images", *asked.lanes, f"seed{asked.seed}"])
    return Outcome(
        name=name,
        results={track.label: track.result for track in tracks},
        scene=lambda: make_scene(asked, tracks, runs.known(model, asked.num_images)),
        code=_code(asked, tracks, name),
        config=asked.key,
    )


_START = {
    "noise": ["init = noise"],
    "data": ["init = digits"],
    "corrupted": ["init = torch.cat([digits[:, :, :4], noise[:, :, 4:]], dim=2)"],
}


def _making(asked: Asked) -> list[str]:
    """Lines that make the energy `U` and the start `init`."""
    lines = [
        "from lflow.noise import generator",
        "from lflow.paths import assets_dir",
        "",
        'model = lflow.load(assets_dir() / "models" / "digits-ebm").requires_grad_(False)',
        "U = model.energy",
        f"noise = model.noise({asked.num_images}, model.fresh_draws({asked.seed}))",
    ]
    if asked.start != "noise":
        lines += [
            'digits = lflow.data.load("digits", split="test").x',
            f'order = torch.randperm(len(digits), generator=generator({asked.seed}, "start"))',
            f"digits = digits[order[:{asked.num_images}]]",
        ]
    return [*lines, *_START[asked.start]]


def _code(asked: Asked, tracks: list[runs.Track], name: str) -> str:
    steps = tracks[0].result.steps[1:].tolist()
    rule = as_json("constant", step_size=asked.h)
    lanes = [
        LaneProgram(track.label, json.dumps(track.sampler.config()), rule, steps, asked.seed)
        for track in tracks
    ]
    run = {"temperature": asked.temperature, "seed": asked.seed}
    shape = "(frames, images, 1, 8, 8)"
    each = f"{asked.steps:,} steps each"
    return several_code(each, _making(asked), lanes, run, True, name, shape)
