"""Resampled metrics of every kind agree with their scores, and comparisons pair the same rows."""

import numpy as np
import pytest

from bertkit.errors import DataError
from bertkit.evaluation import regression, spans, tagging
from bertkit.evaluation.paired import interval_over_seeds, measure_of, paired_metric_difference

TAGS = [["B-X", "I-X", "O"], ["O", "B-Y", "O"], ["B-Y", "O", "B-X"]] * 8
WRONG = [["B-X", "O", "O"], ["O", "B-Y", "O"], ["O", "O", "B-X"]] * 8


def tagged(predicted):
    return [{"id": str(i), "gold": g, "predicted": p} for i, (g, p) in enumerate(zip(TAGS, predicted, strict=True))]


def test_undrawn_metrics_are_the_scores():
    once = np.ones((1, 24), np.int64)
    rows = tagged(WRONG)
    for metric in ("f1", "precision", "recall"):
        found = measure_of({"kind": "tagging"}, rows, metric)(once)[0]
        assert found == pytest.approx(tagging.score(rows)["metrics"][metric], abs=1e-12)
    answers = [{"id": str(i), "gold": ["the red car"], "predicted": said, "n_best": []} for i, said in
               enumerate(["red car", "car", "boat"] * 8)]  # fmt: skip
    for metric in ("f1", "exact_match"):
        found = measure_of({"kind": "spans", "scorer": "squad"}, answers, metric)(once)[0]
        assert found == pytest.approx(spans.score(answers, scorer="squad")["metrics"][metric], abs=1e-12)
    numbers = [{"id": str(i), "gold": float(i), "predicted": float(i * 7 % 24)} for i in range(24)]
    found = measure_of({"kind": "classification", "labels": []}, numbers, "spearmanr")(once)[0]
    assert found == pytest.approx(regression.score(numbers)["metrics"]["spearmanr"], abs=1e-12)


def test_a_better_system_is_told_whatever_the_order_of_its_rows():
    found = paired_metric_difference([tagged(TAGS)[::-1]], [tagged(WRONG)], "f1", {"kind": "tagging"})
    assert found.first == 1.0
    assert found.significant
    assert found.difference == pytest.approx(1 - tagging.score(tagged(WRONG))["metrics"]["f1"])


def test_other_rows_are_refused_and_one_system_does_not_differ_from_itself():
    with pytest.raises(DataError, match="same examples"):
        paired_metric_difference([tagged(TAGS)], [tagged(TAGS)[1:]], "f1", {"kind": "tagging"})
    found = paired_metric_difference([tagged(WRONG)], [tagged(WRONG)], "f1", {"kind": "tagging"})
    assert (found.difference, found.p_value) == (0.0, 1.0)
    low, high = interval_over_seeds([tagged(WRONG), tagged(WRONG)], "f1", {"kind": "tagging"})
    assert low < found.first < high
