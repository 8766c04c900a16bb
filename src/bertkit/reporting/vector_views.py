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

# Words in the table and on the map. The most frequent say little by themselves: so many are left out, and of those that
# follow every so many-th is taken.
_ASKED, _NEIGHBOURS, _ON_MAP, _SKIPPED, _STRIDE = 12, 6, 48, 100, 15
WIDTH, HEIGHT, _WORD_LIMIT = 460, 400, 12
# Room for a word to the right of the last dot, and for its height; how much a letter takes.
_RIGHT, _MARGIN, _LETTER, _LINE = 100, 14, 7, 12


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
    """Places of frequent words to show, `words` being in order of frequency; of few words the first."""
    letters = [i for i, word in enumerate(words) if any(character.isalpha() for character in word)]
    return (letters[_SKIPPED::_STRIDE] or letters)[:_ON_MAP]


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
    """Where the map's words stand, in pixels; `word` is empty where it would lie on another."""
    found = view["map"]
    if not found:
        return []
    spans = []
    for axis, room in ((1, WIDTH - _RIGHT - _MARGIN), (2, HEIGHT - 2 * _MARGIN)):
        values = [row[axis] for row in found]
        low, reach = min(values), (max(values) - min(values)) or 1.0
        spans.append((low, room / reach))
    (left, across), (bottom, up) = spans
    placed: list[dict[str, Any]] = []
    for word, x, y in found:
        at = (round(_MARGIN + (x - left) * across, 1), round(HEIGHT - _MARGIN - (y - bottom) * up, 1))
        text = excerpt(word, limit=_WORD_LIMIT)
        free = not any(_touch(at, text, (one["x"], one["y"]), one["word"]) for one in placed if one["word"])
        placed.append({"word": text if free else "", "x": at[0], "y": at[1]})
    return placed


def _touch(one: tuple[float, float], word: str, other: tuple[float, float], name: str) -> bool:
    """Whether two words written to the right of their dots would lie on each other."""
    left = word if one[0] < other[0] else name
    return abs(one[1] - other[1]) < _LINE and abs(one[0] - other[0]) < _LETTER * (len(left) + 1)


def _units(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Floats = vectors / np.where(lengths > 0, lengths, 1.0)
    return units
