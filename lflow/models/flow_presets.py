"""Settings of the flow for data sets: small ones for minutes on a CPU, and CoopFlow's own."""

from __future__ import annotations

from typing import Any

from lflow.models.base import Preset

_SELDOM = {"log_every": 20, "validate_every": 250, "sample_every": 250, "checkpoint_every": 250}


def _points(data: str, about: str, depth: int, components: int, num_steps: int, decay: float) -> Preset:
    model = {"coupling": "mixture", "flow_depth": depth, "components": components, "flow_rate": 5e-3}
    training = {"num_steps": num_steps, "batch_size": 256, "warmup": 50, "decay": decay, "ema": 0.98}
    return Preset(data, about, model, training | _SELDOM)


def _images(data: str, about: str, width: int, num_steps: int, batch_size: int) -> Preset:
    model = {"coupling": "mixture", "flow_depth": 4, "flow_width": width, "components": 4, "flow_rate": 2e-3}
    training: dict[str, Any] = {"num_steps": num_steps, "batch_size": batch_size, "warmup": 50}
    return Preset(data, about, model, training | {"decay": 0.98, "ema": 0.98} | _SELDOM)


FLOW_PLUS_PLUS: dict[str, Any] = {
    "layout": "flow++",
    "coupling": "mixture",
    "flow_depth": 4,
    "flow_width": 96,
    "components": 32,
    "blocks": 10,
    "attention": True,
    "dropout": 0.2,
    "dequantisation": "variational",
    "flow_rate": 1e-4,
    "flow_clip": 1.0,
}
"""CoopFlow's flow, which it calls Flow++."""
_COOPFLOW_TRAINING = {
    "num_steps": 350_000,
    "batch_size": 28,
    "warmup": 200,
    "log_every": 100,
    "validate_every": 5000,
    "sample_every": 5000,
    "checkpoint_every": 1000,
}

PRESETS = {
    "rings": _points(
        "rings", "Four rings: the plane must tear to leave gaps between them", 8, 12, 3000, 0.95
    ),
    "two_moons": _points("two_moons", "Two half circles in each other's arms", 6, 8, 1500, 0.9),
    "gaussian_mixture": _points("gaussian_mixture", "Eight Gaussians on a circle", 6, 8, 1500, 0.9),
    "digits": _images("digits", "Digits of 8 × 8 pixels by Glow, with Flow++'s couplings", 48, 1000, 64),
    "mnist": _images("mnist", "MNIST by Glow, with Flow++'s couplings", 32, 1500, 64),
    "cifar10": _images("cifar10", "CIFAR-10, as far as minutes on a CPU go", 48, 1500, 32),
    "cifar10_paper": Preset(
        "cifar10",
        "Flow++ with the settings of CoopFlow, 28.8 million parameters: for a GPU",
        FLOW_PLUS_PLUS,
        _COOPFLOW_TRAINING,
    ),
}
