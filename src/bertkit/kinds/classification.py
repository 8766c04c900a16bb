"""A label, several labels or a number for a text or a pair of texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from bertkit.data.encoded import EncodedRows
from bertkit.data.encoding import EncodedTexts, encode_rows
from bertkit.data.text_windows import EncodedDocuments, encode_documents
from bertkit.errors import ConfigError
from bertkit.kinds.base import Kind, Prediction, Row
from bertkit.kinds.problems import PROBLEMS
from bertkit.models import classification as model
from bertkit.models.losses import Problem as ProblemType
from bertkit.models.losses import class_weights
from bertkit.models.sources import ModelSource, trained_classifier
from bertkit.training.prediction import Outputs


class Classification(Kind):
    """Texts and pairs of texts, `problem_type` says with what labels; long texts in windows where settings say so."""

    name = "classification"
    task_keys = ("labels", "text_columns", "problem_type")

    def __init__(self, task: Mapping[str, Any], settings: Mapping[str, Any], *, where: str) -> None:
        super().__init__(task, settings, where=where)
        self._type: ProblemType = task.get("problem_type", "single_label_classification")
        self._problem = PROBLEMS[self._type](task["labels"])
        self._pooling: model.Pooling | None = settings.get("window_pooling")
        if self._pooling is not None and len(self.columns) > 1:
            raise ConfigError("window_pooling is for single texts, and this task has pairs", where=where)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.task["text_columns"])

    def encode(self, folder: Path, rows: Sequence[Row]) -> EncodedTexts | EncodedDocuments:
        targets, length = self._problem.targets(rows), self.settings["max_seq_length"]
        if self._pooling is None:
            return encode_rows(folder, list(rows), targets, max_seq_length=length)
        return encode_documents(
            folder,
            [row["text"] for row in rows],
            targets,
            max_seq_length=length,
            overlap=self.settings["window_overlap"],
            max_windows=self.settings["max_windows"],
        )

    def new_objective(self, source: ModelSource, loss: Mapping[str, Any]) -> model.ClassificationLoss:
        labels = self.task["labels"]
        weights = class_weights(loss.get("class_weights"), labels, self.task.get("label_counts", {}).get("train", {}))
        network = source.classifier(
            labels, problem=self._type, window_pooling=self._pooling, pairs=len(self.columns) > 1
        )
        return model.ClassificationLoss(network, model.fitting_loss(self._type, loss, weights))

    def load_objective(self, folder: Path) -> model.ClassificationLoss:
        return model.ClassificationLoss(trained_classifier(folder))

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {**super().summarise(sums), **self._problem.summarise(sums)}

    def predictions(self, outputs: Sequence[Outputs], encoded: EncodedRows, rows: Sequence[Row]) -> list[Prediction]:
        logits = np.stack([output["logits"] for output in outputs]).astype(np.float64)
        return self._problem.predictions(logits, rows, self.settings.get("tuned") or {})

    def tune(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        return self._problem.tune(predictions) if self.settings.get("tune_thresholds", True) else {}

    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        return self._problem.score(predictions)

    def score_intervals(self, predictions: Sequence[Prediction], *, count: int) -> dict[str, list[float] | None]:
        return self._problem.score_intervals(predictions, count=count)

    def counts(self, encoded: EncodedRows) -> dict[str, int]:
        texts = cast(EncodedTexts | EncodedDocuments, encoded)
        found = {"truncated": texts.truncated, "texts_without_pieces": texts.without_pieces}
        return found | ({"windows": encoded.window_count} if isinstance(encoded, EncodedDocuments) else {})

    def notes(self, counts: Mapping[str, int], rows: int) -> list[str]:
        notes = []
        if counts["texts_without_pieces"]:
            notes.append(
                f"{counts['texts_without_pieces']} of {rows} rows have a text that the tokenizer makes nothing of."
            )
        if not counts["truncated"]:
            return notes
        where = f"at {self.settings['max_seq_length']} tokens"
        if self._pooling is not None:
            where = f"after {self.settings['max_windows']} windows of {self.settings['max_seq_length']} tokens"
        return [*notes, f"{counts['truncated']} of {rows} texts were cut {where}."]
