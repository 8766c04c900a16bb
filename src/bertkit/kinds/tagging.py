"""A tag for each token: names of persons, places and other things in a sentence."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from bertkit.data.encoded import EncodedRows
from bertkit.data.tagging.encoding import EncodedTags, encode_sentences
from bertkit.data.tagging.schemes import read_tags
from bertkit.data.tagging.sentences import join_tokens
from bertkit.data.tagging.words import token_places
from bertkit.errors import DataError
from bertkit.evaluation.tagging import score, score_intervals
from bertkit.kinds.base import Kind, Prediction, Row
from bertkit.kinds.inputs import check_text
from bertkit.models import tagging as models
from bertkit.models.crf import ChainScores
from bertkit.models.losses import class_weights
from bertkit.models.sources import ModelSource, trained_tagger
from bertkit.training.prediction import Outputs


class Tagging(Kind):
    """Tagging of sentences with BIO tags."""

    name = "tagging"
    task_keys = ("labels", "units")
    words_are_given = True

    def as_row(self, given: Any, number: int) -> Row:
        """A string, whose tokens are found, or a mapping with `text` or with `tokens`."""
        if isinstance(given, Mapping) and "tokens" in given:
            tokens = given["tokens"]
            if not isinstance(tokens, list) or not tokens or not all(isinstance(t, str) and t for t in tokens):
                raise DataError(f"input {number}: tokens is not a list of strings", remedy="Give one string a token.")
            text, starts, ends = join_tokens(tokens)
            check_text(text, "text", number)
            name = given.get("id", str(number))
            return {"id": name, "tokens": tokens, "text": text, "starts": starts, "ends": ends}
        row = super().as_row(given, number)
        spans = token_places(row["text"], self.task.get("units", "words"))
        return {
            "id": row["id"],
            "text": row["text"],
            "tokens": [row["text"][start:end] for start, end in spans],
            "starts": [start for start, _ in spans],
            "ends": [end for _, end in spans],
        }

    def encode(self, folder: Path, rows: Sequence[Row]) -> EncodedTags:
        ids = {label: i for i, label in enumerate(self.task["labels"])}
        labelled = bool(rows) and "tags" in rows[0]
        return encode_sentences(
            folder,
            [row["tokens"] for row in rows],
            [[ids[tag] for tag in row["tags"]] for row in rows] if labelled else None,
            max_seq_length=self.settings["max_seq_length"],
            stride=self.settings["stride"],
            max_word_bytes=self.settings.get("max_word_bytes"),
        )

    def texts(self, row: Row) -> list[str]:
        tokens: list[str] = row["tokens"]
        return tokens

    def new_objective(self, source: ModelSource, loss: Mapping[str, Any]) -> models.TaggingLoss:
        labels, head = self.task["labels"], self.settings["head"]
        model = source.tagger(labels, head=head, constrained=self.settings["constrained"])
        counts = self.task.get("tag_counts", {}).get("train", {})
        weights = class_weights(loss.get("class_weights"), labels, counts)
        function = models.token_loss(head, loss, weights)
        return models.TaggingLoss(model, pooling=self.settings["pooling"], loss=function)

    def load_objective(self, folder: Path) -> models.TaggingLoss:
        return models.TaggingLoss(trained_tagger(folder), pooling=self.settings["pooling"])

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {"loss": sums["loss"] / sums["count"], "accuracy": sums["correct"] / sums["count"]}

    def predictions(self, outputs: Sequence[Outputs], encoded: EncodedRows, rows: Sequence[Row]) -> list[Prediction]:
        """Lines with `tokens`, `gold` tags where known, `predicted` tags, and `entities`.

        An entity has `type`, `start` and `end` (characters of `text`), `text`, and `score`, the least probability of its
        tags.
        """
        labels = self.task["labels"]
        parts: dict[int, list[tuple[Outputs, int]]] = defaultdict(list)
        for output, window in zip(outputs, cast(EncodedTags, encoded).windows, strict=True):
            parts[window.sentence].append((output, window.last - window.first))
        lines = []
        for number, row in enumerate(rows):
            tags, scores = self._joined(parts[number])
            lines.append(
                {
                    "id": row["id"],
                    "tokens": row["tokens"],
                    **({"gold": row["tags"]} if "tags" in row else {}),
                    "predicted": [labels[tag] for tag in tags],
                    "entities": _entities([labels[tag] for tag in tags], scores, row),
                }
            )
        return lines

    def _joined(self, parts: list[tuple[Outputs, int]]) -> tuple[list[int], list[float]]:
        """The tags of a sentence and their probabilities; windows are decoded together, so that seams are valid too."""
        if not parts:
            return [], []
        probabilities = np.concatenate([output["probabilities"][:size] for output, size in parts])
        if len(parts) == 1:
            tags = parts[0][0]["tags"][: len(probabilities)].astype(np.int64)
        else:
            chain = ChainScores(self.task["labels"], learnt=False, constrained=self.settings["constrained"])
            emissions = torch.from_numpy(probabilities).clamp_min(1e-12).log()[None]
            tags = chain.decode(emissions, torch.ones(emissions.shape[:2], dtype=torch.bool))[0].numpy()
        return tags.tolist(), probabilities[np.arange(len(tags)), tags].tolist()

    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        return score(predictions)

    def score_intervals(self, predictions: Sequence[Prediction], *, count: int) -> dict[str, list[float] | None]:
        return score_intervals(predictions, count=count)

    def counts(self, encoded: EncodedRows) -> dict[str, int]:
        tags = cast(EncodedTags, encoded)
        found = {"windows": len(tags.windows), "cut_tokens": tags.cut, "tokens_without_pieces": tags.without_pieces}
        return found | ({"cut_spellings": tags.spellings.cut} if tags.spellings is not None else {})

    def notes(self, counts: Mapping[str, int], rows: int) -> list[str]:
        if counts["windows"] == rows:
            return []
        return [f"{rows} sentences were read in {counts['windows']} windows; every token is scored."]


def _entities(tags: list[str], scores: list[float], row: Row) -> list[dict[str, Any]]:
    found = []
    for entity in read_tags(tags, "bio").entities:
        start, end = row["starts"][entity.start], row["ends"][entity.end - 1]
        found.append(
            {
                "type": entity.type,
                "start": start,
                "end": end,
                "text": row["text"][start:end],
                "score": min(scores[entity.start : entity.end]),
            }
        )
    return found
