"""What the page of convergence says of its runs: nothing that noise could say as well."""

import pytest
import torch

from lflow.papers.experiment import Record
from lflow.ui.convergence import bias, flow, last


def bias_records(errors: dict[float, list[float]]) -> list[Record]:
    return [Record({"sampler": "ula", "h": h}, {"errors": each}, 0.0) for h, each in errors.items()]


NOISY = [0.01, -0.01, 0.012, -0.008, 0.001]


def bias_words(shifts: dict[float, float]) -> str:
    found = bias.curves(bias_records({h: [x + shift for x in NOISY] for h, shift in shifts.items()}))
    return bias.say(bias.Choice(samplers=("ula",)), found)


def test_nothing_is_claimed_of_a_bias_within_the_noise() -> None:
    found = bias.curves(bias_records({0.02: NOISY, 0.64: [x + 0.4 for x in NOISY]}))
    spread = torch.tensor(NOISY, dtype=torch.float64).std() / 5**0.5
    pooled = float(spread) * ((1 + (1 / 1.401) ** 2) / 2) ** 0.5
    # 5.041: the 99.95 % quantile of Student's law with 8 degrees of freedom, from a table.
    assert bias.noise_floor(found["ula"]) == pytest.approx(5.041 * pooled, rel=1e-3)
    assert "A bias is seen of ULA at h = 0.64." in bias_words({0.02: 0.0, 0.64: 0.4})
    assert "None is seen of ULA." in bias_words({0.02: 0.0})
    assert "The largest" not in bias_words({0.02: 0.0})


def test_a_samplers_floor_is_its_own() -> None:
    records = bias_records({0.02: NOISY, 0.04: NOISY})
    loud = [
        Record({"sampler": "baoab", "h": h}, {"errors": [3 * x for x in NOISY]}, 0.0) for h in (0.02, 0.04)
    ]
    both = bias.curves([*records, *loud])
    assert bias.noise_floor(both["baoab"]) == pytest.approx(3 * bias.noise_floor(both["ula"]), rel=0.01)


def test_a_bias_is_told_from_a_step_on_only_where_all_later_ones_show_it() -> None:
    assert "of ULA from h = 0.04 on." in bias_words({0.02: 0.0, 0.04: 0.1, 0.08: 0.2})
    assert "of ULA at h = 0.02 and 0.08." in bias_words({0.02: 0.1, 0.04: 0.0, 0.08: 0.2})
    assert "of ULA at h = 0.02 and 0.04." in bias_words({0.02: 0.1, 0.04: -0.1})


def test_lost_runs_are_told_in_words() -> None:
    found = bias.curves(bias_records({0.02: [0.01] * 4 + [0.02], 0.64: []}))
    words = bias.say(bias.Choice("quartic", ("ula",)), found)
    assert "Chains are lost, so that there is no point, with ULA at h = 0.64." in words


def test_falling_steps_are_only_called_closer_where_the_seeds_tell_them_apart() -> None:
    # The ends of the seeds lie far apart: a pair's difference is 0.03 ± 0.001, with the pairs parted ± 0.14.
    constant = [0.1, 0.2, 0.3, 0.4, 0.5]
    closer = [0.072, 0.168, 0.27, 0.371, 0.469]

    def course(ends: list[float]) -> last.Course:
        return last.Course([10, 100], [0.9, sum(ends) / 5], [0.01, 0.01], dict(enumerate(ends)))

    choice = last.Choice(samplers=("ula",))
    for ends, words in ((closer, "leave ULA closer"), (closer[::-1], "leave no sampler closer")):
        found = {("ula", "constant"): course(constant), ("ula", "polynomial"): course(ends)}
        assert words in last.say(choice, found, 0.01)
        assert "by a paired test over the seeds at 99 %" in last.say(choice, found, 0.01)


def test_a_distance_is_only_said_to_fall_where_the_seeds_agree() -> None:
    first = dict(enumerate([0.5, 0.6, 0.7, 0.8, 0.9]))

    def words(last_window: list[float]) -> str:
        mean = sum(last_window) / 5
        course = flow.Course(
            [1, 9], [0.7, mean], [0.1, 0.1], [0.01, 0.01], [], first, dict(enumerate(last_window))
        )
        return flow.say(flow.Choice(), {False: course})

    assert "the distance falls" in words([0.4, 0.49, 0.61, 0.7, 0.8])
    assert "the distance rises" in words([0.6, 0.69, 0.81, 0.9, 1.0])
    assert "the distance is not seen to change" in words([0.8, 0.7, 0.61, 0.49, 0.4])
