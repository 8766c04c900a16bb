"""Scores of several labels a text agree with scikit-learn, and say so where they are undefined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from bertkit.errors import DataError
from bertkit.evaluation.multilabel import best_thresholds, score, score_intervals

LABELS = ["sport", "rain", "tea"]


@st.composite
def outcomes(draw):
    """Gold flags, predicted flags and coarse scores, so that ties are common; columns are often all one value."""
    shape = (draw(st.integers(1, 25)), len(LABELS))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    gold = rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    predicted = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.6, 1.0]))
    return gold, predicted, rng.integers(0, draw(st.sampled_from([1, 4, 1000])), shape) / 1000


def made(gold, predicted, scores):
    def names(flags):
        return [label for label, yes in zip(LABELS, flags, strict=True) if yes]

    return [
        {"id": str(i), "gold": names(g), "predicted": names(p), "scores": dict(zip(LABELS, s.tolist(), strict=True))}
        for i, (g, p, s) in enumerate(zip(gold, predicted, scores, strict=True))
    ]


def reference(average, gold, predicted, empty):
    return sk.f1_score(gold, predicted, average=average, zero_division=empty)


@settings(deadline=None, max_examples=80)
@given(outcomes())
def test_scores_are_scikit_learns(found):
    gold, predicted, scores = found
    result = score(made(gold, predicted, scores), LABELS)
    ours = result["metrics"]
    assert ours["subset_accuracy"] == pytest.approx(sk.accuracy_score(gold, predicted), abs=1e-9)
    assert ours["hamming_loss"] == pytest.approx(sk.hamming_loss(gold, predicted), abs=1e-9)
    assert ours["samples_f1"] == pytest.approx(reference("samples", gold, predicted, 1.0), abs=1e-9)
    each = [sk.average_precision_score(gold[:, i], scores[:, i]) if gold[:, i].any() else None for i in range(3)]
    assert [result["per_label"][label]["average_precision"] for label in LABELS] == pytest.approx(each, abs=1e-9)
    if (gold | predicted).any():
        assert ours["micro_f1"] == pytest.approx(reference("micro", gold, predicted, 0.0), abs=1e-9)
        used = (gold | predicted).any(0)
        macro = reference("macro", gold[:, used], predicted[:, used], 0.0) if used.sum() > 1 else ours["micro_f1"]
        assert ours["macro_f1"] == pytest.approx(macro, abs=1e-9)
    assert set(result["undefined"]) == {name for name, value in ours.items() if value is None}
    assert (ours["micro_f1"] is None) == (not (gold | predicted).any())
    assert (ours["average_precision"] is None) == (not gold.any())


@settings(deadline=None, max_examples=60)
@given(outcomes())
def test_no_threshold_is_better_than_the_chosen_one(found):
    gold, _, scores = found

    def f1(i, cut):
        taken = scores[:, i] >= cut
        return 2 * (taken & gold[:, i]).sum() / max(1, taken.sum() + gold[:, i].sum())

    for i, threshold in enumerate(best_thresholds(gold, scores)):
        assert f1(i, threshold) == max(f1(i, cut) for cut in [0.5, *scores[:, i]])
        assert gold[:, i].any() or threshold == 0.5


def test_a_rare_label_gets_a_threshold_of_its_own():
    scores = np.array([[0.9, 0.3, 0.5], [0.8, 0.2, 0.5], [0.2, 0.1, 0.5], [0.1, 0.05, 0.5]])
    gold = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]], bool)
    assert best_thresholds(gold, scores) == pytest.approx([0.5, 0.15, 0.5])


def test_intervals_hold_the_scores():
    rng = np.random.default_rng(1)
    scores = rng.random((150, 3))
    gold = rng.random((150, 3)) < scores
    rows = made(gold, scores > 0.5, scores)
    metrics, intervals = score(rows, LABELS)["metrics"], score_intervals(rows, LABELS, count=200)
    assert intervals.keys() == metrics.keys()
    for name, (low, high) in intervals.items():
        assert low < metrics[name] < high
    nothing = made(np.zeros((4, 3), bool), np.zeros((4, 3), bool), np.zeros((4, 3)))
    assert score_intervals(nothing, LABELS, count=100)["micro_f1"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold": ["snow"]}, "gold label 'snow'"),
        ({"gold": "tea"}, "not a list of different labels"),
        ({"predicted": ["tea", "tea"]}, "not a list of different labels"),
        ({"scores": {"tea": 0.5}}, "not one for each label"),
        ({"scores": {"sport": 0.1, "rain": 1.5, "tea": 0.0}}, "not from 0 to 1"),
        ({"scores": {"sport": 0.1, "rain": float("nan"), "tea": 0.0}}, "not from 0 to 1"),
    ],
)
def test_predictions_that_make_no_sense_are_refused(change, message):
    row = {"id": "1", "gold": ["tea"], "predicted": [], "scores": dict.fromkeys(LABELS, 0.5)}
    assert score([row], LABELS)["metrics"]["micro_f1"] == 0.0
    with pytest.raises(DataError, match=message):
        score([row | change], LABELS)
