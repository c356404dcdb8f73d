"""What the page Train makes of the lines of a run's metrics: curves, and a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lflow.draws import VALIDATION, Draws
from lflow.training.learning import Learning
from lflow.training.parallel import join
from lflow.ui.train import charts, words
from lflow.ui.train.numbers import TITLES, TRAINING, domain, last_step, panels
from tests.test_models import runnable, shortened


def line(step: int, split: str = "train", **numbers: Any) -> dict[str, Any]:
    return {"step": step, "seconds": 0.1, "split": split, **numbers}


def test_panels_put_together_what_is_one_quantity() -> None:
    lines = [
        line(
            10, **{"loss/nll": 3.0, "loss/energy": 1.0, "energy/data": 0.5, "energy/chains": 0.7, "rate": 0.9}
        ),
        line(
            20,
            **{"loss/nll": 2.0, "loss/energy": None, "energy/data": 0.4, "energy/chains": 0.6, "rate": 0.8},
        ),
        line(20, "validation", nll=2.5, sliced_w2=0.3, **{"sliced_w2/flow": 0.4, "energy/data": 0.5}),
        line(40, "validation", nll=2.4, sliced_w2=0.1, **{"sliced_w2/flow": 0.5, "energy/data": 0.4}),
        line(60, "validation", nll=2.6, sliced_w2=0.2, **{"sliced_w2/flow": 0.6, "energy/data": 0.3}),
    ]
    found = panels(lines, "sliced_w2")
    assert {panel.title: [series.name for series in panel.series] for panel in found} == {
        TITLES["sliced_w2"]: ["validation", "flow"],
        TITLES["nll"]: [TRAINING, "validation"],
        TITLES["loss/energy"]: [TRAINING],
        TITLES["energy"]: ["data", "chains", "data, validation"],
        "rate": [TRAINING],
    }
    assert [panel.best for panel in found] == [(40, 0.1), None, None, None, None]
    assert [series.validates for series in found[3].series] == [False, False, True]
    assert found[2].series[0].steps == [10]  # what was not finite has no point
    assert panels([]) == []
    (own,) = panels([line(10, **{"loss/of_its_own": 1.0})])
    assert own.title == "of its own (loss)"


@pytest.mark.parametrize(("name", "preset"), runnable())
def test_every_quantity_of_every_model_has_a_title(name: str, preset: str) -> None:
    config = shortened(name, preset, 1)
    with join(torch.device("cpu")) as world, torch.random.fork_rng():
        learning = Learning(config, world)
        learning.initialise()
        step = learning.take_step(0)
        seen = learning.weights.learner.validate(
            learning.batches.validation(), Draws(0, 0, world.device, use=VALIDATION)
        )
    losses = {f"loss/{loss}": 0.0 for loss in step.losses}
    lines = [line(1, **losses, **dict.fromkeys(step.metrics, 0.0)), line(1, "validation", **seen)]
    assert {panel.title for panel in panels(lines)} <= set(TITLES.values())


def test_a_long_run_is_averaged_and_keeps_its_ends() -> None:
    lines = [line(step, **{"loss/nll": float(step % 7)}) for step in range(1, 1001)]
    (panel,) = panels(lines)
    (series,) = panel.series
    assert (series.each, len(series.values), series.steps[-1]) == (7, 143, 1000)
    assert series.values[0] == pytest.approx(sum(range(7)) / 7)
    assert (series.low[0], series.high[0]) == (0.0, 6.0)


def test_a_chart_leaves_out_the_first_fall() -> None:
    lines = [line(step, **{"loss/nll": 1000.0 / step}) for step in range(1, 101)]
    (panel,) = panels(lines)
    low, high = domain(panel)
    assert low < 10.0
    assert 1000 / 6 < high < 1000 / 4


def test_learned_is_read_off_the_validation() -> None:
    lines = [
        line(10, "validation", nll=2.0),
        line(20, "validation", nll=1.0),
        line(30, "validation", nll=1.5),
    ]
    told = words.learned(panels(lines, "nll"), over=True)
    assert f"{TITLES['nll']} is 1.5 at step 30; its least was 1, at step 20" in told
    assert "1 at step 20, its least so far." in words.learned(panels(lines[:2], "nll"), over=False)
    assert "1 at step 20, its least." in words.learned(panels(lines[:2], "nll"), over=True)
    assert words.learned(panels(lines), over=True) == ""  # a run that does not say what it is judged by
    assert words.learned([], over=True) == ""


@pytest.mark.parametrize(
    ("last", "ticks"),
    [(3, [0, 1, 2, 3]), (883, [0, 200, 400, 600, 800]), (1023, [0, 500, 1000]), (300_000, None)],
)
def test_the_axis_spans_what_was_run_and_names_lie_apart(last: int, ticks: list[int] | None) -> None:
    """A stopped run is as wide as a whole one; names are 16 px apart in the 68 that lines have."""
    lines = [line(step, **{"loss/nll": 1.0}) for step in range(3, last + 1, last // 3)]
    found = panels([*lines, line(last, "validation", nll=1.001)], "nll")
    assert last_step(found) == last
    drawn = charts.draw(found[0], last_step(found))
    axis = drawn["layer"][0]["encoding"]["x"]
    assert axis["axis"]["values"] == (ticks or [0, 100_000, 200_000, 300_000])
    low, high = drawn["layer"][1]["encoding"]["y"]["scale"]["domain"]
    (names,) = [layer["data"]["values"] for layer in drawn["layer"] if layer["mark"].get("type") == "text"]
    assert {name["x"] for name in names} == {last}
    first, second = sorted(name["y"] for name in names)
    assert (second - first) / (high - low) * 68 > 15.9
