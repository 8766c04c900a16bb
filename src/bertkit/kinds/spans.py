"""An answer as a span of a text, or none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bertkit.data.encoded import EncodedRows
from bertkit.data.spans.encoding import EncodedSpans, encode_questions
from bertkit.errors import ConfigError, DataError
from bertkit.evaluation.span_search import best_spans
from bertkit.evaluation.spans import best_threshold, score, score_intervals
from bertkit.kinds.base import Kind, Prediction, Row
from bertkit.kinds.inputs import check_text
from bertkit.models import spans as models
from bertkit.models.sources import ModelSource, trained_span_model
from bertkit.training.prediction import Outputs

Floats = NDArray[np.float64]


class Spans(Kind):
    """Span extraction, from one context or several."""

    name = "spans"
    task_keys = ("scorer",)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("question", "context")

    def as_row(self, given: Any, number: int) -> Row:
        """A pair of strings, or a mapping with `question` and `context`, which may be a list of passages."""
        if isinstance(given, Mapping) and isinstance(given.get("context"), list):
            passages = given["context"]
            if not passages or not all(isinstance(one, str) and one.strip() for one in passages):
                raise DataError(f"input {number}: context is not a list of texts", remedy="Give one string a passage.")
            for passage in passages:
                check_text(passage, "context", number)
            row = super().as_row({**given, "context": passages[0]}, number)
            return {**row, "context": passages}
        return super().as_row(given, number)

    def encode(self, folder: Path, rows: Sequence[Row]) -> EncodedSpans:
        labelled = bool(rows) and "answers" in rows[0]
        return encode_questions(
            folder,
            [row["question"].strip() for row in rows],
            [_passages(row) for row in rows],
            [row["answers"] for row in rows] if labelled else None,
            max_seq_length=self.settings["max_seq_length"],
            doc_stride=self.settings["doc_stride"],
            max_query_length=self.settings["max_query_length"],
        )

    def texts(self, row: Row) -> list[str]:
        return [row["question"], *_passages(row)]

    def new_objective(self, source: ModelSource, loss: Mapping[str, Any]) -> models.SpansLoss:
        if loss.get("type", "auto") not in ("auto", "cross_entropy") or "class_weights" in loss:
            remedy = "Of loss, only label_smoothing is read."
            raise ConfigError("spans are learnt by the cross-entropy of their first and last token", remedy=remedy)
        return models.SpansLoss(source.span_model(), label_smoothing=loss.get("label_smoothing") or 0.0)

    def load_objective(self, folder: Path) -> models.SpansLoss:
        return models.SpansLoss(trained_span_model(folder))

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        if not sums["count"]:
            return {}  # answers that stand nowhere in their context: nothing to learn from
        return {"loss": sums["loss"] / sums["count"], "window_accuracy": sums["correct"] / sums["count"]}

    def predictions(self, outputs: Sequence[Outputs], encoded: EncodedRows, rows: Sequence[Row]) -> list[Prediction]:
        """Lines with `gold` texts where known, `predicted` text with `start` and `end` in the context, `score`, `n_best`.

        A span's score is its logits less those of [CLS] in the same window, so that windows and passages compare: the
        log-odds of the span against no answer. `predicted` is "" where the best score is not above the threshold; with
        several passages `passage` numbers the answer's, from 0.
        """
        found: list[list[dict[str, Any]]] = [[] for _ in rows]
        windows = cast(EncodedSpans, encoded)
        for window, output in enumerate(outputs):
            number = int(windows.question[window])
            found[number] += self._spans(windows, window, output, rows[number])
        return [self._line(row, spans) for row, spans in zip(rows, found, strict=True)]

    def _spans(self, windows: EncodedSpans, window: int, output: Outputs, row: Row) -> list[dict[str, Any]]:
        """The best spans of one window."""
        begin, first = windows.begin(window), int(windows.first[window])
        place = slice(begin, begin + int(windows.last[window]) - first)
        starts, ends = output["start_logits"].astype(np.float64), output["end_logits"].astype(np.float64)
        none = starts[0] + ends[0]
        passage = windows.passages[windows.passage[window]]
        text = _passages(row)[windows.place[window]]
        settings = self.settings
        spans = []
        for i, j, logits in best_spans(
            starts[place], ends[place], count=settings["n_best_size"], max_length=settings["max_answer_length"]
        ):
            start, end = int(passage.starts[first + i]), int(passage.ends[first + j])
            own = {"text": text[start:end], "start": start, "end": end, "score": float(logits - none)}
            spans.append(own | ({"passage": int(windows.place[window])} if isinstance(row["context"], list) else {}))
        return spans

    def _line(self, row: Row, spans: list[dict[str, Any]]) -> Prediction:
        best: dict[tuple[int, int, int], dict[str, Any]] = {}
        for span in sorted(spans, key=lambda one: -one["score"]):
            # The same span in two windows counts once, by its better score.
            best.setdefault((span.get("passage", 0), span["start"], span["end"]), span)
        ranked = list(best.values())[: self.settings["n_best_size"]]
        answered = bool(ranked) and ranked[0]["score"] > self._threshold
        top = ranked[0] if answered else {"text": "", "start": None, "end": None, "passage": None}
        return {
            "id": row["id"],
            **({"gold": [answer["text"] for answer in row["answers"]]} if "answers" in row else {}),
            "predicted": top["text"],
            "start": top["start"],
            "end": top["end"],
            **({"passage": top["passage"]} if isinstance(row["context"], list) else {}),
            "score": ranked[0]["score"] if ranked else None,
            "n_best": _with_probabilities(ranked),
        }

    def made_right(self, prediction: Prediction) -> Prediction:
        return {**prediction, "predicted": next(iter(prediction["gold"]), "")}

    @property
    def _threshold(self) -> float:
        """Answers at or below it are none; sets in which every question has an answer have none."""
        if self.task["scorer"] != "squad_v2":
            return -np.inf
        return float(self.settings.get("tuned", {}).get("no_answer_threshold", self.settings["no_answer_threshold"]))

    def tune(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The no-answer threshold with the best F1."""
        if self.task["scorer"] != "squad_v2":
            return {}
        return {"no_answer_threshold": best_threshold(predictions, scorer="squad_v2")[0]}

    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        return score(predictions, scorer=self.task["scorer"])

    def score_intervals(self, predictions: Sequence[Prediction], *, count: int) -> dict[str, list[float] | None]:
        return score_intervals(predictions, scorer=self.task["scorer"], count=count)

    def counts(self, encoded: EncodedRows) -> dict[str, int]:
        windows = cast(EncodedSpans, encoded)
        inside = (windows.start_positions > 0).astype(np.int64)
        answered = len(np.unique(windows.question[inside > 0]))
        return {
            "windows": len(windows.question),
            "windows_with_answer": int(inside.sum()),
            "questions_with_answer_in_a_window": answered,
            "cut_questions": windows.cut_questions,
        }

    def notes(self, counts: Mapping[str, int], rows: int) -> list[str]:
        notes = [f"{rows} questions were read in {counts['windows']} windows; an answer may lie in any of them."]
        if counts["cut_questions"]:
            notes.append(f"{counts['cut_questions']} questions were cut at {self.settings['max_query_length']} tokens.")
        return notes


def _passages(row: Row) -> list[str]:
    return row["context"] if isinstance(row["context"], list) else [row["context"]]


def _with_probabilities(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each span with its share among these spans and no answer."""
    odds = np.exp(np.minimum([span["score"] for span in spans], 500.0)) if spans else np.zeros(0)
    return [{**span, "probability": float(own / (1 + odds.sum()))} for span, own in zip(spans, odds, strict=True)]
