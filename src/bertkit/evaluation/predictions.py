"""What every kind of score demands of predictions, whatever they predict."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.errors import DataError
from bertkit.evaluation.intervals import percentile_interval

Prediction = Mapping[str, Any]
Floats = NDArray[np.float64]


def check_ids(predictions: Sequence[Prediction]) -> None:
    """Refuse to score nothing, or an example twice.

    Raises:
        DataError: there are no predictions, or an id stands twice.
    """
    if not predictions:
        raise DataError("there are no predictions to score")
    repeated = len(predictions) - len({row["id"] for row in predictions})
    if repeated:
        raise DataError(f"{repeated} of {len(predictions)} predictions repeat an id")


def number_or_none(value: Any) -> float | None:
    """A score as JSON has it; None where it is undefined."""
    return None if math.isnan(value) else float(value)


def interval_of_each(
    blocks: Sequence[Mapping[str, Floats]], *, confidence: float = 0.95
) -> dict[str, list[float] | None]:
    """Name to percentile interval `[low, high]` of values from blocks of resamples; None where too few are defined."""
    found: dict[str, list[float] | None] = {}
    for name in blocks[0]:
        ends = percentile_interval(np.concatenate([block[name] for block in blocks]), confidence=confidence)
        found[name] = None if ends is None else list(ends)
    return found
