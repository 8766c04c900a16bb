"""Scores of predicted probabilities: ranking (ROC AUC), proper scores (log loss, Brier) and calibration (ECE)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The number of bins in Guo et al. 2017.
RELIABILITY_BINS = 15
# A probability of 0 for the gold label would cost infinity; scikit-learn's log loss stops at the same value.
_LEAST_PROBABILITY = float(np.finfo(np.float64).eps)


def roc_auc(gold: Ints, probabilities: Floats, *, weights: NDArray[Any] | None = None) -> Floats:
    """The chance that an example of a label gets a higher score for it than one of another label; ties count half.

    With two labels the second is the positive one; with more, the plain mean of each label against the rest.

    Args:
        gold: label indices, shape (examples,).
        probabilities: shape (examples, labels).
        weights: how often each example counts, shape (..., examples), for instance its draws in a bootstrap; once each
            when absent.

    Returns:
        Shape (...), NaN where a label has no example, or every example.
    """
    labels = probabilities.shape[1]
    given = np.ones(len(gold)) if weights is None else np.asarray(weights, dtype=np.float64)
    targets = [1] if labels == 2 else list(range(labels))
    areas = [_area(gold == label, probabilities[:, label], given) for label in targets]
    return np.asarray(np.mean(areas, axis=0), dtype=np.float64)


def _area(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """The area under one label's curve: how many negatives lie below, or level with, each positive."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    level_starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    weights, positive = weights[..., order], positive[order]
    positives = np.add.reduceat(weights * positive, level_starts, axis=-1)
    negatives = np.add.reduceat(weights * ~positive, level_starts, axis=-1)
    below = np.cumsum(negatives, axis=-1) - negatives
    won = (positives * (below + negatives / 2)).sum(-1)
    pairs = positives.sum(-1) * negatives.sum(-1)
    area: Floats = np.divide(won, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0)
    return area


def log_losses(gold: Ints, probabilities: Floats) -> Floats:
    """Each example's -ln of its gold label's probability, shape (examples,), in nats."""
    given = probabilities[np.arange(len(gold)), gold]
    return np.asarray(-np.log(np.maximum(given, _LEAST_PROBABILITY)))


def brier_scores(gold: Ints, probabilities: Floats) -> Floats:
    """Each example's squared distance from certainty in its gold label, summed over labels: 0 to 2 (Brier 1950)."""
    truth = np.eye(probabilities.shape[1])[gold]
    return np.asarray(((probabilities - truth) ** 2).sum(axis=1))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The predictions whose confidence lies in (low, high]; the means are None in an empty bin."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def reliability(
    confidence: Floats, correct: NDArray[np.bool_], *, bins: int = RELIABILITY_BINS
) -> list[ReliabilityBin]:
    """How often predictions of each confidence are right: a reliability diagram in numbers.

    Args:
        confidence: the probability given to the predicted label, shape (examples,).
        correct: whether that label is the gold one, shape (examples,).
        bins: how many bins of equal width, each open below and closed above (the first holds 0 too).
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    confidences = np.bincount(place, weights=confidence, minlength=bins)
    hits = np.bincount(place, weights=correct, minlength=bins)
    return [
        ReliabilityBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            count=int(counts[i]),
            confidence=float(confidences[i] / counts[i]) if counts[i] else None,
            accuracy=float(hits[i] / counts[i]) if counts[i] else None,
        )
        for i in range(bins)
    ]


def expected_calibration_error(bins: list[ReliabilityBin]) -> float:
    """The mean gap between confidence and accuracy, weighted by the bins' sizes (Guo et al. 2017)."""
    total = sum(b.count for b in bins)
    gaps = [
        b.count * abs(b.accuracy - b.confidence) for b in bins if b.accuracy is not None and b.confidence is not None
    ]
    return sum(gaps) / total
