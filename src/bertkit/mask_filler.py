"""Texts with masks in, words out: a look at what a pretrained model has learnt."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from bertkit.data.batching import Arrays, pad_rows
from bertkit.errors import DataError, StageError
from bertkit.kinds.inputs import read_texts
from bertkit.models.pretrained import MaskedWords
from bertkit.text.vocabulary import read_entries, read_vocabulary
from bertkit.text.wordpiece import load_encode
from bertkit.training import processes
from bertkit.training.loop import to_tensors

MASK = "[MASK]"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token of the vocabulary for a mask, and its probability."""

    token: str
    score: float


class MaskFiller:
    """The masked language model in a folder.

    Raises:
        StageError: the folder holds no BERT, or one without a masked-LM head.
        HostError: there is no such device.
    """

    def __init__(
        self, folder: Path, *, device: Literal["auto", "cpu", "cuda"] = "auto", num_threads: int | None = None
    ) -> None:
        if not folder.is_dir():
            raise StageError("no such directory", where=str(folder))
        processes.pin_threads(num_threads, 1)
        self._device = processes.make_accelerator(device, "no").device
        self._model = MaskedWords(folder).to(self._device)
        self._vocabulary, self._encode = read_vocabulary(folder), load_encode(folder)
        self._token_of = {number: token for token, number in read_entries(folder).items()}

    def fill(self, texts: Iterable[Any], *, top_k: int = 5, batch_size: int = 64) -> list[list[list[Candidate]]]:
        """For each text, for each of its masks, the `top_k` likeliest tokens, the likeliest first.

        Several masks of a text are filled each for itself, as BERT was trained.

        Raises:
            DataError: an input is no text, has no [MASK], or is longer than the model reads, with its number from 1.
        """
        rows = [self._ids(read_texts(text, ("text",), number)["text"], number) for number, text in enumerate(texts, 1)]
        return [
            found
            for start in range(0, len(rows), batch_size)
            for found in self._batch(rows[start:][:batch_size], top_k)
        ]

    def _ids(self, text: str, number: int) -> Any:
        parts = text.split(MASK)
        if len(parts) == 1:
            raise DataError(
                f"input {number} has no {MASK} to fill", remedy=f"Write {MASK} where a word is to be found."
            )
        ids = [self._vocabulary.cls]
        for place, encoded in enumerate(self._encode(parts)):
            ids += [self._vocabulary.mask, *encoded] if place else encoded
        ids.append(self._vocabulary.sep)
        if len(ids) > self._model.max_length:
            raise DataError(f"input {number} has {len(ids)} tokens; the model reads {self._model.max_length}")
        return np.array(ids, np.int64)

    def _batch(self, rows: list[Any], top_k: int) -> list[list[list[Candidate]]]:
        ids, real = pad_rows(rows, self._vocabulary.pad)
        arrays: Arrays = {
            "input_ids": ids,
            "token_type_ids": np.zeros_like(ids),
            "attention_mask": real.astype(np.int64),
        }
        batch = to_tensors(arrays, self._device)
        where, places = torch.nonzero(batch["input_ids"] == self._vocabulary.mask, as_tuple=True)
        with torch.inference_mode():
            chances = self._model(batch, where, places)
            best = chances.topk(min(top_k, chances.shape[1]))
        found: list[list[list[Candidate]]] = [[] for _ in rows]
        for row, scores, tokens in zip(where.tolist(), best.values.tolist(), best.indices.tolist(), strict=True):
            # An id without a token is padding of the embedding.
            named = (
                (self._token_of.get(token, f"[{token}]"), score) for token, score in zip(tokens, scores, strict=True)
            )
            found[row].append([Candidate(token, score) for token, score in named])
        return found
