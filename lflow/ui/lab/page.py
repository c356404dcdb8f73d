"""The particle lab's picture and what stands under it: the run, its words, its equations, its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from torch import Tensor

from lflow.loop import Result
from lflow.metrics import autocorrelation
from lflow.samplers import get_class, names
from lflow.ui import explain, single, take
from lflow.ui.controls import plain, set_control
from lflow.ui.lab import controls as lab
from lflow.ui.packing import Scene, pack
from lflow.ui.request import OverBudget, Parts, Request, suggested_step_size
from lflow.ui.run import flow_density, has_flow, run
from lflow.ui.scene import make_scene
from lflow.ui.stage import Stage
from lflow.ui.store import Store
from lflow.ui.theme import FAMILY_COLOURS, family_of
from lflow.ui.track import Track, track_of
from lflow.ui.truth import Truth
from lflow.ui.under import code_and_reasons

STAGE = Stage(lab.PREFIX, lab.CHOOSER.start_at, lab.CHOOSER.take_drawing)


@st.cache_resource
def _stores() -> tuple[Store, Store, Store, Store]:
    return Store(8), Store(96), Store(8), Store(8)


def run_and_play(request: Request, with_flow: bool) -> None:
    """Run the request (or find it), play it, and say what was seen."""
    notice = st.empty()
    results, known, payloads, flows = _stores()
    try:
        parts = request.parts()
        if request.key not in results and STAGE.was_stopped(notice, request.key):
            return
        report = STAGE.progress(notice, request.key)
        result = run(request, results, lambda step, of: report(step / of, f"step {step:,} of {of:,}"))
        track = track_of(request, result, request.key, known)
        flow_wanted = with_flow and has_flow(parts, request.settings)
        flow, flow_refused = _flow(request, parts, result, flows) if flow_wanted else (None, "")
        scene = partial(make_scene, track, flow)
        payload = payloads.get(f"{request.key} {flow is not None}", lambda: pack(scene()))
    except OverBudget as error:
        STAGE.over_budget(
            error, lab.key("num_steps"), lambda few: run_and_play(_shortened(request, few), with_flow)
        )
        return
    except ValueError as error:
        STAGE.refused(error)
        return
    notice.empty()
    STAGE.play(payload)
    if track.truth.unknown:
        st.caption(f"There is no target to compare with: {plain(track.truth.unknown)}.")
    if flow_refused:
        st.caption(f"There is no exact flow to compare with: {plain(flow_refused)}.")
    if with_flow and not flow_wanted:
        followers = ", ".join(cls.title for cls in map(get_class, names()) if cls.follows_flow)
        st.caption(
            "The exact flow is the overdamped one: it needs T > 0, a rule of time alone, and a sampler that "
            f"follows it ({followers})."
        )
    _under_the_picture(request, track, scene)


def _shortened(request: Request, num_steps: int) -> Request:
    return replace(request, settings=replace(request.settings, num_steps=num_steps, more=0))


def _flow(request: Request, parts: Parts, result: Result, flows: Store) -> tuple[Tensor | None, str]:
    """The continuous-time density at each frame, or why there is none."""
    try:
        return flows.get(request.key, lambda: flow_density(parts, request.settings, result.steps)), ""
    except ValueError as error:
        return None, str(error)


def _under_the_picture(request: Request, track: Track, scene: Callable[[], Scene]) -> None:
    parts, result, truth = track.parts, track.result, track.truth
    last = None if track.away is None else track.away[-1]
    words, more = st.columns([4, 1], vertical_alignment="center")
    words.markdown(explain.summary(parts, result, last, truth))
    if explain.trouble(parts, result):
        safe = suggested_step_size(parts.energy, parts.sampler)
        more.button(f"Use a safe step, h = {safe:g}", on_click=set_control, args=(lab.key("h"), safe))
    else:
        more.button(f"Continue for {request.settings.num_steps:,} steps", on_click=lab.continue_run)
    _numbers(request, parts, result, last, truth)
    code_and_reasons({parts.sampler.title: parts}, request.settings)
    _forgetting(parts, result)
    take.section(lab.PREFIX, lambda: single.taken(request, result, scene))


def _numbers(request: Request, parts: Parts, result: Result, last: float | None, truth: Truth) -> None:
    settings = request.settings
    lost = bool((result.diverged | result.escaped).any())
    each = int(result.gradient_evaluations[-1])
    numbers = [
        (
            "Gradients a particle",
            f"{each:,}",
            "Gradient evaluations that the last position of a particle took; a minibatch's counts as one.",
        ),
        (
            "Implied temperature",
            explain.implied_temperature(parts, result, settings.temperature),
            "The temperature that step and noise imply to first order; T where they do not change it.",
        ),
    ]
    if last is not None and truth.floor is not None and not lost:
        numbers.append(
            (
                "Distance over floor",
                explain.number(last / truth.floor.mean),
                "Sliced W2 to exact draws, over what as many exact draws reach: 1 is as good as exact.",
            )
        )
    if parts.sampler.has_accept_step:
        numbers.append(("Acceptance", f"{float(result.acceptance[-1]):.0%}", "Since the last frame."))
    for column, (label, value, help) in zip(st.columns(4), numbers, strict=False):
        column.metric(label, value, help=help)


@st.fragment
def _forgetting(parts: Parts, result: Result) -> None:
    opened = st.expander("How fast the chains forget", key=f"{lab.PREFIX}-forgetting", on_change="rerun")
    if opened.open:
        with opened:
            _autocorrelation(parts, result)


def _autocorrelation(parts: Parts, result: Result) -> None:
    # The last interval may be shorter than the others.
    frames = result.positions[len(result.positions) // 2 : -1]
    if len(frames) < 8:
        st.markdown("Take more steps: there are too few frames to tell.")
        return
    kept = ~(result.diverged | result.escaped)
    if not bool(kept.any()):
        st.markdown("No particle survived: there is nothing to tell.")
        return
    correlation = autocorrelation(frames[:, kept].double(), max_lag=len(frames) // 2)
    every = int(result.steps[-2] - result.steps[-3])
    table = pd.DataFrame(
        {
            "lag": np.tile(np.arange(len(correlation)) * every, 2),
            "autocorrelation": np.concatenate([correlation[:, 0].numpy(), correlation[:, 1].numpy()]),
            "coordinate": ["x"] * len(correlation) + ["y"] * len(correlation),
        }
    )
    colour = FAMILY_COLOURS[family_of(parts.sampler.family, parts.rule.name)][0]
    chart = (
        alt.Chart(table)
        .mark_line(color=colour)
        .encode(
            x=alt.X("lag", title="lag (steps)", axis=alt.Axis(grid=False, tickCount=6)),
            y=alt.Y(
                "autocorrelation",
                scale=alt.Scale(domain=[min(0.0, float(correlation.min())), 1.0], clamp=True),
                axis=alt.Axis(grid=False),
            ),
            strokeDash=alt.StrokeDash("coordinate", legend=alt.Legend(orient="top", title=None)),
        )
        .properties(height=220)
    )
    st.altair_chart(chart)
    below = (correlation.abs().amax(1) < 0.1).nonzero()
    said = (
        f"Both coordinates forget nine tenths of where they were within {int(below[0]) * every:,} steps."
        if len(below)
        else "Within half of the run the particles have not forgotten where they were."
    )
    st.caption(f"{said} From the second half of the run, all particles together.")
