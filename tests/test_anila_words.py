"""What the page AniLA says: its sentences follow the numbers, and the floor holds for a run in its law."""

import dataclasses

import pytest

from lflow.ui.anila import read, words
from lflow.ui.anila import words_compare as compare
from lflow.ui.anila.runs import TARGETS, burn_in, law_jobs, work
from tests.statistics import one_thread  # noqa: F401  (for every test here)


def law_row(method: str, kl: float = 0.2, own: float = 0.004) -> read.LawRow:
    return read.LawRow(method, 1.8, 1.79, 0.11, 0.11, kl, own, [0.0] * 160)


def test_words_of_the_law_follow_the_numbers() -> None:
    rows = [law_row("ula", 0.004), law_row("paper"), law_row("metropolis", 0.005, 0.005)]
    floor = read.LawFloor(0.004, 0.03)
    text = " ".join(words.law("gaussian", 0.5, 0.62, rows, 0.197, floor))
    assert "above b = 0.5 in 62 % of the target" in text
    assert "44 % too little" in text
    assert "50 times nearer to its own law" in text
    assert "0.005 (in e^f from the first step on" in text
    assert "is 0.004; a run's 10 moments" in text
    assert "may show up to 0.03" in text
    for kl, verdict in ((0.02, "not told from e^f"), (0.05, "off by the error of a finite step")):
        said = words.law("gaussian", 0.5, 0.62, [law_row("corrected", kl)], 0.197, floor)
        assert f"the corrected step {kl} ({verdict})" in " ".join(said)
    calm = " ".join(words.law("gaussian", 40.0, 0.0, [law_row("paper", 0.004)], 0.197, floor))
    assert "every variant is close to ULA" in calm
    assert "not told from e^f here" in calm
    own_name = dataclasses.replace(law_row("paper"), smooth=True)
    smooth = " ".join(words.law("gaussian", 0.5, 0.62, [own_name], 0.197, floor))
    assert "**Published step, smooth γ**" in smooth
    assert "As published" not in smooth
    assert "elsewhere by less" in smooth
    lost = dataclasses.replace(law_row("flowers_code"), core=None, kl_truth=None, kl_own=None, histogram=None)
    assert "the Flowers code were lost" in " ".join(words.law("quartic", 1, 0.5, [lost], 0.2, floor))


def bias_row(method: str, b: float | None, level: float) -> read.BiasRow:
    spread = read.Spread(tuple(level * (1 + 0.01 * seed) for seed in range(5)))
    return read.BiasRow(method, b, 1000, 0.01, False, level, spread, None)


def test_words_of_the_bias_follow_the_numbers() -> None:
    floor = read.Spread((0.008, 0.009, 0.01, 0.011, 0.012))
    ula = bias_row("ula", None, 0.02)
    worse = compare.bias("rings", [ula, bias_row("paper", 2.0, 0.06)], 2.0, floor)
    assert "no AniLA variant is seen to beat ULA at 1,000 gradients" in worse[0]
    assert "none could be" not in worse[0]
    assert "the published step 3." in worse[1]
    better = compare.bias("rings", [ula, bias_row("paper", 2.0, 0.01)], 2.0, floor)
    assert "the published step (0.0102 at b = 2) beats ULA" in better[0]
    equal = [bias_row("ula", None, 0.01), bias_row("paper", 2.0, 0.01)]
    at_the_floor = "none could be: ULA (0.0102) is at the floor of 2,000 exact samples, 0.01"
    assert at_the_floor in compare.bias("rings", equal, 2.0, floor)[0]
    ends = [dataclasses.replace(row, at_end=True) for row in (ula, bias_row("paper", 4.0, 0.06))]
    assert (
        "for ULA (h = 0.01) and the published step (h = 0.01 at b = 4)"
        in compare.bias("rings", [*ends, bias_row("paper", 2.0, 0.07)], 2.0, floor)[-1]
    )
    lost = [dataclasses.replace(ula, w2=None, h=None)]
    assert "ULA lost chains" in compare.bias("quartic", lost, 2.0, floor)[0]


def test_words_of_the_losses_follow_the_numbers() -> None:
    def row(method: str, lost: float, second: float) -> read.EdgeRow:
        spreads = read.Spread((0.0,) * 5), read.Spread((lost,) * 5)
        return read.EdgeRow(method, (0.1, 1.0), spreads, (read.Spread((second,) * 5),) * 2)

    rows = [row("ula", 0.6, 1.0), row("paper", 0.0, 4.0), row("metropolis", 0.0, 1.02)]
    text = " ".join(compare.diverging(rows, 2.0, 0.7))
    assert "ULA loses 60 % of its chains at h = 1" in text
    assert "by the published step and the step with an accept step" in text
    assert "b = 0.7, E x² over the target's: the published step 4." in text
    assert "off by at most 2 %" in text
    assert "loses at most 10 %" in " ".join(compare.diverging([row("ula", 0.1, 1.0)], 2.0, 0.7))


def test_how_long_a_cloud_takes_to_settle() -> None:
    target = TARGETS["gaussian"]
    assert burn_in(target, 0.05, 100.0) == (100, True)
    assert burn_in(target, 0.05, 0.5)[0] > burn_in(target, 0.1, 0.5)[0]
    steps, waits = burn_in(target, 1e-4, 0.01)
    assert (steps, waits) == (3000, False)
    assert "still on their way" in words.settling(steps, 10, 10, waits)


@pytest.mark.parametrize("name", ["gaussian", "rings"])
def test_a_run_that_is_in_its_law_stays_within_what_is_said_of_the_floor(name: str) -> None:
    """The accept step keeps e^f: its moments hang together, the less a step moves the more."""
    target = TARGETS[name]
    floor, small = read.law_floor(target.part), {"burn": 20, "gap": 1}
    shown = []
    for seed in range(4):
        job = law_jobs(target, target.h / 50, target.b, False, ["metropolis"], seed)[0]
        shown.append(work(job.config | small)["kl_truth"])
    assert max(shown) < floor.most
    assert min(shown) > 2 * floor.independent, "moments so near each other are far from independent"
