"""From the token store to pretraining batches: sequences, masks and padding made on the fly."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bertkit.data.batching import Arrays, GlobalBatch, deal, epoch_batches
from bertkit.data.masking import Vocabulary, mask_count, mask_tokens
from bertkit.data.pairs import NO_PAIR, EpochPlan, Objective, Units, make_units, plan_epoch, room
from bertkit.data.token_store import TokenStore

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Ids of the special tokens a sequence is built with."""

    cls: int
    sep: int
    pad: int


@dataclass(frozen=True)
class PretrainingData:
    """All sequences of a split, for every epoch; nothing is drawn or read before it is asked for."""

    store: TokenStore
    special: SpecialIds
    vocabulary: Vocabulary
    objective: Objective
    max_seq_length: int
    mlm_probability: float
    short_seq_prob: float
    seed: int

    @cached_property
    def _units(self) -> Units:
        return make_units(self.store, room(self.objective, self.max_seq_length))

    def plan(self, epoch: int) -> EpochPlan:
        """The sequences of `epoch`; take it once an epoch, it costs seconds on a large store."""
        return plan_epoch(
            self._units,
            objective=self.objective,
            max_seq_length=self.max_seq_length,
            short_seq_prob=self.short_seq_prob,
            seed=self.seed,
            epoch=epoch,
        )

    def steps_per_epoch(self, batch_size: int) -> int:
        """Full global batches in the first epoch; later ones differ by a few."""
        return len(self.plan(0)) // batch_size

    def batches(
        self, batch_size: int, rows: int, *, rank: int, world_size: int, start: tuple[int, int] = (0, 0)
    ) -> Iterator[GlobalBatch]:
        """Global batches without end, from position `start` on; `rows` is the size of a micro-batch."""
        epoch, first = start
        while True:
            plan = self.plan(epoch)
            order = epoch_batches(plan.lengths, batch_size, seed=self.seed, epoch=epoch, drop_last=True)
            for number in range(first, len(order)):
                batch = order[number]
                yield GlobalBatch(
                    position=(epoch, number),
                    epoch=epoch + (number + 1) / len(order),
                    micro_batches=[
                        (i, self.collate(plan, micro, epoch)) for i, micro in deal(batch, rows, rank, world_size)
                    ],
                    denominators=self._denominators(plan, batch),
                    sequences=len(batch),
                    tokens=int(plan.lengths[batch].sum()),
                )
            epoch, first = epoch + 1, 0

    def heldout(self, rows: int, limit: int, *, rank: int, world_size: int) -> Iterator[Arrays]:
        """Micro-batches of the first `limit` sequences, with the same pairs and masks whenever they are asked for."""
        plan = self.plan(0)
        order = np.arange(min(limit, len(plan)), dtype=np.int64)
        order = order[np.argsort(-plan.lengths[order], kind="stable")]
        rows = max(1, min(rows, len(order) // world_size))  # something for every process
        for start in range(rank * rows, len(order), world_size * rows):
            yield self.collate(plan, order[start : start + rows], 0)

    def collate(self, plan: EpochPlan, rows: Ints, epoch: int) -> Arrays:
        """The model's input for the sequences `rows` of a plan.

        Returns:
            `input_ids`, `token_type_ids` (rows, length), `attention_mask` (rows, length; absent without padding),
            `masked_positions` (masked,) into the flattened input, `masked_labels` (masked,),
            `next_sentence_label` (rows,).
        """
        length_a, length_b = (plan.a_end - plan.a_start)[rows], (plan.b_end - plan.b_start)[rows]
        lengths = plan.lengths[rows]
        width = min(-(-int(lengths.max()) // 8) * 8, self.max_seq_length)
        column = np.arange(width, dtype=np.int64)[None, :]
        a, b, total = length_a[:, None], length_b[:, None], lengths[:, None]

        in_a = (column >= 1) & (column <= a)
        in_b = (column >= a + 2) & (column < a + 2 + b)
        source = np.where(in_a, plan.a_start[rows][:, None] + column - 1, 0)
        source = np.where(in_b, plan.b_start[rows][:, None] + column - a - 2, source)
        text = in_a | in_b
        ids = np.where(text, self.store.tokens[source].astype(np.int64), self.special.pad)
        ids[:, 0] = self.special.cls
        ids[(column == a + 1) | ((column == total - 1) & (b > 0))] = self.special.sep

        replaced, chosen = mask_tokens(
            ids, text, rows, self.vocabulary, probability=self.mlm_probability, seed=self.seed, epoch=epoch
        )
        arrays: Arrays = {
            "input_ids": replaced,
            "token_type_ids": ((column >= a + 2) & (column < total)).astype(np.int64),
            "masked_positions": np.flatnonzero(chosen),
            "masked_labels": ids[chosen],
            "next_sentence_label": plan.label[rows],
        }
        if int(lengths.min()) < width:
            arrays["attention_mask"] = (column < total).astype(np.int64)
        return arrays

    def _denominators(self, plan: EpochPlan, batch: Ints) -> dict[str, int]:
        """What each loss of a global batch is divided by, known to every process without making the whole batch."""
        maskable = ((plan.a_end - plan.a_start) + (plan.b_end - plan.b_start))[batch]
        counts = {"mlm_loss": int(mask_count(maskable, self.mlm_probability).sum())}
        if self.objective != "mlm":
            counts["nsp_loss"] = int((plan.label[batch] != NO_PAIR).sum())
        return counts
