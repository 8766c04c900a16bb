"""How the tokens of tagged sentences are spelt, in bytes, for networks that read characters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bertkit.data.batching import Arrays
from bertkit.data.encoded import Ints


@dataclass(frozen=True, slots=True)
class Spellings:
    """`rows`: of each row's pieces, the number of the token they are of, from 1, 0 for special tokens.

    `words`: of each token, its UTF-8 bytes + 1, up to the longest that is read; `cut` counts the kinds of token that are
    longer.
    """

    rows: list[Ints]
    words: list[Ints]
    cut: int

    def collate(self, chosen: Ints, width: int) -> Arrays:
        """`spellings` (words, most bytes), of the micro-batch's tokens, the first of no bytes; `spelling` (rows, width),
        which of them is a piece's."""
        numbers = np.zeros((len(chosen), width), dtype=np.int64)
        for place, i in enumerate(chosen):
            numbers[place, : len(self.rows[i])] = self.rows[i]
        found, places = np.unique(np.append(0, numbers), return_inverse=True)
        words = [self.words[number - 1] for number in found[1:]]
        table = np.zeros((len(found), max((len(word) for word in words), default=1)), dtype=np.int64)
        for place, word in enumerate(words, 1):
            table[place, : len(word)] = word
        return {"spellings": table, "spelling": places[1:].reshape(numbers.shape).astype(np.int64)}


def spell(tokens: Sequence[str], rows: list[Ints], *, max_bytes: int) -> Spellings:
    """The spellings of distinct `tokens`, for `rows` of their numbers."""
    whole = [token.encode() for token in tokens]
    words = [np.frombuffer(word[:max_bytes], dtype=np.uint8).astype(np.int64) + 1 for word in whole]
    return Spellings(rows, words, sum(len(word) > max_bytes for word in whole))
