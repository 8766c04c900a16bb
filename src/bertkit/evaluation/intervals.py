"""How sure a score is: bootstrap intervals of a metric, and a paired comparison of two systems (Efron & Tibshirani 1993)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Resamples are drawn in blocks of about this many indices, so that memory stays flat for any number of examples.
_BLOCK = 2_000_000
# A metric that is undefined for more resamples than this share has no interval.
_UNDEFINED_SHARE = 0.05


def resamples(n: int, *, count: int = 1000, seed: int = 0) -> Iterator[Ints]:
    """`count` draws of `n` example indices with replacement, in blocks of shape (rows, n)."""
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = max(1, _BLOCK // max(n, 1))
    for start in range(0, count, rows):
        yield generator.integers(0, n, size=(min(rows, count - start), n), dtype=np.int64)


def times_drawn(indices: Ints) -> Ints:
    """How often each of n examples stands in each row of indices of shape (rows, n)."""
    rows, n = indices.shape
    offsets = np.arange(rows, dtype=np.int64)[:, None] * n
    return np.bincount((indices + offsets).ravel(), minlength=rows * n).reshape(rows, n).astype(np.int64)


def bootstrap_interval(
    metric: Callable[[Ints], Floats], n: int, *, confidence: float = 0.95, count: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """The percentile bootstrap interval of a metric.

    Args:
        metric: takes example indices of shape (rows, n) and gives one value a row, NaN where it is undefined.
        n: how many examples there are.
        confidence: how often such intervals hold the true value.
        count: how many resamples are drawn.
        seed: the same seed gives the same interval.

    Returns:
        The lower and the upper end; None where more than 5 % of the resamples have no value.
    """
    values = np.concatenate([metric(indices) for indices in resamples(n, count=count, seed=seed)])
    return percentile_interval(values, confidence=confidence)


def percentile_interval(values: Floats, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """The ends of the middle `confidence` of resampled values; None where more than 5 % of them are NaN."""
    defined = values[~np.isnan(values)]
    if len(defined) < len(values) * (1 - _UNDEFINED_SHARE):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """What a paired comparison found: the metric of each, `difference = first - second`, its bootstrap interval, and the
    p-value of the approximate randomisation test."""

    n: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the interval leaves 0 out, and the p-value is at most 0.05."""
        return (self.low > 0 or self.high < 0) and self.p_value <= 0.05


def paired_difference(
    first: Sequence[Sequence[Mapping[str, Any]]],
    second: Sequence[Sequence[Mapping[str, Any]]],
    *,
    confidence: float = 0.95,
    count: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two systems over the same examples, each with the predictions of one or more seeds.

    An example's correctness is averaged over a system's seeds, and examples are resampled with both systems' values
    together. The p-value is two-sided, of the approximate randomisation test (Noreen 1989; Yeh 2000): how often the
    difference is at least as large where the two systems' answers to each example change sides by a coin.

    Args:
        first, second: for each seed, rows with `id`, `gold` and `predicted`, in any order.

    Raises:
        DataError: the ids or their gold labels are not the same everywhere, an id stands twice, or there are none.
    """
    golds: dict[str, str] = {}
    a, b = _correctness(first, golds, "the first system"), _correctness(second, golds, "the second system")
    n = len(golds)
    difference = float(np.mean(a - b))
    # Few distinct values occur, so drawing how often each is drawn is the same as drawing examples, and fast.
    values, counts = np.unique(a - b, return_counts=True)
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = generator.multinomial(n, counts / n, size=count) @ values / n
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    changed = generator.binomial(counts, 0.5, size=(count, len(counts)))
    return PairedDifference(
        n=n,
        first=float(np.mean(a)),
        second=float(np.mean(b)),
        difference=difference,
        low=float(low),
        high=float(high),
        p_value=p_value((counts - 2 * changed) @ values / n, difference),
    )


def p_value(drawn: Floats, difference: float) -> float:
    """How often a difference `drawn` as if the systems were equal is at least as far from 0; an undefined one counts."""
    nearer = np.abs(drawn) < abs(difference) - 1e-12
    return float((1 + (~nearer).sum()) / (1 + len(drawn)))


def _correctness(seeds: Sequence[Sequence[Mapping[str, Any]]], golds: dict[str, str], who: str) -> Floats:
    """The share of seeds that got each example right, in the order of `golds`, which the first call fills."""
    if not seeds or not all(seeds):
        raise DataError(f"{who} has no predictions to compare")
    sums: dict[str, int] = {}
    for number, rows in enumerate(seeds, start=1):
        seen = {str(row["id"]): row for row in rows}
        if len(seen) != len(rows):
            raise DataError(f"{who}, run {number}: {len(rows) - len(seen)} ids stand more than once")
        if not golds:
            golds.update({name: str(row["gold"]) for name, row in seen.items()})
        _check_same(seen, golds, f"{who}, run {number}")
        for name, row in seen.items():
            sums[name] = sums.get(name, 0) + (row["predicted"] == row["gold"])
    return np.array([sums[name] for name in golds], dtype=np.float64) / len(seeds)


def _check_same(seen: Mapping[str, Mapping[str, Any]], golds: Mapping[str, str], who: str) -> None:
    remedy = "Evaluate both systems on the same task data and split."
    if differing := seen.keys() ^ golds.keys():
        example = min(differing)
        holder = "only here" if example in seen else "missing here"
        raise DataError(
            f"{who}: {len(differing)} ids are not those of the other runs ({example!r} is {holder})", remedy=remedy
        )
    for name, row in seen.items():
        if row["gold"] != golds[name]:
            what = f"{who}: the gold label of {name!r} is {row['gold']!r}, elsewhere {golds[name]!r}"
            raise DataError(what, remedy=remedy)
