"""What the labels of a classification are: one label a text, several or none, or a number."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.errors import DataError, did_you_mean
from bertkit.evaluation import classification, multilabel, regression

Row = Mapping[str, Any]
Prediction = dict[str, Any]
Floats = NDArray[np.float64]


class Problem(ABC):
    """One kind of labels; `labels` are the task's, in their order."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = list(labels)

    @abstractmethod
    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        """What the model is to give for each row, item i for row i; zeros where rows have no label."""

    @abstractmethod
    def predictions(self, logits: Floats, rows: Sequence[Row], tuned: Mapping[str, Any]) -> list[Prediction]:
        """The lines of `predictions.jsonl` from logits, shape (rows, labels)."""

    @abstractmethod
    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The figures of a log row beside the loss."""

    def tune(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """What to choose on the validation split."""
        return {}

    @abstractmethod
    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """See `Kind.score`."""

    @abstractmethod
    def score_intervals(self, predictions: Sequence[Prediction], *, count: int) -> dict[str, list[float] | None]:
        """See `Kind.score_intervals`."""

    def _place(self, label: str, row: Row) -> int:
        if label not in self.labels:
            raise DataError(
                f"the label {label!r} is none of the task's{did_you_mean(label, self.labels)}",
                where=str(row.get("where", row.get("id"))),
                remedy=f"They are {', '.join(map(repr, self.labels))}.",
            )
        return self.labels.index(label)


class SingleLabel(Problem):
    """One label for each text."""

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        return np.array([self._place(row["label"], row) if "label" in row else 0 for row in rows], np.int64)

    def predictions(self, logits: Floats, rows: Sequence[Row], tuned: Mapping[str, Any]) -> list[Prediction]:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        found = powers / powers.sum(axis=1, keepdims=True)
        return [
            {
                "id": row["id"],
                **({"gold": row["label"]} if "label" in row else {}),
                "predicted": self.labels[int(scores.argmax())],
                "scores": dict(zip(self.labels, scores.tolist(), strict=True)),
            }
            for row, scores in zip(rows, found, strict=True)
        ]

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {"accuracy": sums["correct"] / sums["count"]}

    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        return classification.score(predictions, self.labels)

    def score_intervals(self, predictions: Sequence[Prediction], *, count: int) -> dict[str, list[float] | None]:
        return classification.score_intervals(predictions, self.labels, count=count)


class MultiLabel(Problem):
    """Any number of labels for each text, each with a threshold of its own, 0.5 until it is tuned."""

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        targets = np.zeros((len(rows), len(self.labels)), np.float32)
        for i, row in enumerate(rows):
            targets[i, [self._place(label, row) for label in row.get("label", ())]] = 1.0
        return targets

    def predictions(self, logits: Floats, rows: Sequence[Row], tuned: Mapping[str, Any]) -> list[Prediction]:
        found = 0.5 * (1.0 + np.tanh(logits / 2.0))
        thresholds = np.array([tuned.get("thresholds", {}).get(label, 0.5) for label in self.labels])
        return [
            {
                "id": row["id"],
                **({"gold": list(row["label"])} if "label" in row else {}),
                "predicted": [label for label, yes in zip(self.labels, scores >= thresholds, strict=True) if yes],
                "scores": dict(zip(self.labels, scores.tolist(), strict=True)),
            }
            for row, scores in zip(rows, found, strict=True)
        ]

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {"subset_accuracy": sums["correct"] / sums["count"]}

    def tune(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        found = multilabel.outcomes(predictions, self.labels)
        thresholds = multilabel.best_thresholds(found.gold, found.scores).tolist()
        return {"thresholds": dict(zip(self.labels, thresholds, strict=True))}

    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        return multilabel.score(predictions, self.labels)

    def score_intervals(self, predictions: Sequence[Prediction], *, count: int) -> dict[str, list[float] | None]:
        return multilabel.score_intervals(predictions, self.labels, count=count)


class Regression(Problem):
    """A number for each text."""

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        return np.array([row.get("label", 0.0) for row in rows], np.float32)

    def predictions(self, logits: Floats, rows: Sequence[Row], tuned: Mapping[str, Any]) -> list[Prediction]:
        return [
            {"id": row["id"], **({"gold": row["label"]} if "label" in row else {}), "predicted": value, "scores": {}}
            for row, value in zip(rows, logits[:, 0].tolist(), strict=True)
        ]

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {"mse": sums["squared_error"] / sums["count"]}

    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        return regression.score(predictions)

    def score_intervals(self, predictions: Sequence[Prediction], *, count: int) -> dict[str, list[float] | None]:
        return regression.score_intervals(predictions, count=count)


PROBLEMS: dict[str, type[Problem]] = {
    "single_label_classification": SingleLabel,
    "multi_label_classification": MultiLabel,
    "regression": Regression,
}
