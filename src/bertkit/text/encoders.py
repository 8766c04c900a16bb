"""Texts to token ids in bulk, by `tokenizers` or, where it gives the same ids, by the faster `nanotoken`.

A text that spells a special token out is read as the characters that stand there, as in `load_encoder`.
"""

import json
import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from bertkit.errors import HostError
from bertkit.text.wordpiece import PREFIX, load_encoder

# Texts of each batch that `nanotoken` encodes and `tokenizers` encodes too.
_CHECKED = 32
# Words that `nanotoken` remembers; its own limit, eight times this, lets memory grow with the text for very long.
_REMEMBERED = 131_072


class Encoded(NamedTuple):
    """Texts as ids, end to end: `ids` (tokens,), `lengths` of each text (texts,), `word_starts` (tokens,)."""

    ids: NDArray[np.uint32]
    lengths: NDArray[np.int64]
    word_starts: NDArray[np.bool_]


class DifferenceError(Exception):
    """Two encoders gave different ids for a text, the exception's one argument."""


@dataclass(frozen=True)
class BulkEncoder:
    """Encodes with the tokenizer in `folder`; cheap to hand to a worker, which loads it when it first encodes.

    Every piece without `##` starts a word, unless `segmenter` says where the words of Chinese text are.
    """

    folder: Path
    package: Literal["tokenizers", "nanotoken"] = "tokenizers"
    segmenter: Literal["none", "rjieba"] = "none"

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "package": self.package, "segmenter": self.segmenter}

    def __call__(self, texts: list[str]) -> Encoded:
        """Encode `texts`, each without special tokens.

        Raises:
            DifferenceError: `nanotoken` gives other ids than `tokenizers` for one of the texts that are compared.
            HostError: a package is not installed.
        """
        if self.segmenter != "none":
            return self._segmented(texts)
        if self.package == "nanotoken":
            rows = self.twin.encode_batch(texts, add_special_tokens=False)
            ids, lengths = rows.ids, np.diff(rows.offsets)
            _compare(texts, ids, lengths, self.reference)
        else:
            ids, lengths = _flat([row.ids for row in self.reference.encode_batch_fast(texts, add_special_tokens=False)])
        return Encoded(ids, lengths, self._starts_word[ids])

    def _segmented(self, texts: list[str]) -> Encoded:
        from bertkit.text.words import chinese_word_starts

        encodings = self.reference.encode_batch(texts, add_special_tokens=False)
        starts = [
            chinese_word_starts(text, encoding.offsets, self._starts_word[encoding.ids])
            for text, encoding in zip(texts, encodings, strict=True)
        ]
        ids, lengths = _flat([encoding.ids for encoding in encodings])
        return Encoded(ids, lengths, np.concatenate([np.zeros(0, dtype=np.bool_), *starts]))

    @cached_property
    def reference(self) -> Tokenizer:
        """The tokenizer of `tokenizers`, which says what is right."""
        if parent_process() is not None:
            # Workers share the cores already.
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
        return load_encoder(self.folder)

    @cached_property
    def twin(self) -> Any:
        """The same by `nanotoken`; raises as `load_nanotoken`."""
        return load_nanotoken(self.reference)

    @cached_property
    def _starts_word(self) -> NDArray[np.bool_]:
        """For each id: whether its piece starts a word."""
        entries = self.reference.get_vocab()
        table = np.ones(max(entries.values()) + 1, dtype=np.bool_)
        table[[number for piece, number in entries.items() if piece.startswith(PREFIX) and piece != PREFIX]] = False
        return table


@lru_cache(maxsize=1)
def stay_loaded(encoder: BulkEncoder) -> BulkEncoder:
    """The encoder that was given first among equals: for a worker, which is sent a new one with every piece of work."""
    return encoder


def load_nanotoken(encoder: Tokenizer) -> Any:
    """The `nanotoken` twin of an encoder made by `load_encoder`.

    Raises:
        HostError: it is not installed.
        ValueError: it cannot read this tokenizer.
    """
    try:
        import nanotoken
    except ImportError:
        raise HostError("nanotoken is not installed", remedy='pip install "bertkit[fast]"') from None
    nanotoken.set_cache_entries(_REMEMBERED)
    content = json.loads(encoder.to_str())
    # What `encode_special_tokens` says is no part of the file, so the special tokens must not be there to be found.
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["special"]]
    return nanotoken.Tokenizer.from_json(json.dumps(content))


def _flat(rows: list[list[int]]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    ids = np.fromiter((number for row in rows for number in row), dtype=np.uint32, count=int(lengths.sum()))
    return ids, lengths


def _compare(texts: list[str], ids: NDArray[np.uint32], lengths: NDArray[np.int64], encoder: Tokenizer) -> None:
    """Encode some of `texts`, spread over them, with `tokenizers` too."""
    chosen = range(0, len(texts), max(1, len(texts) // _CHECKED))
    ends = np.cumsum(lengths)
    for number, encoding in zip(
        chosen, encoder.encode_batch_fast([texts[i] for i in chosen], add_special_tokens=False), strict=True
    ):
        if not np.array_equal(ids[ends[number] - lengths[number] : ends[number]], encoding.ids):
            raise DifferenceError(texts[number])
