"""What every declared parameter owes, whoever declares it; and the names under which classes are found."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

import pytest

from lflow import energies, samplers, steps
from lflow.energies.base import registry as energy_registry
from lflow.registry import Registry
from lflow.samplers.base import registry as sampler_registry
from lflow.spec import Declared, Parameter, check_version, param, parameters
from lflow.steps import registry as rule_registry

REGISTRIES: tuple[Registry[Any], ...] = (energy_registry, sampler_registry, rule_registry)
CLASSES = [registry.get_class(name) for registry in REGISTRIES for name in registry.names()]
DECLARED = {f"{cls.name}.{p.name}": p for cls in CLASSES for p in parameters(cls)}
PARAMETERS = [pytest.param(p, id=name) for name, p in DECLARED.items()]
NUMBERS = [pytest.param(p, id=name) for name, p in DECLARED.items() if p.kind in (int, float)]
LOGARITHMIC = [pytest.param(p, id=name) for name, p in DECLARED.items() if p.log]
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.name)


def test_the_names_that_the_design_fixes() -> None:
    assert set(energies.names()) >= {"gaussian", "rings", "banana", "student_t", "logistic_regression"}
    assert set(samplers.names()) >= {"random_walk", "ula", "sgld", "mala", "hmc", "baoab"}
    rules = {"constant", "polynomial", "cyclical", "anisotropic", "target_acceptance", "rmsprop"}
    assert set(steps.names()) >= rules


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_default_is_valid_and_help_is_there(parameter: Parameter) -> None:
    assert parameter.check(parameter.default) == parameter.default
    assert type(parameter.check(parameter.default)) is parameter.kind
    assert parameter.help


@pytest.mark.parametrize("parameter", NUMBERS)
def test_numbers_have_finite_bounds_and_a_span_inside_them(parameter: Parameter) -> None:
    assert parameter.low is not None
    assert parameter.high is not None
    low, high = parameter.span
    assert parameter.low <= low < high <= parameter.high
    assert low <= parameter.default <= high, "a slider must be able to show the default"


@pytest.mark.parametrize("parameter", NUMBERS)
def test_numbers_refuse_what_is_none(parameter: Parameter) -> None:
    assert parameter.low is not None
    assert parameter.high is not None
    wrong: list[Any] = [math.nan, math.inf, -math.inf, "1", "", None, True, [1.0], 1j, 10**400]
    wrong += [parameter.low - 1, parameter.high * 1.01 + 1]
    if parameter.kind is int:
        wrong.append(parameter.low + 0.5)
    for value in wrong:
        if isinstance(value, float) and value == parameter.high:
            assert parameter.check(value) == value, "∞, where it is declared: in code only, not in a URL"
            continue
        with pytest.raises(ValueError, match=rf"^{parameter.name} must be "):
            parameter.check(value)
    for text in ("nan", "inf", "-inf", "", "one", "1e999", "1,5", "0x10"):
        with pytest.raises(ValueError, match=rf"^{parameter.name} must be "):
            parameter.parse(text)


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_parse_reads_what_str_writes(parameter: Parameter) -> None:
    values = [parameter.default, *(parameter.choices or ())]
    values += [parameter.kind(bound) for bound in (parameter.low, parameter.high) if bound is not None]
    for value in values:
        if value == math.inf:
            continue
        found = parameter.parse(str(value))
        assert found == value
        assert type(found) is parameter.kind


@pytest.mark.parametrize("parameter", LOGARITHMIC)
def test_logarithmic_parameters_have_valid_stops_with_the_default_among_them(parameter: Parameter) -> None:
    low, high = parameter.span
    assert low > 0
    stops = parameter.stops()
    assert stops == sorted(set(stops))
    assert [stops[0], parameter.default in stops, stops[-1]] == [low, True, high]
    assert [parameter.check(stop) for stop in stops] == stops


def test_choices_and_switches() -> None:
    layout = Parameter("layout", "ring", choices=("ring", "grid"))
    for value in ("rings", "", 1, None):
        with pytest.raises(ValueError, match=r"^layout must be "):
            layout.check(value)
    smooth = Parameter("smooth", False)
    assert [smooth.parse(text) for text in ("True", "1", "no", "false")] == [True, True, False, False]
    for switch in (0, 1, "true", None):
        with pytest.raises(ValueError, match=r"^smooth must be true or false"):
            smooth.check(switch)
    with pytest.raises(ValueError, match=r"^smooth must be true or false"):
        smooth.parse("maybe")
    unbounded = Parameter("count", 3)
    with pytest.raises(ValueError, match=r"^count must be a finite number"):
        unbounded.check(math.inf)
    with pytest.raises(ValueError, match="declares no finite range"):
        _ = unbounded.span


@every_class
def test_config_round_trip(cls: type[Declared]) -> None:
    registry = next(registry for registry in REGISTRIES if cls.name in registry.names())
    changed: dict[str, Any] = {p.name: p.choices[-1] for p in parameters(cls) if p.choices}
    changed |= {p.name: p.span[1] for p in parameters(cls) if p.kind is float}
    for made in (registry.get(cls.name), registry.get(cls.name, **changed)):
        config = json.loads(json.dumps(made.config()))
        assert config.pop("name") == cls.name
        assert registry.get(cls.name, **config) == made


@every_class
def test_titles_and_frozen(cls: type[Declared]) -> None:
    made = cls()
    assert made.title  # type: ignore[attr-defined]
    assert made.formula  # type: ignore[attr-defined]
    assert cls.__doc__
    for p in parameters(cls):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, p.name, p.default)


def test_bad_parameters_name_the_class() -> None:
    with pytest.raises(ValueError, match=r"^rings: width must be between 0.02 and 1, got 9$"):
        energies.get("rings", width=9)
    with pytest.raises(ValueError, match=r"hmc has no parameter 'leaps'; it has: jitter, num_leapfrog"):
        samplers.get("hmc", leaps=3)


@pytest.mark.parametrize(
    ("get", "wrong", "nearest"),
    [(energies.get, "ring", "rings"), (samplers.get, "malla", "mala"), (steps.get, "constnat", "constant")],
)
def test_unknown_names_suggest_the_nearest(get: Any, wrong: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"named '{wrong}'. Did you mean '{nearest}'\\? Known: "):
        get(wrong)
    with pytest.raises(ValueError, match="there is no"):
        get("")


def test_a_taken_name_is_refused_even_for_a_class_of_the_same_name() -> None:
    registry: Registry[Declared] = Registry("thing", "things")

    def make(module: str) -> type[Declared]:
        return dataclass(frozen=True)(type("Thing", (Declared,), {"__module__": module}))

    first = registry.register("thing")(make("one"))
    assert registry.get_class("thing") is first
    again = registry.register("thing")(make("one"))  # as when a module is loaded again
    assert registry.get_class("thing") is again
    with pytest.raises(ValueError, match=r"the thing name 'thing' is taken by one.Thing"):
        registry.register("thing")(make("two"))


def test_versions_of_configurations() -> None:
    check_version({"version": 1}, "link")
    check_version({}, "link")
    with pytest.raises(ValueError, match="this link has version 2, and lflow reads version 1"):
        check_version({"version": 2}, "link")


def test_a_declaration_checks_and_converts() -> None:
    @dataclass(frozen=True)
    class Thing(Declared):
        count: int = param(2, 1, 9, help="how many")
        scale: float = param(1.0, 0.1, 10.0, log=True, help="how large")

    made = Thing(count=3.0, scale=2)  # type: ignore[arg-type]
    assert (made.count, type(made.count), type(made.scale)) == (3, int, float)
    assert made.config() == {"name": "", "count": 3, "scale": 2.0}
    with pytest.raises(ValueError, match=r"^Thing: count must be a whole number, got 2.5$"):
        Thing(count=2.5)  # type: ignore[arg-type]
