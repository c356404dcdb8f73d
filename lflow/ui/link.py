"""From an address to the request that it stands for, as the page itself would make it, and to what it shows.

Nothing here draws a widget: the command line and the lessons read links too. A wrong value is a ValueError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lflow import energies, samplers
from lflow.registry import Registry
from lflow.samplers.base import registry as sampler_registry
from lflow.spec import Declared, Parameter, check_version, parameters
from lflow.steps import registry as rule_registry
from lflow.ui import drawing, keys, racing, single
from lflow.ui.anila import keys as anila_keys
from lflow.ui.images import keys as images_keys
from lflow.ui.images import outcome as images_outcome
from lflow.ui.images.keys import Asked as ImagesAsked
from lflow.ui.keys import (
    DEFAULTS,
    DRAWING,
    DRAWN,
    FORMULA_TEXT,
    INK,
    LANES,
    NUM_LANES,
    REACH,
    Keys,
)
from lflow.ui.outcome import Outcome
from lflow.ui.request import (
    FORMULA,
    POINTS,
    Lane,
    Race,
    RaceSettings,
    Request,
    Settings,
    as_json,
    make_energy,
    suggested_step_size,
)
from lflow.ui.store import Store

SEVERAL = "|"
"""Between the entries of a list of several, which an address repeats."""
Settled = Mapping[str, Any]
"""Values by key, in their own types; what is absent is at its default."""


def lab_request(settings: Mapping[str, Any]) -> Request:
    """The run that the particle lab shows at these settings: keys without prefix, values typed or texts."""
    values = settled(settings, keys.lab_keys())
    energy = energy_config(values)
    return Request(energy, *_mover(values, energy, "ula"), _declared(Settings, values))


def race_request(settings: Mapping[str, Any]) -> Race:
    """The race that the race page shows at these settings."""
    values = settled(settings, keys.race_keys())
    energy = energy_config(values)
    lanes = []
    for number in range(1, values.get("lanes", NUM_LANES.default) + 1):
        own = {name[2:]: value for name, value in values.items() if name.startswith(f"{number}_")}
        lanes.append(Lane(*_mover(own, energy, LANES[number - 1])))
    return Race(energy, tuple(lanes), _declared(RaceSettings, values))


def anila_request(settings: Mapping[str, Any]) -> Race:
    """The clouds that the page AniLA shows at these settings; ValueError where it shows another view."""
    values, view = settled(settings, anila_keys.known_keys()), anila_keys.VIEW
    if _get(values, view) != anila_keys.CLOUDS:
        raise ValueError(
            f"only the view {view.title(anila_keys.CLOUDS)!r} of the page AniLA is a film, and this link "
            f"shows {view.title(_get(values, view))!r}: for its numbers, python -m lflow paper anila"
        )
    return anila_keys.clouds(values)


def images_request(settings: Mapping[str, Any]) -> ImagesAsked:
    """The runs that the page Images shows at these settings."""
    lanes = settings.get(images_keys.LANES.name)
    others = {name: value for name, value in settings.items() if name != images_keys.LANES.name}
    chosen = images_keys.FIRST if lanes is None else tuple(lanes.split(SEVERAL))
    return images_keys.asked(settled(others, images_keys.known_keys()), chosen)


REQUESTS: dict[str, Callable[[Mapping[str, Any]], Request | Race | ImagesAsked]] = {
    "lab": lab_request,
    "race": race_request,
    "anila": anila_request,
    "images": images_request,
}
"""How each page's prefix reads its part of an address."""


PATHS = {"particle-lab": "lab", "race": "race", "anila": "anila", "images": "images"}
"""The prefix of the page at each path, for an address that sets nothing."""


def request(address: str) -> Request | Race | ImagesAsked:
    """The request of a whole address or of its query alone, by the prefix of its keys."""
    prefix, settings = _read(address)
    return REQUESTS[prefix](settings)


def outcome(address: str) -> Outcome:
    """What the page at the address shows, computed anew. ValueError where the page would refuse it."""
    prefix, settings = _read(address)
    asked = REQUESTS[prefix](settings)
    if isinstance(asked, Race):
        return racing.outcome(asked, Store(16))
    if isinstance(asked, ImagesAsked):
        return images_outcome.outcome(asked, Store(16))
    return single.outcome(asked, settled(settings, keys.lab_keys()).get("flow", False))


def _read(address: str) -> tuple[str, dict[str, str]]:
    """The prefix of an address, and what it sets, without the prefix."""
    parts = urlsplit(address)
    pairs = parse_qsl(parts.query or address.lstrip("?"), keep_blank_values=True)
    found = [prefix for prefix in REQUESTS if any(name.startswith(f"{prefix}_") for name, _ in pairs)]
    page = parts.path.rstrip("/").rpartition("/")[2]
    if not found and page in PATHS:
        found = [PATHS[page]]
    if len(found) != 1:
        known = ", ".join(f"{prefix}_" for prefix in REQUESTS)
        raise ValueError(f"this is not a link to a picture: its keys begin with one of {known}")
    own = keys.without(found[0], ((name, name) for name, _ in pairs))
    return found[0], {
        name: SEVERAL.join(value for each, value in pairs if each == whole) for name, whole in own.items()
    }


def settled(settings: Mapping[str, Any], known: Keys) -> dict[str, Any]:
    """Every value checked by its declaration; ValueError names the first that is unknown or wrong."""
    values = {}
    for name, value in {name: str(value) for name, value in settings.items()}.items():
        if name not in known:
            raise ValueError(f"a link cannot set {name[:40]!r} here")
        try:
            values[name] = known[name].parse(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}" if not str(error).startswith(name) else str(error)) from None
    check_version(values, "link")
    return values


def energy_config(values: Settled) -> str:
    """The configuration of the energy that the values choose."""
    name = _chosen("energy", values, DEFAULTS["energy"])
    if name == FORMULA:
        return as_json(FORMULA, text=_get(values, FORMULA_TEXT), reach=_get(values, REACH))
    if name == DRAWING:
        return drawing_config(_get(values, DRAWN), _get(values, INK))
    if name == POINTS:
        raise ValueError("a link does not hold points of your own: choose their file on the page")
    return _config(energies.base.registry, name, values, ["dim"])


def drawing_config(text: str, ink: float) -> str:
    """The configuration of a drawn energy; ValueError where the text is no drawing."""
    points = drawing.points(drawing.decode(text), BOX)
    return as_json(POINTS, points=points, bandwidth=ink, bounds=BOX)


BOX = ((-4.0, 4.0), (-4.0, 4.0))
"""Where a drawing lies."""


def _mover(values: Settled, energy: str, sampler_default: str) -> tuple[str, str]:
    """The configurations of the sampler and of its rule."""
    name = _chosen("sampler", values, sampler_default)
    unused = samplers.get(name).unused(make_energy(energy))
    sampler = _config(sampler_registry, name, values, unused)
    step_size = values["h"] if "h" in values else default_step_size(energy, sampler)
    chosen = _chosen("step", values, DEFAULTS["step"])
    step_size = keys.step_size_parameter(chosen).check(step_size)
    return sampler, _config(rule_registry, chosen, values, ["step_size"], step_size=step_size)


def default_step_size(energy: str, sampler: str) -> float:
    """The step size that a page suggests.

    Of the energy as it comes: were it to follow the energy's parameters, the default would move under the
    reader's hand, and a link that leaves the step size out would mean another one.
    """
    name = json.loads(energy)["name"]
    as_it_comes = make_energy(as_json(name) if name in energies.names() else energy)
    return suggested_step_size(as_it_comes, samplers.get(**json.loads(sampler)))


def _chosen(what: str, values: Settled, default: str) -> str:
    return str(values.get(what, default))


def _get(values: Settled, parameter: Parameter) -> Any:
    return values.get(parameter.name, parameter.default)


def _config(
    registry: Registry[Any], name: str, values: Settled, leave_out: Iterable[str], **more: Any
) -> str:
    known = {p.name: p for p in parameters(registry.get_class(name)) if p.name not in set(leave_out)}
    own = {p: values.get(f"{name}_{p}", parameter.default) for p, parameter in known.items()}
    return as_json(name, **own, **more)


def _declared(cls: type[Declared], values: Settled) -> Any:
    return cls(**{p.name: values[p.name] for p in parameters(cls) if p.name in values})
