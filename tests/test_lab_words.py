"""What the lab says of a run agrees with the numbers of the run."""

import itertools
import math

import pytest

from lflow import energies, samplers, steps
from lflow.ui import explain
from lflow.ui.request import (
    Request,
    Settings,
    as_json,
    suggested_step_size,
)
from lflow.ui.track import distances
from lflow.ui.truth import find_truth
from tests.lab_requests import finished, make_request


def test_captions_say_one_thing_for_each_frame() -> None:
    request, result = finished(energy="rings", num_steps=30)
    truth = find_truth(request.parts().energy, 1.0, 50)
    away = distances(result, truth)
    assert away is not None
    said = explain.captions(result, away, truth.floor)
    assert len(said) == len(result.positions) == 31
    assert said[30].startswith("50 particles after 30 steps (30 gradients each).")
    assert f"Distance to the target {explain.number(away[30])}" in said[30]
    within = [value <= truth.floor.high for value in away]
    assert ["within their spread" in text for text in said] == within
    assert explain.captions(result, None, None)[3] == "50 particles after 3 steps (3 gradients each)."


@pytest.mark.parametrize("sampler", ["ula", "sgld", "baoab", "mala", "hmc", "random_walk"])
@pytest.mark.parametrize("h", [0.001, 0.5, 1.9, 2.1, 3.0, 5.0])
def test_the_edge_note_agrees_with_the_numbers(sampler: str, h: float) -> None:
    parts = make_request("gaussian", sampler, h=h).parts()
    edge = parts.sampler.stability_edge(parts.energy.curvature)
    text, above = explain.edge_note(parts)
    if edge is None:
        assert not above
        assert "stable" in text
        return
    assert above == (h > edge)
    assert f"h is {h / edge:.2g} {'times' if above else 'of'} that" in text
    assert explain.number(edge) in text


@pytest.mark.parametrize("text", ["abs(x) + abs(y)", "sqrt(1 + abs(x)) + sqrt(1 + abs(y))"])
def test_an_energy_without_positive_curvature_has_a_step_and_no_false_edge(text: str) -> None:
    energy = as_json("from_expression", text=text, reach=3.0)
    parts = make_request(energy).parts()
    for name in samplers.names():
        sampler = samplers.get(name)
        assert suggested_step_size(parts.energy, sampler) > 0
        said, above = explain.edge_note(parts._replace(sampler=sampler))
        assert not above
        assert "= -" not in said


def test_trouble_only_where_something_is_lost() -> None:
    calm, result = finished(energy="gaussian", h=0.1)
    assert explain.trouble(calm.parts(), result) is None
    wild, result = finished(energy="quartic", h=1.0)
    lost = int((result.diverged | result.escaped).sum())
    assert lost > 0
    found = explain.trouble(wild.parts(), result)
    assert found is not None
    text, frame = found
    gone = result.num_diverged + result.num_escaped
    assert gone[frame] > 0
    assert (gone[:frame] == 0).all()
    assert f"{lost} of 50 particles" in text
    assert f"step {int(result.steps[frame])} " in text
    assert f"step 1 is above ULA's edge 2/L = {explain.number(edge_of(wild))}" in text
    truth = find_truth(wild.parts().energy, 1.0, 50)
    assert "overflowed or left for good" in explain.summary(wild.parts(), result, None, truth)


def edge_of(request: Request) -> float:
    parts = request.parts()
    edge = parts.sampler.stability_edge(parts.energy.curvature)
    assert edge is not None
    return edge


def test_a_suggested_step_loses_nobody() -> None:
    for energy, sampler in itertools.product(energies.names(), samplers.names()):
        parts = make_request(energy, sampler).parts()
        h = suggested_step_size(parts.energy, parts.sampler)
        request, result = finished(energy=energy, sampler=sampler, h=h)
        assert explain.trouble(request.parts(), result) is None, (energy, sampler, h)


def test_numbers_as_people_write_them() -> None:
    numbers = [0, 1, 0.0123456, 999.6, 1234.5, 99_999, 123_456, -0.5, 1e-5, math.inf, math.nan]
    written = ["0", "1", "0.0123", "1,000", "1,234", "99,999", "1.23e+05", "-0.5", "1.00e-05"]
    assert [explain.number(value) for value in numbers] == [*written, "not finite", "not finite"]


def test_every_setting_has_something_said_about_it() -> None:
    for sampler, rule in itertools.product(samplers.names(), steps.names()):
        for temperature in (0.0, 0.5, 1.0):
            parts = make_request().parts()._replace(sampler=samplers.get(sampler), rule=steps.get(rule))
            said = explain.why(parts, Settings(temperature=temperature))
            assert said
            assert all(line.endswith((".", ")")) for line in said)
