"""Masks keep BERT's law: 15 %, of which 80 % [MASK], 10 % another token, 10 % unchanged; words stay whole."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data import keyed
from bertkit.data.masking import Strategy, Vocabulary, mask_count, mask_tokens

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


def slowly(ids: Any, maskable: Any, rows: Any, probability: float, seed: int, epoch: int) -> Any:
    """Strategy `token`, one token at a time."""
    choice, fate, other = (keyed.key(seed, f"mask {name}", epoch) for name in ("choice", "fate", "other"))
    replaced, chosen = ids.copy(), np.zeros_like(maskable)
    for r, row in enumerate(rows.tolist()):
        draws = {c: int(keyed.bits(choice, np.array([row * 2**20 + c]))[0]) for c in np.flatnonzero(maskable[r])}
        count = min(max(int(np.rint(len(draws) * probability)), 1), len(draws))
        for c in sorted(draws, key=draws.__getitem__)[:count]:
            chosen[r, c], at = True, np.array([row * 2**20 + c])
            if (lot := keyed.uniform(fate, at)[0]) < 0.8:
                replaced[r, c] = VOCABULARY.mask_id
            elif lot < 0.9:
                replaced[r, c] = VOCABULARY.ordinary[keyed.integers(other, at, len(VOCABULARY.ordinary))[0]]
    return replaced, chosen


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9), st.integers(0, 3), st.sampled_from([0.05, 0.15, 0.4]), st.integers(3, 40))
def test_tokens_are_chosen_as_one_by_one(seed: int, epoch: int, probability: float, width: int) -> None:
    rng = np.random.default_rng(seed)
    ids, maskable = rng.integers(5, 1000, size=(6, width)), rng.random((6, width)) < 0.8
    rows = rng.integers(0, 10**7, size=6)
    replaced, chosen = masked(ids, maskable, rows, probability=probability, seed=seed, epoch=epoch)
    expected = slowly(ids, maskable, rows, probability, seed, epoch)
    assert np.array_equal(chosen, expected[1])
    assert np.array_equal(replaced, expected[0])


def words(maskable: Any, share: float = 0.75, seed: int = 0) -> Any:
    """Where words start, for a given share of tokens."""
    return np.random.default_rng(seed).random(maskable.shape) < share


def word_numbers(maskable: Any, starts: Any) -> Any:
    """For each column the number of its word in the row, -1 outside of text."""
    numbers = np.full(maskable.shape, -1)
    for r in range(len(maskable)):
        number, before = -1, False
        for c in range(maskable.shape[1]):
            if maskable[r, c]:
                number += bool(starts[r, c]) or not before
                numbers[r, c] = number
            before = bool(maskable[r, c])
    return numbers


def two_segments(rows: int, width: int, seed: int = 0) -> Any:
    """[CLS] text [SEP] text [SEP], as what may be masked."""
    maskable = np.ones((rows, width), dtype=bool)
    maskable[:, [0, -1]] = False
    maskable[np.arange(rows), np.random.default_rng(seed).integers(2, width - 2, size=rows)] = False
    return maskable


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["whole_word", "span"]), st.integers(0, 99), st.integers(6, 70), st.floats(0.2, 1.0))
def test_words_are_masked_whole_or_not_at_all(strategy: Strategy, seed: int, width: int, share: float) -> None:
    ids, maskable = batch(8, width)[0], two_segments(8, width, seed)
    starts = words(maskable, share, seed)
    _, chosen = masked(ids, maskable, np.arange(8), strategy=strategy, word_starts=starts, seed=seed)
    assert not chosen[~maskable].any()
    assert chosen.any(axis=1).all()
    numbers = word_numbers(maskable, starts)
    for r in range(8):
        assert not set(numbers[r, chosen[r]].tolist()) & set(numbers[r, ~chosen[r] & maskable[r]].tolist())


@pytest.mark.parametrize("strategy", ["whole_word", "span"])
@pytest.mark.parametrize("probability", [0.15, 0.4])
def test_words_keep_the_share_and_80_10_10(strategy: Strategy, probability: float) -> None:
    ids, maskable = batch(3000, 128)[0], two_segments(3000, 128)
    maskable[2000:, 60:] = False
    starts = words(maskable)
    replaced, chosen = masked(
        ids, maskable, np.arange(3000), strategy=strategy, word_starts=starts, probability=probability
    )
    n = chosen.sum()
    assert abs(n / maskable.sum() - probability) < 0.001
    sigma = np.sqrt(0.1 * 0.9 * (10 if strategy == "span" else 1) / n)
    assert abs((chosen & (replaced == 4)).sum() / n - 0.8) < 10 * sigma
    assert abs((chosen & (replaced == ids)).sum() / n - 0.1) < 5 * sigma
    assert replaced[chosen & (replaced != 4)].min() >= 5


def test_pieces_of_a_word_have_their_own_fate_and_those_of_a_span_one() -> None:
    ids, maskable = batch(2000, 80)[0], two_segments(2000, 80)
    starts = words(maskable, 0.5)
    numbers = word_numbers(maskable, starts)
    for strategy, low, high in (("whole_word", 0.3, 0.34), ("span", 0.0, 0.0)):
        replaced, chosen = masked(ids, maskable, np.arange(2000), strategy=strategy, word_starts=starts)
        inside = chosen[:, 1:] & chosen[:, :-1] & (numbers[:, 1:] == numbers[:, :-1])
        as_mask = replaced == 4
        assert low <= (as_mask[:, 1:] != as_mask[:, :-1])[inside].mean() <= high  # by chance 2 * 0.8 * 0.2


def test_long_words_have_their_chance() -> None:
    # One word of 30 pieces among 70 of one: the share is 15, so the long one always overflows it.
    ids, maskable = batch(4000, 102)[0], np.ones((4000, 102), dtype=bool)
    maskable[:, [0, -1]] = False
    starts = np.ones_like(maskable)
    starts[:, 21:50] = False
    _, chosen = masked(ids, maskable, np.arange(4000), strategy="whole_word", word_starts=starts)
    assert 0.05 < chosen[:, 20].mean() < 0.15
    assert abs(chosen.sum() / maskable.sum() - 0.15) < 0.005


def test_spans_are_runs_of_words_with_the_paper_s_lengths() -> None:
    ids, maskable = batch(3000, 402)[0], np.ones((3000, 402), dtype=bool)
    maskable[:, [0, -1]] = False
    _, chosen = masked(
        ids, maskable, np.arange(3000), strategy="span", word_starts=np.ones_like(maskable), probability=0.02
    )
    edges = np.diff(chosen.astype(int), axis=1)
    lengths = np.flatnonzero(edges.ravel() == -1) - np.flatnonzero(edges.ravel() == 1)
    # 8 tokens hold two spans: cut by the share, joined by chance.
    assert 2.5 < lengths.mean() < 4.2
    assert abs((lengths == 1).mean() - 0.224) < 0.08
    at = chosen[:, 20:-20].mean(axis=0)
    assert at.std() < 0.006  # no place is preferred


@pytest.mark.parametrize("strategy", ["whole_word", "span"])
def test_words_are_masked_alike_in_every_batch_and_padding(strategy: Strategy) -> None:
    ids, maskable, rows = batch(21, 30)
    maskable[:9, 14:] = False
    starts = words(maskable)
    whole, _ = masked(ids, maskable, rows, strategy=strategy, word_starts=starts)
    wide = [np.pad(x, ((0, 0), (0, 10))) for x in (ids, maskable, starts)]
    for part in (slice(0, 9), slice(9, 10), slice(10, 21)):
        replaced, _ = masked(wide[0][part], wide[1][part], rows[part], strategy=strategy, word_starts=wide[2][part])
        assert np.array_equal(replaced[:, :30], whole[part])


@pytest.mark.parametrize("strategy", ["token", "whole_word", "span"])
def test_rows_without_text_have_no_target(strategy: Strategy) -> None:
    ids, maskable, rows = batch(4, 12)
    maskable[[1, 2]] = False
    _, chosen = masked(ids, maskable, rows, strategy=strategy, word_starts=words(maskable))
    assert chosen.any(axis=1).tolist() == [True, False, False, True]
