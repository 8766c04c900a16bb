"""What repeated runs say together: mean, spread, and how far the mean itself is known."""

import math
import statistics
from collections.abc import Sequence
from typing import Any


def summarise_values(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean, sample standard deviation and the mean's 95 % interval (Student 1908) of one metric over runs.

    The interval is None for one run, and everything is where a run has no value. It takes the runs for independent:
    so are seeds, whereas the folds of a cross-validation share training rows, which makes theirs somewhat too narrow
    (Bengio & Grandvalet 2004).
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return {"mean": None, "standard_deviation": None, "interval": None, "values": list(values)}
    mean = statistics.fmean(known)
    if len(known) == 1:
        return {"mean": mean, "standard_deviation": None, "interval": None, "values": known}
    deviation = statistics.stdev(known)
    reach = t_quantile(0.975, len(known) - 1) * deviation / math.sqrt(len(known))
    return {
        "mean": mean,
        "standard_deviation": deviation,
        "interval": [mean - reach, mean + reach],
        "values": known,
    }


def t_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t with `freedom` degrees of freedom, for a probability from 0.5 up to below 1."""
    low, high = 0.0, 1.0
    while _t_distribution(high, freedom) < probability:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _t_distribution(middle, freedom) < probability else (low, middle)
    return high


def _t_distribution(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0: the finite series of Abramowitz & Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term, total = (math.cos(angle), 0.0) if odd else (1.0, 0.0)
    for i in range(odd, freedom - 1, 2):
        total += term
        term *= (i + 1) / (i + 2) * math.cos(angle) ** 2
    within = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return 0.5 + within / 2
