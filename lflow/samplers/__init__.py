"""How a cloud moves: the samplers by name, one file a family."""

from lflow.samplers import (  # noqa: F401  (they register themselves)
    anila,
    geometry,
    implicit,
    langevin,
    metropolis,
    midpoint,
    stein,
    tempered,
    underdamped,
)
from lflow.samplers.base import Info, Sampler, registry

names = registry.names
get = registry.get
get_class = registry.get_class

__all__ = ["Info", "Sampler", "get", "get_class", "names"]
