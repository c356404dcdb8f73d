"""A page for the browser tests: clouds whose every position is known, in as many panels as are asked for, or
images whose every byte is (`?images=2`, in colour with `&colour=1`).

All panels show the same motion in the same colour, so that panels in lockstep show the same pixels. The first
two have proposals, the others have none; the first panel of images has an overlay. What the player sends is
written on the page.
"""

import json

import numpy as np
import streamlit as st

from lflow.ui import player
from lflow.ui.image_grid import ImagePanel, ImageScene, Overlay
from lflow.ui.packing import Line, Metric, Panel, Scene, Series, pack

FRAMES, PARTICLES = 41, 12
BOUNDS = ((-2.0, 2.0), (-2.0, 2.0))


def positions() -> np.ndarray:
    """A ring of particles of radius 1 that turns by a right angle; particle 0 starts at (1, 0)."""
    turn = np.linspace(0, np.pi / 2, FRAMES)[:, None]
    angle = turn + np.arange(PARTICLES) * 2 * np.pi / PARTICLES
    return np.stack([np.cos(angle), np.sin(angle)], axis=2)


def proposal(panel: int) -> np.ndarray | None:
    """The mean step grows with x, from -0.4 to 0.4; deviations are 0.3 and 0.1, twice that in panel 1."""
    if panel > 1:
        return None
    grid = np.zeros((4, 8, 8))
    grid[0] = np.linspace(-1.75, 1.75, 8) / 5
    grid[2:] = np.array([0.3, 0.1])[:, None, None] * (1 + panel)
    return grid


def scene(panels: int, seed: int) -> Scene:
    names = ["ULA", "AniLA", "MALA", "HMC"][:panels]
    values = 1 / (1 + np.arange(FRAMES) + seed)
    series = tuple(Series(name, values / (1 + k), k, dash=k == 3) for k, name in enumerate(names))
    shown = [
        Panel(
            label=name,
            colour_light="#0072B2",
            colour_dark="#4BA3DB",
            positions=positions(),
            captions=[f"{name} at frame {frame}" for frame in range(FRAMES)],
            density=np.ones((4, 4)),
            proposal=proposal(k),
        )
        for k, name in enumerate(names)
    ]
    return Scene(
        bounds=BOUNDS,
        steps=np.arange(FRAMES) * 5,
        panels=shown,
        metrics=[Metric("Distance", "W2", series, log=True, lines=(Line("floor", 0.01),))],
        alt="turning rings",
        can_place=True,
        can_draw=True,
        step_word="gradient",
    )


def image_bytes(colour: bool) -> np.ndarray:
    """Ten images of 4 rows and 3 columns: no two pixels of a frame look alike, and none is as in the next."""
    frame, image, row, column = np.indices((FRAMES, 10, 4, 3))
    grey = ((12 * image + 3 * row + column) * 2 + frame) % 256
    return (np.stack([grey, 255 - grey, (grey + 100) % 256], axis=-1) if colour else grey).astype(np.uint8)


def image_scene(panels: int, colour: bool) -> ImageScene:
    shown = [
        ImagePanel(
            label=f"lane {k + 1}",
            colour_light="#0072B2",
            colour_dark="#4BA3DB",
            images=image_bytes(colour),
            captions=[f"lane {k + 1} at frame {frame}" for frame in range(FRAMES)],
            overlay=image_bytes(False) if k == 0 else None,
        )
        for k in range(panels)
    ]
    measure = Overlay(
        label="Step size", low=0.01, high=1.0, log=True, colour_light="#D55E00", colour_dark="#F58B45"
    )
    series = tuple(Series(f"lane {k + 1}", np.arange(FRAMES) + k, k) for k in range(panels))
    return ImageScene(
        steps=np.arange(FRAMES) * 5,
        panels=shown,
        metrics=[Metric("Energy", "U", series)],
        alt="images that grow lighter",
        overlay=measure,
    )


def remember() -> None:
    """Keep what was sent: a trigger is there for one run only."""
    st.session_state["sent"] = {"drawn": player.drawn("clouds"), "placed": player.placed("clouds")}


st.set_page_config(layout="wide")
for count in (1, 2, 3, 4):
    if st.sidebar.button(f"{count} panels"):
        st.session_state["panels"] = count
seed = st.sidebar.number_input("seed", 0, 9, key="scenes_seed")
number = st.session_state.get("panels", int(st.query_params.get("panels", "2")))
shown = scene(number, seed)
if "images" in st.query_params:
    shown = image_scene(int(st.query_params["images"]), "colour" in st.query_params)
player.show(pack(shown), key="clouds", on_place=remember, on_draw=remember)
with st.container(key="sent"):
    st.text(json.dumps(st.session_state.get("sent")))
