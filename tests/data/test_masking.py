"""Masks keep BERT's law: 15 %, of which 80 % [MASK], 10 % another token, 10 % unchanged."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data.masking import Vocabulary, mask_count, mask_tokens

VOCABULARY = Vocabulary(mask_id=4, ordinary=np.arange(5, 1000))


def masked(ids: Any, maskable: Any, rows: Any, **changes: Any) -> Any:
    settings = {"probability": 0.15, "seed": 1, "epoch": 0} | changes
    return mask_tokens(ids, maskable, rows, VOCABULARY, **settings)


def batch(rows: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids = np.random.default_rng(0).integers(5, 1000, size=(rows, width))
    maskable = np.ones((rows, width), dtype=bool)
    maskable[:, [0, -1]] = False
    return ids, maskable, np.arange(rows)


def test_the_law_of_80_10_10() -> None:
    ids, maskable, rows = batch(4000, 102)
    replaced, chosen = masked(ids, maskable, rows)
    n = chosen.sum()
    assert n == 4000 * 15
    to_mask, kept = chosen & (replaced == 4), chosen & (replaced == ids)
    other = chosen & (replaced != 4) & (replaced != ids)
    sigma = 5 * np.sqrt(0.1 * 0.9 / n)
    assert abs(to_mask.sum() / n - 0.8) < 2 * sigma
    assert abs(other.sum() / n - 0.1) < sigma
    assert abs(kept.sum() / n - 0.1) < sigma
    assert np.array_equal(replaced[~chosen], ids[~chosen])


def test_replacements_are_ordinary_tokens_and_special_ones_are_left_alone() -> None:
    ids, maskable, rows = batch(2000, 40)
    replaced, chosen = masked(ids, maskable, rows)
    assert not chosen[~maskable].any()
    assert replaced[chosen & (replaced != 4)].min() >= 5


@given(st.integers(0, 600), st.floats(0.01, 0.99))
def test_at_least_one_and_never_more_than_there_are(maskable: int, probability: float) -> None:
    count = int(mask_count(np.array([maskable]), probability)[0])
    assert count <= maskable
    assert count >= min(maskable, 1)
    assert maskable < 10 or abs(count - maskable * probability) <= 1


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_sequence_is_masked_alike_in_every_batch_and_padding(size: int) -> None:
    ids, maskable, rows = batch(21, 30)
    whole, _ = masked(ids, maskable, rows)
    padded_ids, padded_maskable = np.pad(ids, ((0, 0), (0, 10))), np.pad(maskable, ((0, 0), (0, 10)))
    for start in range(0, 21, size):
        part = slice(start, start + size)
        replaced, _ = masked(padded_ids[part], padded_maskable[part], rows[part])
        assert np.array_equal(replaced[:, :30], whole[part])


def test_masks_are_new_each_epoch() -> None:
    ids, maskable, rows = batch(100, 60)
    _, first = masked(ids, maskable, rows)
    _, second = masked(ids, maskable, rows, epoch=1)
    assert 0.05 < (first & second).sum() / first.sum() < 0.3  # about 15 % by chance
