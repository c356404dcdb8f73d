"""Settings of the page Images worth a look, each with the question that it answers."""

from __future__ import annotations

from functools import cache

from lflow.ui.images.model import trained
from lflow.ui.presets import Preset


@cache
def presets() -> tuple[Preset, ...]:
    """The presets; those about step size and length are in units of how the model was trained."""
    model = trained().learner.settings
    return (
        Preset("As trained: a short run", "What does the chain that it learned with make out of noise?"),
        Preset(
            "A long run",
            "What does the energy hold, when the chain goes on?",
            {"lanes": ["ula", "mala"], "steps": 20 * model.chain_steps},
        ),
        Preset(
            "Too large a step",
            "Who survives a step that is too large for the slopes?",
            {"h": 20 * model.step_size, "lanes": ["ula", "paper", "metropolis"]},
        ),
        Preset(
            "From real digits",
            "Do digits stay where they are?",
            {"start": "data", "lanes": ["ula", "mala"], "steps": 10 * model.chain_steps},
        ),
        Preset(
            "Half a digit",
            "Does the chain draw the half that is missing?",
            {"start": "corrupted"},
        ),
    )
