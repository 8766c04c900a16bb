"""The token store: every sentence tokenized once, in flat files that are mapped, never loaded.

For each split (`train`, `heldout`) four little-endian files: `<split>.tokens.bin` (uint16 below 65,536 vocabulary
entries, else uint32), `<split>.words.bin` (a bit for each token, 1 where a word starts; token i is bit i & 7 of byte
i >> 3), `<split>.sentences.bin` (int64 token offset of each sentence, and the end) and `<split>.documents.bin` (int64
sentence number at which each document starts, and the end). `meta.json` says which types, vocabulary and counts.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bertkit import storage
from bertkit.errors import IntegrityError, StageError
from bertkit.text.encoders import Encoded

Encode = Callable[[list[str]], Encoded]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The narrowest little-endian type that holds every id."""
    return np.dtype("<u2" if vocab_size <= 65_536 else "<u4")


@dataclass(frozen=True, slots=True)
class EncodedDocuments:
    """Consecutive documents as ids: all tokens, sentences' lengths in tokens, documents' lengths in sentences.

    Sentences without a token and documents without a sentence are left out and counted.
    """

    ids: NDArray[Any]
    word_starts: Bools
    sentence_lengths: Ints
    document_lengths: Ints
    empty_sentences: int
    empty_documents: int


def encode_documents(texts: list[str], sizes: Ints, encode: Encode) -> EncodedDocuments:
    """Encode documents given as all their sentences and how many of them each document has."""
    encoded = encode(texts)
    document = np.repeat(np.arange(len(sizes)), sizes)
    kept = encoded.lengths > 0
    lengths = np.bincount(document[kept], minlength=len(sizes))
    return EncodedDocuments(
        ids=encoded.ids,
        word_starts=encoded.word_starts,
        sentence_lengths=encoded.lengths[kept],
        document_lengths=lengths[lengths > 0],
        empty_sentences=int(len(texts) - kept.sum()),
        empty_documents=int((lengths == 0).sum()),
    )


def write_split(out: Path, split: str, encoded: Iterable[EncodedDocuments], *, vocab_size: int) -> dict[str, int]:
    """Write documents in order, in memory of one of the `encoded`; returns counts of what was written and dropped.

    The files do not depend on how the documents are divided.

    Raises:
        StageError: an id is not below `vocab_size`. No file is left.
    """
    counts = dict.fromkeys(("documents", "sentences", "tokens", "empty_sentences", "empty_documents"), 0)
    dtype = token_dtype(vocab_size)
    with ExitStack() as stack:
        tokens, words, sentences, starts = (
            stack.enter_context(storage.atomic_file(out / f"{split}.{name}.bin"))
            for name in ("tokens", "words", "sentences", "documents")
        )
        bits = _BitWriter(words)
        _write_int64(sentences, [0])
        _write_int64(starts, [0])
        for some in encoded:
            if some.ids.size and int(some.ids.max()) >= vocab_size:
                raise StageError(
                    f"the tokenizer gave the id {int(some.ids.max())}, its vocabulary ends before {vocab_size}",
                    where=str(out),
                    remedy="The tokenizer's files do not fit together; save it anew.",
                )
            tokens.write(some.ids.astype(dtype).tobytes())
            bits.write(some.word_starts)
            _write_int64(sentences, counts["tokens"] + np.cumsum(some.sentence_lengths))
            _write_int64(starts, counts["sentences"] + np.cumsum(some.document_lengths))
            counts["documents"] += len(some.document_lengths)
            counts["sentences"] += len(some.sentence_lengths)
            counts["tokens"] += len(some.ids)
            counts["empty_sentences"] += some.empty_sentences
            counts["empty_documents"] += some.empty_documents
        bits.end()
    return counts


class _BitWriter:
    """Packs booleans eight to a byte, the first one lowest, across calls."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = np.zeros(0, dtype=np.bool_)

    def write(self, values: Bools) -> None:
        bits = np.concatenate([self._rest, values])
        whole = len(bits) // 8 * 8
        self._file.write(np.packbits(bits[:whole], bitorder="little").tobytes())
        self._rest = bits[whole:]

    def end(self) -> None:
        self._file.write(np.packbits(self._rest, bitorder="little").tobytes())


def _write_int64(file: BinaryIO, values: Iterable[int] | Ints) -> None:
    file.write(np.asarray(values, dtype="<i8").tobytes())


@dataclass(frozen=True)
class TokenStore:
    """One split of a store. Only the path is kept until a file is asked for, so that it is cheap to hand to workers."""

    path: Path
    split: str

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "split": self.split}  # what was mapped is mapped anew

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

    def word_starts(self, index: Ints) -> Bools:
        """Whether the tokens with these numbers start a word; shape of `index`."""
        starts: Bools = (self._word_bits[index >> 3] >> (index & 7).astype(np.uint8)) & 1 == 1
        return starts

    @cached_property
    def _word_bits(self) -> NDArray[np.uint8]:
        return self._map("words", np.dtype("u1"), -(-self.counts["tokens"] // 8))

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
