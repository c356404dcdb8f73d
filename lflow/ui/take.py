"""Take it with you: what is shown as a program, as arrays, as a picture, as a film, and as a link.

Nothing is computed before it is asked for. Knows nothing of what is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import streamlit as st

from lflow.ui import share
from lflow.ui.files import KINDS, Kind, Look
from lflow.ui.outcome import Outcome
from lflow.ui.store import Store

_AT_ONCE = (".py", ".npz", ".csv", ".png")
_FILMS = {".gif": "GIF", ".mp4": "MP4"}
_LONGEST_SHOWN = 20_000  # characters of a program


@st.cache_resource
def _films() -> Store:
    return Store(6)


@st.fragment
def section(prefix: str, make: Callable[[], Outcome]) -> None:
    """The expander of the page with this prefix. What is shown is made when a reader opens it."""
    opened = st.expander("Take it with you", key=f"{prefix}-take", on_change="rerun")
    if opened.open:
        with opened:
            _contents(prefix, make())


def _contents(prefix: str, outcome: Outcome) -> None:
    """The buttons, the program and the link."""
    dark = st.context.theme.type == "dark"
    with st.container(horizontal=True):
        for ending in _AT_ONCE:
            kind = KINDS[ending]
            st.download_button(
                kind.title,
                partial(_whole, kind, outcome, dark),
                f"{outcome.name}{ending}",
                kind.media_type,
                key=f"{prefix}-take{ending}",
                on_click="ignore",
            )
    for ending in _FILMS:
        _film(prefix, outcome, ending, dark)
    st.markdown("The same arrays, from Python:")
    if len(outcome.code) <= _LONGEST_SHOWN:
        st.code(outcome.code, language="python")
    else:
        st.caption(
            f"The program has {len(outcome.code):,} characters, as it holds your points: take the file."
        )
    address = share.link(prefix)
    st.markdown("The same page, from its address, here or on the command line:")
    st.code(f'{address}\npython -m lflow export "{address}" --out {outcome.name}.gif', language=None)


def _whole(kind: Kind, outcome: Outcome, dark: bool) -> bytes:
    """A file that is made when its button is pressed."""
    made = kind.make(outcome, Look(dark=dark), None)
    assert made is not None  # nothing stops it
    return made


def _film(prefix: str, outcome: Outcome, ending: str, dark: bool) -> None:
    """A button that makes the film, and once it is made, one that hands it over."""
    name, kind, films = _FILMS[ending], KINDS[ending], _films()
    if ending == ".mp4" and find_spec("av") is None:
        st.caption("MP4 needs PyAV: pip install 'lflow[video]'")
        return
    key = f"{ending} {dark} {outcome.name} {outcome.config}"
    place = st.empty()
    if key not in films:
        if not place.button(f"Make the {name}", key=f"{prefix}-make{ending}"):
            return
        with place.container(horizontal=True, vertical_alignment="center"):
            bar = st.progress(0.0)
            st.button("Stop", key=f"{prefix}-stop{ending}")  # any press ends this run of the script

        def report(done: int, total: int) -> None:
            bar.progress(done / total, f"Drawing frame {done} of {total}")

        films.get(key, lambda: kind.make(outcome, Look(dark=dark), report))
    film = films.find(key)
    assert isinstance(film, bytes)
    place.download_button(
        f"{kind.title}, {len(film) / 1e6:.1f} MB",
        film,
        f"{outcome.name}{ending}",
        kind.media_type,
        key=f"{prefix}-take{ending}",
        on_click="ignore",
    )
