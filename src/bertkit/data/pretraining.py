"""From the token store to pretraining batches: sequences, masks and padding made on the fly."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.batching import START, Arrays, GlobalBatch, Position, deal, epoch_batches
from bertkit.data.masking import Strategy, Vocabulary, mask_tokens
from bertkit.data.pairs import NO_PAIR, EpochPlan, Objective, plan_counts, plan_epoch, room
from bertkit.data.token_store import TokenStore
from bertkit.data.units import Units, make_units

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Ids of the special tokens a sequence is built with."""

    cls: int
    sep: int
    pad: int


@dataclass(frozen=True)
class PretrainingData:
    """All sequences of a split, for every epoch; nothing is drawn or read before it is asked for.

    With `mlm_probability_end`, the share of tokens to predict goes there in a straight line: from `mlm_probability` at
    step 1 to the end at step `mlm_steps`.
    """

    store: TokenStore
    special: SpecialIds
    vocabulary: Vocabulary
    objective: Objective
    max_seq_length: int
    mlm_probability: float
    short_seq_prob: float
    seed: int
    mask_strategy: Strategy = "token"
    mlm_probability_end: float | None = None
    mlm_steps: int = 1

    def __getstate__(self) -> dict[str, Any]:
        """What a data worker is handed: not what was worked out, which is larger than the rest."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _units(self) -> Units:
        return make_units(self.store, room(self.objective, self.max_seq_length))

    @cached_property
    def _newest(self) -> dict[int, EpochPlan]:
        return {}

    def plan(self, epoch: int) -> EpochPlan:
        """The sequences of `epoch`. The newest plan is kept: it costs seconds on a large store."""
        if epoch not in self._newest:
            self._newest.clear()
            self._newest[epoch] = plan_epoch(
                self._units,
                objective=self.objective,
                max_seq_length=self.max_seq_length,
                short_seq_prob=self.short_seq_prob,
                seed=self.seed,
                epoch=epoch,
            )
        return self._newest[epoch]

    def counts(self) -> dict[str, int]:
        """What the first epoch holds, and what could not be as it should: see `plan_counts`."""
        return plan_counts(self.plan(0), self.store, self.objective, self.max_seq_length)

    def probability_at(self, step: int) -> float:
        """The share of tokens to predict in optimizer step `step`, from 1."""
        if self.mlm_probability_end is None:
            return self.mlm_probability
        way = min((step - 1) / max(self.mlm_steps - 1, 1), 1.0)
        return self.mlm_probability + way * (self.mlm_probability_end - self.mlm_probability)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Full global batches in the first epoch; later ones differ by a few."""
        return len(self.plan(0)) // batch_size

    def batches(
        self,
        batch_size: int,
        rows: int,
        *,
        rank: int,
        world_size: int,
        start: Position = START,
        turn: int = 0,
        turns: int = 1,
    ) -> Iterator[GlobalBatch]:
        """Global batches without end, from position `start` on; `rows` is the size of a micro-batch.

        Of `turns` workers that share the work, the one whose `turn` it is makes a batch; the others pass it over.
        """
        epoch, first, step = start.epoch, start.number, start.step
        while True:
            plan = self.plan(epoch)
            lengths = plan.lengths
            order = epoch_batches(lengths, batch_size, seed=self.seed, epoch=epoch, drop_last=True)
            for number in range(first, len(order)):
                batch, position = order[number], Position(epoch, number, step)
                step += 1
                if (position.step - start.step) % turns != turn:
                    continue
                probability = self.probability_at(position.step)
                micro_batches = [
                    (i, self.collate(plan, micro, epoch, probability=probability))
                    for i, micro in deal(batch, rows, rank, world_size)
                ]
                yield GlobalBatch(
                    position=position,
                    epoch=epoch + (number + 1) / len(order),
                    micro_batches=micro_batches,
                    denominators=self._denominators([arrays for _, arrays in micro_batches]),
                    sequences=len(batch),
                    tokens=int(lengths[batch].sum()),
                    padded_tokens=sum(arrays["input_ids"].size for _, arrays in micro_batches),
                    rows=batch,
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

    def collate(self, plan: EpochPlan, rows: Ints, epoch: int, *, probability: float | None = None) -> Arrays:
        """The model's input for the sequences `rows` of a plan; `probability` stands instead of `mlm_probability`.

        Returns:
            `input_ids`, `token_type_ids` (rows, length), `attention_mask` (rows, length; absent without padding),
            `masked_positions` (masked,) into the flattened input, `masked_labels` (masked,),
            `picked` (rows, picks), the places whose last state is read: 0, those masked, and 0 again where others have more,
            `masked_picks` (masked,) into the flattened picks, `next_sentence_label` (rows,).
        """
        a_start, a_end, b_start, b_end = (
            part[rows][:, None] for part in (plan.a_start, plan.a_end, plan.b_start, plan.b_end)
        )
        a, b = a_end - a_start, b_end - b_start
        total = a + b + 2 + (b > 0)
        width = min(-(-int(total.max()) // 8) * 8, self.max_seq_length)
        column = np.arange(width, dtype=np.int64)
        real, second = column < total, column >= a + 2
        separator = (column == a + 1) | (column == total - 1)
        text = real & ~separator
        text[:, 0] = False

        source = column + np.where(second, b_start - a - 2, a_start - 1)
        source[~text] = 0
        ids = np.asarray(self.store.tokens)[source].astype(np.int64)
        ids[~real] = self.special.pad
        ids[:, 0] = self.special.cls
        ids[separator] = self.special.sep

        replaced, chosen = mask_tokens(
            ids,
            text,
            rows,
            self.vocabulary,
            probability=self.mlm_probability if probability is None else probability,
            seed=self.seed,
            epoch=epoch,
            strategy=self.mask_strategy,
            word_starts=None if self.mask_strategy == "token" else self.store.word_starts(source),
        )
        picked, picks = picked_places(chosen)
        arrays: Arrays = {
            "input_ids": replaced,
            "token_type_ids": (second & real).astype(np.int64),
            "masked_positions": np.flatnonzero(chosen),
            "masked_labels": ids[chosen],
            "picked": picked,
            "masked_picks": picks,
            "next_sentence_label": plan.label[rows],
        }
        if not real.all():
            arrays["attention_mask"] = real.astype(np.int64)
        return arrays

    def _denominators(self, micro_batches: list[Arrays]) -> dict[str, int]:
        """What each loss is divided by: the targets of these micro-batches."""
        counts = {"mlm_loss": sum(len(arrays["masked_labels"]) for arrays in micro_batches)}
        if self.objective != "mlm":
            pairs = (arrays["next_sentence_label"] != NO_PAIR for arrays in micro_batches)
            counts["nsp_loss"] = sum(int(np.count_nonzero(pair)) for pair in pairs)
        return counts


def picked_places(chosen: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """`picked` and `masked_picks` of `collate`, for the masked places (rows, length)."""
    row, place = np.nonzero(chosen)
    counts = chosen.sum(1)
    rank = np.arange(len(row)) - (np.cumsum(counts) - counts)[row] + 1
    picked = np.zeros((len(chosen), 1 + int(counts.max(initial=0))), dtype=np.int64)
    picked[row, rank] = place
    return picked, row * picked.shape[1] + rank
