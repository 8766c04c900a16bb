"""Second segments from other documents for next-sentence prediction, alike in everything but content.

Length, the place in the document and the end at a sentence would otherwise tell them from those that follow in the
text, and a model would learn that instead.
"""

import numpy as np
from numpy.typing import NDArray

from bertkit.data import keyed
from bertkit.data.units import Units

Ints = NDArray[np.int64]

_REDRAWS = 16  # tries to find a second segment that is about as long as the one it replaces
_NEAR = 4  # tokens by which a second segment may miss that length, and a sixteenth of it, to be drawn no more
_NEVER = 1 << 40  # miss of a segment that does not fit
_OTHER_END = 1 << 20  # miss of a segment that closes its document where the one it replaces does not, or vice versa


def seconds_from_elsewhere(
    units: Units, index: Ints, second: tuple[Ints, Ints], free: Ints, *, seed: int, epoch: int
) -> tuple[Ints, Ints]:
    """Token ranges of other documents, one for each chunk that starts at unit `index`.

    `second` are the units that follow in the text, from and to. What stands in for them is drawn again until it is
    nearly as long and closes its document if they do; the best draw is kept. Only where no draw fits into `free`
    tokens, it is cut in mid-sentence.
    """
    wanted = units.offsets[second[1]] - units.offsets[second[0]]
    closing = units.documents[np.searchsorted(units.documents, second[1])] == second[1]
    start, end = np.zeros_like(index), np.zeros_like(index)
    miss = np.full(len(index), _NEVER + 1)
    for attempt in range(_REDRAWS):
        rows = np.flatnonzero(miss > np.minimum(wanted >> 4, _NEAR))
        family = keyed.key(seed, f"second segment {attempt}", epoch)
        unit, document = _draw_elsewhere(units, index[rows], family)
        begin, until, closes = _nearest(units, unit, document, wanted[rows], free[rows], closing[rows])
        off = np.abs(until - begin - wanted[rows]) + np.where(closes == closing[rows], 0, _OTHER_END)
        fits = until - begin <= free[rows]
        until = np.where(fits, until, begin + free[rows])
        off = np.where(fits, off, _NEVER)
        better = off < miss[rows]
        kept = rows[better]
        start[kept], end[kept], miss[kept] = begin[better], until[better], off[better]
    return start, end


def _nearest(
    units: Units, unit: Ints, document: Ints, wanted: Ints, free: Ints, closing: NDArray[np.bool_]
) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Token ranges of whole units nearest to `wanted` tokens, and whether each closes its document.

    From `unit` on or, where `closing`, up to the end of its `document`.
    """
    offsets, first, last = units.offsets, units.documents[document], units.documents[document + 1]
    fixed = np.where(closing, offsets[last], offsets[unit])
    aim = np.where(closing, fixed - wanted, fixed + wanted)
    other = np.clip(np.searchsorted(offsets, aim, side="right") - 1, 0, len(units) - 1)
    up = aim - offsets[other] > offsets[other + 1] - aim
    # The nearer border, unless only the other one leaves a segment that fits.
    up = np.where(closing, up | (fixed - offsets[other] > free), up & (offsets[other + 1] - fixed <= free))
    other = np.clip(other + up, np.where(closing, first + 1, unit + 1), np.where(closing, last - 1, last))
    begin = np.where(closing, offsets[other], fixed)
    return begin, np.where(closing, fixed, offsets[other]), closing | (other == last)


def _draw_elsewhere(units: Units, index: Ints, family: int) -> tuple[Ints, Ints]:
    """A random unit of another document that does not open it, and its document, for each unit of `index`.

    Where all other documents are of one unit, one of those.
    """
    documents = units.documents
    own = np.searchsorted(documents, index, side="right") - 1
    first, last = documents[own], documents[own + 1]
    # Without the openings, document d holds the numbers documents[d] - d up to documents[d + 1] - d - 1.
    others = len(units) - (len(documents) - 1) - (last - first - 1)
    drawn = keyed.integers(family, index, np.maximum(others, 1))
    drawn += np.where(drawn >= first - own, last - first - 1, 0)
    document = np.searchsorted(documents - np.arange(len(documents)), drawn, side="right") - 1
    unit = drawn + document + 1
    if not others.all():
        any_unit = keyed.integers(family, index, len(units) - (last - first))
        any_unit += np.where(any_unit >= first, last - first, 0)
        unit = np.where(others > 0, unit, any_unit)
        document = np.searchsorted(documents, unit, side="right") - 1
    return unit, document
