"""A metric of any kind of task under resampling: its interval over several seeds, and paired comparisons by it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.tagging.schemes import read_tags
from bertkit.errors import DataError
from bertkit.evaluation import confusion as matrix
from bertkit.evaluation import multilabel
from bertkit.evaluation.correlation import pearson, spearman
from bertkit.evaluation.intervals import PairedDifference, percentile_interval, resamples, times_drawn
from bertkit.evaluation.spans import answer_scores

Floats = NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]
# Takes how often each row is drawn, shape (resamples, rows), and gives the metric of each resample.
Measure = Callable[[NDArray[np.int64]], Floats]

_OF_CONFUSION: dict[str, Callable[[NDArray[np.int64]], Floats]] = {
    "accuracy": matrix.accuracy,
    "macro_f1": lambda counts: matrix.average_f1(counts, "macro"),
    "micro_f1": lambda counts: matrix.average_f1(counts, "micro"),
    "weighted_f1": lambda counts: matrix.average_f1(counts, "weighted"),
    "matthews_correlation": matrix.matthews_correlation,
}
_CORRELATIONS = {"pearson": pearson, "spearmanr": spearman}


def measure_of(scores: Mapping[str, Any], rows: Rows, metric: str) -> Measure:
    """The metric of predictions as a function of how often each is drawn.

    Args:
        scores: the content of `metrics.json`: `kind`, `labels` and, of spans, `scorer`.

    Raises:
        DataError: the metric is not one that can be resampled here.
    """
    if not rows:
        raise DataError("there are no predictions to compare")
    kind = scores["kind"]
    if kind == "tagging" and metric in ("f1", "precision", "recall"):
        return _of_entities(rows, metric)
    if kind == "spans" and metric in ("f1", "exact_match"):
        return _of_answers(rows, metric, scores["scorer"])
    if kind == "classification" and metric in _CORRELATIONS:
        gold, predicted = (np.array([row[side] for row in rows], np.float64) for side in ("gold", "predicted"))
        return lambda times: np.asarray(_CORRELATIONS[metric](gold, predicted, weights=times), np.float64)
    if kind == "classification" and isinstance(rows[0]["gold"], list):
        found = multilabel.outcomes(rows, scores["labels"])
        return lambda times: multilabel.measure(found, times)[metric]
    if kind == "classification" and metric in _OF_CONFUSION:
        return _of_labels(rows, metric, scores["labels"])
    raise DataError(f"no resampling is known for {metric}")


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

    Rows are resampled for both systems alike, and the metric is averaged over a system's seeds; the p-value is that of
    `intervals.paired_difference`.

    Raises:
        DataError: rows or their gold answers differ between runs, or the metric is undefined or cannot be resampled.
    """
    measures = [measure_of(scores, rows, metric) for rows in _aligned([*first, *second])]
    one, other = measures[: len(first)], measures[len(first) :]
    n = len(first[0])
    whole = np.ones((1, n), np.int64)
    found = float(_mean(one, whole)[0]), float(_mean(other, whole)[0])
    difference = found[0] - found[1]
    times = (times_drawn(drawn) for drawn in resamples(n, count=count, seed=seed))
    drawn = np.concatenate([_mean(one, block) - _mean(other, block) for block in times])
    ends = percentile_interval(drawn)
    if ends is None or np.isnan(difference):
        raise DataError("the resamples leave the metric undefined")
    as_far = np.abs(drawn - difference) >= abs(difference) - 1e-12
    return PairedDifference(n, *found, difference, *ends, float((1 + as_far.sum()) / (1 + count)))


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


def _of_labels(rows: Rows, metric: str, labels: Sequence[str]) -> Measure:
    index = {label: i for i, label in enumerate(labels)}
    # One column for each pair of gold and predicted label that occurs.
    cells = np.array([index[row["gold"]] * len(labels) + index[row["predicted"]] for row in rows], np.int64)
    found, place = np.unique(cells, return_inverse=True)
    which = np.eye(len(found), dtype=np.int64)[place]

    def measure(times: NDArray[np.int64]) -> Floats:
        counts = np.zeros((len(times), len(labels) ** 2), np.int64)
        counts[:, found] = times @ which
        return np.asarray(_OF_CONFUSION[metric](counts.reshape(len(times), len(labels), -1)), np.float64)

    return measure


def _of_answers(rows: Rows, metric: str, scorer: Any) -> Measure:
    score_one, side = answer_scores(scorer), ("exact_match", "f1").index(metric)
    values = np.array([score_one(row["predicted"], row["gold"])[side] for row in rows], np.float64)
    return lambda times: np.asarray(times @ values / times.sum(1), np.float64)


def _of_entities(rows: Rows, metric: str) -> Measure:
    """Entity scores from the counts of each sentence, as `evaluation.tagging` has them."""
    counts = np.zeros((len(rows), 3))
    for i, row in enumerate(rows):
        gold, said = (set(read_tags(row[side], "bio").entities) for side in ("gold", "predicted"))
        counts[i] = len(gold & said), len(said), len(gold)

    def measure(times: NDArray[np.int64]) -> Floats:
        right, said, gold = (times @ counts).T
        part, whole = {"precision": (right, said), "recall": (right, gold), "f1": (2 * right, said + gold)}[metric]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(part / whole, np.float64)

    return measure
