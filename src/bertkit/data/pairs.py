"""Which tokens stand together: an epoch's sequences as a pure function of (store, seed, epoch).

Documents are cut into chunks of whole sentences that fill the sequence; one in ten chunks is short (Devlin et al.
2019, A.2). For next-sentence prediction a chunk is split between two sentences and a keyed coin decides: heads, B is
what follows (label 0, IsNext); tails, B comes from another document, never the same one (label 1), and the rest of
the chunk begins the next one, so no text is lost. A chunk of one sentence has no pair: it is used as a single
segment and takes no part in the NSP loss (label -100). For sentence-order prediction (Lan et al. 2020) label 1 means
that the two halves are swapped.

Nothing but content should tell label 1 from label 0. A's distribution is the same for both, since the coin is drawn
last. A second segment from elsewhere is about as long as the one it replaces, ends with a sentence, and does not open
its document, which a segment that follows another never does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bertkit.data import keyed
from bertkit.data.second_segments import seconds_from_elsewhere
from bertkit.data.token_store import TokenStore
from bertkit.data.units import Units, make_units
from bertkit.errors import DataError

Objective = Literal["mlm_nsp", "mlm_sop", "mlm"]
Ints = NDArray[np.int64]

NO_PAIR = -100  # the label that torch's cross-entropy ignores
_BLOCK = 1 << 20  # units planned at a time, so that memory does not follow the corpus


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


def room(objective: Objective, max_seq_length: int) -> int:
    """Tokens of text that fit beside the special tokens."""
    return max_seq_length - (2 if objective == "mlm" else 3)


def plan_epoch(
    units: Units, *, objective: Objective, max_seq_length: int, short_seq_prob: float, seed: int, epoch: int
) -> EpochPlan:
    """Cut the units into the sequences of one epoch. `units` come from `make_units(store, room(...))`."""
    plan = partial(
        _plan_block,
        units,
        objective=objective,
        budget=room(objective, max_seq_length),
        short_seq_prob=short_seq_prob,
        seed=seed,
        epoch=epoch,
    )
    columns = zip(*(plan(first, last) for first, last in _blocks(units)), strict=True)
    return EpochPlan(*(np.concatenate(column) for column in columns))


def _blocks(units: Units) -> Iterator[tuple[int, int]]:
    """First document and the one after the last of runs of documents with some `_BLOCK` units."""
    borders = np.searchsorted(units.documents, np.arange(0, len(units), _BLOCK))
    borders = np.unique(np.append(borders, len(units.documents) - 1))
    yield from pairwise(borders.tolist() if len(units) else [0, 0])


def _plan_block(
    units: Units,
    first_document: int,
    last_document: int,
    *,
    objective: Objective,
    budget: int,
    short_seq_prob: float,
    seed: int,
    epoch: int,
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """The sequences of a run of documents, as the columns of an `EpochPlan`."""
    borders = units.documents[first_document : last_document + 1]
    start = borders[0]
    index = np.arange(start, borders[-1], dtype=np.int64)
    target = _targets(index, budget, short_seq_prob, seed, epoch)
    # As many whole units as fit, at least one, none of the next document.
    end = np.searchsorted(units.offsets, units.offsets[index] + target, side="right") - 1
    end = np.minimum(np.maximum(end, index + 1), np.repeat(borders[1:], np.diff(borders)))
    if objective == "mlm":
        chosen = _chunk_starts(borders - start, end - start)
        a, b = units.offsets[index[chosen]], units.offsets[end[chosen]]
        return a, b, b, b, np.full(len(chosen), NO_PAIR, dtype=np.int64)

    coin = keyed.integers(keyed.key(seed, "pair label", epoch), index, 2)
    split = index + 1 + keyed.integers(keyed.key(seed, "pair split", epoch), index, np.maximum(end - index - 1, 1))
    label = np.where(end - index > 1, coin, NO_PAIR)
    split = np.where(label == NO_PAIR, end, split)
    following = np.where(label == 1, split, end) if objective == "mlm_nsp" else end
    chosen = _chunk_starts(borders - start, following - start)
    index, target, split, end, label = (column[chosen] for column in (index, target, split, end, label))
    a_start, a_end, b_end = units.offsets[index], units.offsets[split], units.offsets[end]
    b_start, other = a_end.copy(), label == 1
    if objective == "mlm_nsp":
        b_start[other], b_end[other] = seconds_from_elsewhere(
            units, index[other], (split[other], end[other]), (target - (a_end - a_start))[other], seed=seed, epoch=epoch
        )
    else:
        a_start[other], b_start[other] = b_start[other], a_start[other]
        a_end[other], b_end[other] = b_end[other], a_end[other]
    return a_start, a_end, b_start, b_end, label


def _targets(index: Ints, budget: int, short_seq_prob: float, seed: int, epoch: int) -> Ints:
    short = keyed.uniform(keyed.key(seed, "short", epoch), index) < short_seq_prob
    length = 2 + keyed.integers(keyed.key(seed, "short length", epoch), index, max(budget - 1, 1))
    return np.where(short, np.minimum(length, budget), budget)


def _chunk_starts(documents: Ints, following: Ints) -> Ints:
    """Units at which chunks start: the first of each document, what `following` says of it, and so on to its end.

    All documents go forward together; the few longest finish one by one.
    """
    at, end = documents[:-1], documents[1:]
    found = []
    while len(at) > 64:
        found.append(at)
        at = following[at]
        inside = at < end
        at, end = at[inside], end[inside]
    rest = []
    for unit, last in zip(at.tolist(), end.tolist(), strict=True):
        while unit < last:
            rest.append(unit)
            unit = int(following[unit])
    return np.sort(np.concatenate([*found, np.array(rest, dtype=np.int64)]))


def plan_counts(plan: EpochPlan, store: TokenStore, objective: Objective, max_seq_length: int) -> dict[str, int]:
    """What an epoch holds, and what could not be as it should by reason.

    `tokens_unused` are in no first segment and no second one that stands where it was written; `tokens_elsewhere` are
    read once more as somebody else's second segment; `seconds_cut` end in mid-sentence because nothing fitted;
    `seconds_opening` open their document because no other sentence was to be had.
    """
    longest = room(objective, max_seq_length)
    units, elsewhere = make_units(store, longest), (plan.label == 1) & (objective == "mlm_nsp")
    own = np.where(elsewhere, 0, plan.b_end - plan.b_start)
    pieces = np.diff(store.sentence_offsets)
    ends = plan.b_end[elsewhere]
    openings = units.offsets[units.documents[:-1]]
    return {
        "sequences": len(plan),
        "label_0": int((plan.label == 0).sum()),
        "label_1": int((plan.label == 1).sum()),
        "without_pair": int((plan.label == NO_PAIR).sum()),
        "documents": len(units.documents) - 1,
        "documents_of_one_sentence": int((np.diff(store.document_offsets) == 1).sum()),
        "sentences_cut": int((pieces > longest).sum()),
        "seconds_cut": int((units.offsets[np.searchsorted(units.offsets, ends)] != ends).sum()),
        "seconds_opening": int(np.isin(plan.b_start[elsewhere], openings).sum()),
        "tokens": int(units.offsets[-1]),
        "tokens_elsewhere": int((plan.b_end - plan.b_start)[elsewhere].sum()),
        "tokens_unused": int(units.offsets[-1] - (plan.a_end - plan.a_start).sum() - own.sum()),
    }
