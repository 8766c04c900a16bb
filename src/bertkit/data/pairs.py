"""Which tokens stand together: an epoch's sequences as a pure function of (store, seed, epoch).

Documents are cut into chunks of whole sentences that fill the sequence; one in ten chunks is short (Devlin et al.
2019, A.2). For next-sentence prediction a chunk is split between two sentences and a keyed coin decides: heads, B is
what follows (label 0, IsNext); tails, B comes from another document, never the same one (label 1), and the rest of
the chunk begins the next one, so no text is lost. A chunk of one sentence has no pair: it is used as a single
segment and takes no part in the NSP loss (label -100). For sentence-order prediction (Lan et al. 2020) label 1 means
that the two halves are swapped.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bertkit.data import keyed
from bertkit.data.token_store import TokenStore
from bertkit.errors import DataError

Objective = Literal["mlm_nsp", "mlm_sop", "mlm"]
Ints = NDArray[np.int64]

NO_PAIR = -100  # the label that torch's cross-entropy ignores
_REDRAWS = 16  # tries to find a second segment that fits without being cut


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """Sequences of one epoch as token ranges of the store, each array of shape (sequences,).

    A spans `a_start:a_end`, B spans `b_start:b_end` (empty when there is no second segment); `label` is 0, 1 or
    `NO_PAIR`.
    """

    a_start: Ints
    a_end: Ints
    b_start: Ints
    b_end: Ints
    label: Ints

    def __len__(self) -> int:
        return len(self.label)

    @property
    def lengths(self) -> Ints:
        """Sequence lengths with [CLS] and the [SEP]s."""
        second = self.b_end - self.b_start
        return (self.a_end - self.a_start) + second + 2 + (second > 0)


@dataclass(frozen=True, slots=True)
class Units:
    """What a sequence is made of: sentences, those longer than a sequence cut into equal pieces.

    `offsets`: token at which each unit starts, and the end; `first` and `last`: for each unit, the first unit of its
    document and the one after its last.
    """

    offsets: Ints
    first: Ints
    last: Ints


def make_units(store: TokenStore, longest: int) -> Units:
    """The units of a store, none longer than `longest` tokens."""
    starts, lengths = store.sentence_offsets[:-1], np.diff(store.sentence_offsets)
    pieces = -(-lengths // longest)
    before = np.cumsum(pieces) - pieces  # unit at which each sentence starts
    nth = np.arange(pieces.sum()) - np.repeat(before, pieces)
    offsets = np.repeat(starts, pieces) + np.repeat(lengths, pieces) * nth // np.repeat(pieces, pieces)
    ends = np.append(before, pieces.sum())[store.document_offsets]
    sizes = np.diff(ends)
    return Units(
        np.append(offsets, store.sentence_offsets[-1]).astype(np.int64),
        np.repeat(ends[:-1], sizes),
        np.repeat(ends[1:], sizes),
    )


def check_objective(store: TokenStore, objective: Objective) -> None:
    """Refuse an objective that the documents cannot serve.

    Raises:
        DataError: next-sentence pairs need two documents and a document of two sentences; ordered pairs the latter.
    """
    if objective == "mlm":
        return
    documents = store.counts["documents"]
    if objective == "mlm_nsp" and documents < 2:
        raise DataError(
            f"next-sentence prediction is impossible: the corpus has {documents} document, and a random second "
            "sentence must come from another one",
            where=str(store.path),
            remedy="Mark the documents (a blank line between them, or a file each), or set objective=mlm or mlm_sop.",
        )
    if not np.any(np.diff(store.document_offsets) > 1):
        raise DataError(
            f"sentence pairs are impossible: each of the {documents} documents has one sentence",
            where=str(store.path),
            remedy="Set objective=mlm, or check that document boundaries are not taken for sentence boundaries.",
        )


def plan_epoch(
    units: Units, *, objective: Objective, max_seq_length: int, short_seq_prob: float, seed: int, epoch: int
) -> EpochPlan:
    """Cut the units into the sequences of one epoch. `units` come from `make_units(store, room(...))`."""
    budget = room(objective, max_seq_length)
    index = np.arange(len(units.first), dtype=np.int64)
    target = _targets(index, budget, short_seq_prob, seed, epoch)
    # As many whole units as fit, at least one, none of the next document.
    end = np.searchsorted(units.offsets, units.offsets[:-1] + target, side="right") - 1
    end = np.minimum(np.maximum(end, index + 1), units.last)
    if objective == "mlm":
        chosen = _chain(end)
        a_start, a_end = units.offsets[chosen], units.offsets[end[chosen]]
        return EpochPlan(a_start, a_end, a_end, a_end, np.full(len(chosen), NO_PAIR, dtype=np.int64))
    coin = keyed.integers(keyed.key(seed, "pair label", epoch), index, 2)
    split = index + 1 + keyed.integers(keyed.key(seed, "pair split", epoch), index, np.maximum(end - index - 1, 1))
    label = np.where(end - index > 1, coin, NO_PAIR)
    split = np.where(label == NO_PAIR, end, split)
    random_next = objective == "mlm_nsp"
    chosen = _chain(np.where(label == 1, split, end) if random_next else end)
    a, middle, b = chosen, split[chosen], end[chosen]
    plan = EpochPlan(units.offsets[a], units.offsets[middle], units.offsets[middle], units.offsets[b], label[chosen])
    if random_next:
        return _with_random_seconds(plan, units, chosen, target[chosen], seed, epoch)
    return _with_swapped(plan)


def room(objective: Objective, max_seq_length: int) -> int:
    """Tokens of text that fit beside the special tokens."""
    return max_seq_length - (2 if objective == "mlm" else 3)


def _targets(index: Ints, budget: int, short_seq_prob: float, seed: int, epoch: int) -> Ints:
    short = keyed.uniform(keyed.key(seed, "short", epoch), index) < short_seq_prob
    length = 2 + keyed.integers(keyed.key(seed, "short length", epoch), index, max(budget - 1, 1))
    return np.where(short, np.minimum(length, budget), budget)


def _chain(following: Ints) -> Ints:
    """0, following[0], following[following[0]], ... up to the end: the chunks' first units."""
    steps, end = following.tolist(), len(following)
    visited = []
    at = 0
    while at < end:
        visited.append(at)
        at = steps[at]
    return np.array(visited, dtype=np.int64)


def _with_swapped(plan: EpochPlan) -> EpochPlan:
    swap = plan.label == 1
    return EpochPlan(
        np.where(swap, plan.b_start, plan.a_start),
        np.where(swap, plan.b_end, plan.a_end),
        np.where(swap, plan.a_start, plan.b_start),
        np.where(swap, plan.a_end, plan.b_end),
        plan.label,
    )


def _with_random_seconds(plan: EpochPlan, units: Units, chosen: Ints, target: Ints, seed: int, epoch: int) -> EpochPlan:
    """Give every sequence of label 1 a second segment that starts at a random unit of another document."""
    rows = np.flatnonzero(plan.label == 1)
    first, last = units.first[chosen[rows]], units.last[chosen[rows]]
    free = target[rows] - (plan.a_end - plan.a_start)[rows]
    others = len(units.first) - (last - first)
    picked = np.full(len(rows), -1, dtype=np.int64)
    for attempt in range(_REDRAWS):
        open_rows = np.flatnonzero(picked < 0) if attempt else np.arange(len(rows))
        family = keyed.key(seed, f"second segment {attempt}", epoch)
        drawn = keyed.integers(family, chosen[rows[open_rows]], others[open_rows])
        drawn += np.where(drawn >= first[open_rows], (last - first)[open_rows], 0)
        # A segment cut in mid-sentence would give the label away, since a true next segment never is.
        fits = units.offsets[drawn + 1] - units.offsets[drawn] <= free[open_rows]
        keep = fits | (attempt == _REDRAWS - 1)
        picked[open_rows[keep]] = drawn[keep]
    start = units.offsets[picked]
    until = np.searchsorted(units.offsets, start + free, side="right") - 1
    end = np.where(until > picked, units.offsets[np.minimum(until, units.last[picked])], start + free)
    b_start, b_end = plan.b_start.copy(), plan.b_end.copy()
    b_start[rows], b_end[rows] = start, end
    return EpochPlan(plan.a_start, plan.a_end, b_start, b_end, plan.label)
