"""Workers change when a batch is made, never which."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from itertools import islice
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertkit.data.batching import GlobalBatch, Position
from bertkit.data.encoding import EncodedTexts
from bertkit.data.loading import prefetched
from bertkit.errors import DataError, HostError

ROWS = [np.arange(2 + i % 5, dtype=np.int64) for i in range(22)]
TEXTS = EncodedTexts(ROWS, np.arange(22, dtype=np.int64), 0, 0)


@pytest.fixture(autouse=True)
def _workers_find_this_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawned processes import by the path they inherit, what `failing` and `dying` are to them."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


def content(batch: GlobalBatch) -> Any:
    arrays = [(n, {key: array.tolist() for key, array in arrays.items()}) for n, arrays in batch.micro_batches]
    return batch.position, batch.rows.tolist(), batch.denominators, batch.tokens, batch.padded_tokens, arrays


def failing(*, turn: int = 0, turns: int = 1) -> Iterator[GlobalBatch]:
    if turn == turns - 1:
        raise DataError("row 7 is not a text", where="a.csv:7", remedy="Mend it.")
    yield from TEXTS.batches(4, 2, seed=1, rank=0, world_size=1, turn=turn, turns=turns)


def dying(*, turn: int = 0, turns: int = 1) -> Iterator[GlobalBatch]:
    yield from islice(TEXTS.batches(4, 2, seed=1, rank=0, world_size=1, turn=turn, turns=turns), 2)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("start", [Position(0, 0, 1), Position(1, 4, 11)])
def test_the_same_batches_in_the_same_order_from_any_position_with_any_workers(start: Position) -> None:
    batches = partial(TEXTS.batches, 4, 2, seed=1, rank=0, world_size=1, start=start)
    alone = [content(batch) for batch in islice(prefetched(batches, num_workers=0), 15)]  # over the ends of epochs
    assert alone[0][0] == start
    assert [position.step for position, *_ in alone] == list(range(start.step, start.step + 15))
    ahead = prefetched(batches, num_workers=2)
    assert [content(batch) for batch in islice(ahead, 15)] == alone
    ahead.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_worker_raises_reaches_the_user_as_it_is(workers: int) -> None:
    with pytest.raises(DataError, match="row 7 is not a text") as caught:
        list(islice(prefetched(failing, num_workers=workers), 4))
    assert (caught.value.where, caught.value.remedy) == ("a.csv:7", "Mend it.")


def test_a_killed_worker_is_noticed() -> None:
    with pytest.raises(HostError, match=r"a data worker \(pid \d+\) ended early, with exit code -9; .* memory"):
        list(prefetched(dying, num_workers=1))


def test_workers_end_with_the_iterator() -> None:
    ahead = prefetched(partial(TEXTS.batches, 4, 2, seed=1, rank=0, world_size=1), num_workers=1)
    next(ahead)
    (worker,) = active_children()
    assert worker.is_alive()
    ahead.close()
    assert not worker.is_alive()
