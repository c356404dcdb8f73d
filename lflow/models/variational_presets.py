"""Settings of the variational autoencoders for black and white data sets, small enough for a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lflow.models.base import Preset

_DIGITS: dict[str, Any] = {"likelihood": "bernoulli", "latent_dim": 8, "width": 64, "learning_rate": 3e-3}
_MNIST: dict[str, Any] = {"likelihood": "bernoulli", "latent_dim": 20, "width": 256}
_SETS = {
    "digits": ("digits", "up to half a minute", _DIGITS, {"num_steps": 2000, "batch_size": 100}),
    "mnist": ("MNIST", "up to three minutes", _MNIST, {"num_steps": 3000, "batch_size": 100}),
}


def small_presets(model: str, others: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, Preset]:
    """The presets digits and mnist of a model (its name after "A"), and others by name: data and changes."""
    wanted: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in _SETS}
    found = {}
    for name, (data, changes) in (wanted | dict(others)).items():
        title, time, settings, training = _SETS[data]
        own = ", ".join(f"{key} {value}" for key, value in changes.items())
        said = f"{model} of black and white {title}{f', {own}' if own else ''}: {time} on a CPU"
        found[name] = Preset(data, said, settings | changes, training, {"binary": True})
    return found
