"""Every row comes once an epoch, whoever works on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data.batching import deal, epoch_batches, micro_batch_rows, pad_rows

lengths = st.lists(st.integers(1, 128), min_size=1, max_size=300)


@given(lengths, st.integers(1, 32), st.integers(0, 3))
def test_an_epoch_holds_every_row_once(sizes: list[int], batch_size: int, epoch: int) -> None:
    batches = epoch_batches(np.array(sizes), batch_size, seed=1, epoch=epoch, drop_last=False)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(sizes)))
    full = epoch_batches(np.array(sizes), batch_size, seed=1, epoch=epoch, drop_last=True)
    assert all(len(batch) == batch_size for batch in full)
    assert len(full) == len(sizes) // batch_size


@given(st.integers(1, 64), st.integers(1, 64), st.sampled_from([1, 2, 3, 4, 8]))
def test_ranks_share_a_batch_without_overlap(batch_size: int, micro: int, world: int) -> None:
    if batch_size % world:
        with pytest.raises(ValueError, match="does not divide"):
            micro_batch_rows(batch_size, micro, world)
        return
    rows = micro_batch_rows(batch_size, micro, world)
    batch = np.arange(batch_size)
    shares = [deal(batch, rows, rank, world) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    dealt = sorted(pair for share in shares for pair in ((number, part.tolist()) for number, part in share))
    assert [x for _, part in dealt for x in part] == list(range(batch_size))
    assert rows <= max(micro, 1)


def test_lengths_are_grouped_and_order_changes_by_epoch() -> None:
    sizes = np.random.default_rng(0).integers(1, 128, size=4096)
    batches = epoch_batches(sizes, 32, seed=1, epoch=0, drop_last=True)
    padding = 1 - sum(sizes[b].sum() for b in batches) / sum(32 * sizes[b].max() for b in batches)
    assert padding < 0.05
    assert batches[0].tolist() != epoch_batches(sizes, 32, seed=1, epoch=1, drop_last=True)[0].tolist()
    # The batches are not in order of length.
    longest = [sizes[b].max() for b in batches]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.4


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=20), min_size=1, max_size=6))
def test_padding_adds_nothing_but_padding(rows: list[list[int]]) -> None:
    ids, real = pad_rows([np.array(row) for row in rows], pad_id=0)
    assert [ids[i][real[i]].tolist() for i in range(len(rows))] == rows
    assert not ids[~real].any()
    assert ids.shape[1] % 8 == 0
