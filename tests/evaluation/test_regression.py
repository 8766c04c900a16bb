"""Scores of predicted numbers agree with scipy, and say so where they are undefined."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.errors import DataError
from bertkit.evaluation.correlation import pearson, spearman
from bertkit.evaluation.intervals import times_drawn
from bertkit.evaluation.regression import score, score_intervals

numbers = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))
both = st.integers(2, 30).flatmap(
    lambda n: st.tuples(st.lists(numbers, min_size=n, max_size=n), st.lists(numbers, min_size=n, max_size=n))
)


def made(gold, predicted):
    return [{"id": str(i), "gold": g, "predicted": p} for i, (g, p) in enumerate(zip(gold, predicted, strict=True))]


@settings(deadline=None, max_examples=120)
@given(both)
def test_correlations_are_scipys(given_numbers):
    gold, predicted = given_numbers
    result = score(made(gold, predicted))
    if len(set(gold)) == 1 or len(set(predicted)) == 1:
        side = "gold" if len(set(gold)) == 1 else "predicted"
        assert result["metrics"]["pearson"] is result["metrics"]["spearmanr"] is None
        assert result["undefined"] == dict.fromkeys(("pearson", "spearmanr"), f"every {side} number is the same")
    else:
        assert result["metrics"]["pearson"] == pytest.approx(scipy.stats.pearsonr(gold, predicted)[0], abs=1e-9)
        assert result["metrics"]["spearmanr"] == pytest.approx(scipy.stats.spearmanr(gold, predicted)[0], abs=1e-9)
    errors = np.subtract(predicted, gold)
    assert result["metrics"]["mse"] == pytest.approx(np.mean(errors**2), abs=1e-9)
    assert result["metrics"]["mae"] == pytest.approx(np.mean(np.abs(errors)), abs=1e-9)
    assert result["n"] == len(gold)


@settings(deadline=None, max_examples=60)
@given(both, st.integers(0, 9))
def test_counting_examples_several_times_is_repeating_them(given_numbers, seed):
    gold, predicted = map(np.array, given_numbers)
    drawn = np.random.default_rng(seed).integers(0, len(gold), (3, len(gold)))
    times = times_drawn(drawn)
    for correlation in (pearson, spearman):
        repeated = [correlation(gold[row], predicted[row]) for row in drawn]
        np.testing.assert_allclose(correlation(gold, predicted, weights=times), repeated, atol=1e-9)


def test_large_and_close_numbers_lose_no_digits():
    gold, predicted = [1e12, 1e12 + 1, 1e12 + 2, 1e12 + 4], [1.0, 2.0, 3.0, 5.0]
    assert score(made(gold, predicted))["metrics"]["pearson"] == pytest.approx(1.0, abs=1e-12)
    assert score(made([0.1] * 3, [1.0, 2.0, 3.0]))["metrics"]["pearson"] is None


def test_intervals_hold_the_scores():
    rng = np.random.default_rng(3)
    gold = rng.normal(size=200)
    rows = made(gold.tolist(), (gold + rng.normal(size=200)).tolist())
    metrics, intervals = score(rows)["metrics"], score_intervals(rows, count=300)
    assert intervals.keys() == metrics.keys()
    for name, (low, high) in intervals.items():
        assert low < metrics[name] < high
    assert intervals == score_intervals(rows, count=300)
    assert score_intervals(made([1.0] * 4, [1.0, 2.0, 3.0, 4.0]), count=100)["pearson"] is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, "3", None, True])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(DataError, match="predicted number of '1'"):
        score(made([1.0, 2.0], [0.5, wrong]))


def test_no_predictions_and_repeated_ids_are_refused():
    with pytest.raises(DataError, match="no predictions"):
        score([])
    with pytest.raises(DataError, match="repeat an id"):
        score([{"id": "a", "gold": 1.0, "predicted": 1.0}] * 2)
