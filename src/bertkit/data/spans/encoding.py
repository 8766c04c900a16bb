"""Questions and contexts to windows of token ids, every context token with its place in the text."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.batching import Arrays, pad_rows
from bertkit.data.encoded import EncodedRows
from bertkit.text.vocabulary import read_vocabulary
from bertkit.text.wordpiece import load_encoder

Ints = NDArray[np.int64]
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Passage:
    """A context's token `ids`, and the characters from `starts` to `ends` that each stands for; shape (tokens,)."""

    ids: Ints
    starts: Ints
    ends: Ints


@dataclass(frozen=True, slots=True)
class EncodedSpans(EncodedRows):
    """Windows as `[CLS] question [SEP] part of a context [SEP]`.

    Arrays of shape (windows,): `question` and `passage` number `questions` and `passages`; `first` to `last` are the
    context tokens in the window; `start_positions` and `end_positions` are those of the answer in the row, both 0 ([CLS])
    where it is not in the window, `IGNORED` where it is unknown. `place` is which of its question's contexts it is.
    `cut_questions` counts questions longer than is read.
    """

    questions: list[Ints]
    passages: list[Passage]
    question: Ints
    passage: Ints
    place: Ints
    first: Ints
    last: Ints
    start_positions: Ints
    end_positions: Ints
    cls: int
    sep: int
    pad: int
    cut_questions: int = 0

    @property
    def lengths(self) -> Ints:
        sizes = np.array([len(ids) for ids in self.questions], dtype=np.int64)
        return sizes[self.question] + self.last - self.first + 3

    def begin(self, window: int) -> int:
        """Where the context begins in the row."""
        return len(self.questions[self.question[window]]) + 2

    def collate(self, chosen: Ints) -> Arrays:
        """Also `context_begins`, `context_ends`, `start_positions`, `end_positions`, all (rows,)."""
        rows = [self._row(int(window)) for window in chosen]
        ids, real = pad_rows(rows, self.pad)
        begins = np.array([self.begin(window) for window in chosen], dtype=np.int64)
        types = (real & (np.arange(ids.shape[1]) >= begins[:, None])).astype(np.int64)
        arrays: Arrays = {"input_ids": ids, "token_type_ids": types}
        if not real.all():
            arrays["attention_mask"] = real.astype(np.int64)
        arrays["context_begins"] = begins
        arrays["context_ends"] = begins + self.last[chosen] - self.first[chosen]
        arrays["start_positions"] = self.start_positions[chosen]
        arrays["end_positions"] = self.end_positions[chosen]
        return arrays

    def _row(self, window: int) -> Ints:
        part = self.passages[self.passage[window]].ids[self.first[window] : self.last[window]]
        return np.concatenate([[self.cls], self.questions[self.question[window]], [self.sep], part, [self.sep]])

    def denominators(self, arrays: Arrays) -> dict[str, int]:
        return {"loss": int((arrays["start_positions"] != IGNORED).sum())}


def encode_questions(
    folder: Path,
    questions: Sequence[str],
    contexts: Sequence[Sequence[str]],
    answers: Sequence[Sequence[dict[str, Any]]] | None,
    *,
    max_seq_length: int,
    doc_stride: int,
    max_query_length: int,
) -> EncodedSpans:
    """Encode questions, each with one or more contexts, with the tokenizer in `folder`.

    A context that stands in many questions is encoded once.

    Args:
        answers: of each question's only context, `{"text", "answer_start"}`; the first that has a place is learnt, as
            in SQuAD's examples. None when predicting.
        doc_stride: tokens that a window repeats of the one before; where a window has no more room, half its room.
        max_query_length: tokens kept of a question, which never gets more than half a row.
    """
    vocabulary = read_vocabulary(folder)
    encoder = load_encoder(folder)
    asked = [
        np.array(encoding.ids, dtype=np.int64)
        for encoding in encoder.encode_batch(list(questions), add_special_tokens=False)
    ]
    most = min(max_query_length, (max_seq_length - 3) // 2)
    kept = [ids[:most] for ids in asked]
    numbers: dict[str, int] = {}
    for several in contexts:
        for text in several:
            numbers.setdefault(text, len(numbers))
    passages = _encode_passages(encoder, list(numbers))
    columns: list[tuple[int, ...]] = []
    for number, several in enumerate(contexts):
        room = max_seq_length - 3 - len(kept[number])
        stride = doc_stride if doc_stride < room else room // 2
        for place, text in enumerate(several):
            passage = passages[numbers[text]]
            span = None if answers is None else _span(passage, answers[number])
            for first, last in _windows(len(passage.ids), room, stride):
                gold = (IGNORED, IGNORED) if answers is None else _in_window(span, first, last, len(kept[number]) + 2)
                columns.append((number, numbers[text], place, first, last, *gold))
    names = ("question", "passage", "place", "first", "last", "start_positions", "end_positions")
    table = np.array(columns, dtype=np.int64).reshape(-1, len(names))
    return EncodedSpans(
        kept,
        passages,
        **{name: table[:, i] for i, name in enumerate(names)},
        cls=vocabulary.cls,
        sep=vocabulary.sep,
        pad=vocabulary.pad,
        cut_questions=sum(len(ids) > most for ids in asked),
    )


def _encode_passages(encoder: Any, texts: list[str]) -> list[Passage]:
    found = []
    for start in range(0, len(texts), 256):
        chunk = texts[start : start + 256]
        for text, encoding in zip(chunk, encoder.encode_batch(chunk, add_special_tokens=False), strict=True):
            places = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            starts, ends = places.T.copy()
            if not text.isascii():
                _take_in_marks(text, starts, ends)
            found.append(Passage(np.array(encoding.ids, dtype=np.int64), starts, ends))
    return found


def _take_in_marks(text: str, starts: Ints, ends: Ints) -> None:
    """Give accents that stand by themselves, which the tokenizer leaves out, to the token before them."""
    limits = np.append(starts[1:], len(text))
    for token in np.flatnonzero(ends < limits).tolist():
        while ends[token] < limits[token] and unicodedata.category(text[ends[token]]) in ("Mn", "Me"):
            ends[token] += 1


def _windows(length: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Parts of at most `room` tokens, each `stride` tokens into the one before; the last ends where the text does."""
    starts = range(0, max(1, length - stride), room - stride)
    return [(start, min(start + room, length)) for start in starts]


_UNKNOWN = (IGNORED, IGNORED)


def _span(passage: Passage, answers: Sequence[dict[str, Any]]) -> tuple[int, int] | None:
    """The first answer's tokens, first and last; None where there is no answer, `_UNKNOWN` where it has no tokens."""
    if not answers:
        return None
    placed = [answer for answer in answers if answer["answer_start"] >= 0]
    if not placed or not len(passage.ids):
        return _UNKNOWN
    begin = placed[0]["answer_start"]
    end = begin + len(placed[0]["text"])
    # From the first token that ends after the answer begins to the last that begins before it ends: spaces, and signs of
    # which the tokenizer makes nothing, may stand around an answer.
    first = int(np.searchsorted(passage.ends, begin, side="right"))
    last = int(np.searchsorted(passage.starts, end, side="left")) - 1
    return (first, last) if first <= last else _UNKNOWN


def _in_window(span: tuple[int, int] | None, first: int, last: int, begin: int) -> tuple[int, int]:
    """The answer's places in a row whose context begins at `begin`; [CLS] where it is not whole in the window."""
    if span == _UNKNOWN:
        return _UNKNOWN
    if span is None or span[0] < first or span[1] >= last:
        return 0, 0
    return span[0] - first + begin, span[1] - first + begin
