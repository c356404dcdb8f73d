"""The page AniLA: its laws against quadrature and a long run, what it ships, its words, and its views.

The flux of a law is computed here from the steps as papers.md writes them, and not from lflow's laws.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from streamlit.testing.v1 import AppTest

from lflow import energies, simulate
from lflow.papers import anila_edge, anila_laws
from lflow.papers.anila_laws import PLACES, core, distance, mean_slope, steep_share, variant_law
from lflow.papers.experiment import Job, Record, key, read_parts
from lflow.papers.line import LineLaw
from lflow.paths import pages_dir
from lflow.ui import link, racing, study
from lflow.ui.anila import clouds as anila_clouds
from lflow.ui.anila import cost as anila_cost
from lflow.ui.anila import keys as anila_keys
from lflow.ui.anila.law_chart import in_the_plane
from lflow.ui.anila.runs import (
    BUDGETS,
    EDGE_SIZES,
    EDGE_START,
    EDGE_THRESHOLD,
    SHOWN,
    TARGETS,
    bias_name,
    edge_jobs,
    law_jobs,
    reported_jobs,
    tuning_jobs,
    work,
)
from tests.conftest import ROOT
from tests.statistics import one_thread  # noqa: F401  (for every test here)

SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "line": lambda x: x,
    "pair": lambda x: 4 * (x - 1.5 * np.tanh(6 * x)),
    "steep": lambda x: 4 * x**3,
}
ENERGIES: dict[str, Callable[[float], float]] = {
    "line": lambda x: x * x / 2,
    "pair": lambda x: -np.logaddexp(-2 * (x - 1.5) ** 2, -2 * (x + 1.5) ** 2),
    "steep": lambda x: x**4,
}


def flux(law: LineLaw, method: str, part: str, b: float, smooth: bool) -> float:
    """The current J = drift·p - (D p)' seen by bumps φ: the largest ∫ J φ = ∫ (drift φ + D φ') p as h → 0.

    Over ∫ |drift| φ p, so that 1 would be no balance at all. Kinks of γ do no harm in this form.
    """
    x = np.linspace(-2.5, 2.5, 20_001)
    p, slope = law.at(torch.from_numpy(x)).numpy(), SLOPES[part](x)
    ratio = np.abs(slope) / b
    gamma = 1 / np.sqrt(1 + ratio**2) if smooth else 1 / np.maximum(1, ratio)
    drift = {
        "paper": -gamma * slope,
        "toy_code": -gamma * slope,
        "flowers_code": -slope,
        "corrected": -gamma * slope + np.gradient(gamma, x),
    }[method]
    spread = gamma if method in ("paper", "corrected") else gamma**2
    seen = []
    for centre in (-1.7, -0.9, -0.4, 0.2, 0.7, 1.3):
        bump = np.exp(-(((x - centre) / 0.15) ** 2) / 2)
        turned = -(x - centre) / 0.15**2 * bump
        whole = np.trapezoid((np.abs(drift) * bump + spread * np.abs(turned)) * p, x)
        seen.append(abs(np.trapezoid((drift * bump + spread * turned) * p, x)) / whole)
    return max(seen)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("part", SLOPES)
def test_no_law_of_a_variant_flows(part: str, smooth: bool) -> None:
    for method in ("paper", "toy_code", "flowers_code", "corrected"):
        for b in (0.4, 1.3):
            assert flux(variant_law(part, method, b, smooth), method, part, b, smooth) < 0.003, (method, b)
            if method != "corrected":
                assert flux(variant_law(part, "truth", b), method, part, b, smooth) > 0.05, (method, b)


@pytest.mark.parametrize("part", SLOPES)
def test_moments_of_the_laws_by_another_quadrature(part: str) -> None:
    b, U, slope = 0.6, ENERGIES[part], SLOPES[part]

    def integral(of: Callable[[float], float]) -> float:
        kinks = [-1.5, 1.5, -0.15, 0.15]
        return float(quad(of, -7, 7, limit=400, points=kinks)[0])

    def weight(x: float) -> float:
        return math.exp(-U(x)) * max(1.0, abs(float(slope(np.array(x)))) / b)

    whole = integral(weight)
    law = variant_law(part, "paper", b)
    assert law.variance() == pytest.approx(integral(lambda x: x * x * weight(x)) / whole, rel=1e-3)
    plain = integral(lambda x: math.exp(-U(x)))
    steep = integral(lambda x: math.exp(-U(x)) * (abs(float(slope(np.array(x)))) > b))
    assert steep_share(part, b) == pytest.approx(steep / plain, abs=2e-3)
    mean = integral(lambda x: math.exp(-U(x)) * abs(float(slope(np.array(x))))) / plain
    assert mean_slope(part) == pytest.approx(mean, rel=1e-3)


@pytest.mark.parametrize(("part", "h"), [("pair", 0.01), ("steep", 0.004)])
def test_a_long_run_of_the_published_step_has_its_law(part: str, h: float) -> None:
    """10,000 chains: the mass near a mode to 0.003 (one standard error) and to order h; e^f is far away."""
    jobs = law_jobs(next(t for t in TARGETS.values() if t.part == part), h, 0.8, False, ["paper"], 3)
    found = work(jobs[0].config | {"chains": 10_000, "burn": 400, "gap": 10})
    own, truth = (variant_law(part, m, 0.8).mass(lambda x: core(x, part)) for m in ("paper", "truth"))
    assert found["core"] == pytest.approx(own, abs=0.015)
    assert truth - own > 0.05
    assert found["kl_own"] < 0.1 * found["kl_truth"]


def test_of_laws_no_more_are_kept_than_a_few() -> None:
    assert variant_law("line", "corrected", 0.3) is variant_law("line", "truth", 7.0, True)
    for b in np.linspace(0.1, 9, 40):
        variant_law("steep", "paper", float(b))
    kept = anila_laws._law.cache_info()
    assert kept.currsize == kept.maxsize <= 16
    assert variant_law("line", "paper", 0.3).density.nbytes < 300_000


def test_distances_tell_a_cloud_from_its_target() -> None:
    generator = torch.Generator().manual_seed(0)
    for part, place in PLACES.items():
        draws = place.energy().sample(20_000, generator)
        assert distance(part, draws) < 0.02, part
        assert distance(part, 1.1 * draws) > 2.5 * distance(part, draws), part


def test_the_marginal_of_a_gaussian_in_the_plane() -> None:
    """papers.md, section 6: as b → 0 the variance along an axis is (d + 1)/d."""
    found = in_the_plane(energies.get("gaussian"), 1e-3)
    variances = [float((found.x**2 * p).sum() / p.sum()) for p in (found.truth, found.published)]
    assert variances == pytest.approx([1.0, 1.5], abs=0.02)
    assert float(np.trapezoid(found.published, found.x)) == pytest.approx(1, abs=1e-3)


# Where chains are lost


def test_step_sizes_of_one_cloud_are_those_of_clouds_of_their_own() -> None:
    config = {"method": "ula", "b": None, "seed": 4, "chains": 60, "steps": 40, "start": 2.0}
    found = anila_edge.work(config | {"sizes": [0.1]})
    start = 2.0 * torch.randn(60, 1, generator=torch.Generator().manual_seed(4))
    U = energies.get("quartic", dim=1)
    alone = simulate(U, "ula", step_size=0.1, num_steps=40, init=start, record_every=40, seed=4)
    lost = alone.diverged | alone.escaped
    assert found["lost"] == [float(lost.double().mean())]
    assert 0 < found["lost"][0] < 1
    assert found["second"][0] == pytest.approx(float(alone.positions[-1][~lost].square().mean()), rel=1e-6)


def test_the_edge_is_where_a_step_leads_outward() -> None:
    for x in (0.5, 2.0, 10.0):
        inner, outer = (abs(x - 4 * h * x**3) for h in (0.99 * anila_edge.edge(x), 1.01 * anila_edge.edge(x)))
        assert inner < x < outer


# What is shipped


def opening_jobs(name: str) -> list[Any]:
    """The runs that a page opens on, of a file in assets/studies."""
    if name == "anila-law":
        return [j for t in TARGETS.values() for j in law_jobs(t, t.h, t.b, False, SHOWN, 0)]
    if name == "anila-edge":
        return edge_jobs(EDGE_THRESHOLD, EDGE_START)
    target = TARGETS[name.removeprefix(bias_name(""))]
    tuning = tuning_jobs(target)
    known = read_parts(study.shipped_file(name))
    return [*tuning, *reported_jobs(target, [known[key(job.config)] for job in tuning])]


FILES = ("anila-law", "anila-edge", *map(bias_name, TARGETS))


@pytest.mark.parametrize("name", FILES)
def test_what_is_shipped_is_what_the_page_opens_on(name: str) -> None:
    assert study.shipped_file(name).stat().st_size < 300_000
    known = read_parts(study.shipped_file(name))
    assert sorted(known) == sorted({key(job.config) for job in opening_jobs(name)})


@pytest.mark.parametrize("name", ["anila-law", "anila-edge", "anila-bias-gaussian"])
def test_a_shipped_run_is_found_again(name: str) -> None:
    known = read_parts(study.shipped_file(name))
    job = min((job for job in opening_jobs(name) if job.config["method"] == "paper"), key=lambda j: j.cost)
    found, kept = work(job.config), known[key(job.config)].found
    assert found.keys() == kept.keys()
    for field, value in kept.items():
        # Another processor rounds otherwise: a few of the 20,000 points may end in another cell.
        pair = [np.array(each, dtype=float) for each in (found[field], value)]  # None is nan
        if field == "histogram":
            assert np.abs(pair[0] - pair[1]).mean() < 0.01 * pair[1].mean()
        else:
            np.testing.assert_allclose(*pair, rtol=0.03, err_msg=field)


def test_the_clouds_are_those_that_the_page_opens_on() -> None:
    asked, payload, seen = anila_clouds._opening()
    assert asked == anila_keys.clouds({}).key
    assert len(payload) < 1_500_000
    target = TARGETS[anila_keys.TARGET.default]
    _, again = anila_clouds._compute(
        anila_keys.clouds({}), anila_keys.TARGET.default, target.b, anila_clouds.Store(16), None
    )
    assert again.keys() == seen.keys()
    for method, each in again.items():
        assert each.calm == pytest.approx(seen[method].calm, abs=0.01)


def test_times_are_ratios_to_ula_of_every_method() -> None:
    found = anila_cost.measured()
    assert set(found["ratios"]) == set(TARGETS)
    assert {"date", "command", "torch"} <= found.keys()
    for ratios in found["ratios"].values():
        assert ratios["ula"] == 1
        assert ratios["corrected"] > ratios["paper"]


# Links


def test_a_link_stands_for_the_clouds() -> None:
    assert link.request("/anila?anila_view=The+clouds").key == anila_keys.clouds({}).key
    race = link.request("/anila?anila_target=rings&anila_rings_b=0.5&anila_seed=3")
    assert [json.loads(lane.sampler).get("threshold") for lane in race.lanes] == [None, 0.5, 0.5, 0.5]
    assert race.settings.seed == 3
    for wrong in ("anila_target=donut", "anila_rings_b=-1", "anila_nothing=1"):
        with pytest.raises(ValueError, match=wrong.split("_")[1].split("=")[0]):
            link.request(f"/anila?{wrong}")


# The views


def view(name: str, **settings: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "lflow" / "ui" / "shell.py"), default_timeout=60).run()
    for each, value in {"view": name, **settings}.items():
        app.query_params[f"anila_{each}"] = value
    return app.switch_page(str(pages_dir() / "anila.py")).run()


def said(app: AppTest) -> str:
    assert not app.exception, app.exception
    return " ".join(each.value for each in app.markdown)


FIRST = {
    anila_keys.CLOUDS: "a hole at every mode",
    anila_keys.LAW: "**As published**, the mass within",
    anila_keys.BIAS: "no AniLA variant is seen to beat ULA",
    anila_keys.EDGE: "**ULA loses 99 % of its chains at h = 0.2",
    anila_keys.COST: "takes a Hessian-vector product",
}


@pytest.mark.parametrize("name", FIRST)
def test_each_view_opens_without_computing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Record:
        raise AssertionError("it computes")

    monkeypatch.setattr(study, "run_job", refuse)
    monkeypatch.setattr(racing, "run_race", refuse)
    app = view(name)
    assert FIRST[name] in said(app)
    seeded = name in (anila_keys.CLOUDS, anila_keys.LAW)
    assert [button.label for button in app.button] == [*["New seed"] * seeded, "Reset"]
    assert [field.label for field in app.number_input].count("Seed") == seeded


def test_on_the_rings_no_variant_beats_ula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "run_job", None)
    assert "On the four rings no AniLA variant is seen to beat ULA" in said(
        view(anila_keys.BIAS, target="rings")
    )


def test_another_threshold_changes_the_words() -> None:
    app = view(anila_keys.LAW, variants="as published")
    before = said(app)
    app.number_input(key="anila_gaussian_b").set_value(1.5).run()
    after = said(app)
    assert "above b = 1.5 in 13 % of the target" in after
    assert "above b = 1.5" not in before
    assert len(app.get("vega_lite_chart")) == 2


def test_the_bias_is_read_at_the_threshold_and_the_gradients() -> None:
    app = view(anila_keys.BIAS)
    assert "At b = 0.5" in said(app)
    app.number_input(key="anila_gaussian_b").set_value(2.2).run()
    app.selectbox(key="anila_gradients").set_value(str(BUDGETS[0])).run()
    assert "At b = 2, distance" in said(app)
    assert "at 50 gradients" in said(app)


def test_the_losses_follow_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = anila_edge.work
    monkeypatch.setattr(anila_edge, "work", lambda config: whole(config | {"chains": 5, "steps": 5}))
    app = view(anila_keys.EDGE)
    app.number_input(key="anila_start").set_value(0.5).run()
    assert "Chains start at 0.5·N(0, 1)" in said(app)


def test_clouds_that_are_lost_are_named() -> None:
    app = view(anila_keys.CLOUDS, target="quartic", quartic_h="1.0", spend="20")
    assert "**ULA lost" in said(app)


def test_clouds_of_more_gradients_than_a_run_may_take_are_refused_in_a_sentence() -> None:
    app = view(anila_keys.CLOUDS, spend="30000")
    assert any("between 2 and 20,000" in warning.value for warning in app.warning)
    assert FIRST[anila_keys.CLOUDS] in said(app)


def test_clouds_that_are_over_the_budget_can_be_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lflow.ui.request.BUDGET", 500_000)
    app = view(anila_keys.CLOUDS, spend="400")
    assert "times what a page may compute" in app.error[0].value
    trim = next(button for button in app.button if button.label.endswith("gradients instead"))
    trim.click().run()
    assert not app.error
    assert int(app.number_input(key="anila_spend").value or 400) < 400


def test_what_the_lanes_refuse_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise ValueError("the first step takes more")

    monkeypatch.setattr(racing, "run_race", refuse)
    app = view(anila_keys.CLOUDS, spend="40")
    assert not app.exception
    assert app.error[0].value.startswith("The first step takes more")


def test_a_link_hides_b_and_h_of_every_target() -> None:
    app = view(anila_keys.CLOUDS, hide="b,h", target="rings", rings_b="3")
    assert not app.exception
    assert not [field for field in app.number_input if field.label in ("Threshold b", "Step size h")]
    assert "at most b = 3 " in said(app)


def test_a_smooth_step_has_a_name_and_a_law_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = study.run_job
    monkeypatch.setattr(study, "run_job", lambda work, job: whole(work, job._replace(config=short(job))))

    def short(job: Job) -> dict[str, Any]:
        return job.config | {"burn": 10, "gap": 10}

    app = view(anila_keys.LAW, variants="as published", smooth="true", gaussian_b="0.77")
    assert said(app).count("**Published step, smooth γ**") == 2
    assert "**As published**, the mass" not in said(app)


def test_a_mistake_in_a_link_is_named() -> None:
    app = view(anila_keys.LAW, target="donut", variants="as published")
    assert any("donut" in warning.value for warning in app.warning)


def test_edges_span_what_is_told() -> None:
    assert EDGE_SIZES[0] < anila_edge.edge(4.0) < EDGE_SIZES[-1]
