"""The race's controls: an energy, two to four samplers, what each may spend; as a request.

Every control lives in the URL under a key that begins with `race_`, those of a sampler with its number too.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from lflow.spec import parameters
from lflow.ui import keys
from lflow.ui.choose import Chooser, energy_controls, rule_controls, sampler_controls
from lflow.ui.keys import DEFAULTS, LANES, NUM_LANES
from lflow.ui.presets import RACE_PRESETS
from lflow.ui.request import Lane, Race, RaceSettings
from lflow.ui.tools import PageState

PREFIX = "race"
SETTINGS = {parameter.name: parameter for parameter in parameters(RaceSettings)}


def _changed() -> None:
    for lane in range(1, len(LANES) + 1):
        _lane_chooser(lane).forget_step_size()


def _lane_chooser(number: int) -> Chooser:
    def changed() -> None:
        st.session_state[f"{PREFIX}_{number}_h"] = None

    return Chooser(PREFIX, changed, str(number))


PAGE = PageState(
    PREFIX,
    keys.race_keys,
    _changed,
    ("energy", "lanes", *map(str, range(1, len(LANES) + 1)), "gradients", "run", "same_noise"),
)
CHOOSER = Chooser(PREFIX, _changed)


def preset_bar() -> None:
    """A row of buttons: each sets every control but the seed."""
    lineup = {f"{number}_sampler": name for number, name in enumerate(LANES, 1)}
    PAGE.preset_bar(RACE_PRESETS, {"energy": DEFAULTS["energy"], **lineup})


def who_races() -> tuple[str, tuple[Lane, ...], ValueError | None]:
    """Choose the energy and the samplers: their configurations, and what is wrong with the energy."""
    energy, refusal = energy_controls(CHOOSER)
    count = CHOOSER.control(NUM_LANES, "Samplers")
    return energy, tuple(_lane(number, energy) for number in range(1, count + 1)), refusal


def _lane(number: int, energy: str) -> Lane:
    chooser, default = _lane_chooser(number), LANES[number - 1]
    if PAGE.is_hidden(str(number)):
        sampler = sampler_controls(chooser, energy, default)
        return Lane(sampler, rule_controls(chooser, energy, sampler))
    # On a first run the list below has not yet taken what the address says.
    key, lineup = chooser.key("sampler"), keys.choice("sampler")
    chosen = st.session_state.get(key) or lineup.parse(st.query_params.get(key, default))
    with st.popover(f"{number}  {lineup.title(chosen)}", width="stretch"):
        sampler = sampler_controls(chooser, energy, default)
        return Lane(sampler, rule_controls(chooser, energy, sampler))


def run_controls() -> dict[str, Any]:
    """What each may spend, and whether they share the noise; size, temperature and start under one button."""
    values = {"gradients": CHOOSER.control(SETTINGS["gradients"], "Gradients each")}
    values["same_noise"] = CHOOSER.control(SETTINGS["same_noise"], "The same noise")
    names = ("num_chains", "temperature", "start", "x", "y")
    if PAGE.is_hidden("run"):
        return values | {name: CHOOSER.control(SETTINGS[name], group="run") for name in names}
    with st.popover("Particles, temperature, start", width="stretch"):
        return values | {name: CHOOSER.control(SETTINGS[name], group="run") for name in names}


def race(seed: int) -> tuple[Race, ValueError | None]:
    """Draw all controls; the race that they ask for, and what is wrong with its energy."""
    energy, lanes, refusal = who_races()
    return Race(energy, lanes, RaceSettings(**run_controls(), seed=seed)), refusal
