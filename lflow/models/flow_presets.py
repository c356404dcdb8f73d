"""Settings of the flow for data sets: small ones for minutes on a CPU, and CoopFlow's own."""

from __future__ import annotations

from typing import Any

from lflow.models.base import Preset

_SOMETIMES = {"validate_every": 500, "sample_every": 500, "checkpoint_every": 500}


def _points(data: str, about: str) -> Preset:
    training: dict[str, Any] = {"num_steps": 3000, "batch_size": 256, "decay": 0.97, "ema": 0.99}
    return Preset(data, about, {"flow_depth": 8}, training | _SOMETIMES)


PRESETS = {
    "rings": _points("rings", "Four rings: a map of the plane must tear to make gaps."),
    "two_moons": _points("two_moons", "Two interleaved half circles."),
    "gaussian_mixture": _points("gaussian_mixture", "Eight Gaussians in a ring."),
    "digits": Preset("digits", "8 × 8 digits by Glow."),
}
