"""A metric of any kind of task under resampling: its interval over several seeds, and paired comparisons by it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.errors import DataError
from bertkit.evaluation import multilabel
from bertkit.evaluation.correlation import spearman
from bertkit.evaluation.intervals import PairedDifference, p_value, percentile_interval, resamples, times_drawn
from bertkit.evaluation.metric_sums import Floats, Rows, Sums, numbers_of, sums_of

# Takes how often each row is drawn, shape (resamples, rows), and gives the metric of each resample.
Measure = Callable[[NDArray[np.int64]], Floats]

# Rows are drawn in blocks of about this many numbers, so that memory stays flat.
_BLOCK = 2_000_000


def measure_of(scores: Mapping[str, Any], rows: Rows, metric: str) -> Measure:
    """The metric of predictions as a function of how often each is drawn.

    Args:
        scores: the content of `metrics.json`: `kind`, `labels` and, of spans, `scorer`.

    Raises:
        DataError: the metric is not one that can be resampled here.
    """
    if not rows:
        raise DataError("there are no predictions to compare")
    if metric == "spearmanr":
        gold, predicted = numbers_of(rows)
        return lambda times: spearman(gold, predicted, weights=times)
    if metric == "average_precision":
        found = multilabel.outcomes(rows, scores["labels"])
        return lambda times: multilabel.measure(found, times)[metric]
    sums = sums_of(scores, [rows], metric)
    return lambda times: sums.value(np.asarray(times, np.float64) @ sums.parts[0])


def interval_over_seeds(
    seeds: Sequence[Rows], metric: str, scores: Mapping[str, Any], *, count: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """The percentile bootstrap interval, over rows, of the metric's mean over seeds; None where it is mostly undefined.

    Raises:
        DataError: the seeds were not scored on the same rows, or the metric cannot be resampled.
    """
    measures = [measure_of(scores, rows, metric) for rows in _aligned(seeds)]
    draws = [_mean(measures, times_drawn(drawn)) for drawn in resamples(len(seeds[0]), count=count, seed=seed)]
    return percentile_interval(np.concatenate(draws))


def paired_metric_difference(
    first: Sequence[Rows],
    second: Sequence[Rows],
    metric: str,
    scores: Mapping[str, Any],
    *,
    count: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two systems by a metric over the same rows, each with the predictions of one or more seeds.

    The metric is averaged over a system's seeds. For the interval, rows are resampled for both systems alike (paired
    bootstrap). For the p-value, the two systems' predictions of each row change sides by a coin, those of all seeds
    together, and the metric is computed anew of each side (approximate randomisation: Noreen 1989; Yeh 2000). Numbers
    change sides as what the correlation is made of: ranks, or distances from the mean in standard deviations.

    Raises:
        DataError: rows or their gold answers differ between runs, or the metric is undefined or cannot be resampled.
    """
    runs = _aligned([*first, *second])
    # As many runs on either side: the mean over them stays what it is.
    whole = math.lcm(len(first), len(second))
    one = [runs[i % len(first)] for i in range(whole)]
    other = [runs[len(first) + i % len(second)] for i in range(whole)]
    generator = np.random.Generator(np.random.PCG64(seed))
    found, drawn, swapped = _by_sums(sums_of(scores, [*one, *other], metric), count=count, generator=generator)
    if metric == "spearmanr":
        # Sums give a resample's correlation of the ranks in the whole; its own ranks are others.
        measures = [measure_of(scores, rows, metric) for rows in runs]
        times = (times_drawn(block) for block in resamples(len(runs[0]), count=count, seed=seed))
        drawn = np.concatenate(
            [_mean(measures[: len(first)], block) - _mean(measures[len(first) :], block) for block in times]
        )
    difference = found[0] - found[1]
    ends = percentile_interval(drawn)
    if ends is None or np.isnan(difference):
        raise DataError("the resamples leave the metric undefined")
    return PairedDifference(len(runs[0]), *found, difference, *ends, p_value(swapped, difference))


def _by_sums(sums: Sums, *, count: int, generator: np.random.Generator) -> tuple[tuple[float, float], Floats, Floats]:
    """The metric of both halves of the runs; its difference in resamples; and where sides were changed."""
    half, n = len(sums.parts) // 2, len(sums.parts[0])
    rows, sizes = _kinds_of_rows(np.stack(sums.parts, 1))
    one, other = rows[:, :half].reshape(len(rows), -1), rows[:, half:].reshape(len(rows), -1)

    def value(totals: Floats) -> Floats:
        return np.asarray(sums.value(totals.reshape(len(totals), half, -1)).mean(1), np.float64)

    first, second = (sizes[None] @ side for side in (one, other))
    drawn, swapped = [], []
    block = max(1, _BLOCK // len(rows))
    for start in range(0, count, block):
        shape = (min(block, count - start), len(rows))
        if len(rows) == n:
            times = times_drawn(generator.integers(0, n, size=shape)).astype(np.float64)
            moved = generator.integers(0, 2, size=shape).astype(np.float64)
        else:
            times = generator.multinomial(n, sizes / n, size=shape[0]).astype(np.float64)
            moved = generator.binomial(sizes.astype(np.int64), 0.5, size=shape).astype(np.float64)
        drawn.append(value(times @ one) - value(times @ other))
        shift = moved @ (other - one)
        swapped.append(value(first + shift) - value(second - shift))
    return (float(value(first)[0]), float(value(second)[0])), np.concatenate(drawn), np.concatenate(swapped)


def _kinds_of_rows(parts: Floats) -> tuple[Floats, Floats]:
    """Rows (rows, ...) that differ, and how many there are of each; all rows where hardly any are alike."""
    kinds, sizes = np.unique(parts, axis=0, return_counts=True)
    if len(kinds) > len(parts) / 5:
        return parts, np.ones(len(parts))
    return kinds, sizes.astype(np.float64)


def _aligned(seeds: Sequence[Rows]) -> list[list[Mapping[str, Any]]]:
    """The rows of each run in the order of the first."""
    by_id = [{row["id"]: row for row in rows} for rows in seeds]
    for rows in by_id[1:]:
        if rows.keys() != by_id[0].keys() or any(rows[id]["gold"] != row["gold"] for id, row in by_id[0].items()):
            remedy = "Evaluate the runs on the same task data and split."
            raise DataError("the runs were not scored on the same examples", remedy=remedy)
    return [[rows[id] for id in by_id[0]] for rows in by_id]


def _mean(measures: Sequence[Measure], times: NDArray[np.int64]) -> Floats:
    return np.asarray(np.mean([measure(times) for measure in measures], axis=0), np.float64)
