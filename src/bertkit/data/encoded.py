"""Rows of token ids that a model learns from or predicts, in batches of like lengths."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bertkit.data.batching import START, Arrays, GlobalBatch, Position, deal, epoch_batches
from bertkit.errors import DataError

Ints = NDArray[np.int64]


class EncodedRows(ABC):
    """What a model reads at once, row by row: a text, a pair of texts, a window of a longer one."""

    @property
    @abstractmethod
    def lengths(self) -> Ints:
        """Tokens of each row, shape (rows,)."""

    @abstractmethod
    def collate(self, chosen: Ints) -> Arrays:
        """The rows with these numbers as `input_ids`, `token_type_ids` (rows, length), labels where there are any, and
        `attention_mask` where there is padding."""

    @abstractmethod
    def denominators(self, arrays: Arrays) -> dict[str, int]:
        """What each loss over a micro-batch is to be divided by, `{"loss": count}`."""

    def __len__(self) -> int:
        return len(self.lengths)

    def batches(
        self,
        batch_size: int,
        rows: int,
        *,
        seed: int,
        rank: int,
        world_size: int,
        start: Position = START,
        turn: int = 0,
        turns: int = 1,
    ) -> Iterator[GlobalBatch]:
        """Global batches without end, from position `start` on; an epoch's last one may be smaller.

        Of `turns` workers that share the work, the one whose `turn` it is makes a batch; the others pass it over.
        """
        lengths = self.lengths
        epoch, first, step = start.epoch, start.number, start.step
        while True:
            order = epoch_batches(lengths, batch_size, seed=seed, epoch=epoch, drop_last=False)
            for number in range(first, len(order)):
                batch, position = order[number], Position(epoch, number, step)
                step += 1
                if (position.step - start.step) % turns != turn:
                    continue
                size = min(rows, -(-len(batch) // world_size))
                micro_batches = [(i, self.collate(micro)) for i, micro in deal(batch, size, rank, world_size)]
                counts = [self.denominators(arrays) for _, arrays in micro_batches]
                padded_tokens = sum(arrays["input_ids"].size for _, arrays in micro_batches)
                dealt = -(-len(batch) // size)
                silent = -(-dealt // world_size) - len(micro_batches)
                micro_batches += [(dealt + rank, self.collate(batch[-1:]))] * silent
                yield GlobalBatch(
                    position=position,
                    epoch=epoch + (number + 1) / len(order),
                    micro_batches=micro_batches,
                    denominators={name: sum(count[name] for count in counts) for name in self.losses},
                    sequences=len(batch),
                    tokens=int(lengths[batch].sum()),
                    padded_tokens=padded_tokens,
                    rows=batch,
                    silent=silent,
                )
            epoch, first = epoch + 1, 0

    @property
    def losses(self) -> tuple[str, ...]:
        """The names in `denominators`, which a process without a micro-batch must know too."""
        return ("loss",)

    def share(self, rows: int, *, rank: int, world_size: int) -> Iterator[tuple[Ints, Arrays]]:
        """This process's micro-batches of all rows, each row in one process, with their numbers.

        Raises:
            DataError: there are fewer rows than processes.
        """
        if len(self) < world_size:
            what = f"{len(self)} rows to measure on cannot be shared by {world_size} processes"
            raise DataError(what, remedy="Give more of them, or launch fewer processes.")
        size = max(1, min(rows, len(self) // world_size))
        for number, micro_batch in enumerate(self.in_length_order(size)):
            if number % world_size == rank:
                yield micro_batch

    def share_of(self, token: int) -> float:
        """The share that a token id has of all tokens, special ones counted in."""
        found = sum(int((arrays["input_ids"] == token).sum()) for _, arrays in self.in_length_order(64))
        return found / max(1, int(self.lengths.sum()))

    def in_length_order(self, rows: int) -> Iterator[tuple[Ints, Arrays]]:
        """Every row once, in micro-batches of like lengths, with their numbers."""
        order = np.argsort(-self.lengths, kind="stable")
        for start in range(0, len(order), rows):
            chosen = order[start : start + rows]
            yield chosen, self.collate(chosen)
