"""What word vectors know, to look at: each word's nearest neighbours, and a map of the frequent words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.artifacts import WordVectors
from bertkit.reporting import numbers
from bertkit.reporting.table import Column, Row, Table
from bertkit.reporting.visible_text import excerpt

Floats = NDArray[np.float64]

# Words in the table and on the map; among the most frequent words, so many are left out that say nothing by themselves.
_ASKED, _NEIGHBOURS, _ON_MAP, _SKIPPED = 12, 6, 48, 50
WIDTH, HEIGHT, _MARGIN, _WORD_LIMIT = 640, 420, 40, 14


def look(source: WordVectors) -> dict[str, Any]:
    """The neighbours of some frequent words, and the two main directions of more, as plain JSON."""
    words, vectors = source.read()
    units = _units(np.asarray(vectors, np.float64))
    chosen = frequent(words)
    return {
        "fingerprint": source.fingerprint,
        "words": len(words),
        "size": int(units.shape[1]),
        "neighbours": [
            {"word": words[i], "nearest": [[words[j], cosine] for j, cosine in nearest(units, i, count=_NEIGHBOURS)]}
            for i in chosen[:_ASKED]
        ],
        "map": [
            [words[i], round(float(x), 4), round(float(y), 4)]
            for i, (x, y) in zip(chosen, plane(units[chosen]), strict=True)
        ],
    }


def frequent(words: Sequence[str]) -> list[int]:
    """Places of words to show, the most frequent first, as `words` come; of the very first only where there are no more."""
    letters = [i for i, word in enumerate(words) if any(character.isalpha() for character in word)]
    return (letters[_SKIPPED:] or letters)[:_ON_MAP]


def nearest(units: Floats, place: int, *, count: int) -> list[tuple[int, float]]:
    """The places and cosines of the words nearest to one, itself left out; `units` are vectors of length 1."""
    cosines = units @ units[place]
    cosines[place] = -np.inf
    order = np.argsort(-cosines, kind="stable")[: min(count, len(cosines) - 1)]
    return [(int(i), round(float(cosines[i]), 3)) for i in order]


def plane(units: Floats) -> Floats:
    """The first two principal components of vectors, shape (words, 2); each points to where its largest part is positive."""
    if not len(units):
        return np.zeros((0, 2))
    centred = units - units.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    found = np.zeros((len(units), 2))
    for axis, direction in enumerate(directions[:2]):
        sign = 1.0 if direction[np.abs(direction).argmax()] > 0 else -1.0
        found[:, axis] = centred @ direction * sign
    return found


def table(view: Mapping[str, Any]) -> Table:
    """A row a word with its neighbours and their cosines."""
    rows = [
        Row([one["word"], ", ".join(f"{word} {cosine:.2f}" for word, cosine in one["nearest"]) or numbers.MISSING])
        for one in view["neighbours"]
    ]
    caption = f"Nearest words, by cosine ({numbers.count(view['words'])} words, {view['size']} dimensions)"
    return Table(caption, [Column("word", False), Column("nearest", False)], rows)


def places(view: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where the map's words stand, in pixels."""
    found = view["map"]
    if not found:
        return []
    spans = []
    for axis, room in ((1, WIDTH), (2, HEIGHT)):
        values = [row[axis] for row in found]
        low, reach = min(values), (max(values) - min(values)) or 1.0
        spans.append((low, (room - 2 * _MARGIN) / reach))
    (left, across), (bottom, up) = spans
    return [
        {
            "word": excerpt(word, limit=_WORD_LIMIT),
            "x": round(_MARGIN + (x - left) * across, 1),
            "y": round(HEIGHT - _MARGIN - (y - bottom) * up, 1),
        }
        for word, x, y in found
    ]


def _units(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Floats = vectors / np.where(lengths > 0, lengths, 1.0)
    return units
