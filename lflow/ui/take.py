"""Take it with you: what is shown as a program, as arrays, as a picture, as a film, and as a link.

Nothing is computed before it is asked for. Knows nothing of what is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lflow.ui import share
from lflow.ui.computing import progress
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
    row, notice = st.container(horizontal=True), st.empty()
    for ending in _AT_ONCE:
        kind = KINDS[ending]
        row.download_button(
            kind.title,
            partial(_whole, kind, outcome, dark),
            f"{outcome.name}{ending}",
            kind.media_type,
            key=f"{prefix}-take{ending}",
            on_click="ignore",
        )
    places = {ending: row.empty() for ending in _FILMS}
    st.markdown("The same arrays, from Python:")
    if len(outcome.code) <= _LONGEST_SHOWN:
        st.code(outcome.code, language="python")
    else:
        st.caption(
            f"The program has {len(outcome.code):,} characters, as it holds your points: take the file."
        )
    address = share.link(prefix)
    st.markdown("The page as it is, by its address:")
    st.code(address, language=None)
    st.markdown("The same files, from the command line:")
    st.code(f'python -m lflow export "{address}" --out {outcome.name}.gif', language=None)
    pressed = [ending for ending, place in places.items() if _offer(prefix, outcome, ending, dark, place)]
    for ending in pressed:
        # Any press, also of this Stop, ends this run of the script, and with it the making.
        report = progress(notice, f"{prefix}-stop{ending}", lambda: None)
        _films().get(_key(prefix, outcome, ending, dark), partial(_drawn, outcome, ending, dark, report))
        notice.empty()
        _offer(prefix, outcome, ending, dark, places[ending])


def _whole(kind: Kind, outcome: Outcome, dark: bool) -> bytes:
    """A file that is made when its button is pressed."""
    made = kind.make(outcome, Look(dark=dark), None)
    assert made is not None  # nothing stops it
    return made


def _drawn(outcome: Outcome, ending: str, dark: bool, report: Callable[[float, str], None]) -> bytes | None:
    """A film, with reports of how far it is."""
    return KINDS[ending].make(
        outcome, Look(dark=dark), lambda done, of: report(done / of, f"frame {done} of {of}")
    )


def _key(prefix: str, outcome: Outcome, ending: str, dark: bool) -> str:
    """Names a film. The configuration does not say whether the exact flow is shown: the address does."""
    return f"{ending} {dark} {outcome.config} {share.link(prefix)}"


def _offer(prefix: str, outcome: Outcome, ending: str, dark: bool, place: DeltaGenerator) -> bool:
    """A button that hands a film over, or one that makes it, and whether that was pressed."""
    kind, film = KINDS[ending], _films().find(_key(prefix, outcome, ending, dark))
    if ending == ".mp4" and find_spec("av") is None:
        place.caption("MP4 needs PyAV: pip install 'lflow[video]'")
        return False
    if not isinstance(film, bytes):
        return place.button(f"Make the {_FILMS[ending]}", key=f"{prefix}-make{ending}")
    place.download_button(
        f"{kind.title}, {len(film) / 1e6:.1f} MB",
        film,
        f"{outcome.name}{ending}",
        kind.media_type,
        key=f"{prefix}-take{ending}",
        on_click="ignore",
    )
    return False
