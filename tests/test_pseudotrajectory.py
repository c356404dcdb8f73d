"""The cloud beside the flow: distances of windows against the laws of ULA and of the flow on a Gaussian."""

import itertools
import math

import pytest
import torch

from lflow.papers import pseudotrajectory
from lflow.papers.experiment import Config
from lflow.papers.pseudotrajectory import GRID, clock, histogram, targets, window_starts, work

CHAINS = 20_000


def config(constant: bool, chains: int = CHAINS, **changes: object) -> Config:
    rule = {"step_size": 0.8, "power": 0.6, "offset": 10.0}
    basis = {"target": "gaussian", "sampler": "ula", "rule": rule, "window": 3.0, "seed": 0}
    return {**basis, "constant": constant, "chains": chains, **changes}


def closed_form(asked: Config, noise: float = 2.0) -> list[float]:
    """sup of |σ of ULA - σ of the flow| over each window's moments, from both variance recursions.

    ULA on N(0,1): v' = (1 - h)² v + 2h; the flow from v: 1 + (v - 1) e^{-2s}; the means are 0.
    """
    _, times = clock(asked)
    variance = [targets()["gaussian"].spread ** 2]
    for h in times.diff().tolist():
        variance.append((1 - h) ** 2 * variance[-1] + noise * h)
    found = []
    for start in window_starts(times, asked["window"]):
        first, *later = pseudotrajectory._moments(times, start, asked["window"])
        flow = [1 + (variance[first] - 1) * math.exp(-2 * float(times[k] - times[first])) for k in later]
        away = [abs(variance[k] ** 0.5 - each**0.5) for k, each in zip(later, flow, strict=True)]
        found.append(max(away))
    return found


@pytest.mark.parametrize("constant", [True, False])
def test_distances_on_a_gaussian_are_those_of_the_closed_form(constant: bool) -> None:
    # σ of n chains has a standard error of σ/√(2n), σ ≤ 1.4 after the first window; the shape adds its floor
    # in squares, so it matters where the distance is small. Eight moments, eight windows: 4.5 errors.
    asked = config(constant)
    found = work(asked)
    error = 1.4 / (2 * CHAINS) ** 0.5
    for measured, exact, floor in zip(found["distances"], closed_form(asked), found["floor"], strict=True):
        low, high = exact - 4.5 * error, math.hypot(exact + 4.5 * error, 3 * floor)
        assert low <= measured <= high
    wrong = closed_form(asked, noise=1.0)  # as if the noise were √h ξ
    assert max(abs(m - w) for m, w in zip(found["distances"], wrong, strict=True)) > 10 * error


def test_falling_steps_come_to_the_flow_and_constant_ones_do_not() -> None:
    constant = work(config(True, chains=4000, target="pair", window=1.0, rule=PAIR_RULE))
    falling = work(config(False, chains=4000, target="pair", window=1.0, rule=PAIR_RULE))
    floor = max(falling["floor"])
    assert falling["distances"][-1] < min(2 * floor, falling["distances"][0] / 3)
    assert min(constant["distances"]) > 5 * floor
    assert constant["starts"] == pytest.approx(falling["starts"], rel=0.1, abs=0.1)


PAIR_RULE = {"step_size": 0.2, "power": 0.6, "offset": 10.0}


@pytest.mark.parametrize("name", list(targets()))
def test_the_histogram_that_the_flow_starts_from_is_closer_than_the_floor(name: str) -> None:
    on = targets()[name]
    rule = {"step_size": on.step_size, "power": 0.6, "offset": 10.0}
    found = work(config(False, chains=4000, target=name, window=on.window, rule=rule))
    assert found["binning"] < min(found["floor"])
    for picture in found["pictures"]:
        width = picture["points"][1] - picture["points"][0]
        for law in ("cloud", "flow"):
            assert sum(picture[law]) * width == pytest.approx(1, abs=0.01)


def test_a_run_and_its_seed_are_one() -> None:
    assert work(config(True, chains=200)) == work(config(True, chains=200))
    assert work(config(True, chains=200)) != work(config(True, chains=200, seed=1))


def test_the_clock_adds_up_the_steps_and_both_kinds_run_as_long() -> None:
    _, falling = clock(config(False))
    t = torch.arange(3, dtype=torch.float64)
    assert falling[:4].tolist() == pytest.approx([0.0, *(0.8 * (1 + t / 10) ** -0.6).cumsum(0).tolist()])
    _, constant = clock(config(True))
    assert constant.diff().tolist() == pytest.approx([0.8] * (len(constant) - 1))
    assert 0 <= float(constant[-1] - falling[-1]) < 0.8


def test_windows_lie_within_the_run_and_a_longer_one_is_refused() -> None:
    _, times = clock(config(False))
    starts = window_starts(times, 3.0)
    assert starts[-1] + 3.0 == pytest.approx(float(times[-1]))
    with pytest.raises(ValueError, match="and a window 1000"):
        window_starts(times, 1000.0)


def test_lost_chains_are_told() -> None:
    assert work(config(True, chains=100, rule={"step_size": 2.5, "power": 0.6, "offset": 10.0})) == {
        "lost": True
    }


def test_a_histogram_is_a_density() -> None:
    density = histogram(torch.tensor([-0.5, 0.5, 0.5, 0.5]), 1.0)
    assert float(density.sum() * 2 / GRID) == pytest.approx(1)
    assert float(density.max()) == pytest.approx(0.75 * GRID / 2)


def test_no_window_starts_before_the_first_step() -> None:
    times = torch.arange(40, dtype=torch.float64) * 0.5  # 19.5 units: a hundredth of it is below half a step
    starts = pseudotrajectory.window_starts(times, 1.0)
    assert starts[0] == pytest.approx(0.5)
    assert all(earlier < later for earlier, later in itertools.pairwise(starts))
    assert all(pseudotrajectory._moments(times, start, 1.0)[0] >= 1 for start in starts)
