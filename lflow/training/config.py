"""What a run is made of: a model, a data set, how long and how, and a seed, as plain values that JSON holds.

Everything that a caller may get wrong is refused here, in a sentence, before anything runs. It knows
nothing of folders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lflow import models
from lflow.models.base import Model, Preset
from lflow.spec import CONFIG_VERSION, Declared, Parameter, check_version, param, parameters

SEED = Parameter("seed", 0, 0, 2**31, help="fixes the start, the order of the data and all noise")


@dataclass(frozen=True)
class Training(Declared):
    """How a run goes: sizes, schedule, and how often it looks at itself."""

    name = "training"

    num_steps: int = param(2000, 1, 10_000_000, log=True, help="steps of training in all")
    batch_size: int = param(100, 1, 65_536, log=True, help="data points in a step, over all processes")
    warmup: int = param(
        0, 0, 1_000_000, shown=(0, 1000), unit="steps", help="steps over which the learning rates rise from 0"
    )
    decay: float = param(1.0, 0.5, 1.0, help="factor of the learning rates after each pass over the data")
    ema: float = param(0.0, 0.0, 0.99999, help="decay of the average of the weights; 0 for none")
    precision: str = param(
        "auto", choices=("auto", "float32", "bfloat16"), help="auto: bfloat16 on CUDA, else float32"
    )
    log_every: int = param(10, 1, 100_000, log=True, unit="steps", help="between lines of metrics")
    validate_every: int = param(200, 1, 1_000_000, log=True, unit="steps", help="between validations")
    sample_every: int = param(200, 1, 1_000_000, log=True, unit="steps", help="between pictures of samples")
    checkpoint_every: int = param(200, 1, 1_000_000, log=True, unit="steps", help="between checkpoints")
    num_samples: int = param(64, 1, 4096, log=True, help="samples in a picture, or 25 times as many points")
    tensorboard: bool = param(False, help="also write curves for TensorBoard into the run folder")


@dataclass(frozen=True)
class DataChoice(Declared):
    """Which data, and how they are prepared."""

    name = "data"

    source: str = param("digits", high=1000, help="a data set's name, a folder, a parquet file, a hub id")
    size: int = param(
        0, 0, 1024, shown=(0, 128), unit="pixels", help="height and width to resize to; 0 keeps them"
    )
    grey: bool = param(False, help="grey instead of colour")
    binary: bool = param(False, help="black and white instead of grey: white from half of full brightness on")
    limit: int = param(
        0, 0, 100_000_000, shown=(0, 10_000), help="use so many data points at most; 0 uses all"
    )
    held_out: int = param(
        -1, -1, 100_000, shown=(-1, 9), help="a label to leave out of training; -1 for none"
    )

    def options(self) -> dict[str, Any]:
        """The arguments of `lflow.data.open` besides the name and the split."""
        look = {"size": self.size or None, "grey": self.grey or None, "binary": self.binary}
        return look | {"limit": self.limit or None}


@dataclass(frozen=True)
class Config:
    """A run: the same configuration and seed give the same weights on the same machine."""

    model: Model
    data: DataChoice
    training: Training = field(default_factory=Training)
    seed: int = 0
    preset: str = ""

    @property
    def remark(self) -> str:
        """What the model has to say of such a run, in a sentence; empty for nothing."""
        return self.model.remark(self.training.batch_size)

    def as_json(self) -> dict[str, Any]:
        """Plain values, with a version."""
        parts = {"model": self.model, "data": self.data, "training": self.training}
        plain = {name: part.config() for name, part in parts.items()}
        plain["data"].pop("name")
        plain["training"].pop("name")
        return {"version": CONFIG_VERSION, **plain, "seed": self.seed, "preset": self.preset}


def make_config(given: Mapping[str, Any] | Config) -> Config:
    """A configuration of its parts, as `config.json` holds them or in short.

    given: "model", a name or {"name": ..., hyperparameters}; and of "preset", "data" (a name or a mapping),
    "training" (a mapping), "seed" and "max_steps" what is wanted. What is not given is the preset's, the
    model's first preset for the data, or the default. ValueError says what is wrong.

    Example:
        >>> make_config({"model": "ebm", "preset": "rings", "max_steps": 100}).training.num_steps
        100
    """
    if isinstance(given, Config):
        return given
    check_version(given, "configuration")
    known = {"version", "model", "preset", "data", "training", "seed", "max_steps"}
    if unknown := set(given) - known:
        raise ValueError(f"a run has no {sorted(unknown)[0]!r}; it has: {', '.join(sorted(known))}")
    if "model" not in given:
        raise ValueError(f"name a model: one of {', '.join(models.names())}")
    model = _named(given["model"], "model")
    data = _named(given.get("data", {}), "data", key="source")
    cls = models.get_class(model.pop("name"))
    name, preset = find_preset(cls, given.get("preset", ""), data.get("source"))
    training = dict(preset.training) | _mapping(given.get("training", {}), "training")
    choice = {"source": preset.data} | dict(preset.data_options) | data
    config = Config(
        model=models.get(cls.name, **(dict(preset.model) | model)),
        data=_declared(DataChoice, choice),
        training=_declared(Training, training),
        seed=SEED.check(given.get("seed", 0)),
        preset=name,
    )
    return config if given.get("max_steps") is None else shortened(config, given["max_steps"])


def shortened(config: Config, max_steps: int) -> Config:
    """The same run, ended after at most so many steps."""
    limit = replace(parameters(Training)[0], name="max_steps").check(max_steps)
    return with_training(config, num_steps=min(limit, config.training.num_steps))


def with_training(config: Config, **changes: Any) -> Config:
    """The same run with other values of `Training`."""
    values = {p.name: getattr(config.training, p.name) for p in parameters(Training)} | changes
    return Config(config.model, config.data, _declared(Training, values), config.seed, config.preset)


def read_config(path: Path) -> Config:
    """The configuration that a file holds. ValueError if it does not hold one."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a configuration: {error}") from None
    try:
        return make_config(_mapping(plain, "configuration"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def find_preset(cls: type[Model], name: str, source: str | None) -> tuple[str, Preset]:
    """The preset of that name; without one, the first for the data; without data, the model's first.

    A data set without a preset takes the model's defaults. ValueError names the presets.
    """
    presets = cls.presets
    if name:
        if name not in presets:
            raise ValueError(f"{cls.name} has no preset {name!r}; it has: {', '.join(presets) or 'none'}")
        return name, presets[name]
    fitting = [each for each in presets if source in (None, presets[each].data)]
    if fitting:
        return fitting[0], presets[fitting[0]]
    return "", Preset(source or "digits", "")


def _named(value: Any, what: str, key: str = "name") -> dict[str, Any]:
    return {key: value} if isinstance(value, str) else _mapping(value, what)


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"the {what} must be a mapping of names to values, got {value!r}")
    return dict(value)


def _declared(cls: type[Any], values: Mapping[str, Any]) -> Any:
    known = [parameter.name for parameter in parameters(cls)]
    if unknown := set(values) - set(known):
        raise ValueError(f"{cls.name} has no {sorted(unknown)[0]!r}; it has: {', '.join(known)}")
    return cls(**values)
