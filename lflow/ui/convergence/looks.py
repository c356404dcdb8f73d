"""How the samplers of the page of convergence are drawn: a colour and a dash each. Knows no chart."""

from __future__ import annotations

from lflow import samplers
from lflow.papers.dynamical_system_laws import WRONG
from lflow.papers.stationary_bias import SAMPLERS
from lflow.ui.curves import DASHES, Look, theme_index
from lflow.ui.theme import shades


def looks() -> dict[str, Look]:
    """Colour and dash of each sampler of the page, whichever of them are shown."""
    families = ["midpoint" if name == WRONG else samplers.get_class(name).family for name in SAMPLERS]
    pairs = shades(families)
    return {
        name: Look(pairs[place][theme_index()], DASHES[families[:place].count(families[place])])
        for place, name in enumerate(SAMPLERS)
    }
