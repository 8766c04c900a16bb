"""Tokens to word pieces for tagging: long sentences in overlapping windows, every token predicted exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.batching import Arrays, pad_rows
from bertkit.data.encoded import EncodedRows
from bertkit.text.vocabulary import read_vocabulary
from bertkit.text.wordpiece import load_encode

Ints = NDArray[np.int64]
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `start` to `end` of a sentence, of which those from `first` to `last` are predicted here."""

    sentence: int
    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class EncodedTags(EncodedRows):
    """Windows as `[CLS] pieces [SEP]`.

    `begins` and `stops` of each row: where the pieces of each predicted token begin and end in the row; `labels`
    likewise, `IGNORED` where unknown. `windows` names the tokens; `cut` counts tokens with more pieces than a window
    holds, `without_pieces` those that the tokenizer makes nothing of, which are read as [UNK].
    """

    rows: list[Ints]
    begins: list[Ints]
    stops: list[Ints]
    labels: list[Ints]
    windows: list[Window]
    pad: int
    cut: int = 0
    without_pieces: int = 0

    @property
    def lengths(self) -> Ints:
        return np.array([len(row) for row in self.rows], dtype=np.int64)

    def collate(self, chosen: Ints) -> Arrays:
        """Also `word_begins`, `word_ends` and `labels`, (rows, most tokens of a row); labels are `IGNORED` beyond."""
        ids, real = pad_rows([self.rows[i] for i in chosen], self.pad)
        arrays: Arrays = {"input_ids": ids, "token_type_ids": np.zeros_like(ids)}
        if not real.all():
            arrays["attention_mask"] = real.astype(np.int64)
        arrays["word_begins"] = _padded([self.begins[i] for i in chosen], 0)
        arrays["word_ends"] = _padded([self.stops[i] for i in chosen], 1)
        arrays["labels"] = _padded([self.labels[i] for i in chosen], IGNORED)
        return arrays

    def denominators(self, arrays: Arrays) -> dict[str, int]:
        return {"loss": int((arrays["labels"] != IGNORED).sum())}


def encode_sentences(
    folder: Path,
    sentences: Sequence[Sequence[str]],
    labels: Sequence[Sequence[int]] | None,
    *,
    max_seq_length: int,
    stride: int,
) -> EncodedTags:
    """Encode tokenized sentences with the tokenizer in `folder`.

    Args:
        labels: a label id for each token; None when predicting.
        stride: how many pieces of the window before a window repeats, at most half a window.
    """
    vocabulary = read_vocabulary(folder)
    pieces = _pieces(folder, sentences, vocabulary.unk)
    room = max_seq_length - 2
    stride = min(stride, room // 2)
    found: dict[str, list[Any]] = {name: [] for name in ("rows", "begins", "stops", "labels", "windows")}
    cut, unknown = 0, 0
    for number, sentence in enumerate(sentences):
        words = [pieces[token] for token in sentence]
        unknown += sum(word.unknown for word in words)
        cut += sum(len(word.ids) > room for word in words)
        sizes = np.array([min(len(word.ids), room) for word in words], dtype=np.int64)
        for window in cut_windows(sizes, number, room=room, stride=stride):
            part = words[window.start : window.end]
            ids = [vocabulary.cls, *(i for word in part for i in word.ids[:room]), vocabulary.sep]
            ends = 1 + np.cumsum(sizes[window.start : window.end])
            own = slice(window.first - window.start, window.last - window.start)
            found["rows"].append(np.array(ids, dtype=np.int64))
            found["stops"].append(ends[own])
            found["begins"].append((ends - sizes[window.start : window.end])[own])
            gold = [IGNORED] * len(sentence) if labels is None else labels[number]
            found["labels"].append(np.array(gold[window.first : window.last], dtype=np.int64))
            found["windows"].append(window)
    return EncodedTags(**found, pad=vocabulary.pad, cut=cut, without_pieces=unknown)


def cut_windows(sizes: Ints, sentence: int, *, room: int, stride: int) -> list[Window]:
    """Windows of at most `room` pieces over tokens of these sizes, each token predicted where it has most around it.

    A token in two windows is predicted by the one in which its smaller distance to an edge is the greater.
    """
    ends = np.cumsum(sizes)
    if len(sizes) == 0 or ends[-1] <= room:
        return [Window(sentence, 0, len(sizes), 0, len(sizes))] if len(sizes) else []
    begins = ends - sizes
    spans: list[tuple[int, int]] = []
    start = 0
    while True:
        end = int(np.searchsorted(ends, begins[start] + room, side="right"))
        spans.append((start, end))
        if end == len(sizes):
            break
        # The first token whose pieces all lie within the last `stride` pieces, but always further than before.
        start = max(start + 1, min(end, int(np.searchsorted(begins, ends[end - 1] - stride, side="left"))))
    seams = [0]
    for (_, end), (start, _) in pairwise(spans):
        # In the overlap the left window's tokens are nearer to its right edge from the middle on.
        middle = (begins[start] + ends[end - 1]) / 2 if end > start else begins[start]
        seams.append(start + int(np.searchsorted(begins[start:end], middle, side="left")))
    seams.append(len(sizes))
    return [Window(sentence, start, end, seams[i], seams[i + 1]) for i, (start, end) in enumerate(spans)]


@dataclass(frozen=True, slots=True)
class _Word:
    ids: list[int]
    unknown: bool


def _pieces(folder: Path, sentences: Sequence[Sequence[str]], unk: int) -> dict[str, _Word]:
    """The pieces of each distinct token: a token's pieces do not depend on its neighbours."""
    encode = load_encode(folder)
    distinct = sorted({token for sentence in sentences for token in sentence})
    found: dict[str, _Word] = {}
    for start in range(0, len(distinct), 4096):
        part = distinct[start : start + 4096]
        for token, ids in zip(part, encode(part), strict=True):
            found[token] = _Word(ids or [unk], not ids)
    return found


def _padded(rows: list[Ints], value: int) -> Ints:
    width = max(1, *(len(row) for row in rows))
    padded = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
