"""What sequences are made of: sentences, and pieces of those that are longer than a sequence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertkit.data.token_store import TokenStore

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Units:
    """What a sequence is made of: sentences, those longer than a sequence cut into equal pieces.

    `offsets`: token at which each unit starts, and the end; `documents`: unit at which each document starts, and the
    end.
    """

    offsets: Ints
    documents: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1


def make_units(store: TokenStore, longest: int) -> Units:
    """The units of a store, none longer than `longest` tokens. Only what must be cut takes memory."""
    sentences, documents = np.asarray(store.sentence_offsets), np.asarray(store.document_offsets)
    lengths = np.diff(sentences)
    long = np.flatnonzero(lengths > longest)
    if not len(long):
        return Units(sentences, documents)
    pieces = -(-lengths[long] // longest)
    before = np.append(0, np.cumsum(pieces - 1))  # cuts made before each long sentence
    nth = np.arange(before[-1]) - np.repeat(before[:-1], pieces - 1) + 1
    whole = np.repeat(np.arange(len(long)), pieces - 1)
    cuts = sentences[long][whole] + lengths[long][whole] * nth // pieces[whole]
    # Both parts are sorted: a stable sort merges them in linear time.
    offsets = np.sort(np.concatenate([sentences, cuts]), kind="stable")
    return Units(offsets, documents + before[np.searchsorted(long, documents)])
