"""Texts to token ids for fine-tuned heads, with a count of what did not fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.batching import Arrays, pad_rows
from bertkit.data.encoded import EncodedRows
from bertkit.data.pretraining import SpecialIds
from bertkit.text.vocabulary import read_vocabulary
from bertkit.text.wordpiece import load_encode

Ints = NDArray[np.int64]
Encode = Callable[[list[str]], list[list[int]]]
Labels = Sequence[int] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class EncodedTexts(EncodedRows):
    """Texts as `[CLS] ... [SEP]`, pairs as `[CLS] A [SEP] B [SEP]`.

    `truncated`: how many were longer than the model reads; `labels`: shape (texts,), or (texts, labels) where a text may
    have several; `second`: shape (texts,), where B begins in each row, its length for a single text.
    """

    rows: list[Ints]
    labels: NDArray[Any]
    truncated: int
    pad: int
    second: Ints | None = None

    @property
    def lengths(self) -> Ints:
        return np.array([len(row) for row in self.rows], dtype=np.int64)

    @property
    def without_pieces(self) -> int:
        """How many rows have a text of which the tokenizer makes nothing, such as one of zero-width characters."""
        if self.second is None:
            return int((self.lengths <= 2).sum())
        return int(((self.second <= 2) | (self.lengths <= self.second + 1)).sum())

    def collate(self, chosen: Ints) -> Arrays:
        """`input_ids`, `token_type_ids`, (rows, length); `attention_mask` where there is padding; `labels` (rows, ...)."""
        ids, real = pad_rows([self.rows[i] for i in chosen], self.pad)
        types = np.zeros_like(ids)
        if self.second is not None:
            types[real & (np.arange(ids.shape[1]) >= self.second[chosen, None])] = 1
        arrays: Arrays = {"input_ids": ids, "token_type_ids": types, "labels": self.labels[chosen]}
        if not real.all():
            arrays["attention_mask"] = real.astype(np.int64)
        return arrays

    def denominators(self, arrays: Arrays) -> dict[str, int]:
        return {"loss": len(arrays["labels"])}


def encode_texts(
    texts: list[str], labels: Labels, encode: Encode, special: SpecialIds, *, max_seq_length: int
) -> EncodedTexts:
    """Encode every text, keeping its first `max_seq_length - 2` tokens."""
    room = max_seq_length - 2
    rows, truncated = [], 0
    for start in range(0, len(texts), 1024):
        for ids in encode(texts[start : start + 1024]):
            truncated += len(ids) > room
            rows.append(np.array([special.cls, *ids[:room], special.sep], dtype=np.int64))
    return EncodedTexts(rows, np.asarray(labels), truncated, special.pad)


def encode_pairs(
    texts: list[str],
    pairs: list[str],
    labels: Labels,
    encode: Encode,
    special: SpecialIds,
    *,
    max_seq_length: int,
) -> EncodedTexts:
    """Encode every pair; one that is too long loses tokens of its longer text first, as `longest_first` does."""
    room = max_seq_length - 3
    rows, second, truncated = [], [], 0
    for start in range(0, len(texts), 1024):
        chunk = slice(start, start + 1024)
        for a, b in zip(encode(texts[chunk]), encode(pairs[chunk]), strict=True):
            if len(a) + len(b) > room:
                truncated += 1
                a, b = _cut_longest_first(a, b, room)
            rows.append(np.array([special.cls, *a, special.sep, *b, special.sep], dtype=np.int64))
            second.append(len(a) + 2)
    return EncodedTexts(rows, np.asarray(labels), truncated, special.pad, np.array(second, dtype=np.int64))


def _cut_longest_first(a: list[int], b: list[int], room: int) -> tuple[list[int], list[int]]:
    """The starts of two texts that together fill `room`; of two halves, the second text's is not the smaller."""
    shorter = min(len(a), len(b), room // 2)
    longer = room - shorter
    return (a[:shorter], b[:longer]) if len(a) <= len(b) else (a[:longer], b[:shorter])


def encode_rows(folder: Path, rows: list[dict[str, Any]], labels: Labels, *, max_seq_length: int) -> EncodedTexts:
    """Encode a task's rows, `text` alone or with `text_pair`, with the tokenizer that lies in a model's folder."""
    vocabulary = read_vocabulary(folder)
    special, encode = SpecialIds(vocabulary.cls, vocabulary.sep, vocabulary.pad), load_encode(folder)
    texts = [row["text"] for row in rows]
    if "text_pair" not in rows[0]:
        return encode_texts(texts, labels, encode, special, max_seq_length=max_seq_length)
    pairs = [row["text_pair"] for row in rows]
    return encode_pairs(texts, pairs, labels, encode, special, max_seq_length=max_seq_length)
