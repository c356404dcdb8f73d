"""One run as it stands: where it is, its pictures and its curves, and what may be done with it.

The page looks at the folders from one fragment, which asks again while a run is in progress and not at all
when none is. A run that begins, ends or appears is a matter of the whole page, which is then run again. Knows
nothing of how training goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import streamlit as st

from lflow.spec import parameters
from lflow.training import launch
from lflow.training.config import Training
from lflow.training.folder import RunFolder
from lflow.ui.controls import plain
from lflow.ui.train import charts, flipbook, words
from lflow.ui.train.controls import attempt, refusal
from lflow.ui.train.keys import PREFIX
from lflow.ui.train.numbers import Panel, last_step, panels
from lflow.ui.train.runs import Runs, Snapshot, find, look, of_points, states

PERIOD = 1.5  # seconds between two looks
_IN_VIEW = 2  # charts; the others lie in an expander
_LOG = 8000  # characters of the log that are shown
_BADGES = {"running": "blue", "done": "green", "failed": "red", "stopped": "orange"}
_ACTIVE = ("queued", "running")


def watch(name: str, runs: Runs, drawn: Mapping[str, str]) -> None:
    """Show a run, and look again while any is in progress. drawn: the states that the page shows."""
    period = PERIOD if any(state in _ACTIVE for state in drawn.values()) else None
    st.fragment(_look, run_every=period)(name, runs[name], drawn)


def _look(name: str, folder: RunFolder, drawn: Mapping[str, str]) -> None:
    if states(find()) != drawn:
        st.rerun()
    refusal()
    seen = look(name, folder, numbers=True)
    _head(seen)
    if seen.refused:
        st.error(plain(seen.refused))
        return
    curves = panels(seen.lines, seen.status.facts.get("best_metric"))
    _picture(seen, curves)
    if seen.state == "failed" or seen.is_late:
        _log(seen)


def _head(seen: Snapshot) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="train-head"):
        st.subheader(
            plain(seen.name.capitalize() if seen.is_example else seen.name), anchor=False, width="content"
        )
        color = _BADGES.get(seen.state, "gray")
        st.badge(words.STATES[seen.state], color=color)  # type: ignore[arg-type]
        if not seen.is_example:
            _actions(seen)
    if seen.config is not None:
        st.caption(plain(f"{words.subject(seen.config)}."))
        if seen.config.remark:
            st.caption(plain(f"{seen.config.remark}."))
    if seen.refused:
        return
    said = plain(words.standing(seen))
    if seen.state == "failed":
        st.error(said)
    elif seen.is_active:
        st.progress(min(1.0, seen.status.step / max(1, seen.status.num_steps)), said)
    else:
        st.markdown(said)


def _actions(seen: Snapshot) -> None:
    """What may be done with the run as it stands."""
    if seen.state == "running":
        st.button("Stop", key=f"{PREFIX}-stop", on_click=attempt, args=(launch.stop, seen.folder))
    if seen.is_active:
        return
    if seen.state in ("stopped", "failed"):
        st.button("Resume", key=f"{PREFIX}-resume", on_click=attempt, args=(launch.go_on, seen.folder))
    if seen.state in ("stopped", "done"):
        _more_steps(seen)
    with st.popover("Delete", type="tertiary"):
        st.markdown(f"Delete **{plain(seen.name)}**, its numbers, pictures and checkpoints, for good?")
        st.button(
            "Delete it", key=f"{PREFIX}-delete", type="primary", on_click=attempt, args=(seen.folder.delete,)
        )


def _more_steps(seen: Snapshot) -> None:
    """A new end of the run."""
    declared = replace(parameters(Training)[0], low=seen.status.step + 1)
    with st.popover("Train longer"):
        suggested = min(int(declared.high or 0), 2 * seen.status.num_steps)
        wanted = st.number_input(
            "Up to step",
            int(declared.low or 0),
            int(declared.high or 0),
            max(suggested, int(declared.low or 0)),
            key=f"{PREFIX}-longer-{seen.name}-{seen.status.step}",
            help=declared.help,
        )

        def go_on() -> None:
            attempt(lambda: launch.go_on(seen.folder, num_steps=declared.check(wanted)))

        st.button("Go on", key=f"{PREFIX}-go-on", type="primary", on_click=go_on)


def _picture(seen: Snapshot, curves: Sequence[Panel]) -> None:
    left, right = st.columns([1, 1.25], gap="large")
    pictures = seen.folder.pictures()
    with left:
        if pictures and seen.config is not None:
            flipbook.show(seen.name, pictures, of_points(seen.config), f"{PREFIX}-pictures")
        else:
            st.caption(words.no_picture(seen))
    with right:
        shown = curves[:_IN_VIEW]
        for place, panel in enumerate(shown):
            height = charts.HEIGHT * _IN_VIEW // len(shown)
            charts.show(panel, last_step(curves), f"{PREFIX}-chart-{place}", height)
        if curves:
            st.markdown(plain(words.learned(curves, not seen.is_active)))
        else:
            st.caption(words.no_numbers(seen))
    if curves[_IN_VIEW:]:
        _others(curves, _IN_VIEW)


def _others(curves: Sequence[Panel], first: int) -> None:
    title = f"All other numbers ({len(curves) - first})"
    opened = st.expander(title, key=f"{PREFIX}-others", on_change="rerun")
    if not opened.open:
        return
    with opened:
        columns = st.columns(2, gap="large")
        for place, panel in enumerate(curves[first:]):
            with columns[place % 2]:
                charts.show(panel, last_step(curves), f"{PREFIX}-other-{place}")


def _log(seen: Snapshot) -> None:
    if not seen.folder.log_file.is_file():
        return
    text = seen.folder.log_file.read_text(encoding="utf-8", errors="replace")
    with st.expander("Its log"):
        st.code(text[-_LOG:] or "(empty)", language=None)
