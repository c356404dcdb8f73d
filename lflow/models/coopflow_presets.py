"""Settings of CoopFlow for data sets: small ones for minutes on a CPU, and those of its paper and its code.

The authors mirror images at random while they train; here images are taken as they are.
"""

from __future__ import annotations

from typing import Any

from lflow.models.base import Preset
from lflow.models.flow_presets import FLOW_PLUS_PLUS

_LARGE = {
    **FLOW_PLUS_PLUS,
    "net": "residual",
    "width": 128,
    "energy_rate": 1e-4,
    "momentum": 0.5,
    "memory": 0.5,
    "chain_steps": 30,
    "step_size": 0.03**2 / 2,
}
_OFTEN = {"ema": 0.99, "log_every": 20, "validate_every": 250, "sample_every": 250}


def _points(data: str, about: str, step_size: float, num_steps: int = 2000, **model: Any) -> Preset:
    settings = {"step_size": step_size, "depth": 3, "energy_rate": 3e-3, "flow_clip": 1.0}
    training = {"num_steps": num_steps, "batch_size": 200, "decay": 0.9}
    return Preset(data, about, {**settings, **model}, _OFTEN | training)


def _grey(data: str, about: str, num_steps: int, **model: Any) -> Preset:
    settings = {"net": "mlp", "width": 256, "energy_scale": 1000.0, "step_size": 0.03**2 / 2}
    settings |= {"flow_levels": 2, "flow_depth": 3, "flow_width": 48, "flow_clip": 1.0}
    training = {"num_steps": num_steps, "batch_size": 100, "decay": 0.985}
    return Preset(data, about, {**settings, **model}, _OFTEN | training)


def _large(data: str, about: str, num_steps: int, size: int = 0, **model: Any) -> Preset:
    training = {"num_steps": num_steps, "batch_size": 28, "warmup": 200, "log_every": 50}
    training |= {"validate_every": 2500, "sample_every": 2500, "checkpoint_every": 2500}
    return Preset(data, about, {**_LARGE, **model}, training, {"size": size})


_PRETRAINED: dict[str, Any] = {"start": "pretrained", "pretrain_steps": 175_000}
PRESETS = {
    "gaussian_mixture": _points("gaussian_mixture", "eight Gaussians in a ring, from scratch", 0.02),
    "rings": _points("rings", "four rings, from scratch", 0.0075, depth=4),
    "pinwheel": _points("pinwheel", "five twisted arms, from scratch", 0.005),
    "two_moons": _points("two_moons", "two crescents, from scratch", 0.02),
    "gaussian_mixture_pretrained": _points(
        "gaussian_mixture",
        "CoopFlow(Pre): the flow first learns from data, then is frozen, then both learn",
        0.02,
        2500,
        start="pretrained",
        pretrain_steps=500,
        freeze_steps=500,
    ),
    "gaussian_mixture_long": _points(
        "gaussian_mixture", "CoopFlow(Long): chains of 200 steps", 0.02, 1000, chain_steps=200
    ),
    "gaussian_mixture_as_coded": _points(
        "gaussian_mixture", "eight Gaussians as the authors coded it, without noise", 0.02, noise="as_coded"
    ),
    "digits": _grey("digits", "8 × 8 digits by a small Glow and an energy of two layers", 1500),
    "digits_as_coded": _grey(
        "digits", "8 × 8 digits as the authors coded it, without noise", 1500, noise="as_coded"
    ),
    "mnist": _grey("mnist", "28 × 28 digits, a small convolutional energy", 3000, net="conv", width=16),
    "cifar10_paper": _large(
        "cifar10",
        "the paper's Flow++ and residual energy, some 46 million weights: days on a GPU",
        350_000,
        synthesis_step_size=0.04**2 / 2,
    ),
    "svhn_paper": _large(
        "svhn",
        "the paper's settings for house numbers",
        516_000,
        energy_clip=1.0,
        synthesis_step_size=0.035**2 / 2,
    ),
    "cifar10_as_coded": _large(
        "cifar10",
        "as the authors coded it, without noise",
        350_000,
        noise="as_coded",
        synthesis_step_size=0.04**2 / 2,
    ),
    "cifar10_pretrained_as_coded": _large(
        "cifar10",
        "CoopFlow(Pre) as coded: frozen for 26 passes; how long the flow is pretrained is not said there",
        525_000,
        noise="as_coded",
        freeze_steps=45_500,
        synthesis_step_size=0.04**2 / 2,
        **_PRETRAINED,
    ),
    "celeba_pretrained_as_coded": _large(
        "celeba",
        "CoopFlow(Pre) as coded: 32 × 32 faces, frozen for 10 passes, then learning at every fifth step",
        812_500,
        size=32,
        noise="as_coded",
        freeze_steps=57_800,
        flow_every=5,
        energy_clip=1.0,
        synthesis_step_size=0.035**2 / 2,
        **_PRETRAINED,
    ),
}
