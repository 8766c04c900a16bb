"""Texts longer than a model reads at once, in overlapping windows that stay together: a row is a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.batching import Arrays, pad_rows
from bertkit.data.encoded import EncodedRows, Ints
from bertkit.errors import ConfigError
from bertkit.text.vocabulary import read_vocabulary
from bertkit.text.wordpiece import load_encode


@dataclass(frozen=True, slots=True)
class EncodedDocuments(EncodedRows):
    """Texts, each as one or more windows `[CLS] ... [SEP]`.

    `truncated`: how many had text left after the last window; `labels`: one a text, shape (texts, ...).
    """

    documents: list[list[Ints]]
    labels: NDArray[Any]
    truncated: int
    pad: int

    @property
    def lengths(self) -> Ints:
        return np.array([sum(map(len, windows)) for windows in self.documents], dtype=np.int64)

    @property
    def window_count(self) -> int:
        """The windows of all texts."""
        return sum(map(len, self.documents))

    @property
    def without_pieces(self) -> int:
        """How many texts the tokenizer makes nothing of."""
        return int((self.lengths <= 2).sum())

    def collate(self, chosen: Ints) -> Arrays:
        """`input_ids`, `token_type_ids` and, where there is padding, `attention_mask`, (windows, length); `text_windows`,
        which windows are a text's, (texts, windows); `labels` (texts, ...)."""
        windows = [window for i in chosen for window in self.documents[i]]
        ids, real = pad_rows(windows, self.pad)
        texts = np.arange(len(chosen))
        text_of = np.repeat(texts, [len(self.documents[i]) for i in chosen])
        arrays: Arrays = {
            "input_ids": ids,
            "token_type_ids": np.zeros_like(ids),
            "text_windows": texts[:, None] == text_of,
            "labels": self.labels[chosen],
        }
        if not real.all():
            arrays["attention_mask"] = real.astype(np.int64)
        return arrays

    def denominators(self, arrays: Arrays) -> dict[str, int]:
        return {"loss": len(arrays["labels"])}


def encode_documents(
    folder: Path, texts: Sequence[str], labels: NDArray[Any], *, max_seq_length: int, overlap: int, max_windows: int
) -> EncodedDocuments:
    """Encode texts with the tokenizer in `folder`.

    Args:
        max_seq_length: tokens of a window, its two special ones counted in.
        overlap: tokens that a window shares with the one before it.
        max_windows: windows read of a text; what is left is cut off, and counted.

    Raises:
        ConfigError: windows would not move on.
    """
    room = max_seq_length - 2
    if overlap >= room:
        raise ConfigError(
            f"window_overlap {overlap} leaves nothing new in a window of {room} tokens",
            remedy=f"Set classification.window_overlap below {room}, or a longer max_seq_length.",
        )
    vocabulary, encode = read_vocabulary(folder), load_encode(folder)
    documents, truncated, step = [], 0, room - overlap
    for first in range(0, len(texts), 1024):
        for ids in encode(list(texts[first : first + 1024])):
            starts = range(0, max(1, len(ids) - overlap), step)
            truncated += len(starts) > max_windows
            documents.append(
                [
                    np.array([vocabulary.cls, *ids[start : start + room], vocabulary.sep], dtype=np.int64)
                    for start in starts[:max_windows]
                ]
            )
    return EncodedDocuments(documents, labels, truncated, vocabulary.pad)
