"""Bootstrap intervals cover what they promise, and paired comparisons need the same examples."""

import numpy as np
import pytest
from scipy import stats

from bertkit.errors import DataError
from bertkit.evaluation.intervals import bootstrap_interval, paired_difference


def rows(correct):
    return [{"id": str(i), "gold": "yes", "predicted": "yes" if c else "no"} for i, c in enumerate(correct)]


def test_the_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(0).random(2000) < 0.7
    low, high = bootstrap_interval(lambda drawn: values[drawn].mean(axis=1), len(values), count=4000)
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.002)
    assert high == pytest.approx(values.mean() + half, abs=0.002)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        sample = generator.random(200) < 0.8
        low, high = bootstrap_interval(lambda drawn, s=sample: s[drawn].mean(axis=1), 200, count=400, seed=trial)
        covered += low <= 0.8 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_real_difference_is_seen_and_its_interval_agrees_with_resampling_examples():
    generator = np.random.default_rng(1)
    first, second = generator.random(1000) < 0.85, generator.random(1000) < 0.75
    found = paired_difference([rows(first)], [rows(second)])
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert (found.first, found.second, found.n) == (first.mean(), second.mean(), 1000)
    gap = first.astype(float) - second
    low, high = bootstrap_interval(lambda drawn: gap[drawn].mean(axis=1), 1000, count=10_000)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.004)
    assert found.significant
    assert found.p_value < 0.001


def test_the_p_value_is_uniform_where_there_is_no_difference():
    generator = np.random.default_rng(2)
    values = []
    for trial in range(200):
        first, second = generator.random(400) < 0.7, generator.random(400) < 0.7
        values.append(paired_difference([rows(first)], [rows(second)], count=1000, seed=trial).p_value)
    assert 0.01 <= np.mean(np.array(values) < 0.05) <= 0.10


def test_equal_systems_differ_by_nothing():
    same = paired_difference([rows([1, 0, 1])], [rows([1, 0, 1])])
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    assert not same.significant


def test_seeds_are_averaged_and_order_does_not_matter():
    first = [rows([1, 1, 0, 0]), rows([1, 0, 0, 0])[::-1]]
    found = paired_difference(first, [rows([0, 0, 0, 0])])
    assert found.first == pytest.approx((1 + 0.5) / 4)


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ([rows([1, 0, 1])[:2]], "'2' is missing here"),
        ([rows([1, 0, 1, 1])], "'3' is only here"),
        ([[*rows([1, 0]), {"id": "2", "gold": "no", "predicted": "no"}]], "gold label of '2' is 'no', elsewhere 'yes'"),
        ([rows([1, 0, 1]) + rows([1])], "1 ids stand more than once"),
        ([], "no predictions"),
        ([[]], "no predictions"),
    ],
)
def test_systems_that_saw_other_examples_are_not_compared(second, says):
    with pytest.raises(DataError, match=says):
        paired_difference([rows([1, 0, 1])], second)
