"""Scores that a confusion matrix decides: accuracy, F1, Matthews correlation, and each label's own figures.

A confusion matrix has shape (labels, labels): rows are gold labels, columns predicted ones. Every function here also
takes a stack of them, shape (..., labels, labels), and gives one number for each: a bootstrap is one call. Where a
score is undefined the number is NaN; the callers turn that into "none, because".
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Average = Literal["macro", "micro", "weighted"]


def confusion_matrix(gold: Ints, predicted: Ints, *, labels: int) -> Ints:
    """Count the pairs of gold and predicted label indices.

    Args:
        gold, predicted: label indices below `labels`, shape (..., examples).

    Returns:
        Counts of shape (..., labels, labels).
    """
    cells = gold * labels + predicted
    rows = cells.reshape(-1, cells.shape[-1])
    offsets = np.arange(len(rows), dtype=np.int64)[:, None] * labels**2
    counts = np.bincount((rows + offsets).ravel(), minlength=len(rows) * labels**2)
    return counts.astype(np.int64).reshape(*cells.shape[:-1], labels, labels)


def accuracy(confusion: Ints) -> Floats:
    """The share of examples whose predicted label is the gold one."""
    return _ratio(_hits(confusion).sum(-1), confusion.sum((-2, -1)))


def precision(confusion: Ints) -> Floats:
    """For each label, the share of its predictions that are right; NaN where it is never predicted."""
    return _ratio(_hits(confusion), confusion.sum(-2))


def recall(confusion: Ints) -> Floats:
    """For each label, the share of its examples that are found; NaN where it has none."""
    return _ratio(_hits(confusion), confusion.sum(-1))


def f1(confusion: Ints) -> Floats:
    """For each label, 2 TP / (2 TP + FP + FN); NaN where it is neither gold nor predicted."""
    return _ratio(2 * _hits(confusion), confusion.sum(-1) + confusion.sum(-2))


def average_f1(confusion: Ints, average: Average) -> Floats:
    """F1 over all labels.

    `macro` is the plain mean over the labels that occur (as gold or as prediction), `weighted` the mean by number of
    gold examples, `micro` counts all labels' hits together, which for one label a text is the accuracy.
    """
    if average == "micro":
        return accuracy(confusion)
    occurs = (confusion.sum(-1) + confusion.sum(-2)) > 0
    weights = occurs.astype(np.int64) if average == "macro" else confusion.sum(-1)
    return _ratio((np.nan_to_num(f1(confusion)) * weights).sum(-1), weights.sum(-1))


def matthews_correlation(confusion: Ints) -> Floats:
    """Matthews correlation, for any number of labels (Gorodkin 2004), from -1 to 1.

    Predictions that are all one label correlate with nothing: 0, the usual convention. Gold labels that are all one
    leave nothing to correlate with: NaN.
    """
    gold, predicted = confusion.sum(-1).astype(np.float64), confusion.sum(-2).astype(np.float64)
    total = gold.sum(-1)
    covariance = _hits(confusion).sum(-1) * total - (gold * predicted).sum(-1)
    gold_variance = total**2 - (gold**2).sum(-1)
    predicted_variance = total**2 - (predicted**2).sum(-1)
    scale = np.sqrt(gold_variance * predicted_variance)
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    return np.where(gold_variance > 0, correlation, np.nan)


def _hits(confusion: Ints) -> Ints:
    return np.asarray(np.diagonal(confusion, axis1=-2, axis2=-1), dtype=np.int64)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """`part / whole`, NaN where `whole` is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    ratio: Floats = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
    return ratio
