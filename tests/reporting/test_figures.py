"""Axes that people can read, and labels that do not lie on each other."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bertkit.reporting import figures
from bertkit.reporting.collect import collect

GOLD = [0, 1, 2] * 20


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_span_the_values(low, span):
    high = low + span
    assume(span > abs(low) * 1e-6)
    ticks = figures.round_ticks(low, high)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + 1e-6 * step
    assert ticks[-1] >= high - 1e-6 * step
    assert 2 <= len(ticks) <= 9
    assert float(f"{step:.3g}") in {f * 10.0**e for f in (1, 2, 5) for e in range(-5, 8)} or abs(step) < 1e-4


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0, 0.0005, 0.001, 0.0015], ["0", "5e−4", "1e−3", "1.5e−3"]),
        ([6.0, 6.5, 7.0], ["6.0", "6.5", "7.0"]),
        ([0, 12500, 25000], ["0", "12.5\u00a0k", "25.0\u00a0k"]),
        ([-1000, 0, 1000], ["−1,000", "0", "1,000"]),
    ],
)
def test_ticks_are_short(levels, expected):
    assert [figures.level_text(level, levels) for level in levels] == expected


def test_a_flat_line_still_has_an_axis():
    ticks = figures.round_ticks(3.0, 3.0)
    assert ticks[0] < 3 < ticks[-1]


@given(st.lists(st.floats(0, figures.HEIGHT), min_size=1, max_size=4))
def test_labels_keep_their_distance_and_stay_in_the_plot(places):
    labels = figures._spread_labels([("kind", figures.Tick(place, "text")) for place in places])
    found = [tick.at for _, tick in labels]
    assert all(b - a >= figures._LABEL_DISTANCE - 0.11 for a, b in pairwise(found))
    assert min(found) >= 0
    assert max(found) <= figures.HEIGHT


def test_noise_about_a_constant_does_not_fill_the_plot():
    points = [[step, 0.693 + 0.002 * (step % 2)] for step in range(10)]
    chart = {
        "raw": points,
        "smoothed": [],
        "heldout": [],
        "reference": None,
        "key": "mlm_loss",
        "title": "NSP",
        "unit": "nats a pair",
    }
    chart |= {"last": {"training": 0.693, "heldout": None}, "row_steps": 1, "window_steps": None, "not_finite": 0}
    drawn = figures.line_chart(chart)
    levels = [float(tick.text) for tick in drawn.y_ticks]
    assert levels[-1] - levels[0] > 0.05


def test_a_constant_answer_far_below_does_not_squeeze_the_scores(make):
    gold = [i % 20 for i in range(400)]
    labels = [f"label {i}" for i in range(20)]
    almost = [g if i else 1 for i, g in enumerate(gold)]
    task = collect([make.metrics(almost, gold, labels=labels)])["tasks"][0]
    strips = figures.strips(task)
    assert strips.baseline is None
    assert float(strips.ticks[0].text) > 90


def test_scores_share_one_axis_with_the_constant_answer(make):
    perfect, half = GOLD, [g if i % 2 else (g + 1) % 3 for i, g in enumerate(GOLD)]
    task = collect([make.metrics(perfect, GOLD, name="a"), make.metrics(half, GOLD, name="b")])["tasks"][0]
    strips = figures.strips(task)
    places = [strips.baseline, strips.rows[1].mean, strips.rows[0].mean]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert strips.rows[1].interval[0] < strips.rows[1].mean < strips.rows[1].interval[1]


@given(st.integers(1, 10**7), st.integers(0, 10**7))
def test_ticks_of_a_log_axis_hold_both_ends_and_are_few(low, more):
    ticks = figures.factor_ticks(low, low + more)
    assert ticks[0] <= low <= low + more <= ticks[-1]
    assert 2 <= len(ticks) <= 9
    assert all(a < b for a, b in pairwise(ticks))
    if len(ticks) > 2:
        assert ticks[1] > low
        assert ticks[-2] < low + more
