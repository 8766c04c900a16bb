"""The token store: every sentence tokenized once, in flat files that are mapped, never loaded.

For each split (`train`, `heldout`) three little-endian files: `<split>.tokens.bin` (uint16 below 65,536 vocabulary
entries, else uint32), `<split>.sentences.bin` (int64 token offset of each sentence, and the end) and
`<split>.documents.bin` (int64 sentence number at which each document starts, and the end). `meta.json` says which
types, vocabulary and counts.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bertkit import storage
from bertkit.errors import IntegrityError

Encode = Callable[[list[str]], list[list[int]]]
Documents = Iterable[tuple[str, list[str]]]

_BATCH = 512  # documents encoded together


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The narrowest little-endian type that holds every id."""
    return np.dtype("<u2" if vocab_size <= 65_536 else "<u4")


def write_split(out: Path, split: str, documents: Documents, encode: Encode, *, vocab_size: int) -> dict[str, int]:
    """Tokenize `documents` (id, sentences) in order; returns counts of what was written and dropped.

    Sentences without a token and documents without a sentence are dropped and counted.
    """
    counts = dict.fromkeys(("documents", "sentences", "tokens", "empty_sentences", "empty_documents"), 0)
    dtype = token_dtype(vocab_size)
    with (
        storage.atomic_file(out / f"{split}.tokens.bin") as tokens,
        storage.atomic_file(out / f"{split}.sentences.bin") as sentences,
        storage.atomic_file(out / f"{split}.documents.bin") as starts,
    ):
        _write_int64(sentences, [0])
        _write_int64(starts, [0])
        for batch in _batches(documents):
            encoded = iter(encode([sentence for document in batch for sentence in document]))
            for document in batch:
                kept = [ids for ids in islice(encoded, len(document)) if ids]
                counts["empty_sentences"] += len(document) - len(kept)
                if not kept:
                    counts["empty_documents"] += 1
                    continue
                lengths = np.array([len(ids) for ids in kept], dtype=np.int64)
                tokens.write(np.array([i for ids in kept for i in ids], dtype=dtype).tobytes())
                _write_int64(sentences, counts["tokens"] + np.cumsum(lengths))
                counts["documents"] += 1
                counts["sentences"] += len(kept)
                counts["tokens"] += int(lengths.sum())
                _write_int64(starts, [counts["sentences"]])
    return counts


def _batches(documents: Documents) -> Iterator[list[list[str]]]:
    iterator = iter(documents)
    while batch := [sentences for _, sentences in islice(iterator, _BATCH)]:
        yield batch


def _write_int64(file: BinaryIO, values: Iterable[int] | NDArray[np.int64]) -> None:
    file.write(np.asarray(values, dtype="<i8").tobytes())


@dataclass(frozen=True)
class TokenStore:
    """One split of a store. Only the path is kept until a file is asked for, so that it is cheap to hand to workers."""

    path: Path
    split: str

    @cached_property
    def meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = json.loads((self.path / "meta.json").read_text(encoding="utf-8"))
        return meta

    @property
    def vocab_size(self) -> int:
        return int(self.meta["vocab_size"])

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.meta["counts"][self.split])

    @cached_property
    def tokens(self) -> NDArray[Any]:
        """Token ids, shape (tokens,)."""
        return self._map("tokens", token_dtype(self.vocab_size), self.counts["tokens"])

    @cached_property
    def sentence_offsets(self) -> NDArray[np.int64]:
        """Token at which each sentence starts, and the end: shape (sentences + 1,)."""
        return self._map("sentences", np.dtype("<i8"), self.counts["sentences"] + 1)

    @cached_property
    def document_offsets(self) -> NDArray[np.int64]:
        """Sentence at which each document starts, and the end: shape (documents + 1,)."""
        return self._map("documents", np.dtype("<i8"), self.counts["documents"] + 1)

    def _map(self, name: str, dtype: np.dtype[Any], length: int) -> NDArray[Any]:
        path = self.path / f"{self.split}.{name}.bin"
        expected, found = length * dtype.itemsize, path.stat().st_size
        if found != expected:
            # A mapped file that is too short kills the process without a word when it is read.
            raise IntegrityError(
                f"has {found} bytes, {expected} were written",
                where=str(path),
                remedy="Delete the directory and run pretrain_data again.",
            )
        if not length:
            return np.empty(0, dtype=dtype)
        return np.memmap(path, dtype=dtype, mode="r", shape=(length,))
