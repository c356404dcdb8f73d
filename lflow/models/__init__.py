"""The papers' learners and their baselines, by name, one file each."""

from lflow.models import (  # noqa: F401  (they register themselves)
    clae,
    coopflow,
    ebm,
    flow,
    hvae,
    lae,
    langevin_vae,
    latent_flow,
    vae,
)
from lflow.models.base import Learner, Model, Part, Preset, TrainingStep, registry

names = registry.names
get = registry.get
get_class = registry.get_class

__all__ = ["Learner", "Model", "Part", "Preset", "TrainingStep", "get", "get_class", "names", "registry"]
