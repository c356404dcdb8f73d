"""Langevin flows on energies: sample, compare samplers, and watch what they do.

Attributes are loaded on first use, so that `import lflow` costs nothing and a page can paint without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lflow import data, energies, fokker_planck, metrics, models, nets, samplers, steps
    from lflow.loop import Result, simulate
    from lflow.noise import Noise
    from lflow.training.checkpoint import load
    from lflow.training.loop import resume, train

__version__ = "0.1.0"

__all__ = [
    "Noise",
    "Result",
    "data",
    "energies",
    "fokker_planck",
    "load",
    "metrics",
    "models",
    "nets",
    "resume",
    "samplers",
    "simulate",
    "steps",
    "train",
]

# Names that are not submodules, and the module that defines each.
_DEFINED_IN = {
    "Noise": "lflow.noise",
    "Result": "lflow.loop",
    "load": "lflow.training.checkpoint",
    "resume": "lflow.training.loop",
    "simulate": "lflow.loop",
    "train": "lflow.training.loop",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'lflow' has no attribute {name!r}")
    if name in _DEFINED_IN:
        value = getattr(import_module(_DEFINED_IN[name]), name)
    else:
        value = import_module(f"lflow.{name}")
    globals()[name] = value  # so that the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
