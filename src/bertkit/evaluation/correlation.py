"""How well predicted numbers follow gold ones: Pearson's and Spearman's correlation, each example counted some times."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pearson(gold: Floats, predicted: Floats, *, weights: NDArray[Any] | None = None) -> Floats:
    """Pearson's correlation.

    Args:
        gold, predicted: numbers, shape (..., examples).
        weights: how often each example counts, shape (..., examples), for instance its draws in a bootstrap; once each
            when absent.

    Returns:
        Shape (...), from -1 to 1; NaN where either side is constant.
    """
    gold, predicted = np.asarray(gold, np.float64), np.asarray(predicted, np.float64)
    times = np.ones(gold.shape[-1]) if weights is None else np.asarray(weights, np.float64)
    a, b = _centred(gold, times), _centred(predicted, times)
    product, scale = (times * a * b).sum(-1), np.sqrt((times * a**2).sum(-1)) * np.sqrt((times * b**2).sum(-1))
    correlation = np.divide(product, scale, out=np.full(np.shape(product), np.nan), where=scale > 0)
    return np.asarray(np.clip(correlation, -1.0, 1.0), dtype=np.float64)


def _centred(values: Floats, times: Floats) -> Floats:
    """Distances from the mean, as a share of the greatest; 0 where all values that count are equal."""
    counted = np.broadcast_to(times > 0, np.broadcast_shapes(values.shape, times.shape))
    low = np.where(counted, values, np.inf).min(-1, keepdims=True)
    high = np.where(counted, values, -np.inf).max(-1, keepdims=True)
    # Taken from an end of the range first, equal values are 0 exactly, and large ones lose no digits.
    with np.errstate(over="ignore"):
        spread = high - low
    unit = np.divide(values - low, spread, out=np.zeros(counted.shape), where=np.isfinite(spread) & (spread > 0))
    mean = (times * unit).sum(-1, keepdims=True) / times.sum(-1, keepdims=True)
    return np.where(spread > 0, unit - mean, 0.0)


def spearman(gold: Floats, predicted: Floats, *, weights: NDArray[Any] | None = None) -> Floats:
    """Spearman's correlation: Pearson's of the ranks, ties ranked by their mean.

    Args and returns as `pearson`, but `gold` and `predicted` have shape (examples,).
    """
    times = np.ones(len(gold)) if weights is None else np.asarray(weights, np.float64)
    return pearson(mean_ranks(gold, times), mean_ranks(predicted, times), weights=times)


def mean_ranks(values: Floats, times: Floats) -> Floats:
    """The mean rank of each example among those that count, shape of `times`."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    level = np.cumsum(np.concatenate([[False], ordered[1:] != ordered[:-1]]))
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.add.reduceat(times[..., order], starts, axis=-1)
    means = np.cumsum(sizes, axis=-1) - (sizes - 1) / 2
    ranks = np.empty(times.shape)
    ranks[..., order] = means[..., level]
    return ranks
