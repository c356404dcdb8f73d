"""Where a page plays its runs: the player, the last picture, what the reader stopped, what is refused.

Nothing is lost: where a run cannot be made, a sentence says why, and the last picture stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lflow.ui import player
from lflow.ui.computing import QUIET, progress
from lflow.ui.controls import plain, set_control
from lflow.ui.drawing import Strokes
from lflow.ui.request import OverBudget

_LEAST = 5  # steps or gradients of a picture that stands in for a run over the budget


@dataclass(frozen=True)
class Stage:
    """The player of the page whose keys begin with `prefix`."""

    prefix: str
    on_place: Callable[[tuple[float, float]], None] | None = None
    """What a point means that the reader places."""
    on_draw: Callable[[Strokes], None] | None = None
    """What strokes mean that the reader draws."""

    @property
    def player(self) -> str:
        """The player's key."""
        return f"{self.prefix}-player"

    @property
    def _last(self) -> str:
        return f"{self.prefix}-last"

    @property
    def _stopped(self) -> str:
        return f"{self.prefix}-stopped"

    def play(self, payload: bytes) -> None:
        """Play a packed scene, and remember it."""
        st.session_state[self._last] = payload
        player.show(payload, key=self.player, on_place=self._placed, on_draw=self._drawn)

    def _placed(self) -> None:
        point = player.placed(self.player)
        if point is not None and self.on_place is not None:
            self.on_place(point)

    def _drawn(self) -> None:
        strokes = player.drawn(self.player)
        if strokes is not None and self.on_draw is not None:
            self.on_draw(strokes)

    def last_picture(self) -> bool:
        """Show what was played last; whether there was anything."""
        if self._last in st.session_state:
            self.play(st.session_state[self._last])
        return self._last in st.session_state

    def refused(self, error: Exception) -> None:
        """A sentence about what is wrong, and the last picture."""
        st.error(sentence(error))
        self.last_picture()

    def over_budget(self, error: OverBudget, key: str, play_short: Callable[[int], None]) -> None:
        """What is allowed, a button that trims `key` to it, and a picture: the last, or a short run.

        Where not even the least run fits, only fewer particles help, and the error says so.
        """
        st.error(sentence(error))
        if error.allowed:
            take = f"Take {error.allowed:,} {error.unit} instead"
            st.button(take, key=f"{self.prefix}-trim", on_click=set_control, args=(key, error.allowed))
        few = error.allowed // 10
        if not self.last_picture() and few >= _LEAST:
            st.caption(f"Shown here: the first {few:,} {error.unit}.")
            play_short(few)

    def progress(
        self, notice: DeltaGenerator, request: str, quiet: float = QUIET
    ) -> Callable[[float, str], None]:
        """Reports of the computing of a request, with a Stop."""
        return progress(notice, f"{self.prefix}-stop", self._stop, request, quiet=quiet)

    def was_stopped(self, notice: DeltaGenerator, request: str) -> bool:
        """Whether the reader stopped this request; then says so, with a way on, and the last picture."""
        if st.session_state.get(self._stopped) != request:
            return False
        notice.info("Stopped. Change a control, or run it again.")
        st.button("Run it again", on_click=self._forget_stop)
        self.last_picture()
        return True

    def _stop(self, request: str) -> None:
        st.session_state[self._stopped] = request

    def _forget_stop(self) -> None:
        st.session_state.pop(self._stopped, None)


def sentence(error: Exception) -> str:
    """An error's text as a sentence that can hold no markup."""
    text = str(error)
    return plain(text[:1].upper() + text[1:])
