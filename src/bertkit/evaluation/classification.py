"""Scores of single-label classification, a pure function of the predictions and the task's labels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.errors import DataError, did_you_mean
from bertkit.evaluation import confusion as matrix
from bertkit.evaluation import probabilities as prob
from bertkit.evaluation.intervals import resamples, times_drawn
from bertkit.evaluation.predictions import Prediction, check_ids, interval_of_each, number_or_none

# Probabilities are written with finite precision; what is further from 1 than this is not a distribution.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Predictions as arrays: gold and predicted label indices (examples,), probabilities (examples, labels)."""

    gold: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64]


def outcomes(predictions: Sequence[Prediction], labels: Sequence[str]) -> Outcomes:
    """Predictions `{"id", "gold", "predicted", "scores": {label: probability}}` as arrays in the order of `labels`.

    Raises:
        DataError: there are none, an id stands twice, a label is unknown, or scores are not a distribution over `labels`.
    """
    check_ids(predictions)
    index = {label: i for i, label in enumerate(labels)}
    gold = [_index(row, "gold", index) for row in predictions]
    predicted = [_index(row, "predicted", index) for row in predictions]
    scores = [_scores(row, labels) for row in predictions]
    return Outcomes(np.array(gold, np.int64), np.array(predicted, np.int64), np.array(scores, np.float64))


def score(predictions: Sequence[Prediction], labels: Sequence[str]) -> dict[str, Any]:
    """Every metric of single-label classification; of two labels the last is the positive one, which `f1` is of.

    Returns:
        `n`, `metrics` (name to number, or None where undefined), `undefined` (name to reason), `labels`,
        `confusion_matrix` (rows gold, columns predicted), `per_label` (precision, recall, f1, support; None where
        undefined) and `reliability` (15 bins of confidence).

    Raises:
        DataError: as `outcomes`.
    """
    found = outcomes(predictions, labels)
    counts = matrix.confusion_matrix(found.gold, found.predicted, labels=len(labels))
    confidence = found.probabilities[np.arange(len(found.gold)), found.predicted]
    bins = prob.reliability(confidence, found.predicted == found.gold)
    metrics = {
        "accuracy": number_or_none(matrix.accuracy(counts)),
        **({"f1": number_or_none(matrix.f1(counts)[1])} if len(labels) == 2 else {}),
        "macro_f1": number_or_none(matrix.average_f1(counts, "macro")),
        "micro_f1": number_or_none(matrix.average_f1(counts, "micro")),
        "weighted_f1": number_or_none(matrix.average_f1(counts, "weighted")),
        "matthews_correlation": number_or_none(matrix.matthews_correlation(counts)),
        "roc_auc": number_or_none(prob.roc_auc(found.gold, found.probabilities)),
        "log_loss": number_or_none(prob.log_losses(found.gold, found.probabilities).mean()),
        "brier_score": number_or_none(prob.brier_scores(found.gold, found.probabilities).mean()),
        "expected_calibration_error": prob.expected_calibration_error(bins),
    }
    return {
        "n": len(predictions),
        "metrics": metrics,
        "undefined": _reasons(metrics, counts, labels),
        "labels": list(labels),
        "confusion_matrix": counts.tolist(),
        "per_label": _per_label(counts, labels),
        "reliability": [asdict(b) for b in bins],
    }


def score_intervals(
    predictions: Sequence[Prediction],
    labels: Sequence[str],
    *,
    confidence: float = 0.95,
    count: int = 1000,
    seed: int = 0,
) -> dict[str, list[float] | None]:
    """The percentile bootstrap interval `[low, high]` of each metric but the calibration error, whose bootstrap is biased.

    Returns:
        Name to interval; None where too many resamples leave the metric undefined.
    """
    found = outcomes(predictions, labels)
    losses = prob.log_losses(found.gold, found.probabilities)
    briers = prob.brier_scores(found.gold, found.probabilities)
    blocks = []
    for drawn in resamples(len(predictions), count=count, seed=seed):
        counts = matrix.confusion_matrix(found.gold[drawn], found.predicted[drawn], labels=len(labels))
        block = {
            "accuracy": matrix.accuracy(counts),
            **({"f1": matrix.f1(counts)[:, 1]} if len(labels) == 2 else {}),
            "macro_f1": matrix.average_f1(counts, "macro"),
            "micro_f1": matrix.average_f1(counts, "micro"),
            "weighted_f1": matrix.average_f1(counts, "weighted"),
            "matthews_correlation": matrix.matthews_correlation(counts),
            "roc_auc": prob.roc_auc(found.gold, found.probabilities, weights=times_drawn(drawn)),
            "log_loss": losses[drawn].mean(axis=1),
            "brier_score": briers[drawn].mean(axis=1),
        }
        blocks.append(block)
    return interval_of_each(blocks, confidence=confidence)


def _index(row: Prediction, field: str, index: Mapping[str, int]) -> int:
    label = row[field]
    if label not in index:
        raise DataError(
            f"the {field} label of {row['id']!r} is {label!r}, which is none of the task's{did_you_mean(str(label), list(index))}",
            remedy=f"The task's labels are {', '.join(map(repr, index))}.",
        )
    return index[label]


def _scores(row: Prediction, labels: Sequence[str]) -> list[float]:
    given = row["scores"]
    if given.keys() != set(labels):
        differing = sorted(given.keys() ^ set(labels))
        raise DataError(f"the scores of {row['id']!r} are not one for each label: {', '.join(map(repr, differing))}")
    values = [float(given[label]) for label in labels]
    if not all(math.isfinite(v) and v >= 0 for v in values) or abs(sum(values) - 1) > _SUM_TOLERANCE:
        raise DataError(f"the scores of {row['id']!r} are not probabilities that sum to 1: {given}")
    return values


def _reasons(metrics: Mapping[str, float | None], counts: NDArray[np.int64], labels: Sequence[str]) -> dict[str, str]:
    """Why each undefined metric is undefined."""
    support = counts.sum(axis=1)
    absent = [label for label, n in zip(labels, support, strict=True) if n == 0]
    reasons = {}
    if len(labels) == 2 and metrics["f1"] is None:
        reasons["f1"] = f"{labels[1]!r} is neither gold nor predicted"
    if metrics["matthews_correlation"] is None:
        reasons["matthews_correlation"] = "every gold label is the same"
    if metrics["roc_auc"] is None:
        reasons["roc_auc"] = f"no gold example has the label {', '.join(map(repr, absent))}"
    return reasons


def _per_label(counts: NDArray[np.int64], labels: Sequence[str]) -> dict[str, dict[str, float | int | None]]:
    precision, recall, f1 = matrix.precision(counts), matrix.recall(counts), matrix.f1(counts)
    support = counts.sum(axis=1)
    return {
        label: {
            "precision": number_or_none(precision[i]),
            "recall": number_or_none(recall[i]),
            "f1": number_or_none(f1[i]),
            "support": int(support[i]),
        }
        for i, label in enumerate(labels)
    }
