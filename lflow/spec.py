"""A parameter declared once: its default, bounds, scale, unit and help.

A sampler, energy, step rule or model is a frozen dataclass whose fields are made by `param`. The same
declaration checks a value wherever it comes from (Python, a URL, a command line, a server-side run),
draws the widget, and is the range that a sweep searches. This module knows nothing of torch or of pages.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CONFIG_VERSION = 1

_METADATA_KEY = "lflow.parameter"


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter. `low` and `high` bound what is valid (`high` of a text: its length),
    `shown` what a slider spans."""

    name: str
    default: Any
    low: float | None = None
    high: float | None = None
    log: bool = False
    unit: str = ""
    help: str = ""
    advanced: bool = False
    choices: tuple[str, ...] | None = None
    shown: tuple[float, float] | None = None
    titles: tuple[str, ...] = ()
    """What a list calls the choices, in their order, where that is not their names; a text may say either."""
    label: str = ""
    """What a page calls it, where its name in words does not say it."""
    when: tuple[str, str] | None = None
    """Another parameter of its owner and the value of that one at which alone this one has an effect."""

    def has_effect(self, beside: Mapping[str, Any]) -> bool:
        """Whether it has an effect beside its owner's other values, as far as these are given."""
        name, value = self.when or ("", None)
        return beside.get(name, value) == value

    def title(self, choice: str) -> str:
        """What a list calls a choice."""
        return dict(zip(self.choices or (), self.titles, strict=False)).get(choice, choice)

    @property
    def kind(self) -> type:
        return type(self.default)

    def check(self, value: Any) -> Any:
        """The value in the parameter's own type. ValueError says in one sentence what is wrong."""
        if self.kind is bool:
            if isinstance(value, bool):
                return value
            raise ValueError(f"{self.name} must be true or false, got {value!r}")
        if self.kind is str:
            return self._check_choice(value)
        return self._check_number(value)

    def _check_choice(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{self.name} must be a text, got {value!r}")
        if self.high is not None and len(value) > self.high:
            raise ValueError(
                f"{self.name} may have {plain_number(self.high)} characters, and this has {len(value):,}"
            )
        name = dict(zip(self.titles, self.choices or (), strict=False)).get(value, value)
        if self.choices is not None and name not in self.choices:
            raise ValueError(f"{self.name} must be one of {', '.join(self.choices)}, got {value!r}")
        return name

    def _check_number(self, value: Any) -> int | float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{self.name} must be a number, got {value!r}") from error
        infinite = math.isinf(number) and number != self.high
        if isinstance(value, (bool, str)) or math.isnan(number) or infinite:
            raise ValueError(f"{self.name} must be a finite number, got {value!r}")
        if self.kind is int and number != math.floor(number):
            raise ValueError(f"{self.name} must be a whole number, got {value!r}")
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= number <= high:
            span = f"{plain_number(low)} and {plain_number(high)}"
            raise ValueError(f"{self.name} must be between {span}, got {plain_number(number)}")
        return int(value) if self.kind is int else number

    def parse(self, text: str) -> Any:
        """The value that a text (of a URL or a command line) stands for, checked."""
        if self.kind is bool:
            words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            if text.lower() not in words:
                raise ValueError(f"{self.name} must be true or false, got {text!r}")
            return words[text.lower()]
        if self.kind is str:
            return self.check(text)
        try:
            number = int(text) if text.strip().lstrip("+-").isdecimal() else float(text)
        except ValueError as error:
            raise ValueError(f"{self.name} must be a number, got {text!r}") from error
        if not math.isfinite(number):  # even where code may say ∞: JSON and a URL cannot
            raise ValueError(f"{self.name} must be a finite number, got {text!r}")
        return self.check(number)

    @property
    def span(self) -> tuple[float, float]:
        """The range that a slider or a sweep covers."""
        if self.shown is not None:
            return self.shown
        if self.low is None or self.high is None:
            raise ValueError(f"{self.name} declares no finite range")
        return self.low, self.high

    def stops(self, per_decade: int = 10) -> list[float]:
        """Geometric stops over the span, rounded to two digits, with its ends and the default among them.

        A slider on a log scale moves over them. Those of a whole-number parameter are whole.
        """
        low, high = self.span
        first, last = round(math.log10(low) * per_decade), round(math.log10(high) * per_decade)
        between = {self.kind(float(f"{10 ** (k / per_decade):.2g}")) for k in range(first, last + 1)}
        wanted = between | {self.kind(low), self.kind(high), self.default}
        return sorted(stop for stop in wanted if low <= stop <= high)


def counted(count: int, noun: str) -> str:
    """A number of things, in words: "1 chain", "2,000 chains"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def each_of(count: int, noun: str) -> str:
    """A number of things, one by one: "one chain", "each of 2,000 chains"."""
    return f"one {noun}" if count == 1 else f"each of {count:,} {noun}s"


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A question, after a blank, about the name that is nearest to a word; empty where none is near."""
    near = difflib.get_close_matches(word, list(names), n=1, cutoff=0.65)
    return f" Did you mean {near[0]!r}?" if near else ""


def plain_number(number: float) -> str:
    """A bound as people write it: whole numbers with commas, all others in short."""
    whole = math.isfinite(number) and number == int(number) and abs(number) < 1e15
    return f"{int(number):,}" if whole else f"{number:g}"


def param(
    default: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    log: bool = False,
    unit: str = "",
    help: str = "",
    advanced: bool = False,
    choices: tuple[str, ...] | None = None,
    shown: tuple[float, float] | None = None,
    label: str = "",
    when: tuple[str, str] | None = None,
) -> Any:
    """Declare a field of a frozen dataclass as a parameter.

    Example:
        >>> @dataclass(frozen=True)
        ... class Gaussian:
        ...     scale: float = param(1.0, 0.01, 100.0, log=True, help="standard deviation")
    """
    declared = {
        "low": low,
        "high": high,
        "log": log,
        "unit": unit,
        "help": help,
        "advanced": advanced,
        "choices": choices,
        "shown": shown,
        "label": label,
        "when": when,
    }
    return dataclasses.field(default=default, metadata={_METADATA_KEY: declared})


def parameters(owner: Any) -> tuple[Parameter, ...]:
    """The parameters that a class or an instance declares, in their order."""
    return tuple(
        Parameter(field.name, field.default, **field.metadata[_METADATA_KEY])
        for field in dataclasses.fields(owner)
        if _METADATA_KEY in field.metadata
    )


class Declared:
    """Base of everything that is built from declared parameters: checks them when it is made."""

    name: str = ""

    def __post_init__(self) -> None:
        for parameter in parameters(self):
            try:
                checked = parameter.check(getattr(self, parameter.name))
            except ValueError as error:
                raise ValueError(f"{self.name or type(self).__name__}: {error}") from None
            object.__setattr__(self, parameter.name, checked)

    def config(self) -> dict[str, Any]:
        """The name and the parameters, as plain values that JSON can hold."""
        return {"name": self.name, **{p.name: getattr(self, p.name) for p in parameters(self)}}


def check_version(config: Mapping[str, Any], what: str) -> None:
    """Refuse a configuration of another version with a sentence."""
    version = config.get("version", CONFIG_VERSION)
    if version != CONFIG_VERSION:
        raise ValueError(f"this {what} has version {version}, and lflow reads version {CONFIG_VERSION}")
