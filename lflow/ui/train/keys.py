"""What an address of the page Train may hold, each key declared once, and the run that it stands for.

A model's settings begin at its preset's: the key of each names model and preset, so that what a link leaves
out is the preset's, whatever was chosen before. Keys are without the page's prefix. Knows nothing of widgets.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from lflow import data, models
from lflow.cli import PROGRAM
from lflow.data.descriptions import HUB_SETS
from lflow.models.base import Model
from lflow.spec import Declared, Parameter, parameters
from lflow.training.config import SEED, Config, DataChoice, Training, make_config
from lflow.training.fit import refuse_misfit
from lflow.ui.keys import HIDE, VERSION
from lflow.ui.train.example import CONFIG

PREFIX = "train"
RUN = Parameter("run", "", high=400, help="the run that is shown, by its name in the folder of runs")
DEVICE = Parameter(
    "device", "auto", choices=("auto", "cpu", "cuda", "mps"), help="auto: the GPU, where one is"
)
FROM_THE_HUB = " (a download)"
_IN_VIEW: dict[str, tuple[str, ...]] = {"training": ("num_steps", "batch_size"), "data": ()}
_OF_THE_MODEL_IN_VIEW = 3
_OF_PICTURES = ("size", "grey", "binary")


class Field(NamedTuple):
    """A parameter of a run: its part (model, data, training), its own name, and how the page declares it."""

    part: str
    name: str
    parameter: Parameter
    in_view: bool
    """Whether it matters at first sight; all others lie under "More"."""


@cache
def model() -> Parameter:
    """The list of models."""
    titles = tuple(models.get_class(name).title for name in models.names())
    return Parameter("model", CONFIG["model"], choices=models.names(), titles=titles)


@cache
def preset(model: str) -> Parameter | None:
    """The list of a model's presets; None where it has none."""
    names = tuple(models.get_class(model).presets)
    titles = tuple(name.replace("_", " ") for name in names)
    if not names:
        return None
    return Parameter(f"{model}_preset", names[0], choices=names, titles=titles, help=_ABOUT_PRESETS)


_ABOUT_PRESETS = "settings of the model for a data set: where its parameters begin"


@cache
def source(model: str, preset: str) -> Parameter:
    """The list of the named data sets; files and hub ids are for the command line."""
    names = data.names()
    titles = tuple(data.describe(name).title + (FROM_THE_HUB if name in HUB_SETS else "") for name in names)
    own = models.get_class(model).presets
    default = own[preset].data if preset else names[0]
    return Parameter(_key(model, preset, "data"), default, choices=names, titles=titles)


@cache
def fields(model: str, preset: str) -> tuple[Field, ...]:
    """Every other parameter of a run, as it is where the preset begins."""
    cls = models.get_class(model)
    own = cls.presets.get(preset)
    settings = {} if own is None else {"model": own.model, "data": own.data_options, "training": own.training}
    found = []
    for part, owner in (("training", Training), ("model", cls), ("data", DataChoice)):
        given = settings.get(part, {})
        shown = [p for p in _own_first(owner) if p.name != "source"]
        for parameter in shown:
            default = parameter.check(given.get(parameter.name, parameter.default))
            declared = replace(parameter, name=_key(model, preset, part, parameter.name), default=default)
            in_view = parameter.name in _IN_VIEW.get(part, _first(cls, settings.get("model", {})))
            found.append(Field(part, parameter.name, declared, in_view))
    return tuple(found)


def _own_first(cls: type[Declared]) -> list[Parameter]:
    """The parameters of a class, those first that set it apart: its own, then those of its nearest base."""
    return sorted(parameters(cls), key=lambda parameter: _shared(cls, parameter.name))


def _shared(cls: type[Declared], name: str) -> int:
    """How many of a class and its bases have a parameter."""
    bases = (base for base in cls.__mro__ if is_dataclass(base))
    return sum(any(each.name == name for each in parameters(base)) for base in bases)


def _first(cls: type[Model], given: Mapping[str, Any]) -> list[str]:
    """The parameters of a model that matter most: those that set it apart, of these first the preset's."""
    names = [parameter.name for parameter in _own_first(cls) if not parameter.advanced]
    return sorted(names, key=lambda name: (_shared(cls, name), name not in given))[:_OF_THE_MODEL_IN_VIEW]


def apply_to(source: str, field: Field) -> bool:
    """Whether a data set has what the field sets: points have no size and no colours."""
    return field.name not in _OF_PICTURES or len(data.describe(source).shape) == 3


def has_effect(field: Field, chosen: Sequence[tuple[Field, Any]]) -> bool:
    """Whether a field matters beside what is chosen of its part, as its declaration says."""
    return field.parameter.has_effect({each.name: x for each, x in chosen if each.part == field.part})


def _key(*parts: str) -> str:
    return "_".join(part for part in parts if part)


@cache
def known() -> Mapping[str, Parameter]:
    """What a link to the page may set, without the prefix."""
    found = [model(), RUN, DEVICE, SEED, HIDE, VERSION]
    for name in models.names():
        presets = preset(name)
        found += [presets] if presets else []
        for chosen in (presets.choices or ()) if presets else ("",):
            found.append(source(name, chosen))
            found += [field.parameter for field in fields(name, chosen)]
    return {parameter.name: parameter for parameter in found}


def make(model: str, preset: str, source: str, values: Sequence[tuple[Field, Any]], seed: int) -> Config:
    """The run that the choices stand for. ValueError says which of them do not go together."""
    parts: dict[str, dict[str, Any]] = {"model": {"name": model}, "data": {"source": source}, "training": {}}
    for parameter in parameters(DataChoice):
        if parameter.name in _OF_PICTURES:  # not the preset's, where the data are points
            parts["data"][parameter.name] = parameter.default
    for field, value in values:
        parts[field.part][field.name] = value
    config = make_config({**parts, "preset": preset, "seed": seed})
    refuse_misfit(config)
    return config


def stem(config: Config) -> str:
    """What the names of such runs begin with: the model, the preset, and data of another name."""
    own = models.get_class(config.model.name).presets.get(config.preset)
    other = config.data.source if own is None or own.data != config.data.source else ""
    return "-".join(filter(None, (config.model.name, config.preset, other)))


def command(config: Config, run_dir: str) -> str:
    """The command line that trains such a run: what differs from its preset is named."""
    plain = make_config({"model": config.model.name, "preset": config.preset}).as_json()
    words = [PROGRAM, "train", config.model.name]
    words += [f"--preset {config.preset}"] if config.preset else []
    for part in ("data", "model", "training"):
        for name, value in config.as_json()[part].items():
            if value != plain[part][name]:
                words.append(f"--{part}-param {shlex.quote(f'{name}={value}')}")
    words += [f"--seed {config.seed}"] if config.seed else []
    return " ".join([*words, f"--run-dir {shlex.quote(run_dir)}"])
