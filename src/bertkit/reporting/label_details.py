"""How labels are predicted: each label's scores and curve, whether probabilities can be believed, and which texts are hard."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.evaluation import multilabel
from bertkit.evaluation.classification import outcomes, score
from bertkit.evaluation.probabilities import expected_calibration_error, reliability
from bertkit.reporting import slices
from bertkit.reporting.scores import System

Floats = NDArray[np.float64]

# Curves of more labels are not told apart; those with most gold examples are drawn.
_MOST_CURVES = 6
_CURVE_POINTS = 80
_RATES = ("precision", "recall", "f1")
# Written words, and Chinese characters each by itself.
_WORDS = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


def analyse(system: System, labels: Sequence[str], examples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One label a text: its scores by label, precision-recall curves, calibration and accuracy in parts, as plain JSON.

    Scores are means over seeds, curves of the first. Calibration is of the predictions of all seeds together; the mean
    of each seed's own error is beside it.
    """
    found = [outcomes(run.predictions, labels) for run in system.runs]
    first = found[0]
    confidence = np.concatenate([one.probabilities[np.arange(len(one.gold)), one.predicted] for one in found])
    right = np.concatenate([one.predicted == one.gold for one in found])
    bins = reliability(confidence, right)
    # Of two labels the last is the positive one, and the other's curve says nothing more.
    drawn = [1] if len(labels) == 2 else _most_frequent(first.gold, len(labels))
    return {
        "model": system.name,
        "seeds": len(system.runs),
        "per_label": _over_seeds([score(run.predictions, labels)["per_label"] for run in system.runs], labels),
        "curves": [
            {"label": labels[i], **_curve(first.gold == i, first.probabilities[:, i])}
            for i in drawn
            if (first.gold == i).any()
        ],
        "calibration": {
            "bins": [[one.confidence, one.accuracy, one.count] for one in bins if one.count],
            "error_of_all_together": expected_calibration_error(bins),
            "mean_error_of_seeds": system.mean("expected_calibration_error"),
        },
        "slices": _parts(system, examples),
    }


def analyse_sets(system: System, labels: Sequence[str]) -> dict[str, Any]:
    """Any number of labels a text: each one's scores, threshold and precision-recall curve, as plain JSON."""
    first = multilabel.outcomes(system.runs[0].predictions, labels)
    drawn = np.argsort(-first.gold.sum(0), kind="stable")[:_MOST_CURVES].tolist()
    table = _over_seeds([multilabel.score(run.predictions, labels)["per_label"] for run in system.runs], labels)
    for i, label in enumerate(labels):
        said = first.scores[first.predicted[:, i], i]
        # What is stored with the model lies just below the lowest score that was enough.
        table[label]["lowest_taken"] = float(said.min()) if len(said) else None
    return {
        "model": system.name,
        "seeds": len(system.runs),
        "per_label": table,
        "curves": [
            {"label": labels[i], **_curve(first.gold[:, i], first.scores[:, i])}
            for i in drawn
            if first.gold[:, i].any()
        ],
        "slices": [],
    }


def _most_frequent(gold: NDArray[np.int64], labels: int) -> list[int]:
    counts = np.bincount(gold, minlength=labels)
    return sorted(np.argsort(-counts, kind="stable")[:_MOST_CURVES].tolist())


def _over_seeds(tables: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Each label's rates as means over seeds; None where a seed has none."""
    return {
        label: {
            **{key: _mean([table[label][key] for table in tables]) for key in _RATES},
            "support": tables[0][label]["support"],
        }
        for label in labels
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _curve(gold: NDArray[np.bool_], scores: Floats) -> dict[str, Any]:
    """Precision over recall as the threshold falls, and the area under it as average precision."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    hits = np.cumsum(gold[order])
    ends = np.flatnonzero(np.concatenate([ordered[1:] != ordered[:-1], [True]]))
    recall, precision = hits[ends] / gold.sum(), hits[ends] / (ends + 1)
    if len(ends) > _CURVE_POINTS:
        chosen = np.unique(np.linspace(0, len(ends) - 1, _CURVE_POINTS).round().astype(int))
        recall, precision = recall[chosen], precision[chosen]
    area = float(multilabel.average_precision(gold, scores, np.ones(len(gold))))
    points = [[float(f"{r:.4g}"), float(f"{p:.4g}")] for r, p in zip(recall, precision, strict=True)]
    return {"points": points, "average_precision": area}


def _parts(system: System, examples: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy by length of text and, of pairs, by how many words they share."""
    rows = system.runs[0].predictions
    known = [examples.get(str(row["id"])) for row in rows]
    if not rows or not all(known):
        return []
    right = np.mean([[row["predicted"] == row["gold"] for row in run.predictions] for run in system.runs], axis=0)
    texts = [one["texts"] for one in known if one]
    lengths = [sum(map(len, one)) for one in texts]
    parts = [slices.mean_of_each("length of text, characters", slices.by_size(lengths), {"accuracy": right})]
    if all(len(one) == 2 for one in texts):
        shared = [overlap(*one) for one in texts]
        groups = slices.by_size(shared, show="{:.0%}".format)
        parts.append(slices.mean_of_each("words that both texts have, of all", groups, {"accuracy": right}))
    return [part for part in parts if part]


def overlap(one: str, other: str) -> float:
    """The share of two texts' different words, in lower case, that stand in both (Jaccard 1901)."""
    mine, yours = (set(_WORDS.findall(text.lower())) for text in (one, other))
    return len(mine & yours) / len(mine | yours) if mine | yours else 0.0
