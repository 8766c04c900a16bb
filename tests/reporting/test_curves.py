"""A training log to what a chart shows."""

import math

from hypothesis import given
from hypothesis import strategies as st

from bertkit.reporting import curves, figures

FINITE = st.floats(-100, 100)


@given(value=FINITE, count=st.integers(1, 200), window=st.sampled_from([1, 3, 9, 51]))
def test_smoothing_leaves_a_constant_as_it_is(value, count, window):
    means = curves.moving_mean([(i, value) for i in range(count)], window)
    assert all(math.isclose(mean, value, rel_tol=1e-4, abs_tol=1e-4) for _, mean in means)


@given(count=st.integers(1, 40), window=st.sampled_from([3, 5, 11]))
def test_smoothing_does_not_move_a_straight_line_before_its_end(count, window):
    line = [(i, float(i)) for i in range(count)]
    means = curves.moving_mean(line, window)
    end = max(count - window // 2, 0)
    assert all(abs(mean - step) < 1e-2 for step, mean in means[:end])
    assert all(0 <= step - mean <= window / 4 for step, mean in means[end:])


def test_the_last_smoothed_value_is_not_the_noise_of_one_row():
    points = [(i, 5.0 + (i == 99)) for i in range(100)]
    assert curves.moving_mean(points, 21)[-1][1] < 5.1


@given(values=st.lists(FINITE, min_size=1, max_size=3000))
def test_thinning_keeps_every_extreme_and_few_points(values):
    points = list(enumerate(values))
    thin = curves.thin_extremes(points, limit=50)
    kept = [value for _, value in thin]
    assert len(thin) <= max(50, 1)
    for extreme in (min(values), max(values)):
        assert any(math.isclose(value, extreme, rel_tol=1e-4, abs_tol=1e-9) for value in kept)
    assert [step for step, _ in thin] == sorted({step for step, _ in thin})


def test_a_long_log_is_a_small_chart(log):
    mlm, nsp, *others = curves.charts(log(steps=100_000, every=10))
    assert mlm["rows"] == 10_000
    for chart in (mlm, nsp, *others):
        assert all(len(chart[name]) <= curves.MAX_POINTS for name in ("raw", "smoothed", "heldout"))
        assert chart["raw"][-1][0] >= 99_000
        assert len(figures.line_chart(chart).training) < 6_000
    assert mlm["window_steps"] == 10 * 401


def test_one_row_is_a_dot_not_an_empty_chart():
    (chart,) = curves.charts([{"step": 10, "mlm_loss": 7.5}])
    drawn = figures.line_chart(chart)
    assert drawn.training_dots == [(100.0, drawn.training_dots[0][1])]
    assert "7.5" in drawn.labels[0][1].text
    assert "No held-out text was measured." in drawn.note


def test_without_next_sentences_there_is_no_chart_of_them(log):
    keys = [chart["key"] for chart in curves.charts(log(nsp=False))]
    assert keys[0] == "mlm_loss"
    assert "nsp_loss" not in keys
    assert set(keys[1:]) <= {"learning_rate", "grad_norm", "tokens_per_second"}


def test_a_loss_that_is_not_a_number_is_a_gap_and_counted():
    rows = [{"step": i, "mlm_loss": math.nan if i == 2 else 5.0} for i in range(1, 5)]
    (chart,) = curves.charts(rows)
    drawn = figures.line_chart(chart)
    assert drawn.training.count("M") == 2
    assert "Gaps: 1 value that is not a number." in drawn.note
