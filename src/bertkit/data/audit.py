"""Checks a token store and an epoch's plan against the laws they should keep: numbers, and whether each law holds.

Nothing here asks the code that made the pairs how it did it: plans are held against the store as somebody would who
reads the definition. `data/audit_batches.py` holds the arrays against the plan.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.masking import Vocabulary
from bertkit.data.pairs import NO_PAIR, EpochPlan, Objective
from bertkit.data.pretraining import SpecialIds
from bertkit.data.token_store import TokenStore

Ints = NDArray[np.int64]

CONFIDENCE, _SIGMAS = "99.999 %", 4.42  # a law of chance is broken when it is off by more than chance is this often


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure, and the law it keeps or breaks; no law makes it a figure for people."""

    name: str
    value: float
    law: str = ""
    holds: bool = True


def zero(name: str, count: Any) -> Finding:
    """A law that something never happens."""
    return Finding(name, int(count), "0", int(count) == 0)


def chance(name: str, hits: float, draws: float, share: float, *, each: float = 1.0) -> Finding:
    """A law that `share` of independent draws hit; `each`, when draws come in lots that fall together, is a lot's size."""
    bound = _SIGMAS * float(np.sqrt(share * (1 - share) * each / max(draws, 1)))
    seen = hits / draws if draws else share
    return Finding(name, round(seen, 5), f"{share:g} +- {bound:.4f} ({CONFIDENCE})", abs(seen - share) <= bound)


# --- the store -------------------------------------------------------------------------------------------------------


def audit_store(store: TokenStore, special: SpecialIds, vocabulary: Vocabulary) -> list[Finding]:
    """Offsets that rise from 0 to the end, and ids of the vocabulary that are text."""
    findings = [
        zero(f"{store.split}: {name} offsets out of order", _disorder(offsets, length))
        for name, offsets, length in (
            ("sentence", store.sentence_offsets, store.counts["tokens"]),
            ("document", store.document_offsets, store.counts["sentences"]),
        )
    ]
    foreign, of_special = 0, 0
    marks = [special.cls, special.sep, special.pad, vocabulary.mask_id]
    for start in range(0, len(store.tokens), 1 << 22):
        ids = np.asarray(store.tokens[start : start + (1 << 22)])
        foreign += int(np.count_nonzero(ids >= store.vocab_size))
        of_special += int(np.count_nonzero(np.isin(ids, marks)))
    return [
        *findings,
        zero(f"{store.split}: ids outside the vocabulary", foreign),
        zero(f"{store.split}: special tokens in the text", of_special),
    ]


def _disorder(offsets: Ints, length: int) -> int:
    """Places where offsets do not rise, and ends that are not 0 and `length`."""
    steps = int(np.count_nonzero(np.diff(offsets) <= 0))
    return steps + int(offsets[0] != 0) + int(offsets[-1] != length)


def audit_duplicates(train: TokenStore, heldout: TokenStore, *, max_share: float | None = None) -> list[Finding]:
    """Documents and sentences of `heldout` that stand word for word in `train`; `max_share` makes a law of sentences."""
    (sentences, documents), (known_sentences, known_documents) = _hashes(heldout), _hashes(train)
    share = float(np.isin(sentences, known_sentences).mean()) if len(sentences) else 0.0
    law = "" if max_share is None else f"at most {max_share:g}"
    return [
        zero("held-out documents that stand in train", np.isin(documents, known_documents).sum()),
        Finding(
            "share of held-out sentences that stand in train",
            round(share, 5),
            law,
            not law or share <= (max_share or 0.0),
        ),
    ]


def _hashes(store: TokenStore) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """64-bit hashes of every sentence and every document of a store, by their ids in order."""
    sentences = np.empty(len(store.sentence_offsets) - 1, dtype=np.uint64)
    for first in range(0, len(sentences), 1 << 17):
        offsets = np.asarray(store.sentence_offsets[first : first + (1 << 17) + 1])
        ids = np.asarray(store.tokens[offsets[0] : offsets[-1]]).astype(np.uint64)
        sentences[first : first + len(offsets) - 1] = _hash_runs(ids, offsets - offsets[0])
    return sentences, _hash_runs(sentences, np.asarray(store.document_offsets))


def _hash_runs(values: NDArray[np.uint64], offsets: Ints) -> NDArray[np.uint64]:
    place = np.arange(len(values), dtype=np.uint64) - np.repeat(offsets[:-1], np.diff(offsets)).astype(np.uint64)
    mixed = _mix(values + _mix(place + np.uint64(1)))
    return np.add.reduceat(mixed, offsets[:-1]) if len(values) else np.empty(0, dtype=np.uint64)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3."""
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


# --- a plan ----------------------------------------------------------------------------------------------------------


def audit_plan(plan: EpochPlan, store: TokenStore, objective: Objective) -> list[Finding]:
    """Labels that are true and balanced, and every token used once."""
    borders = np.asarray(store.sentence_offsets)[np.asarray(store.document_offsets)]
    a_first, a_last = _document(borders, plan.a_start), _document(borders, plan.a_end - 1)
    b_first, b_last = _document(borders, plan.b_start), _document(borders, plan.b_end - 1)
    pair, follower, one = plan.label != NO_PAIR, plan.label == 0, plan.label == 1
    second = plan.b_end > plan.b_start
    follows = (plan.b_start == plan.a_end) & (a_last == b_first)
    wrong_one = one & (a_first == b_first)
    if objective == "mlm_sop":
        wrong_one = one & ~((plan.b_end == plan.a_start) & (b_last == a_first))
    moved = one & (objective == "mlm_nsp")
    starts = np.concatenate([plan.a_start, plan.b_start[second & ~moved]])
    ends = np.concatenate([plan.a_end, plan.b_end[second & ~moved]])
    findings = [
        zero("segments of two documents", np.sum(a_first != a_last) + np.sum(second & (b_first != b_last))),
        zero("labels without a pair, or pairs without a label", np.sum(second != pair)),
        zero("tokens of the store not used, or used more than once", _untiled(starts, ends, int(borders[-1]))),
    ]
    if objective == "mlm":
        return [*findings, zero("sequences with a label", pair.sum())]
    name = {"mlm_nsp": "label-1 pairs of one document", "mlm_sop": "label-1 pairs that are not swapped neighbours"}
    return [
        *findings,
        zero("label-0 pairs that do not follow each other in one document", np.sum(follower & ~follows)),
        zero(name[objective], wrong_one.sum()),
        chance("share of label 1 among pairs", int(one.sum()), int(pair.sum()), 0.5),
        Finding("share of sequences without a pair", round(float(1 - pair.mean()), 5) if len(plan) else 0.0),
        *(_leaks(plan, borders) if one.any() and follower.any() else []),
    ]


def _document(borders: Ints, token: Ints) -> Ints:
    return np.searchsorted(borders, token, side="right") - 1


def _untiled(starts: Ints, ends: Ints, tokens: int) -> int:
    """Tokens that ranges leave out or cover again."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    return int(np.abs(np.append(starts, tokens) - np.insert(ends, 0, 0)).sum())


def _leaks(plan: EpochPlan, borders: Ints) -> list[Finding]:
    """How well lengths alone tell the labels apart (0.5: not at all), and where second segments stand, by label."""
    pair = plan.label != NO_PAIR
    a, b, label = (plan.a_end - plan.a_start)[pair], (plan.b_end - plan.b_start)[pair], plan.label[pair]
    findings = [
        Finding(f"AUC of label by {name}", round(separation(sizes, label), 4))
        for name, sizes in (("length of A", a), ("length of B", b), ("length of both", a + b))
    ]
    for name, at in (("open", plan.b_start), ("close", plan.b_end)):
        edge = np.isin(at[pair], borders)
        for value in (0, 1):
            seen = float(edge[label == value].mean())
            findings.append(Finding(f"share of label-{value} second segments that {name} a document", round(seen, 4)))
    return findings


def separation(sizes: Ints, label: Ints) -> float:
    """The area under the ROC curve of `sizes` as a classifier of `label` 1 against 0."""
    _, place, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    ones = int(label.sum())
    return float((rank[label == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(label) - ones)))


def audit_renewal(first: EpochPlan, second: EpochPlan) -> Finding:
    """Two epochs pair text anew: how many pairs of one are in the other."""
    before, after = (np.flatnonzero(plan.label != NO_PAIR) for plan in (first, second))
    _, i, j = np.intersect1d(first.a_start[before], second.a_start[after], return_indices=True)
    i, j = before[i], after[j]
    same = first.a_end[i] == second.a_end[j]
    same &= (first.b_start[i] == second.b_start[j]) & (first.b_end[i] == second.b_end[j])
    return again("share of pairs that come back in the next epoch", int(same.sum()), len(before))


def again(name: str, repeated: int, among: int) -> Finding:
    """A law that epochs differ: less than half comes back."""
    share = repeated / max(among, 1)
    return Finding(name, round(share, 5), "at most 0.5", share <= 0.5)
