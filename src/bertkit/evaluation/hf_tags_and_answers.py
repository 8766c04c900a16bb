"""Scores of tags and of answers as `evaluate.Metric`, with the inputs and the names that those of the Hub have.

SQuAD's figures are percentages here, as its scripts print them; everywhere else in bertkit they are shares.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from bertkit.errors import DataError
from bertkit.evaluation import spans, tagging

_TAGS = datasets.Features(
    {
        "predictions": datasets.Sequence(datasets.Value("string")),
        "references": datasets.Sequence(datasets.Value("string")),
    }
)
_SAID = {"id": datasets.Value("string"), "prediction_text": datasets.Value("string")}
_GOLD = {
    "id": datasets.Value("string"),
    "answers": {
        "text": datasets.Sequence(datasets.Value("string")),
        "answer_start": datasets.Sequence(datasets.Value("int32")),
    },
}
Row = dict[str, Any]


class Seqeval(evaluate.Metric):  # type: ignore[misc]  # evaluate is untyped
    """Precision, recall and F1 of entities over BIO tags, as conlleval counts them; None where there is nothing to count."""

    def _info(self) -> evaluate.MetricInfo:
        return _described(self, _TAGS, "`predictions` and `references` are sequences of BIO tags.")

    def _compute(self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, Any]:
        rows = zip(references, predictions, strict=True)
        found = tagging.score([{"id": i, "gold": gold, "predicted": said} for i, (gold, said) in enumerate(rows)])
        types = {
            name: {**{key: row[key] for key in ("precision", "recall", "f1")}, "number": row["support"]}
            for name, row in found["per_type"].items()
        }
        overall = ("precision", "recall", "f1", "accuracy")
        return types | {f"overall_{name}": found["metrics"][name] for name in overall}


class Squad(evaluate.Metric):  # type: ignore[misc]
    """Exact match and F1 of SQuAD 1.1, in percent."""

    def _info(self) -> evaluate.MetricInfo:
        features = datasets.Features({"predictions": _SAID, "references": _GOLD})
        return _described(self, features, "`predictions` are `{id, prediction_text}`, `references` `{id, answers}`.")

    def _compute(self, predictions: Sequence[Row], references: Sequence[Row]) -> dict[str, Any]:
        exact, f1 = spans.example_scores(_lines(predictions, references), "squad")
        return {"exact_match": 100 * float(exact.mean()), "f1": 100 * float(f1.mean())}


class SquadV2(evaluate.Metric):  # type: ignore[misc]
    """The figures of SQuAD 2.0, in percent, and the probabilities of no answer up to which an answer is best given."""

    def _info(self) -> evaluate.MetricInfo:
        said = {**_SAID, "no_answer_probability": datasets.Value("float64")}
        features = datasets.Features({"predictions": said, "references": _GOLD})
        inputs = "`predictions` are `{id, prediction_text, no_answer_probability}`, `references` `{id, answers}`."
        return _described(self, features, inputs)

    def _compute(
        self, predictions: Sequence[Row], references: Sequence[Row], no_answer_threshold: float = 1.0
    ) -> dict[str, Any]:
        lines = _lines(predictions, references)
        odds = np.array([line["no_answer_probability"] for line in lines])
        has = np.array([bool(line["gold"]) for line in lines])
        raw = dict(zip(("exact", "f1"), spans.example_scores(lines, "squad_v2"), strict=True))
        # Silence is right where there is no answer, and only there.
        found = {name: np.where(odds > no_answer_threshold, ~has, values) for name, values in raw.items()}
        figures: dict[str, Any] = {}
        for prefix, chosen in (("", np.ones_like(has)), ("HasAns_", has), ("NoAns_", ~has)):
            if chosen.any():
                figures |= {f"{prefix}{name}": 100 * float(values[chosen].mean()) for name, values in found.items()}
                figures[f"{prefix}total"] = int(chosen.sum())
        for name, values in raw.items():
            figures[f"best_{name}"], figures[f"best_{name}_thresh"] = _best(values, ~has, odds)
        return figures


def _best(values: spans.Floats, silent: Any, odds: spans.Floats) -> tuple[float, float]:
    """The best mean, in percent, and the greatest probability of no answer that is answered for it; 0 where none is.

    The script begins with silence and lets the surest speak, one after the other; of equals the first is best.
    """
    order = np.argsort(odds, kind="stable")
    means = (silent.sum() + np.concatenate([[0.0], np.cumsum((values - silent)[order])])) / len(values)
    best = int(means.argmax())
    return 100 * float(means[best]), float(odds[order[best - 1]]) if best else 0.0


def _lines(predictions: Sequence[Row], references: Sequence[Row]) -> list[Row]:
    """Predictions with the texts of their gold answers.

    Raises:
        DataError: a reference has no prediction, or a prediction no reference.
    """
    golds = {reference["id"]: list(reference["answers"]["text"]) for reference in references}
    if differing := sorted(golds.keys() ^ {one["id"] for one in predictions}):
        raise DataError(f"predictions and references are not of the same questions: {differing[0]!r} is in one of them")
    return [{**one, "predicted": one["prediction_text"], "gold": golds[one["id"]]} for one in predictions]


def _described(metric: evaluate.Metric, features: datasets.Features, inputs: str) -> evaluate.MetricInfo:
    description = (type(metric).__doc__ or "").strip()
    return evaluate.MetricInfo(description=description, citation="", inputs_description=inputs, features=features)
