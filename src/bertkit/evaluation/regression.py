"""Scores of predicted numbers, a pure function of the predictions."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bertkit.errors import DataError
from bertkit.evaluation.correlation import Floats, pearson, spearman
from bertkit.evaluation.intervals import resamples, times_drawn
from bertkit.evaluation.predictions import Prediction, check_ids, interval_of_each, number_or_none


def score(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Every metric of regression, from predictions `{"id", "gold", "predicted"}`.

    Returns:
        `n`, `metrics` (`pearson`, `spearmanr`, `mse`, `mae`; None where undefined) and `undefined` (name to reason).

    Raises:
        DataError: there are none, an id stands twice, or a number is NaN or infinite.
    """
    gold, predicted = _numbers(predictions)
    metrics = {
        "pearson": number_or_none(pearson(gold, predicted)),
        "spearmanr": number_or_none(spearman(gold, predicted)),
        "mse": float(((predicted - gold) ** 2).mean()),
        "mae": float(np.abs(predicted - gold).mean()),
    }
    side = "gold" if np.ptp(gold) == 0 else "predicted"
    undefined = {name: f"every {side} number is the same" for name, value in metrics.items() if value is None}
    return {"n": len(predictions), "metrics": metrics, "undefined": undefined}


def score_intervals(
    predictions: Sequence[Prediction], *, confidence: float = 0.95, count: int = 1000, seed: int = 0
) -> dict[str, list[float] | None]:
    """The percentile bootstrap interval `[low, high]` of each metric; None where too many resamples have no value."""
    gold, predicted = _numbers(predictions)
    errors = predicted - gold
    blocks = []
    for drawn in resamples(len(predictions), count=count, seed=seed):
        times = times_drawn(drawn)
        blocks.append(
            {
                "pearson": pearson(gold, predicted, weights=times),
                "spearmanr": spearman(gold, predicted, weights=times),
                "mse": (errors**2)[drawn].mean(axis=1),
                "mae": np.abs(errors)[drawn].mean(axis=1),
            }
        )
    return interval_of_each(blocks, confidence=confidence)


def _numbers(predictions: Sequence[Prediction]) -> tuple[Floats, Floats]:
    check_ids(predictions)
    for row in predictions:
        for field in ("gold", "predicted"):
            value = row[field]
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise DataError(f"the {field} number of {row['id']!r} is {value!r}")
    gold, predicted = (np.array([row[field] for row in predictions], np.float64) for field in ("gold", "predicted"))
    return gold, predicted
