"""The papers' learners and their baselines, by name, one file each."""

from lflow.models import clae, coopflow, ebm, flow, lae, latent_flow  # noqa: F401  (they register themselves)
from lflow.models.base import Learner, Model, Part, Preset, TrainingStep, registry

names = registry.names
get = registry.get
get_class = registry.get_class

__all__ = ["Learner", "Model", "Part", "Preset", "TrainingStep", "get", "get_class", "names", "registry"]
