"""Settings of the Langevin autoencoder for data sets: small ones for a CPU, and the paper's own."""

from __future__ import annotations

from typing import Any

from lflow.models.base import Preset

_BINARY = {"binary": True}
_SHARED: dict[str, Any] = {
    "latent_dim": 8,
    "likelihood": "bernoulli",
    "encoder_norm": True,
    "metropolis": True,
}

PRESETS: dict[str, Preset] = {
    "digits": Preset(
        "digits",
        "Black and white digits, 256 features for batches of 100: under half a minute on a CPU",
        _SHARED | {"width": 64, "step_size": 6e-6, "learning_rate": 3e-3},
        {"num_steps": 2000, "batch_size": 100},
        _BINARY,
    ),
    "mnist": Preset(
        "mnist",
        "Black and white MNIST, 256 features for batches of 100: a minute on a CPU",
        _SHARED | {"width": 256, "step_size": 6e-7},
        {"num_steps": 3000, "batch_size": 100},
        _BINARY,
    ),
    # Plain descent at 1e-4 of the mean, as coded; 1e-4 on the mean of 100 is h = 1e-6 on the sum.
    "mnist_paper": Preset(
        "mnist",
        "MNIST with the paper's settings: for a GPU. The authors' code starts the scale elsewhere and "
        "keeps a prior on it, and ends the decoder without the tanh that is here",
        {
            "latent_dim": 8,
            "likelihood": "logistic",
            "width": 1024,
            "depth": 3,
            "features": 1024,
            "activation": "relu",
            "layer_norm": True,
            "encoder_norm": True,
            "orthogonal": True,
            "step_size": 1e-6,
            "num_steps": 2,
            "warm_step": "coded",
            "metropolis": True,
            "learning_rate": 1e-4,
            "optimiser": "sgd",
        },
        {
            "num_steps": 50 * 590,
            "batch_size": 100,
            "validate_every": 590,
            "sample_every": 590,
            "checkpoint_every": 590,
        },
    ),
}
