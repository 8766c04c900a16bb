"""The order of an epoch: keyed, grouped by length, and dealt to processes from global batches."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data import keyed

Ints = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]

_WINDOW = 64  # batches among which lengths are sorted: enough to cut padding, few enough to keep the order random


def epoch_batches(lengths: Ints, batch_size: int, *, seed: int, epoch: int, drop_last: bool) -> list[Ints]:
    """Row numbers of each global batch of an epoch, longest row of a batch first.

    Rows are permuted, sorted by length within windows of many batches, and the batches permuted again: padding
    becomes rare while every epoch has another order.
    """
    order = keyed.permutation(keyed.key(seed, "row order", epoch), len(lengths))
    batches: list[Ints] = []
    for start in range(0, len(order), _WINDOW * batch_size):
        window = order[start : start + _WINDOW * batch_size]
        window = window[np.argsort(-lengths[window], kind="stable")]
        batches += [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
    if drop_last:
        batches = [batch for batch in batches if len(batch) == batch_size]
    turn = keyed.permutation(keyed.key(seed, "batch order", epoch), len(batches))
    return [batches[i] for i in turn]


def micro_batch_rows(batch_size: int, micro_batch_size: int | None, world_size: int) -> int:
    """Rows of a micro-batch: at most `micro_batch_size`, so that each process gets equally many micro-batches.

    Raises:
        ValueError: `batch_size` does not divide among the processes.
    """
    if batch_size % world_size:
        raise ValueError(f"a batch of {batch_size} sequences does not divide among {world_size} processes")
    share = batch_size // world_size
    rows = min(micro_batch_size or share, share)
    while share % rows:
        rows -= 1
    return rows


def deal(batch: Ints, rows: int, rank: int, world_size: int) -> list[tuple[int, Ints]]:
    """The micro-batches of a global batch that `rank` works on, each with its number in the global batch."""
    micro = [batch[i : i + rows] for i in range(0, len(batch), rows)]
    return [(number, micro[number]) for number in range(rank, len(micro), world_size)]


@dataclass(frozen=True, order=True, slots=True)
class Position:
    """A place in the stream of batches: batch `number` of `epoch` is used in optimizer step `step`, from 1."""

    epoch: int
    number: int
    step: int

    @property
    def following(self) -> "Position":
        """Where to go on after this batch; a number past the epoch's end means the next epoch's first."""
        return Position(self.epoch, self.number + 1, self.step + 1)


START = Position(0, 0, 1)


@dataclass(frozen=True, slots=True)
class GlobalBatch:
    """What all processes together learn from in one optimizer step, and one process's part of it.

    `micro_batches` are this process's, each with its number in the global batch; `denominators` name the losses and
    what each is divided by, and `padded_tokens` is rows times width, both summed over this process's micro-batches, for
    the loop to add up; `sequences` and `tokens` (without padding) are those of the whole global batch, as are
    `rows`, the numbers of its sequences in the epoch. The last `silent` of `micro_batches` repeat a row that others learn
    from and count for nothing: every process has as many to pass through the network, and waits for no one.
    """

    position: Position
    epoch: float
    micro_batches: list[tuple[int, Arrays]]
    denominators: dict[str, int]
    sequences: int
    tokens: int
    padded_tokens: int
    rows: Ints
    silent: int = 0


def pad_rows(rows: list[Ints], pad_id: int, *, multiple: int = 8) -> tuple[Ints, NDArray[np.bool_]]:
    """Rows of ids as one array of shape (rows, length), and where it holds ids: lengths go up to `multiple`."""
    lengths = np.array([len(row) for row in rows])
    width = -(-int(lengths.max()) // multiple) * multiple
    real = np.arange(width) < lengths[:, None]
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    ids[real] = np.concatenate(rows)
    return ids, real
