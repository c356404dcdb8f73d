"""What a page shows while it computes: nothing at first, then how far it is, and a way to stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

QUIET = 0.7
"""Seconds before a computation shows its progress."""

_APART = 0.1  # seconds between shares shown beside the same words: nobody reads faster


def progress(
    notice: DeltaGenerator,
    key: str,
    on_stop: Callable[..., Any],
    *arguments: Any,
    quiet: float = QUIET,
) -> Callable[[float, str], None]:
    """A function that reports the share that is done and in words what is; Stop calls `on_stop(*arguments)`.

    notice: an empty place. key: names the button. quiet: seconds before the first report that is shown; fewer
    where a report comes before a long stretch and not within it.
    """
    began = time.monotonic()
    bar: list[DeltaGenerator] = []
    shown, words = began, ""

    def report(share: float, said: str) -> None:
        nonlocal shown, words
        now = time.monotonic()
        if now - began < quiet or (said == words and now - shown < _APART):
            return
        shown, words = now, said
        if not bar:
            with notice.container(horizontal=True, vertical_alignment="center"):
                bar.append(st.progress(0.0))
                st.button("Stop", key=key, on_click=on_stop, args=arguments)
        bar[0].progress(min(1.0, share), f"Computing: {said}")

    return report
