"""The page of convergence: experiments against closed forms, what it ships, its words and its controls."""

import math
import os
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
import torch
from streamlit.testing.v1 import AppTest

from lflow import energies, metrics, paths
from lflow.exact import PROJECTIONS, exact
from lflow.papers import equal_gradients, stationary_bias
from lflow.papers.experiment import key, read_parts
from lflow.papers.stationary_bias import CLOSED_FORM, targets
from lflow.ui import study
from lflow.ui.convergence import flow, last, sweep
from lflow.ui.convergence import page as convergence
from lflow.ui.curves import decades
from lflow.ui.link import lab_request
from lflow.ui.run import run
from lflow.ui.store import Store
from tests.statistics import LIMIT

SHELL = paths.static_dir().parent / "shell.py"
every_view = pytest.mark.parametrize("view", convergence.VIEWS.values(), ids=list(convergence.VIEWS))


def bias_z(sampler: str, law: str, h: float = 0.32) -> float:
    """How far a measured bias on N(0,1) is from a closed form, in standard errors of five clouds."""
    (job,) = [each for each in stationary_bias.jobs("gaussian", (sampler,), 4000) if each.config["h"] == h]
    errors = torch.tensor(stationary_bias.work(job.config)["errors"], dtype=torch.float64)
    # 20 frames one unit of time apart, whose squares correlate by e^-2 a frame: worth about 15 draws.
    expected = CLOSED_FORM[law](h) * (2 / (15 * 5 * 4000)) ** 0.5
    return float(errors.mean() + 1 - CLOSED_FORM[law](h)) / expected


@pytest.mark.parametrize("sampler", ["ula", "rmm", "ormm", "srk", "leimkuhler_matthews", "baoab"])
def test_the_bias_on_a_gaussian_is_that_of_the_closed_form(sampler: str) -> None:
    assert abs(bias_z(sampler, sampler)) < LIMIT


def test_the_bias_of_a_wrong_scheme_is_not() -> None:
    assert abs(bias_z("rmm_independent", "rmm")) > 10 * LIMIT
    assert abs(bias_z("rmm_independent", "rmm_independent")) < LIMIT


def test_truths_of_the_mean_square() -> None:
    exact = {"gaussian": 1.0, "pair": 1.5**2 + 0.5**2, "quartic": math.gamma(0.75) / math.gamma(0.25)}
    for name, value in exact.items():
        assert targets()[name].law.variance() == pytest.approx(value, rel=1e-6)


def test_a_choice_that_costs_too_much_is_refused_in_a_sentence() -> None:
    app = opened(view="bias", bias_chains="20000")
    (error,) = app.error
    assert "chains in a cloud, or fewer samplers" in error.value


def test_lost_chains_leave_no_bias() -> None:
    job = stationary_bias.jobs("quartic", ("ula",), 200)[-1]
    assert stationary_bias.work({**job.config, "h": 1.0}) == {"errors": []}


def cell(h: float, sampler: str = "ula", **changes: Any) -> dict[str, Any]:
    config = {"energy": {"name": "gaussian"}, "sampler": {"name": sampler}, "h": h, "seed": 0}
    return {**config, "chains": 500, "gradients": 200, **changes}


def test_a_cell_has_the_mean_energy_of_the_closed_form() -> None:
    # ULA on N(0, I) in the plane: E U = 1/(1 - h/2), U ~ χ²₂/2 with that scale, so its error is E U/√n.
    found = equal_gradients.work(cell(0.4, chains=20_000))
    expected = CLOSED_FORM["ula"](0.4)
    error = expected * (1 / 20_000 + 1 / 20_000) ** 0.5
    assert abs(found["energy_error"] - (expected - 1)) < LIMIT * error
    assert abs(found["energy_error"]) > LIMIT * error  # which tells it from an exact sampler
    assert found["acceptance"] is None


def test_a_good_cell_is_at_its_floor_and_one_that_hardly_moves_is_not() -> None:
    good, slow = equal_gradients.work(cell(0.2)), equal_gradients.work(cell(0.001))
    assert good["ratio"] < good["reach"] < slow["ratio"]


def test_a_cell_that_loses_chains_has_no_distance() -> None:
    found = equal_gradients.work(cell(3.0, gradients=2000))
    assert (found["ratio"], found["energy_error"], found["lost"]) == (None, None, 1.0)


@pytest.mark.parametrize(
    ("sampler", "steps"), [("ula", 200), ("rmm", 100), ("hmc", 19), ("random_walk", 200)]
)
def test_cells_share_out_their_gradients(sampler: str, steps: int) -> None:
    found = equal_gradients.work(cell(0.1, sampler))
    assert found["steps"] == steps
    assert (found["acceptance"] is None) == (sampler in ("ula", "rmm"))


@every_view
def test_what_a_view_opens_on_is_shipped_and_nothing_else(view: Any) -> None:
    file = study.shipped_file(view.STUDY)
    assert list(read_parts(file)) == [key(job.config) for job in view.Choice().jobs()]
    assert file.stat().st_size < 300_000


@every_view
def test_what_is_shipped_is_what_a_run_gives(view: Any) -> None:
    shipped = list(read_parts(study.shipped_file(view.STUDY)).values())
    for record in (shipped[0], shipped[len(shipped) // 2]):
        close(view.work(record.config), record.found)


@every_view
def test_what_is_shipped_is_not_what_another_seed_gives(view: Any) -> None:
    shipped = list(read_parts(study.shipped_file(view.STUDY)).values())
    record = shipped[len(shipped) // 2]
    with pytest.raises(AssertionError):
        close(view.work({**record.config, "seed": 99}), record.found)


ROUNDED = 2e-4
A_CHAIN = 2e-3
"""What one of a few thousand chains that crosses a cell's border adds to a density."""


def close(found: Any, expected: Any, by: float = ROUNDED) -> None:
    """The same within 1 %, or as it is rounded: another machine may round differently."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            close(found[name], expected[name], A_CHAIN if name == "pictures" else by)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other, by)
    else:
        assert found == (None if expected is None else pytest.approx(expected, rel=0.01, abs=by))


@every_view
def test_every_control_is_declared_and_has_the_pages_prefix(view: Any) -> None:
    assert convergence.PAGE.key("view") == "convergence_view"
    names = [parameter.name for parameter in view.CONTROLS]
    assert all(name.startswith(f"{view.NAME}_") for name in names)


def opened(**settings: Any) -> AppTest:
    """The page, opened with these settings in its address."""
    app = AppTest.from_file(str(SHELL), default_timeout=60).run()
    for name, value in settings.items():
        app.query_params[f"convergence_{name}"] = value
    app.switch_page(os.path.relpath(paths.pages_dir() / "convergence.py", SHELL.parent)).run()
    assert not app.exception, [element.message for element in app.exception]
    return app


def said(app: AppTest) -> str:
    return " ".join(element.value for element in app.markdown)


@every_view
def test_a_view_opens_without_computing(view: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: Any) -> Any:
        raise AssertionError(f"computes {config}")

    monkeypatch.setattr(view, "work", refuse)
    app = opened(view=view.TITLE)
    assert view.QUESTION in said(app)
    assert not app.error
    assert not app.warning
    assert [expander.label for expander in app.expander] == [
        "The numbers",
        "What is measured",
        "The full experiment",
    ]
    assert len(app.table) == 1


@pytest.mark.parametrize(
    ("view", "settings", "words"),
    [
        ("bias", {"bias_samplers": ["ULA"], "bias_target": "Quartic x⁴", "bias_chains": "200"}, "Quartic"),
        ("last", {"last_samplers": ["ULA"], "last_gradients": "100", "last_h": "0.1"}, "After 100 gradients"),
        ("flow", {"flow_target": "Double well", "flow_sampler": "ULA"}, "ULA on Double well"),
        (
            "map",
            {"map_energy": "Gaussian", "map_sampler": "ULA", "map_metric": "Share of chains lost"},
            "ULA on Gaussian",
        ),
    ],
)
def test_another_choice_has_other_words(
    view: str, settings: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, small in (
        (last, "CHAINS", 100),
        (flow, "CHAINS", 200),
        (sweep, "CHAINS", 50),
        (sweep, "GRADIENTS", 20),
    ):
        monkeypatch.setattr(module, name, small)
    app = opened(view=convergence.VIEWS[view].TITLE, **settings)
    assert words in said(app)
    assert not app.error


def test_a_link_may_use_names_and_a_wrong_one_is_told() -> None:
    app = opened(view="flow", flow_power="7", bogus="1", bias_samplers=["ula", "nope"])
    told = " ".join(element.value for element in app.warning)
    assert "version" in opened(version="99").warning[0].value
    for name in ("flow\\_power", "bogus", "nope"):
        assert name in told
    assert flow.QUESTION in said(app)


def test_a_link_hides_controls_and_keeps_their_values() -> None:
    app = opened(view="bias", hide="view,bias_target,bias_samplers", bias_samplers=["ula"])
    assert not app.selectbox
    assert "ULA's" in said(app)
    assert "RMM" not in said(app)


def linked(app: AppTest) -> dict[str, list[str]]:
    """The settings of the link that the page offers."""
    address = next(element.value for element in app.code if element.language != "bash")
    pairs = parse_qs(urlparse(address).query)
    return {name.removeprefix("convergence_"): value for name, value in pairs.items()}


def test_the_link_of_a_view_leads_to_what_is_shown_without_what_it_hides() -> None:
    app = opened(view="bias", bias_samplers=["ula", "srk"])
    assert linked(app)["bias_samplers"] == ["ula", "srk"]
    app.multiselect(key="convergence-to-hide").set_value(["view", "bias_samplers"]).run()
    for _ in range(2):  # the page that the link leads to offers the same link
        found = linked(app) | {"hide": ["view,bias_samplers"]}
        assert found == {"version": ["1"], "bias_samplers": ["ula", "srk"], "hide": ["view,bias_samplers"]}
        app = opened(**found)
        assert not app.button_group
        assert "ULA's" in said(app)
        assert "RMM" not in said(app)


def test_a_link_may_hide_what_its_view_draws_and_keeps_the_view() -> None:
    app = opened(view="bias")
    to_hide = app.multiselect(key="convergence-to-hide")
    assert to_hide.options == ["view", "bias_target", "bias_samplers", "bias_chains"]
    to_hide.set_value(["bias_target"]).run()
    app.button_group(key="convergence_view").set_value("flow").run()
    assert not app.exception
    assert app.multiselect(key="convergence-to-hide").options == [
        "view",
        "flow_target",
        "flow_sampler",
        "flow_power",
        "flow_pair_h",
        "flow_pair_window",
    ]
    assert linked(app) == {"version": ["1"], "view": ["flow"]}


def test_a_window_longer_than_the_run_is_refused_in_a_sentence() -> None:
    app = opened(view="flow", flow_pair_h="0.001")
    (error,) = app.error
    assert "a window 1" in error.value


def test_a_map_needs_two_parameters() -> None:
    app = opened(view="map", map_energy="two_moons", map_sampler="ula")
    assert "has no other number" in app.info[0].value


def test_every_map_has_cells_that_its_declarations_allow() -> None:
    for energy in sweep.ENERGY.choices or ():
        for sampler in sweep.SAMPLER.choices or ():
            known = sweep.axes(energy, sampler)
            assert "h" in known
            assert all(1 <= len(axis.cells) <= sweep.CELLS for axis in known.values())


def test_the_best_cell_opens_in_the_lab_as_it_was() -> None:
    choice = sweep.Choice()
    records = list(read_parts(study.shipped_file(sweep.STUDY)).values())
    best = sweep.best_cell(choice, records)
    assert best is not None
    assert best.found["ratio"] == min(r.found["ratio"] for r in records if r.found["ratio"] is not None)
    settings = sweep.lab_settings(best)
    request = lab_request({name.removeprefix("lab_"): value for name, value in settings.items()})
    result = run(request, Store(1))
    truth = exact(energies.get("rings"), best.config["chains"])
    away = metrics.sliced_wasserstein2(result.positions[-1], truth.draws, PROJECTIONS)
    assert float(away) / truth.floor.mean == pytest.approx(best.found["ratio"], rel=0.01)


def test_a_map_that_was_stopped_says_what_is_missing() -> None:
    choice = sweep.Choice()
    records = list(read_parts(study.shipped_file(sweep.STUDY)).values())[:10]
    words = sweep.say(choice, records, sweep.best_cell(choice, records))
    assert "71 of 81 cells are not computed." in words


def test_ticks_are_one_two_and_five() -> None:
    assert decades((0.015, 1.0)) == [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
