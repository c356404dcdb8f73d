"""Settings of the EBM for data sets: small ones for minutes on a CPU, and the AniLA paper's own."""

from __future__ import annotations

from typing import Any

from lflow.models.base import Preset


def _plane(data: str, step_size: float) -> Preset:
    """Of points. Chains that go on reach the density, and an accept step keeps them from running away."""
    model = {"layers": "32,64,64,64", "learning_rate": 4e-3, "noise": "normal", "noise_scale": 2.0}
    model |= {"sampler": "mala", "step_size": step_size, "chain_steps": 20, "start": "persistent"}
    often = {"validate_every": 100, "sample_every": 100, "checkpoint_every": 100}
    about = "the network of the AniLA paper's rings, smooth; persistent chains of MALA"
    return Preset(data, about, model, {"num_steps": 3000, "batch_size": 100, "ema": 0.99} | often)


# h = 1 and T = ε²/2, as in the papers' code: the network's gradient is then of the size of a step.
_SHORT_RUN: dict[str, Any] = {"step_size": 1.0, "noise": "uniform", "noise_scale": 1.0}

_SMALL_CONV = (
    _SHORT_RUN
    | {"temperature": 5e-4, "chain_steps": 40, "data_noise": 0.03}
    | {"net": "conv", "width": 16, "learning_rate": 3e-4}
)
_FEW = {"num_steps": 600, "batch_size": 32, "ema": 0.99, "validate_every": 100, "sample_every": 100}

PRESETS: dict[str, Preset] = {
    "rings": _plane("rings", 0.02),
    "two_moons": _plane("two_moons", 0.05),
    "gaussian_mixture": _plane("gaussian_mixture", 0.1),
    "pinwheel": _plane("pinwheel", 0.01),
    "digits": Preset(
        "digits",
        "8 × 8 digits from noise in 60 steps of ULA",
        _SHORT_RUN
        | {"temperature": 5e-4, "chain_steps": 60, "data_noise": 0.03, "net": "mlp", "width": 256}
        | {"learning_rate": 2e-3},
        {"num_steps": 3000, "decay": 0.985, "ema": 0.995},
    ),
    "mnist": Preset(
        "mnist",
        "28 × 28 digits, a small convolutional energy",
        _SMALL_CONV,
        _FEW,
    ),
    "flowers": Preset(
        "flowers",
        "drawn flowers, 32 × 32 in colour, a small convolutional energy",
        _SMALL_CONV,
        _FEW,
    ),
    "cifar10": Preset(
        "cifar10",
        "32 × 32 photographs, a small convolutional energy: textures rather than things",
        _SMALL_CONV,
        _FEW,
    ),
    "rings_paper": Preset(
        "rings",
        "the authors' toy code: one γ a chain, noise γε, ε = 0.1, threshold 0.05, 10,000 steps",
        _SHORT_RUN
        | {"sampler": "anila", "variant": "toy_code", "threshold": 0.05, "temperature": 0.005}
        | {"chain_steps": 100, "noise": "normal", "noise_scale": 2.0, "learning_rate": 1e-4}
        | {"layers": "32,64,64,64", "activation": "leaky_relu_0.05"},
        {"num_steps": 10_000, "batch_size": 100},
    ),
    "cifar10_paper": Preset(
        "cifar10",
        "the authors' code, ε = 0.01, threshold 2e-4: γ for each number, where they take one for each pixel",
        _SHORT_RUN
        | {"sampler": "anila", "variant": "toy_code", "threshold": 2e-4, "elementwise": True}
        | {"temperature": 5e-5, "chain_steps": 100, "data_noise": 0.03, "learning_rate": 1e-4}
        | {"net": "conv", "width": 64, "activation": "leaky_relu_0.2"},
        {"num_steps": 100_000, "batch_size": 64},
    ),
}
