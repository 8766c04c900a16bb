"""One label for a text or a pair of texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch

from bertkit.data.encoded import EncodedRows
from bertkit.data.encoding import EncodedTexts, encode_rows
from bertkit.evaluation.classification import score, score_intervals
from bertkit.kinds.base import Kind, Prediction, Row
from bertkit.models import bert
from bertkit.training.prediction import Outputs


class Classification(Kind):
    """Single-label classification of texts and pairs of texts."""

    name = "classification"
    task_keys = ("labels", "text_columns")

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.task["text_columns"])

    def encode(self, folder: Path, rows: Sequence[Row]) -> EncodedTexts:
        ids = {label: i for i, label in enumerate(self.task["labels"])}
        labels = [ids[row["label"]] if "label" in row else 0 for row in rows]
        return encode_rows(folder, list(rows), labels, max_seq_length=self.settings["max_seq_length"])

    def new_objective(
        self,
        start: Path,
        *,
        init: Literal["pretrained", "random"],
        dropout: float | None,
        seed: int,
        reinit_layers: int | None,
        loss: Mapping[str, Any],
    ) -> bert.ClassificationLoss:
        labels = self.task["labels"]
        model = bert.classifier(start, labels, init=init, dropout=dropout, seed=seed, reinit_layers=reinit_layers)
        return bert.ClassificationLoss(model)

    def load_objective(self, folder: Path) -> bert.ClassificationLoss:
        return bert.ClassificationLoss(bert.load_classifier(folder))

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {"loss": sums["loss"] / sums["count"], "accuracy": sums["correct"] / sums["count"]}

    def predictions(self, outputs: Sequence[Outputs], encoded: EncodedRows, rows: Sequence[Row]) -> list[Prediction]:
        labels = self.task["labels"]
        logits = torch.from_numpy(np.stack([output["logits"] for output in outputs]))
        return [
            {
                "id": row["id"],
                **({"gold": row["label"]} if "label" in row else {}),
                "predicted": labels[int(scores.argmax())],
                "scores": dict(zip(labels, scores.tolist(), strict=True)),
            }
            for row, scores in zip(rows, logits.double().softmax(-1).numpy(), strict=True)
        ]

    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        return score(predictions, self.task["labels"])

    def score_intervals(self, predictions: Sequence[Prediction], *, count: int) -> dict[str, list[float] | None]:
        return score_intervals(predictions, self.task["labels"], count=count)

    def counts(self, encoded: EncodedRows) -> dict[str, int]:
        return {"truncated": cast(EncodedTexts, encoded).truncated}

    def notes(self, counts: Mapping[str, int], rows: int) -> list[str]:
        if not counts["truncated"]:
            return []
        return [f"{counts['truncated']} of {rows} texts were cut at {self.settings['max_seq_length']} tokens."]
