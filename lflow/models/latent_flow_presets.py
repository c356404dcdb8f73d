"""Settings of the latent flow for data sets: small ones for minutes on a CPU, and the papers' own."""

from __future__ import annotations

from typing import Any

from lflow.models.base import Preset

_DIGITS: dict[str, Any] = {"latent_dim": 8, "width": 64, "learning_rate": 3e-3, "prior_learning_rate": 3e-3}
_DIGITS_TRAINING: dict[str, Any] = {"num_steps": 2000, "batch_size": 100}
_MNIST: dict[str, Any] = {"latent_dim": 20, "width": 256, "learning_rate": 3e-3, "prior_learning_rate": 3e-3}
_MNIST_TRAINING: dict[str, Any] = {"num_steps": 3000, "batch_size": 100}
# LEBM's authors teach the energy a fifth as fast as the generator.
_EBM: dict[str, Any] = {"prior": "ebm", "prior_learning_rate": 6e-4}


def _published(
    data: str,
    about: str,
    latent_dim: int,
    width: int,
    learning_rate: float,
    num_steps: int,
    per_pass: int,
    size: int,
) -> Preset:
    """LFLOW's settings: what its data sets share, and what is each one's own. 201 passes."""
    model = {"generator": "conv", "activation": "leaky_relu_0.2", "latent_dim": latent_dim, "width": width}
    rates = {"learning_rate": learning_rate, "prior_learning_rate": learning_rate}
    training = {"num_steps": 201 * per_pass, "batch_size": 100, "decay": 0.998}
    return Preset(
        data,
        f"{about}, with the paper's settings: for a GPU",
        model=model | rates | {"num_steps": num_steps},
        training=training | {"validate_every": 1000, "sample_every": 1000, "checkpoint_every": 1000},
        data_options={"size": size, "grey": False},
    )


PRESETS: dict[str, Preset] = {
    "digits": Preset(
        "digits", "Digits with a flow prior (LFLOW): three minutes on a CPU", _DIGITS, _DIGITS_TRAINING
    ),
    "digits_gaussian": Preset(
        "digits",
        "Digits with the prior N(0, I) (alternating back-propagation): a minute on a CPU",
        _DIGITS | {"prior": "gaussian"},
        _DIGITS_TRAINING,
    ),
    "digits_ebm": Preset(
        "digits",
        "Digits with an energy prior (LEBM): three minutes on a CPU",
        _DIGITS | _EBM,
        _DIGITS_TRAINING,
    ),
    "mnist": Preset("mnist", "MNIST with a flow prior, minutes on a CPU", _MNIST, _MNIST_TRAINING),
    "mnist_gaussian": Preset(
        "mnist",
        "MNIST with the prior N(0, I), minutes on a CPU",
        _MNIST | {"prior": "gaussian"},
        _MNIST_TRAINING,
    ),
    "mnist_ebm": Preset(
        "mnist", "MNIST with an energy prior, minutes on a CPU", _MNIST | _EBM, _MNIST_TRAINING
    ),
    "svhn_paper": _published("svhn", "House numbers", 100, 64, 4e-4, 20, 722, 32),
    "cifar10_paper": _published("cifar10", "CIFAR-10", 128, 128, 3.8e-4, 40, 490, 32),
    "celeba_paper": _published("celeba", "Faces of 64 × 64", 100, 128, 3e-4, 20, 1617, 64),
}
