"""What we sample from: the energies by name, and energies of a user's own."""

from lflow.energies import gaussian, logistic, shapes, valleys, wells  # noqa: F401  (they register themselves)
from lflow.energies.base import Energy, registry, value_and_grad
from lflow.energies.custom import from_callable, from_expression, from_points

names = registry.names
get = registry.get
get_class = registry.get_class

__all__ = [
    "Energy",
    "from_callable",
    "from_expression",
    "from_points",
    "get",
    "get_class",
    "names",
    "value_and_grad",
]
