"""The paired test over seeds, against another library's."""

import pytest
import torch
from scipy.stats import ttest_rel

from lflow.papers import experiment


@pytest.mark.parametrize("count", [2, 3, 5, 12])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_lower_is_what_another_paired_test_says(count: int, level: float) -> None:
    generator = torch.Generator().manual_seed(count)
    told = set()
    for shift in torch.linspace(-8, 8, 33).tolist():
        others = torch.randn(count, generator=generator, dtype=torch.float64) * 5
        values = others + shift + torch.randn(count, generator=generator, dtype=torch.float64)
        test = ttest_rel(values.numpy(), others.numpy())
        expected = bool(test.statistic < 0 and test.pvalue < 1 - level)
        by_seed = dict(enumerate(others.tolist()))
        backwards = dict(reversed(list(enumerate(values.tolist()))))
        assert experiment.is_lower(backwards, by_seed, level) == expected
        told.add(expected)
    assert told == ({False, True} if count > 2 else told)


def test_nothing_is_lower_of_which_too_little_is_known() -> None:
    low: dict[int, float | None] = {0: 1.0, 1: 1.1, 2: 0.9}
    high: dict[int, float | None] = {0: 5.0, 1: 5.1, 2: 4.9}
    assert experiment.is_lower(low, high)
    assert not experiment.is_lower(high, low)
    assert not experiment.is_lower({**low, 2: None}, high)
    assert not experiment.is_lower(low, {**high, 2: float("inf")})
    assert not experiment.is_lower({**low, 2: None}, {**high, 2: None})
    assert not experiment.is_lower({0: 1.0}, high)
    assert not experiment.is_lower(low, {7: 5.0, 8: 5.0})
    assert experiment.is_lower({0: 1.0, 1: 2.0}, {0: 2.0, 1: 3.0})  # no spread at all
