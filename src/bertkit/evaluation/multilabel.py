"""Scores where a text may have several labels or none, a pure function of the predictions and the task's labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.errors import DataError, did_you_mean
from bertkit.evaluation.intervals import resamples, times_drawn
from bertkit.evaluation.predictions import Prediction, check_ids, interval_of_each, number_or_none

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Predictions as arrays of shape (examples, labels): which labels are gold and predicted, and each one's score."""

    gold: Flags
    predicted: Flags
    scores: Floats


def outcomes(predictions: Sequence[Prediction], labels: Sequence[str]) -> Outcomes:
    """Predictions `{"id", "gold": [label], "predicted": [label], "scores": {label: probability}}` as arrays.

    Raises:
        DataError: there are none, an id stands twice, a label is unknown or given twice, or scores are not one from 0 to 1
            for each of `labels`.
    """
    check_ids(predictions)
    index = {label: i for i, label in enumerate(labels)}
    gold, predicted = np.zeros((2, len(predictions), len(labels)), bool)
    scores = np.empty((len(predictions), len(labels)))
    for i, row in enumerate(predictions):
        gold[i, _places(row, "gold", index)] = True
        predicted[i, _places(row, "predicted", index)] = True
        if row["scores"].keys() != index.keys():
            differing = sorted(row["scores"].keys() ^ index.keys())
            what = f"the scores of {row['id']!r} are not one for each label: {', '.join(map(repr, differing))}"
            raise DataError(what)
        scores[i] = [row["scores"][label] for label in labels]
        if not ((scores[i] >= 0) & (scores[i] <= 1)).all():
            raise DataError(f"the scores of {row['id']!r} are not from 0 to 1: {row['scores']}")
    return Outcomes(gold, predicted, scores)


def score(predictions: Sequence[Prediction], labels: Sequence[str]) -> dict[str, Any]:
    """Every metric of multi-label classification.

    `macro_f1` is the mean over the labels that occur, as gold or as prediction; of an example with neither, `samples_f1`
    is 1; `average_precision` is the mean over the labels that have a gold example.

    Returns:
        `n`, `metrics` (name to number, or None where undefined), `undefined` (name to reason), `labels` and `per_label`
        (precision, recall, f1, average_precision, support; None where undefined).

    Raises:
        DataError: as `outcomes`.
    """
    found = outcomes(predictions, labels)
    metrics = {name: number_or_none(value[0]) for name, value in measure(found, np.ones((1, len(predictions)))).items()}
    reasons = {
        "micro_f1": "no label is gold or predicted",
        "macro_f1": "no label is gold or predicted",
        "average_precision": "no example has a label",
    }
    return {
        "n": len(predictions),
        "metrics": metrics,
        "undefined": {name: reasons[name] for name, value in metrics.items() if value is None},
        "labels": list(labels),
        "per_label": _per_label(found, labels),
    }


def score_intervals(
    predictions: Sequence[Prediction],
    labels: Sequence[str],
    *,
    confidence: float = 0.95,
    count: int = 1000,
    seed: int = 0,
) -> dict[str, list[float] | None]:
    """The percentile bootstrap interval `[low, high]` of each metric; None where too many resamples have no value."""
    found = outcomes(predictions, labels)
    drawn = resamples(len(predictions), count=count, seed=seed)
    return interval_of_each([measure(found, times_drawn(block)) for block in drawn], confidence=confidence)


def average_precision(gold: Flags, scores: Floats, times: NDArray[Any]) -> Floats:
    """The mean precision at each gold example, in order of falling scores; level scores come together.

    Args:
        gold, scores: of one label, shape (examples,).
        times: how often each example counts, shape (..., examples).

    Returns:
        Shape (...), NaN where no example that counts is gold.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    hits = np.add.reduceat((times * gold)[..., order], starts, axis=-1)
    found, taken = np.cumsum(hits, axis=-1), np.cumsum(np.add.reduceat(times[..., order], starts, axis=-1), axis=-1)
    precision = np.divide(found, taken, out=np.zeros(np.shape(found)), where=taken > 0)
    return _ratio((hits * precision).sum(-1), hits.sum(-1))


def best_thresholds(gold: Flags, scores: Floats) -> Floats:
    """For each label the threshold with the best F1: at or above it, a score predicts the label.

    Thresholds lie midway between scores, or between 0 and the lowest. Of several that are as good the one nearest to 0.5 is taken, and 0.5 itself
    where no example has the label. Shapes (examples, labels) to (labels,).
    """
    return np.array([_best_threshold(gold[:, i], scores[:, i]) for i in range(gold.shape[1])])


def _best_threshold(gold: Flags, scores: Floats) -> float:
    levels = np.unique(scores)
    candidates = np.unique(np.concatenate([[0.5, levels[0] / 2], (levels[1:] + levels[:-1]) / 2]))
    taken = len(scores) - np.searchsorted(np.sort(scores), candidates)
    hits = gold.sum() - np.searchsorted(np.sort(scores[gold]), candidates)
    f1 = np.nan_to_num(_ratio(2 * hits, taken + gold.sum()))
    best = candidates[f1 == f1.max()]
    return float(best[np.abs(best - 0.5).argmin()])


def measure(found: Outcomes, times: NDArray[Any]) -> dict[str, Floats]:
    """Every metric, each example counted as often as `times` says; shapes (resamples, examples) to (resamples,)."""
    weights = np.asarray(times, np.float64)
    gold, predicted = found.gold.astype(np.float64), found.predicted.astype(np.float64)
    hits, total = weights @ (gold * predicted), weights @ (gold + predicted)
    own = gold.sum(1) + predicted.sum(1)
    samples = np.where(own > 0, 2 * (gold * predicted).sum(1) / np.maximum(own, 1), 1.0)
    n = weights.sum(1)
    precisions = [average_precision(found.gold[:, i], found.scores[:, i], weights) for i in range(gold.shape[1])]
    return {
        "micro_f1": _ratio(2 * hits.sum(1), total.sum(1)),
        "macro_f1": _mean_of_defined(_ratio(2 * hits, total)),
        "samples_f1": weights @ samples / n,
        "subset_accuracy": weights @ (found.gold == found.predicted).all(1) / n,
        "hamming_loss": weights @ (found.gold != found.predicted).mean(1) / n,
        "average_precision": _mean_of_defined(np.stack(precisions, axis=1)),
    }


def _per_label(found: Outcomes, labels: Sequence[str]) -> dict[str, dict[str, float | int | None]]:
    gold, predicted = found.gold.sum(0), found.predicted.sum(0)
    hits, once = (found.gold & found.predicted).sum(0), np.ones(len(found.gold))
    precision, recall, f1 = _ratio(hits, predicted), _ratio(hits, gold), _ratio(2 * hits, gold + predicted)
    return {
        label: {
            "precision": number_or_none(precision[i]),
            "recall": number_or_none(recall[i]),
            "f1": number_or_none(f1[i]),
            "average_precision": number_or_none(average_precision(found.gold[:, i], found.scores[:, i], once)),
            "support": int(gold[i]),
        }
        for i, label in enumerate(labels)
    }


def _places(row: Prediction, field: str, index: Mapping[str, int]) -> list[int]:
    labels = row[field]
    if isinstance(labels, str) or len(set(labels)) != len(labels):
        raise DataError(f"the {field} labels of {row['id']!r} are {labels!r}, not a list of different labels")
    for label in labels:
        if label not in index:
            raise DataError(
                f"the {field} label {label!r} of {row['id']!r} is none of the task's{did_you_mean(str(label), list(index))}",
                remedy=f"The task's labels are {', '.join(map(repr, index))}.",
            )
    return [index[label] for label in labels]


def _mean_of_defined(values: Floats) -> Floats:
    """The mean along the last axis of what is not NaN; NaN where everything is."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1))


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """`part / whole`, NaN where `whole` is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    ratio: Floats = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
    return ratio
