"""How good word vectors are: how well their cosines follow people's scores of likeness, and analogies (3CosAdd).

What is predicted of an item is kept row by row, so that scores are a pure function of the rows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.evaluation.correlation import spearman
from bertkit.evaluation.intervals import percentile_interval, resamples, times_drawn
from bertkit.evaluation.predictions import number_or_none
from bertkit.text.word_sets import Analogy, Pair, holds_analogies, read_analogies, read_pairs

Floats = NDArray[np.float32]
_BLOCK = 1 << 24  # so many cosines at once


class Lexicon:
    """Words to unit vectors; a word that has none is looked up in small letters."""

    def __init__(self, words: Sequence[str], vectors: Floats) -> None:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.words, self.units = words, vectors / np.where(lengths > 0, lengths, 1)
        self._rows = {word: row for row, word in enumerate(words)}

    def find(self, word: str) -> int | None:
        """The row of a word."""
        return self._rows.get(word, self._rows.get(word.lower()))


def predict_pairs(lexicon: Lexicon, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """A row for each pair: people's score as `gold`, the cosine as `predicted`, None where a word has no vector."""
    rows = []
    for pair in pairs:
        found = lexicon.find(pair.first), lexicon.find(pair.second)
        first, second = found
        known = first is not None and second is not None
        cosine = float(lexicon.units[first] @ lexicon.units[second]) if known else None
        row = {"id": pair.id, "words": [pair.first, pair.second], "gold": pair.score, "predicted": cosine}
        rows.append({**row, "rarest": max(first or 0, second or 0) if known else None})
    return rows


def predict_analogies(
    lexicon: Lexicon, questions: Sequence[Analogy], *, restrict_vocab: int | None = 30_000
) -> list[dict[str, Any]]:
    """A row for each question: the word nearest to b - a + c, those three left out (Mikolov et al. 2013).

    Args:
        restrict_vocab: only so many of the most frequent words can be asked for and answered; all when None.
    """
    units = lexicon.units[:restrict_vocab]
    rows, known = [], []
    for question in questions:
        found = [lexicon.find(word) for word in (question.a, question.b, question.c, question.d)]
        places = [place for place in found if place is not None and place < len(units)]
        row: dict[str, Any] = {
            "id": question.id,
            "section": question.section,
            "gold": question.d,
            "predicted": None,
            "rarest": None,
        }
        rows.append(row)
        if len(places) == 4:
            known.append((row, places))
    step = max(1, _BLOCK // max(len(units), 1))
    for start in range(0, len(known), step):
        block = known[start : start + step]
        a, b, c, d = np.array([places for _, places in block]).T
        wanted = units[b] - units[a] + units[c]
        cosines = wanted @ units.T
        for asked in (a, b, c):
            cosines[np.arange(len(block)), asked] = -np.inf
        for (row, places), best, right in zip(block, cosines.argmax(axis=1), d, strict=True):
            # A word found in small letters is right as it was found.
            row["predicted"] = row["gold"] if best == right else lexicon.words[best]
            row["rarest"] = max(places)
    return rows


def similarity(rows: Sequence[Mapping[str, Any]], weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Spearman's correlation of `gold` and `predicted`; shape as `weights` without its last axis (see `spearman`)."""
    gold, predicted = (np.array([row[key] for row in rows], np.float64) for key in ("gold", "predicted"))
    return spearman(gold, predicted, weights=weights)


def accuracy(rows: Sequence[Mapping[str, Any]], weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """The share of analogies answered rightly; `weights` as in `similarity`."""
    right = np.array([row["gold"] == row["predicted"] for row in rows], np.float64)
    times = np.ones(len(rows)) if weights is None else weights
    return np.asarray((right * times).sum(-1) / times.sum(-1))


def score_set(
    rows: Sequence[Mapping[str, Any]], *, counts: NDArray[np.int64] | None, samples: int, bands: Sequence[int]
) -> dict[str, Any]:
    """A set's score over the items whose words all have vectors, its interval, coverage, and scores by frequency.

    Args:
        rows: of `predict_pairs` or `predict_analogies`.
        counts: of each word of the lexicon; needed for bands alone.
        bands: lower ends of frequency bands: an item counts where the count of its rarest word lies.
    """
    metric = accuracy if "section" in rows[0] else similarity
    known = [row for row in rows if row["predicted"] is not None]
    found: dict[str, Any] = {"score": _value(metric, known), "items": len(rows), "known": len(known)}
    found["coverage"] = len(known) / len(rows)
    found["interval"] = None
    if len(known) > 1:
        drawn = resamples(len(known), count=samples)
        ends = percentile_interval(np.concatenate([metric(known, times_drawn(indices)) for indices in drawn]))
        found["interval"] = None if ends is None else list(ends)
    found["bands"] = []
    for low, high in zip(bands, [*bands[1:], None], strict=False):
        assert counts is not None
        within = [r for r in known if counts[r["rarest"]] >= low and (high is None or counts[r["rarest"]] < high)]
        found["bands"].append({"from": low, "below": high, "items": len(within), "score": _value(metric, within)})
    if metric is accuracy:
        found["sections"] = {
            section: {"items": len(part), "score": _value(metric, part)}
            for section in dict.fromkeys(row["section"] for row in known)
            if (part := [row for row in known if row["section"] == section])
        }
    return found


def predict_file(lexicon: Lexicon, path: Path, *, restrict_vocab: int | None = 30_000) -> list[dict[str, Any]]:
    """The rows of a test set, whichever of the two kinds it is."""
    if holds_analogies(path):
        return predict_analogies(lexicon, read_analogies(path), restrict_vocab=restrict_vocab)
    return predict_pairs(lexicon, read_pairs(path))


def _value(metric: Any, rows: Sequence[Mapping[str, Any]]) -> float | None:
    return number_or_none(float(metric(rows))) if len(rows) > 1 else None
