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
from bertkit.data.tagging.spelling import Spellings, spell
from bertkit.text.vocabulary import read_vocabulary
from bertkit.text.wordpiece import load_encode

Ints = NDArray[np.int64]
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `start` to `end` of a sentence, of which those from `first` to `last` are predicted here.

    `closes` where these are the last of the sentence.
    """

    sentence: int
    start: int
    end: int
    first: int
    last: int
    closes: bool


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
    spellings: Spellings | None = None

    @property
    def lengths(self) -> Ints:
        return np.array([len(row) for row in self.rows], dtype=np.int64)

    def collate(self, chosen: Ints) -> Arrays:
        """Also `word_begins`, `word_ends` and `labels`, (rows, most tokens of a row), labels `IGNORED` beyond; and `edges`
        (rows, 2), 1 where the row's tokens are the first and the last of their sentence; and those of `Spellings.collate`."""
        ids, real = pad_rows([self.rows[i] for i in chosen], self.pad)
        arrays: Arrays = {"input_ids": ids, "token_type_ids": np.zeros_like(ids)}
        if not real.all():
            arrays["attention_mask"] = real.astype(np.int64)
        arrays["word_begins"] = _padded([self.begins[i] for i in chosen], 0)
        arrays["word_ends"] = _padded([self.stops[i] for i in chosen], 1)
        arrays["labels"] = _padded([self.labels[i] for i in chosen], IGNORED)
        windows = [self.windows[i] for i in chosen]
        arrays["edges"] = np.array([(one.first == 0, one.closes) for one in windows], dtype=np.int64)
        return arrays if self.spellings is None else arrays | self.spellings.collate(chosen, ids.shape[1])

    def denominators(self, arrays: Arrays) -> dict[str, int]:
        return {"loss": int((arrays["labels"] != IGNORED).sum())}


def encode_sentences(
    folder: Path,
    sentences: Sequence[Sequence[str]],
    labels: Sequence[Sequence[int]] | None,
    *,
    max_seq_length: int,
    stride: int,
    max_word_bytes: int | None = None,
) -> EncodedTags:
    """Encode tokenized sentences with the tokenizer in `folder`.

    Args:
        labels: a label id for each token; None when predicting.
        stride: how many pieces of the window before a window repeats, at most half a window.
        max_word_bytes: where given, rows tell how tokens are spelt, up to so many bytes of each.
    """
    vocabulary = read_vocabulary(folder)
    room = max_seq_length - 2
    pieces = _pieces(folder, sentences, vocabulary.unk, room)
    bounds = np.cumsum([0, *map(len, sentences)])
    found: dict[str, list[Any]] = {name: [] for name in ("rows", "begins", "stops", "labels", "windows")}
    spelt: list[Ints] = []
    for number in range(len(sentences)):
        own = slice(int(bounds[number]), int(bounds[number + 1]))
        begins, ends = pieces.begins[own], pieces.ends[own]
        gold = np.full(len(begins), IGNORED) if labels is None else np.array(labels[number], dtype=np.int64)
        for window in cut_windows(ends - begins, number, room=room, stride=min(stride, room // 2)):
            left, right = begins[window.start], ends[window.end - 1]
            row = np.empty(right - left + 2, dtype=np.int64)
            row[0], row[1:-1], row[-1] = vocabulary.cls, pieces.ids[left:right], vocabulary.sep
            found["rows"].append(row)
            spelt.append(np.append(0, pieces.tokens[left:right] + 1))
            found["begins"].append(begins[window.first : window.last] - left + 1)
            found["stops"].append(ends[window.first : window.last] - left + 1)
            found["labels"].append(gold[window.first : window.last])
            found["windows"].append(window)
    spellings = None if max_word_bytes is None else spell(pieces.distinct, spelt, max_bytes=max_word_bytes)
    return EncodedTags(**found, pad=vocabulary.pad, cut=pieces.cut, without_pieces=pieces.unknown, spellings=spellings)


def cut_windows(sizes: Ints, sentence: int, *, room: int, stride: int) -> list[Window]:
    """Windows of at most `room` pieces over tokens of these sizes, each token predicted where it has most around it.

    A token in two windows is predicted by the one in which its smaller distance to an edge is the greater.
    """
    count = len(sizes)
    ends = np.cumsum(sizes)
    if count == 0 or ends[-1] <= room:
        return [Window(sentence, 0, count, 0, count, True)] if count else []
    begins = ends - sizes
    spans: list[tuple[int, int]] = []
    start = 0
    while True:
        end = int(np.searchsorted(ends, begins[start] + room, side="right"))
        spans.append((start, end))
        if end == count:
            break
        # The first token within the last `stride` pieces, from which the next token also finds room.
        start = int(np.searchsorted(begins, max(ends[end - 1] - stride, ends[end] - room), side="left"))
    seams = [0]
    for (_, end), (start, _) in pairwise(spans):
        # Of the overlap, what lies left of its middle is farther from the left window's edge.
        middles, middle = (begins + ends)[start:end], begins[start] + ends[end - 1]
        seams.append(start + int(np.searchsorted(middles, middle, side="left")))
    seams.append(count)
    return [
        Window(sentence, start, end, first, last, last == count)
        for (start, end), (first, last) in zip(spans, pairwise(seams), strict=True)
        if first < last
    ]


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The pieces of all tokens, end to end: `ids`, and where each token's begin and end in them.

    `tokens` numbers the token of each piece among the `distinct` ones.
    `cut` and `unknown` count the tokens that were cut to the room, and those of no pieces.
    """

    ids: Ints
    begins: Ints
    ends: Ints
    tokens: Ints
    distinct: list[str]
    cut: int
    unknown: int


def _pieces(folder: Path, sentences: Sequence[Sequence[str]], unk: int, room: int) -> _Pieces:
    """Each distinct token is encoded once: its pieces do not depend on its neighbours."""
    encode = load_encode(folder)
    numbers: dict[str, int] = {}
    tokens = [numbers.setdefault(token, len(numbers)) for sentence in sentences for token in sentence]
    distinct = list(numbers)
    encoded = [ids for at in range(0, len(distinct), 4096) for ids in encode(distinct[at : at + 4096])]
    flat = np.array([i for ids in encoded for i in (ids[:room] or [unk])], dtype=np.int64)
    full = np.array([len(ids) for ids in encoded], dtype=np.int64)
    sizes = np.clip(full, 1, room)
    chosen = np.array(tokens, dtype=np.int64)
    ends = np.cumsum(sizes[chosen])
    begins = ends - sizes[chosen]
    # Piece i of the text is that of its token's pieces which is as far from their beginning.
    shift = (np.cumsum(sizes) - sizes)[chosen] - begins
    ids = flat[np.arange(ends[-1] if len(ends) else 0) + np.repeat(shift, sizes[chosen])]
    of_pieces = np.repeat(chosen, sizes[chosen])
    return _Pieces(
        ids, begins, ends, of_pieces, distinct, int((full[chosen] > room).sum()), int((full[chosen] == 0).sum())
    )


def _padded(rows: list[Ints], value: int) -> Ints:
    width = max(1, *(len(row) for row in rows))
    padded = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
