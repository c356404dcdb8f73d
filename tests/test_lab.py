"""What the lab asks for, computes and says, without a browser: requests, budgets, the store, truth, words."""

import itertools
import math
import re
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from lflow import energies, samplers, steps
from lflow.paths import pages_dir
from lflow.spec import Parameter, parameters
from lflow.ui.controls import plain, readable, slider_stops
from lflow.ui.keys import check_link, lab_keys
from lflow.ui.request import (
    BUDGET,
    OverBudget,
    Request,
    Settings,
    as_json,
    make_energy,
    starting_points,
)
from lflow.ui.run import _MOST_FRAMES, flow_times, has_flow, record_every, run
from lflow.ui.scene import make_scene
from lflow.ui.store import Store
from lflow.ui.track import track_of
from lflow.ui.truth import find_truth
from tests.lab_requests import FORMULA, POINTS, make_request


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_chains": 0},
        {"num_chains": 50_001},
        {"num_chains": 2.5},
        {"num_steps": 20_001},
        {"num_steps": math.nan},
        {"temperature": -0.1},
        {"temperature": math.inf},
        {"start": "elsewhere"},
        {"x": 1e5},
        {"y": math.nan},
        {"seed": -1},
        {"seed": 2**31},
        {"more": 101},
        {"num_chains": "many"},
        {"num_steps": True},
    ],
)
def test_settings_are_checked_by_their_declaration(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"run: {next(iter(wrong))} must be"):
        Settings(**wrong)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (make_request(h=0.0), "step_size must be between"),
        (make_request(h=math.inf), "finite"),
        (make_request(as_json("gaussian", dim=10)), "2 dimensions, not 10"),
        (make_request(as_json("rings", width=-1.0)), "width must be between"),
        (make_request(as_json("no_such")), "no_such"),
        (make_request(sampler="mala", rule="anisotropic"), "detailed balance"),
        (make_request(sampler="ula", rule="target_acceptance"), "no accept step"),
        (make_request(as_json("from_expression", text="1/x", reach=3.0)), "not finite"),
        (make_request(as_json("from_expression", text="__import__('os')", reach=3.0)), "not"),
    ],
)
def test_a_wrong_request_is_refused_before_it_runs(request_: Request, message: str) -> None:
    store = Store(1)
    with pytest.raises(ValueError, match=message):
        run(request_, store)
    assert request_.key not in store


@pytest.mark.parametrize("name", energies.names())
@pytest.mark.parametrize(("sampler", "a_step"), [("ula", 1), ("hmc", 10), ("random_walk", 1)])
def test_the_budget_counts_gradients_and_what_they_cost(name: str, sampler: str, a_step: int) -> None:
    request = make_request(name, sampler, num_chains=10_000, num_steps=20_000)
    parts = request.parts()
    assert max(1, parts.sampler.gradients_per_step) == a_step
    allowed = int(BUDGET / parts.energy.cost / (10_000 * a_step))
    fits = replace(request, settings=replace(request.settings, num_steps=min(allowed, 20_000)))
    fits.check_budget(parts)
    if allowed < 20_000:
        with pytest.raises(OverBudget, match=f"Take {allowed:,} steps, or fewer") as refused:
            request.check_budget(parts)
        assert refused.value.allowed == allowed


def test_the_budget_holds_for_all_that_a_link_asks_for() -> None:
    # Each part of a run that was continued 100 times is within the budget; all of it, in one request, is not.
    request = make_request("gaussian", num_chains=50_000, num_steps=2000, more=100)
    with pytest.raises(OverBudget):
        request.check_budget(request.parts())


def test_a_small_cloud_is_charged_for_the_time_that_each_step_takes() -> None:
    # 1 particle × 20,000 steps × 200 gradients × 25 runs is within any count of particles, and takes hours.
    hmc = as_json("hmc", num_leapfrog=200)
    request = replace(make_request("gaussian", num_chains=1, num_steps=20_000, more=24), sampler=hmc)
    with pytest.raises(OverBudget):
        request.check_budget(request.parts())


def test_the_store_is_bounded_and_drops_the_oldest() -> None:
    store, computed = Store(2), []

    def get(key: str) -> str:
        return store.get(key, lambda: computed.append(key) or key.upper())

    assert [get(key) for key in "abacab"] == list("ABACAB")
    assert computed == ["a", "b", "c", "b"]  # "a" was used after "b", and stayed
    assert [key in store for key in "abc"] == [True, True, False]


def test_the_store_serves_many_threads() -> None:
    store, wrong = Store(8), []

    def work(offset: int) -> None:
        for k in range(2000):
            key = str((k * 7 + offset) % 20)
            if store.get(key, lambda key=key: f"value {key}") != f"value {key}":
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(str(key) in store for key in range(20)) == 8


def test_the_store_is_bounded_in_bytes_too() -> None:
    store = Store(100, max_bytes=3_000)
    for key in "abcd":
        store.get(key, lambda: {"one": (torch.zeros(250),)})  # 1,000 bytes each
    assert [key in store for key in "abcd"] == [False, True, True, True]
    store.get("large", lambda: torch.zeros(2000))  # more than all: kept alone
    assert [key in store for key in ("b", "c", "d", "large")] == [False, False, False, True]


def test_where_no_step_fits_none_is_offered() -> None:
    request = make_request("gaussian", "svgd", num_chains=50_000, num_steps=1)
    with pytest.raises(OverBudget, match="Take fewer particles") as refused:
        request.check_budget(request.parts())
    assert refused.value.allowed == 0


def test_a_failed_computation_leaves_nothing_in_the_store() -> None:
    store = Store(2)
    with pytest.raises(ZeroDivisionError):
        store.get("a", lambda: 1 / 0)
    assert "a" not in store
    assert store.get("a", lambda: 1) == 1


@pytest.mark.parametrize("num_steps", [1, 7, 250, 251, 20_000])
@pytest.mark.parametrize("num_chains", [1, 2000, 50_000])
def test_frames_stay_within_what_is_sent(num_steps: int, num_chains: int) -> None:
    every = record_every(Settings(num_steps=num_steps, num_chains=num_chains))
    frames = math.ceil(num_steps / every)
    assert 1 <= every <= num_steps
    assert frames <= _MOST_FRAMES
    assert frames * num_chains <= 3_000_000


TIME_RULES = [
    (steps.get("constant", step_size=0.03), lambda t: 0.03),
    (steps.get("polynomial", step_size=0.1, power=0.7, offset=20.0), lambda t: 0.1 * (1 + t / 20) ** -0.7),
    (
        steps.get("cyclical", step_size=0.2, cycle_length=13),
        lambda t: 0.1 * (1 + np.cos(np.pi * (t % 13) / 13)),
    ),
]


def test_every_rule_of_time_is_tested() -> None:
    timed = {name for name in steps.names() if steps.get_class(name).kind == "time"}
    assert timed == {rule.name for rule, _ in TIME_RULES}


@pytest.mark.parametrize(("rule", "size"), TIME_RULES, ids=lambda value: getattr(value, "name", ""))
def test_flow_times_are_the_sum_of_the_steps(rule: Any, size: Any) -> None:
    at = [0, 1, 2, 50, 123]
    direct = [sum(float(size(t)) for t in range(step)) for step in at]
    np.testing.assert_allclose(flow_times(rule, torch.tensor(at)), direct, rtol=1e-6)


def test_the_flow_is_offered_where_the_run_discretises_it() -> None:
    offered = {
        (sampler, rule)
        for sampler, rule in itertools.product(samplers.names(), steps.names())
        if has_flow(
            make_request().parts()._replace(sampler=samplers.get(sampler), rule=steps.get(rule)), Settings()
        )
    }
    overdamped = {"ula", "sgld", "mala"} & set(samplers.names())
    assert set(itertools.product(overdamped, ("constant", "polynomial", "cyclical"))) <= offered
    assert not offered & set(itertools.product(("hmc", "baoab", "random_walk"), steps.names()))
    assert not offered & set(itertools.product(samplers.names(), ("anisotropic", "rmsprop")))
    assert not has_flow(make_request().parts(), Settings(temperature=0.0))


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("energy", [*energies.names(), FORMULA, POINTS])
def test_marginals_are_the_densitys(energy: str, temperature: float) -> None:
    request = make_request(energy)
    target = make_energy(request.energy)
    truth = find_truth(target, temperature, 20)
    (x0, x1), (y0, y1) = target.bounds
    xs, ys = (low + (high - low) * (np.arange(128) + 0.5) / 128 for low, high in target.bounds)
    points = torch.tensor([(x, y) for y in ys for x in xs], dtype=torch.float64)
    with torch.no_grad():
        weight = np.exp(-target(points).numpy() / temperature).reshape(128, 128)  # rows are y
    cell = (x1 - x0) * (y1 - y0) / 128**2
    assert truth.marginal_x is not None
    assert truth.marginal_y is not None
    # A heavy tail may have up to a twentieth of its mass outside of the picture.
    for marginal, axis, length in ((truth.marginal_x, 0, x1 - x0), (truth.marginal_y, 1, y1 - y0)):
        mass = float(marginal.sum()) * length / 128
        assert 0.93 < mass < 1.02
        direct = weight.sum(axis) / (weight.sum() * length / 128)
        np.testing.assert_allclose(marginal / mass, direct, rtol=1e-6, atol=1e-9 / cell)


def test_at_temperature_zero_there_is_no_target() -> None:
    request = make_request("double_well", temperature=0.0)
    store = Store(3)
    track = track_of(request, run(request, store), request.key, store)
    assert track.truth.density is None
    assert track.away is None
    scene = make_scene(track)
    assert "Distance" not in scene.panels[0].captions[-1]


def test_names_as_words() -> None:
    assert readable(Parameter("num_chains", 1)) == "Chains"
    assert readable(Parameter("cycle_length", 1, unit="steps")) == "Cycle length (steps)"


def every_parameter() -> list[Parameter]:
    classes = [module.get_class(name) for module in (energies, samplers, steps) for name in module.names()]
    return [parameter for cls in (*classes, Settings) for parameter in parameters(cls)]


def test_slider_stops_hold_the_default_and_stay_within_the_bounds() -> None:
    for parameter in every_parameter():
        if parameter.kind in (bool, str):
            continue
        stops = slider_stops(parameter)
        low, high = parameter.span
        assert stops == sorted(set(stops)), parameter.name
        assert low <= stops[0] <= stops[-1] <= high, parameter.name
        assert 2 <= len(stops) <= 202, parameter.name
        if low <= parameter.default <= high:
            assert parameter.default in stops, parameter.name
        for stop in stops:
            parameter.check(stop)


def test_a_link_is_checked_by_the_declarations() -> None:
    known = lab_keys()
    right = {"h": ["0.5"], "energy": ["Rings"], "flow": ["true"]}
    assert check_link(right, known, "lab") == (right, [])
    assert check_link({"energy": ["rings"]}, known, "lab") == ({"energy": ["Rings"]}, [])
    wrong = {"h": ["nan"], "energy": ["rongs"], "flow": ["2"], "seed": ["1.5"], "no": ["1"]}
    usable, said = check_link(wrong, known, "lab")
    assert usable == {}
    assert len(said) == len(wrong)
    assert all(f"sets lab_{key}" in sentence for key, sentence in zip(wrong, said, strict=True))
    usable, said = check_link({"h": ["0.5"], "version": ["9"]}, known, "lab")
    assert usable == {}
    assert "version 9" in said[0]


def test_a_strangers_text_is_shown_as_it_is() -> None:
    text = "![a](http://example.org/a.png) **b** <i>c</i> $d$ :red[e]"
    assert not re.search(r"(?<!\\)[!\[\]()*<>$:]", plain(text))


def test_starts() -> None:
    energy = make_energy(as_json("banana"))
    point = starting_points(energy, Settings(num_chains=3, start="point", x=1.0, y=2.0))
    assert point is not None
    assert point.tolist() == [[1.0, 2.0]] * 3
    box = starting_points(energy, Settings(num_chains=1000, start="box", seed=1))
    low, high = torch.tensor(energy.bounds).T
    assert box is not None
    assert ((box >= low) & (box <= high)).all()
    assert starting_points(energy, Settings()) is None


def test_the_page_checks_what_a_browser_sends_by_hand() -> None:
    app = AppTest.from_file(str(pages_dir() / "particle_lab.py"), default_timeout=60)
    app.query_params["lab_num_chains"], app.query_params["lab_num_steps"] = "50", "20"
    app.run()
    assert not app.exception
    app.number_input(key="lab_num_chains").set_value(10**9).run()
    assert not app.exception
    assert app.number_input(key="lab_num_chains").value == Settings().num_chains
