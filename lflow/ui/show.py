"""The particle lab's picture and what stands under it: the run, its words, its equations, its files."""

from __future__ import annotations

import inspect
import io
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from torch import Tensor

from lflow.loop import Result
from lflow.metrics import autocorrelation
from lflow.samplers import get_class, names
from lflow.ui import explain, lab, player, share
from lflow.ui.controls import plain
from lflow.ui.packing import pack
from lflow.ui.request import OverBudget, Parts, Request, suggested_step_size
from lflow.ui.run import flow_density, has_flow, record_every, run
from lflow.ui.scene import distances, make_scene
from lflow.ui.store import Store
from lflow.ui.theme import FAMILY_COLOURS, family_of
from lflow.ui.truth import Truth, find_truth

PLAYER = f"{lab.PREFIX}-player"
_LAST = f"{lab.PREFIX}-last"
_STOPPED = f"{lab.PREFIX}-stopped"
_QUIET = 0.7  # seconds before a run shows its progress


@st.cache_resource
def _stores() -> tuple[Store, Store, Store, Store, Store]:
    return Store(8), Store(32), Store(64), Store(8), Store(8)


def refused(error: ValueError) -> None:
    """A sentence about what is wrong, and the last picture: nothing is lost."""
    st.error(_sentence(error))
    _last_picture()


def run_and_play(request: Request, with_flow: bool) -> None:
    """Run the request (or find it), play it, and say what was seen."""
    notice = st.empty()
    results, truths, distances_of, payloads, _ = _stores()
    try:
        parts = request.parts()
        if st.session_state.get(_STOPPED) == request.key and request.key not in results:
            notice.info("Stopped. Change a control, or run it again.")
            st.button("Run it again", on_click=_forget_stop)
            _last_picture()
            return
        result = run(request, results, _progress(notice, request))
        settings = request.settings
        truth_key = f"{request.energy} {settings.temperature} {settings.num_chains}"
        truth = truths.get(
            truth_key, lambda: find_truth(parts.energy, settings.temperature, settings.num_chains)
        )
        if parts.sampler.restricts_to:
            truth = Truth(truth.energy_grid, unknown=f"the run keeps to {parts.sampler.restricts_to}")
        flow_wanted = with_flow and has_flow(parts, settings)
        away = distances_of.get(request.key, lambda: distances(result, truth))
        flow, flow_refused = _flow(request, parts, result) if flow_wanted else (None, "")
        payload = payloads.get(
            f"{request.key} {flow is not None}",
            lambda: pack(make_scene(parts, settings, result, truth, away, flow)),
        )
    except OverBudget as error:
        notice.error(_sentence(error))
        _trim(request, error.allowed, with_flow)
        return
    except ValueError as error:
        refused(error)
        return
    notice.empty()
    st.session_state[_LAST] = payload
    player.show(payload, key=PLAYER, on_place=_place)
    if truth.unknown:
        st.caption(f"There is no target to compare with: {plain(truth.unknown)}.")
    if flow_refused:
        st.caption(f"There is no exact flow to compare with: {plain(flow_refused)}.")
    if with_flow and not flow_wanted:
        followers = ", ".join(cls.title for cls in map(get_class, names()) if cls.follows_flow)
        st.caption(
            "The exact flow is the overdamped one: it needs T > 0, a rule of time alone, and a sampler that "
            f"follows it ({followers})."
        )
    _under_the_picture(request, parts, result, truth, None if away is None else away[-1])


def _trim(request: Request, allowed_steps: int, with_flow: bool) -> None:
    """A way out of a run over the budget, and a picture: the last one, or on a first visit a short run."""
    st.button(f"Take {allowed_steps:,} steps instead", on_click=_set, args=("num_steps", allowed_steps))
    if _LAST in st.session_state:
        _last_picture()
        return
    few = max(1, allowed_steps // 10)
    st.caption(f"Shown here: the first {few:,} steps.")
    run_and_play(replace(request, settings=replace(request.settings, num_steps=few, more=0)), with_flow)


def _last_picture() -> None:
    """The last picture that was played, where there is one."""
    if _LAST in st.session_state:
        player.show(st.session_state[_LAST], key=PLAYER)


def _sentence(error: Exception) -> str:
    text = str(error)
    return plain(text[:1].upper() + text[1:])


def _flow(request: Request, parts: Parts, result: Result) -> tuple[Tensor | None, str]:
    """The continuous-time density at each frame, or why there is none."""
    flows = _stores()[4]
    try:
        return flows.get(request.key, lambda: flow_density(parts, request.settings, result.steps)), ""
    except ValueError as error:
        return None, str(error)


def _progress(notice: st.delta_generator.DeltaGenerator, request: Request) -> Callable[[int, int], None]:
    began = time.monotonic()
    bar: list[st.delta_generator.DeltaGenerator] = []

    def report(step: int, num_steps: int) -> None:
        if time.monotonic() - began < _QUIET:
            return
        if not bar:
            with notice.container(horizontal=True, vertical_alignment="center"):
                bar.append(st.progress(0.0))
                st.button("Stop", on_click=_stop, args=(request.key,))
        bar[0].progress(step / num_steps, f"Computing: step {step:,} of {num_steps:,}")

    return report


def _stop(key: str) -> None:
    st.session_state[_STOPPED] = key


def _forget_stop() -> None:
    st.session_state.pop(_STOPPED, None)


def _set(name: str, value: float) -> None:
    st.session_state[lab.key(name)] = value


def _place() -> None:
    point = player.placed(PLAYER)
    if point is not None:
        lab.start_at(*point)


def _under_the_picture(
    request: Request, parts: Parts, result: Result, truth: Truth, last: float | None
) -> None:
    words, more = st.columns([4, 1], vertical_alignment="center")
    words.markdown(explain.summary(parts, result, last, truth))
    if explain.trouble(parts, result):
        safe = suggested_step_size(parts.energy, parts.sampler)
        more.button(f"Use a safe step, h = {safe:g}", on_click=_set, args=("h", safe))
    else:
        more.button(f"Continue for {request.settings.num_steps:,} steps", on_click=lab.continue_run)
    _numbers(request, parts, result, last, truth)
    with st.expander("The step, as it ran"):
        st.code(_source(parts), language="python")
    with st.expander("Equations and references"):
        _equations(parts)
    with st.expander("Why this setting behaves so"):
        st.markdown("\n".join(f"- {sentence}" for sentence in explain.why(parts, request.settings)))
    _forgetting(parts, result)
    with st.expander("Take it with you"):
        _downloads(request, result)


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


def _source(parts: Parts) -> str:
    step = textwrap.dedent(inspect.getsource(type(parts.sampler).step))
    rule = textwrap.dedent(inspect.getsource(type(parts.rule).step_size_at))
    return f"# {parts.sampler.title}\n{step}\n# step-size rule: {parts.rule.title}\n{rule}"


def _equations(parts: Parts) -> None:
    for title, thing in (("Target", parts.energy), ("Sampler", parts.sampler), ("Step size", parts.rule)):
        st.markdown(f"**{title}: {thing.title}**")
        if thing.formula:
            st.latex(thing.formula)
        reference = getattr(thing, "reference", "")
        if reference:
            st.caption(reference)


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


def _downloads(request: Request, result: Result) -> None:
    name = f"lflow-{share.file_name(request)}"
    left, right, _ = st.columns([1, 1, 3])
    left.download_button(
        "These frames (NPZ)", lambda: _npz(request, result), f"{name}.npz", on_click="ignore"
    )
    right.download_button("Last frame (CSV)", lambda: _csv(result), f"{name}.csv", on_click="ignore")
    st.markdown("The same arrays, from Python:")
    st.code(share.python_code(request, record_every(request.settings)), language="python")


def _npz(request: Request, result: Result) -> bytes:
    buffer = io.BytesIO()
    names = ("positions", "steps", "gradient_evaluations", "acceptance", "step_sizes", "diverged", "escaped")
    arrays = {name: getattr(result, name).numpy() for name in names}
    np.savez_compressed(buffer, allow_pickle=False, request=np.array(request.key), **arrays)
    return buffer.getvalue()


def _csv(result: Result) -> bytes:
    x, y = result.positions[-1].T.numpy()
    table = {"x": x, "y": y, "diverged": result.diverged.numpy(), "escaped": result.escaped.numpy()}
    return pd.DataFrame(table).to_csv(index_label="particle").encode()
