"""One run as what a reader may take along: the lab's outcome, for the page and for `lflow export`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lflow.loop import Result
from lflow.ui.outcome import Outcome
from lflow.ui.packing import AnyScene
from lflow.ui.program import file_name, python_code
from lflow.ui.request import Request
from lflow.ui.run import flow_density, has_flow, record_every, run
from lflow.ui.scene import make_scene
from lflow.ui.store import Store
from lflow.ui.track import track_of


def taken(request: Request, result: Result, scene: Callable[[], AnyScene]) -> Outcome:
    """A run that is finished, and what makes its scene."""
    return Outcome(
        name=file_name(request),
        results={request.parts().sampler.title: result},
        scene=scene,
        code=python_code(request, record_every(request.settings)),
        config=request.key,
    )


def outcome(request: Request, with_flow: bool) -> Outcome:
    """Run a request. ValueError if it is refused, or an exact flow is wanted that there is not."""
    parts, settings = request.parts(), request.settings
    result = run(request, Store(1))
    track = track_of(request, result, request.key, Store(2))
    flow = None
    if with_flow and has_flow(parts, settings):
        flow = flow_density(parts, settings, result.steps)
    return taken(request, result, partial(make_scene, track, flow))
