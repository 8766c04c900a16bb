"""Metrics as functions of sums over examples, so that any resampling of the examples is a product of matrices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.tagging.schemes import read_tags
from bertkit.errors import DataError
from bertkit.evaluation import confusion as matrix
from bertkit.evaluation import multilabel
from bertkit.evaluation.correlation import mean_ranks
from bertkit.evaluation.spans import answer_scores

Floats = NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]

_OF_CONFUSION: dict[str, Callable[[NDArray[np.int64]], Floats]] = {
    "accuracy": matrix.accuracy,
    "f1": lambda counts: matrix.f1(counts)[..., 1],
    "macro_f1": lambda counts: matrix.average_f1(counts, "macro"),
    "micro_f1": lambda counts: matrix.average_f1(counts, "micro"),
    "weighted_f1": lambda counts: matrix.average_f1(counts, "weighted"),
    "matthews_correlation": matrix.matthews_correlation,
}
_CORRELATIONS = ("pearson", "spearmanr")


@dataclass(frozen=True, slots=True)
class Sums:
    """A metric that is decided by sums over examples.

    `parts`: of each run what an example adds, shape (examples, sums); `value`: sums (..., sums) to the metric (...).
    """

    parts: list[Floats]
    value: Callable[[Floats], Floats]


def is_known(kind: str, rows: Rows, metric: str) -> bool:
    """Whether a metric of predictions can be resampled."""
    return _maker(kind, rows, metric) is not None


def sums_of(scores: Mapping[str, Any], runs: Sequence[Rows], metric: str) -> Sums:
    """What the metric of runs over the same examples is made of.

    Raises:
        DataError: sums do not decide it, or it is not known here.
    """
    maker = _maker(scores["kind"], runs[0], metric)
    if maker is None:
        raise DataError(f"no resampling is known for {metric}")
    return maker(runs, metric, scores)


def _maker(kind: str, rows: Rows, metric: str) -> Callable[[Sequence[Rows], str, Mapping[str, Any]], Sums] | None:
    if kind == "tagging" and metric in ("f1", "precision", "recall"):
        return _of_entities
    if kind == "spans" and metric in ("f1", "exact_match"):
        return _of_answers
    if kind != "classification" or not rows:
        return None
    if metric in _CORRELATIONS:
        return _of_numbers
    if isinstance(rows[0]["gold"], list):
        return _of_sets
    return _of_labels if isinstance(rows[0]["gold"], str) and metric in _OF_CONFUSION else None


def _of_labels(runs: Sequence[Rows], metric: str, scores: Mapping[str, Any]) -> Sums:
    labels: Sequence[str] = scores["labels"]
    if metric == "f1" and len(labels) != 2:
        raise DataError(f"f1 is of two labels, and there are {len(labels)}")
    index = {label: i for i, label in enumerate(labels)}
    cells = [
        np.array([index[row["gold"]] * len(labels) + index[row["predicted"]] for row in rows], np.int64)
        for rows in runs
    ]
    # One column for each pair of gold and predicted label that occurs.
    found, places = np.unique(np.concatenate(cells), return_inverse=True)

    def value(sums: Floats) -> Floats:
        counts = np.zeros((*sums.shape[:-1], len(labels) ** 2), np.int64)
        counts[..., found] = np.rint(sums)
        square = counts.reshape(*sums.shape[:-1], len(labels), len(labels))
        return np.asarray(_OF_CONFUSION[metric](square), np.float64)

    return Sums([np.eye(len(found))[place] for place in np.split(places, len(runs))], value)


def _of_sets(runs: Sequence[Rows], metric: str, scores: Mapping[str, Any]) -> Sums:
    """Of multi-label metrics: of each label what is right, and gold or said; of each example a share of its own."""
    width = len(scores["labels"])

    def value(sums: Floats) -> Floats:
        hits, total, n = sums[..., :width], sums[..., width : 2 * width], sums[..., -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            if metric == "micro_f1":
                return np.asarray(2 * hits.sum(-1) / total.sum(-1), np.float64)
            if metric == "macro_f1":
                share = np.where(total > 0, 2 * hits / total, 0.0)
                return np.asarray(share.sum(-1) / (total > 0).sum(-1), np.float64)
            return np.asarray(sums[..., -2] / n, np.float64)

    return Sums([_set_parts(multilabel.outcomes(rows, scores["labels"]), metric) for rows in runs], value)


def _set_parts(found: multilabel.Outcomes, metric: str) -> Floats:
    gold, said = found.gold.astype(np.float64), found.predicted.astype(np.float64)
    own = gold.sum(1) + said.sum(1)
    shares = {
        "samples_f1": np.where(own > 0, 2 * (gold * said).sum(1) / np.maximum(own, 1), 1.0),
        "subset_accuracy": (gold == said).all(1),
        "hamming_loss": (gold != said).mean(1),
    }
    if metric not in ("micro_f1", "macro_f1", *shares):
        raise DataError(f"no resampling is known for {metric}")
    share = shares.get(metric, np.zeros(len(gold)))
    return np.column_stack([gold * said, gold + said, share, np.ones(len(gold))])


def _of_numbers(runs: Sequence[Rows], metric: str, scores: Mapping[str, Any]) -> Sums:
    """Sums of two numbers and their products: Pearson's correlation, and Spearman's as that of ranks."""
    parts = []
    for rows in runs:
        x, y = (_standard(side, ranked=metric == "spearmanr") for side in numbers_of(rows))
        parts.append(np.column_stack([x, y, x * x, y * y, x * y, np.ones(len(x))]))
    return Sums(parts, _correlation)


def _correlation(sums: Floats) -> Floats:
    x, y, xx, yy, xy, n = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(np.maximum(n * xx - x * x, 0)) * np.sqrt(np.maximum(n * yy - y * y, 0))
        return np.asarray(np.where(scale > 1e-9 * n, (n * xy - x * y) / scale, np.nan), np.float64)


def _standard(numbers: Floats, *, ranked: bool) -> Floats:
    """Distances from the mean in standard deviations, of the numbers or their ranks; 0 where all are equal."""
    values = mean_ranks(numbers, np.ones(len(numbers))) if ranked else numbers
    spread = values.std()
    return np.asarray((values - values.mean()) / spread if spread > 0 else np.zeros(len(values)), np.float64)


def numbers_of(rows: Rows) -> tuple[Floats, Floats]:
    """Gold and predicted numbers, each of shape (examples,)."""
    gold, predicted = (np.array([row[side] for row in rows], np.float64) for side in ("gold", "predicted"))
    return gold, predicted


def _of_answers(runs: Sequence[Rows], metric: str, scores: Mapping[str, Any]) -> Sums:
    score_one, side = answer_scores(scores["scorer"]), ("exact_match", "f1").index(metric)
    parts = [
        np.array([(score_one(row["predicted"], row["gold"])[side], 1) for row in rows], np.float64) for rows in runs
    ]
    return Sums(parts, lambda sums: np.asarray(sums[..., 0] / sums[..., 1], np.float64))


def _of_entities(runs: Sequence[Rows], metric: str, scores: Mapping[str, Any]) -> Sums:
    """Entity scores from the counts of each sentence, as `evaluation.tagging` has them."""

    def value(sums: Floats) -> Floats:
        right, said, gold = np.moveaxis(sums, -1, 0)
        part, whole = {"precision": (right, said), "recall": (right, gold), "f1": (2 * right, said + gold)}[metric]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(part / whole, np.float64)

    return Sums([np.array([_entities(row) for row in rows], np.float64) for rows in runs], value)


def _entities(row: Mapping[str, Any]) -> tuple[int, int, int]:
    """How many are right, said and gold."""
    gold, said = (set(read_tags(row[side], "bio").entities) for side in ("gold", "predicted"))
    return len(gold & said), len(said), len(gold)
