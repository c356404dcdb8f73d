"""Runs of the page of convergence: they tell how far they are, stop within, and cost no more than allowed."""

from itertools import pairwise
from typing import Any

import pytest

from lflow.papers import stationary_bias
from lflow.papers.experiment import Job, key
from lflow.ui import study
from lflow.ui.convergence import bias, flow, last, sweep
from lflow.ui.convergence import page as convergence
from lflow.ui.convergence.controls import BUDGET
from lflow.ui.request import OverBudget
from lflow.ui.store import Store

every_view = pytest.mark.parametrize("view", convergence.VIEWS.values(), ids=list(convergence.VIEWS))


@every_view
def test_a_run_tells_how_far_it_is_and_ends_where_it_is_told(view: Any) -> None:
    job = view.Choice().jobs()[-1]
    shares: list[float] = []
    found = view.work(job.config, lambda part, parts: shares.append(part / parts))
    assert found == view.work(job.config)
    assert shares == sorted(shares)
    # A cell of a map takes some hundredths of a second: there is nothing to tell before its end.
    assert shares[0] <= (1 if view is sweep else 0.1)
    assert shares[-1] <= 1

    def end(part: int, parts: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        view.work(job.config, end)


def test_a_long_run_is_told_of_often() -> None:
    told = [0.0]
    job = stationary_bias.jobs("gaussian", ("ula",), 200)[0]
    stationary_bias.work(job.config, lambda part, parts: told.append(part / parts))
    assert max(later - earlier for earlier, later in pairwise(told)) < 0.04
    assert told[-1] == 1


def test_what_is_stopped_within_a_run_keeps_the_runs_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(BaseException):
        """As Streamlit ends a script from within: no Exception."""

    shares: list[float] = []

    def report(share: float, said: str) -> None:
        shares.append(share)
        if share >= 0.75:
            raise Stopped

    def work(config: dict[str, int], tell: Any) -> dict[str, int]:
        for part in range(4):
            tell(part, 4)
        return {"found": config["n"]}

    store = Store(10)
    monkeypatch.setattr(study, "_kept", lambda: store)
    monkeypatch.setattr(study, "progress", lambda *arguments: report)
    jobs = [Job({"n": n}, 1.0) for n in range(2)]
    with pytest.raises(Stopped):
        study.collect("test", work, jobs, tells=True)
    assert shares == [0, 0, 0.125, 0.25, 0.375, 0.5, 0.5, 0.625, 0.75]
    assert store.find(f"test {key({'n': 0})}") is not None
    assert store.find(f"test {key({'n': 1})}") is None


@pytest.mark.parametrize(
    ("view", "field", "parameter", "more"),
    [
        (bias, "chains", bias.CHAINS, {"samplers": bias.SAMPLER.choices, "target": "pair"}),
        (last, "gradients", last.GRADIENTS, {"samplers": last.SAMPLER.choices}),
    ],
    ids=["bias", "last"],
)
def test_what_a_choice_costs_is_bounded(view: Any, field: str, parameter: Any, more: dict[str, Any]) -> None:
    with pytest.raises(OverBudget, match="or fewer samplers") as caught:
        view.Choice(**more, **{field: parameter.high}).jobs()
    allowed = caught.value.allowed
    assert sum(job.cost for job in view.Choice(**more, **{field: allowed}).jobs()) <= BUDGET
    beyond = min(stop for stop in parameter.stops() if stop > allowed)
    with pytest.raises(OverBudget):
        view.Choice(**more, **{field: int(beyond)}).jobs()


def test_what_a_choice_without_a_size_costs_is_within_the_bound() -> None:
    for sampler in flow.SAMPLER.choices or ():
        assert sum(job.cost for job in flow.Choice(sampler=sampler).jobs()) <= BUDGET
    assert sum(job.cost for job in sweep.Choice().jobs()) <= BUDGET
