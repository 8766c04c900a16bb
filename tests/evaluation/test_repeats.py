"""Runs are summarised as a statistics book would do it."""

import statistics

import pytest

from bertkit.evaluation.repeats import summarise_values, t_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (10, 2.2281), (29, 2.0452), (120, 1.9799)],
)
def test_quantiles_are_those_of_the_printed_table(freedom: int, quantile: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(quantile, abs=5e-5)


def test_quantiles_agree_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for freedom in (*range(1, 40), 99, 100, 999):
        for probability in (0.5, 0.9, 0.975, 0.9995):
            assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), abs=1e-9)


def test_five_runs() -> None:
    values = [0.90, 0.92, 0.91, 0.93, 0.89]
    found = summarise_values(values)
    assert found["mean"] == pytest.approx(0.91)
    assert found["standard_deviation"] == pytest.approx(statistics.stdev(values))
    assert found["interval"] == pytest.approx([0.890368, 0.929632], abs=1e-6)
    assert found["values"] == values


def test_one_run_has_no_spread_and_a_missing_value_no_mean() -> None:
    assert summarise_values([0.5]) == {"mean": 0.5, "standard_deviation": None, "interval": None, "values": [0.5]}
    assert summarise_values([0.5, None])["mean"] is None
