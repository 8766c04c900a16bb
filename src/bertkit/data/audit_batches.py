"""Checks the arrays that training gets: that they are the plan's text as BERT reads it, and masked by BERT's law.

Each row is put together anew from the store, one segment after the other, and compared; nothing is taken from the code
that made the arrays.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.audit import Finding, again, chance, zero
from bertkit.data.batching import Arrays
from bertkit.data.masking import Strategy, Vocabulary
from bertkit.data.pairs import EpochPlan
from bertkit.data.pretraining import SpecialIds
from bertkit.data.token_store import TokenStore

Ints = NDArray[np.int64]

SHARE_BOUND = 0.002  # of the masked share: 0.2 points
# Sequences with room for so many targets count for the masked share; in shorter ones rounding, and the one target
# that every sequence has, weigh more than the law allows for.
_ENOUGH = 3.0


@dataclass
class ArrayAudit:
    """Adds up what batches hold; `findings` says whether they are what the plan says and masked as they should be."""

    store: TokenStore
    special: SpecialIds
    vocabulary: Vocabulary
    max_seq_length: int
    probability: float
    strategy: Strategy
    counts: dict[str, float] = field(default_factory=dict)

    def add(self, plan: EpochPlan, rows: Ints, arrays: Arrays) -> Ints:
        """Take in the arrays made for the sequences `rows` of a plan; returns the store's tokens that are masked."""
        ids, where = arrays["input_ids"], arrays["masked_positions"]
        real = arrays.get("attention_mask", np.ones_like(ids)).astype(bool)
        expected, types, token = self._expected(plan, rows)
        original = ids.copy()
        original.reshape(-1)[where] = arrays["masked_labels"]
        self._count("sequences", len(rows))
        self._count("positions", ids.size)
        self._count("tokens", int(real.sum()))
        self._count("overlong", int((real.sum(axis=1) > self.max_seq_length).sum()))
        same = len(expected) == real.sum() and np.array_equal(original[real], expected)
        same = same and np.array_equal(arrays["token_type_ids"][real], types)
        same = same and bool((ids[~real] == self.special.pad).all())
        self._count("misread", 0 if same else 1)
        self._count("mislabelled", int((arrays["next_sentence_label"] != plan.label[rows]).sum()))
        foreign = (ids < 0) | (ids >= self.store.vocab_size)
        self._count("foreign", int(foreign.sum()))
        if len(token) != real.sum():
            return np.empty(0, dtype=np.int64)  # nothing below can be said of arrays that are another text
        source = np.full(ids.shape, -1, dtype=np.int64)
        source[real] = token
        self._add_masks(ids.reshape(-1), where, arrays["masked_labels"], source)
        return source.reshape(-1)[where]

    def _expected(self, plan: EpochPlan, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """Ids, token types and numbers in the store (-1 at special tokens) that the rows should hold, end to end."""
        ids: list[Any] = []
        types: list[Any] = []
        token: list[Any] = []
        cls, sep, none = [self.special.cls], [self.special.sep], [-1]
        for a, b, c, d in zip(
            *(x[rows].tolist() for x in (plan.a_start, plan.a_end, plan.b_start, plan.b_end)), strict=True
        ):
            ids += [cls, self.store.tokens[a:b], sep]
            token += [none, np.arange(a, b), none]
            types.append(np.zeros(b - a + 2, dtype=np.int64))
            if d > c:
                ids += [self.store.tokens[c:d], sep]
                token += [np.arange(c, d), none]
                types.append(np.ones(d - c + 1, dtype=np.int64))
        return np.concatenate(ids).astype(np.int64), np.concatenate(types), np.concatenate(token)

    def _add_masks(self, ids: Ints, where: Ints, labels: Ints, source: Ints) -> None:
        text, width = (source >= 0).sum(axis=1), source.shape[1]
        masked = np.bincount(where // width, minlength=len(source))
        self._count("masked_special", int((source.reshape(-1)[where] < 0).sum()))
        self._count("without_target", int(((masked == 0) & (text > 0)).sum()))
        enough = text * self.probability >= _ENOUGH
        self._count("share_text", int(text[enough].sum()))
        self._count("share_masked", int(masked[enough].sum()))
        if self.strategy != "token":
            self._count("parted", self._parted_words(source.reshape(-1), where))
        given = ids[where]
        as_mask, as_same = given == self.vocabulary.mask_id, given == labels
        other = ~as_mask & ~as_same
        self._count("masked", len(where))
        self._count("as_mask", int(as_mask.sum()))
        self._count("as_same", int(as_same.sum()))
        self._count("as_other", int(other.sum()))
        self._count("as_special", int((~np.isin(given[other], self.vocabulary.ordinary)).sum()))
        # Pieces of a span share their fate: a run of targets is at least a span, and draws count in lots of its size.
        runs = (
            np.diff(np.flatnonzero(np.append(np.insert(np.diff(where) != 1, 0, True), True))) if len(where) else where
        )
        self._count("lots", float((runs.astype(np.float64) ** 2).sum()))

    def _parted_words(self, source: Ints, where: Ints) -> int:
        """Places between two pieces of a word of which one alone is masked."""
        masked = np.zeros(len(source), dtype=bool)
        masked[where] = True
        inside = (source[1:] >= 0) & (source[1:] == source[:-1] + 1)
        inside[inside] = ~self.store.word_starts(source[1:][inside])
        return int(np.sum(inside & (masked[1:] != masked[:-1])))

    def _count(self, name: str, more: float) -> None:
        self.counts[name] = self.counts.get(name, 0) + more

    def findings(self) -> list[Finding]:
        """All that the batches showed."""
        count = {name: self.counts.get(name, 0) for name in _COUNTED}
        masked = count["masked"]
        each = count["lots"] / max(masked, 1) if self.strategy == "span" else 1.0
        share = count["share_masked"] / count["share_text"] if count["share_text"] else self.probability
        return [
            Finding("sequences looked at", int(count["sequences"])),
            zero("batches that are not the text of the store, built as BERT reads it", count["misread"]),
            zero("sequences with another label than planned", count["mislabelled"]),
            zero("sequences longer than max_seq_length", count["overlong"]),
            zero("input ids outside the vocabulary", count["foreign"]),
            Finding("share of padding", round(1 - count["tokens"] / max(count["positions"], 1), 5)),
            Finding(
                "share of tokens masked",
                round(share, 5),
                f"{self.probability:g} +- {SHARE_BOUND:g}",
                abs(share - self.probability) <= SHARE_BOUND,
            ),
            chance("masked tokens that become [MASK]", count["as_mask"], masked, 0.8, each=each),
            chance("masked tokens that become another", count["as_other"], masked, 0.1, each=each),
            chance("masked tokens that stay", count["as_same"], masked, 0.1, each=each),
            zero("special tokens masked", count["masked_special"]),
            zero("random tokens that are special", count["as_special"]),
            zero("sequences without a target", count["without_target"]),
            *([zero("words masked in part", count["parted"])] if self.strategy != "token" else []),
        ]


_COUNTED = (
    *("sequences", "positions", "tokens", "overlong", "misread", "mislabelled", "foreign"),
    *("masked_special", "without_target", "parted", "share_text", "share_masked"),
    *("masked", "as_mask", "as_same", "as_other", "as_special", "lots"),
)


def audit_new_masks(first: Ints, second: Ints, tokens: int) -> Finding:
    """Two epochs mask anew: how many of the first's masked tokens are masked in the second. Both as store tokens."""
    before, after = np.zeros(tokens, dtype=bool), np.zeros(tokens, dtype=bool)
    before[first], after[second] = True, True
    name = "share of masked tokens masked again in the next epoch"
    return again(name, int(np.sum(before & after)), int(before.sum()))
