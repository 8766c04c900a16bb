"""The scores of single-label classification agree with scikit-learn, and say so where they are undefined."""

import json
import math

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.errors import DataError
from bertkit.evaluation.classification import score, score_intervals


def make(gold, probabilities, labels, predicted=None):
    chosen = np.argmax(probabilities, axis=1) if predicted is None else predicted
    return [
        {
            "id": f"test:{i}",
            "gold": labels[g],
            "predicted": labels[c],
            "scores": dict(zip(labels, map(float, row), strict=True)),
        }
        for i, (g, c, row) in enumerate(zip(gold, chosen, probabilities, strict=True))
    ]


@st.composite
def cases(draw):
    """Gold labels and probabilities, coarse enough that ties and empty labels are common."""
    k, n = draw(st.integers(2, 5)), draw(st.integers(1, 30))
    gold = draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
    weights = draw(st.lists(st.lists(st.integers(0, 4), min_size=k, max_size=k).filter(any), min_size=n, max_size=n))
    rows = np.array(weights, dtype=float)
    return np.array(gold), rows / rows.sum(axis=1, keepdims=True), [f"label {i}" for i in range(k)]


def same(ours, theirs):
    return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_every_score_is_scikit_learns(case):
    gold, rows, labels = case
    predicted = rows.argmax(axis=1)
    result = score(make(gold, rows, labels), labels)
    metrics, ids = result["metrics"], list(range(len(labels)))

    assert same(metrics["accuracy"], sk.accuracy_score(gold, predicted))
    for average in ("macro", "micro", "weighted"):
        assert same(metrics[f"{average}_f1"], sk.f1_score(gold, predicted, average=average))
    assert np.array_equal(result["confusion_matrix"], sk.confusion_matrix(gold, predicted, labels=ids))
    assert same(metrics["log_loss"], sk.log_loss(gold, rows, labels=ids))
    truth = np.eye(len(labels))[gold]
    assert same(metrics["brier_score"], ((rows - truth) ** 2).sum(axis=1).mean())

    if len(set(gold)) > 1:
        assert same(metrics["matthews_correlation"], sk.matthews_corrcoef(gold, predicted))
    else:
        assert metrics["matthews_correlation"] is None
        assert result["undefined"]["matthews_correlation"] == "every gold label is the same"

    if set(gold) == set(ids):
        scores = rows[:, 1] if len(labels) == 2 else rows
        assert same(metrics["roc_auc"], sk.roc_auc_score(gold, scores, multi_class="ovr", labels=ids))
    else:
        assert metrics["roc_auc"] is None
        absent = min(set(ids) - set(gold))
        assert labels[absent] in result["undefined"]["roc_auc"]


@given(cases())
@settings(max_examples=40, deadline=None)
def test_each_labels_own_figures_are_scikit_learns(case):
    gold, rows, labels = case
    predicted = rows.argmax(axis=1)
    result = score(make(gold, rows, labels), labels)["per_label"]
    theirs = sk.precision_recall_fscore_support(gold, predicted, labels=range(len(labels)), zero_division=np.nan)
    for i, label in enumerate(labels):
        for name, column in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
            ours = result[label][name]
            assert (ours is None) == bool(np.isnan(column[i]))
            assert ours is None or same(ours, column[i])


def test_constant_predictions_are_measured_and_a_constant_gold_is_not():
    labels = ["no", "yes"]
    always_yes = np.array([[0.2, 0.8]] * 4)
    constant = score(make([0, 1, 0, 1], always_yes, labels), labels)
    assert constant["metrics"]["matthews_correlation"] == 0.0
    assert constant["metrics"]["roc_auc"] == 0.5
    assert constant["undefined"] == {}
    alone = score(make([1, 1, 1, 1], always_yes, labels), labels)
    assert alone["metrics"]["matthews_correlation"] is None
    assert alone["undefined"]["roc_auc"] == "no gold example has the label 'no'"


def test_calibration_error_by_hand():
    """Two bins are in use: confidence 0.9, right half the time, and confidence 0.6, always right."""
    labels = ["a", "b"]
    rows = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    result = score(make([0, 1, 1, 1], rows, labels), labels)
    assert result["metrics"]["expected_calibration_error"] == pytest.approx((2 * 0.4 + 2 * 0.4) / 4)
    used = [b for b in result["reliability"] if b["count"]]
    assert [(b["count"], b["accuracy"]) for b in used] == [(2, 1.0), (2, 0.5)]
    assert len(result["reliability"]) == 15
    assert sum(b["count"] for b in result["reliability"]) == 4


def test_a_confidence_on_an_edge_belongs_to_the_bin_below_it():
    labels = ["a", "b", "c"]
    rows = np.array([[0.6, 0.2, 0.2]])  # 0.6 is the edge between the bins (8/15, 9/15] and (9/15, 10/15]
    used = [b for b in score(make([0], rows, labels), labels)["reliability"] if b["count"]]
    assert used[0]["high"] == pytest.approx(0.6)


def test_the_result_is_json():
    labels = ["a", "b"]
    result = score(make([1, 1], np.array([[0.0, 1.0], [1.0, 0.0]]), labels), labels)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gold": "sports"}, "did you mean 'sport'"),
        ({"predicted": "?"}, "predicted label of 'test:0' is '?'"),
        ({"scores": {"sport": 1.0}}, "not one for each label: 'tech'"),
        ({"scores": {"sport": 0.7, "tech": 0.7}}, "sum to 1"),
        ({"scores": {"sport": math.nan, "tech": 1.0}}, "sum to 1"),
        ({"id": "test:1"}, "repeat an id"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(change, says):
    labels = ["sport", "tech"]
    rows = make([0, 1], np.array([[0.7, 0.3], [0.3, 0.7]]), labels)
    rows[0] = {**rows[0], **change}
    with pytest.raises(DataError, match=says.replace("?", r"\?")):
        score(rows, labels)


def test_no_predictions_are_refused():
    with pytest.raises(DataError, match="no predictions"):
        score([], ["a", "b"])


def test_intervals_hold_their_score_and_do_not_depend_on_the_run():
    generator = np.random.default_rng(3)
    labels, n = ["a", "b", "c"], 300
    rows = generator.dirichlet(np.ones(3), n)
    gold = np.where(generator.random(n) < 0.5, rows.argmax(axis=1), generator.integers(0, 3, n))
    predictions = make(gold, rows, labels)
    found = score_intervals(predictions, labels, seed=1)
    metrics = score(predictions, labels)["metrics"]
    assert found.keys() == metrics.keys() - {"expected_calibration_error"}
    for name, (low, high) in found.items():
        assert low < metrics[name] < high
    assert found == score_intervals(predictions, labels, seed=1)
    assert found != score_intervals(predictions, labels, seed=2)


def test_an_interval_that_most_resamples_cannot_have_is_none():
    """One example of a label in three: too many resamples miss it."""
    labels = ["a", "b"]
    predictions = make([0, 0, 1], np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), labels)
    found = score_intervals(predictions, labels)
    assert found["roc_auc"] is None
    assert found["accuracy"] == [1.0, 1.0]


@given(cases())
@settings(max_examples=40, deadline=None)
def test_f1_of_two_labels_is_that_of_the_last(case):
    gold, rows, labels = case
    predicted = rows.argmax(axis=1)
    result = score(make(gold, rows, labels), labels)
    if len(labels) != 2:
        assert "f1" not in result["metrics"]
    elif 1 in gold or 1 in predicted:
        assert same(result["metrics"]["f1"], sk.f1_score(gold, predicted, pos_label=1))
    else:
        assert result["metrics"]["f1"] is None
        assert result["undefined"]["f1"] == "'label 1' is neither gold nor predicted"
