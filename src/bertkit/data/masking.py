"""Masked language modelling targets: 15 % of the tokens, of which 80 % become [MASK], 10 % another token, 10 % stay.

Devlin et al. 2019, 3.1. Drawn anew each epoch, keyed by sequence and position. Tokens are chosen one by one, by whole
words, or by spans of words (Joshi et al. 2020, "SpanBERT").
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bertkit.data import keyed

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
U64 = keyed.U64
Strategy = Literal["token", "whole_word", "span"]

_LAST = np.iinfo(np.uint64).max
_ROW = 1 << 20  # draws set aside for a sequence
_COLUMN_BITS, _COLUMN = np.uint64(16), np.uint64((1 << 16) - 1)
_SPAN_P, _SPAN_MAX = 0.2, 10  # lengths of spans, in words: geometric, cut off; 3.8 on average


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What masking needs to know of a vocabulary. `ordinary`: ids of all entries that are not special tokens."""

    mask_id: int
    ordinary: Ints


def mask_count(maskable: Ints, probability: float) -> Ints:
    """How many of `maskable` tokens strategy `token` masks: the rounded share, at least one where there is any."""
    share = np.rint(maskable * probability).astype(np.int64)
    count: Ints = np.minimum(np.maximum(share, 1), maskable)
    return count


def mask_tokens(
    input_ids: Ints,
    maskable: Bools,
    sequence: Ints,
    vocabulary: Vocabulary,
    *,
    probability: float,
    seed: int,
    epoch: int,
    strategy: Strategy = "token",
    word_starts: Bools | None = None,
) -> tuple[Ints, Bools]:
    """Choose and replace tokens.

    `whole_word` and `span` mask all pieces of a word or none. A sequence's words are taken in their random order as
    long as they fit into its share; the first that does not is taken with the probability that makes the expected
    count the share exactly, so that long words have their chance too, and none after it. The first word is always
    taken: every sequence has a target. What becomes of a chosen token is drawn for each piece, with `span` once for
    the pieces of a span, as in its paper.

    Args:
        input_ids: shape (batch, length).
        maskable: the same shape, false at special tokens and padding.
        sequence: shape (batch,), the number of each row in its epoch.
        word_starts: the same shape as `input_ids`, true where a word begins; not needed for `token`. The first
            maskable token after one that is not begins a word in any case.

    Returns:
        The replaced ids and where the model must predict the original, both of shape (batch, length).
    """
    # Rows are keyed by their own number and columns by position, so padding and batch size change no draw.
    index = sequence[:, None] * _ROW + np.arange(input_ids.shape[1], dtype=np.int64)
    if strategy == "token":
        chosen = _choose_tokens(index, maskable, probability, keyed.key(seed, "mask choice", epoch))
        together = index
    else:
        if word_starts is None:
            raise ValueError(f"strategy {strategy} needs word_starts")
        words = _find_words(maskable, word_starts)
        share = maskable.sum(axis=1) * probability
        order, together = _random_order(words, index, keyed.key(seed, "mask choice", epoch)), index
        if strategy == "span":
            span = _draw_spans(words, sequence, share, seed=seed, epoch=epoch)
            order = np.where(words.starts & (span >= 0), _key(span, index.shape[1]), order)
            together = np.where(span >= 0, sequence[:, None] * _ROW + span, index + _ROW // 2)
        coins = keyed.uniform(keyed.key(seed, "mask overflow", epoch), sequence)
        chosen = _take_words(words, order, share, coins) & maskable

    fate = keyed.uniform(keyed.key(seed, "mask fate", epoch), together[chosen])
    other = keyed.integers(keyed.key(seed, "mask other", epoch), index[chosen], len(vocabulary.ordinary))
    original = input_ids[chosen]
    changed = np.where(fate < 0.9, vocabulary.ordinary[other], original)
    replaced = input_ids.copy()
    replaced[chosen] = np.where(fate < 0.8, vocabulary.mask_id, changed)
    return replaced, chosen


def _choose_tokens(index: Ints, maskable: Bools, probability: float, family: int) -> Bools:
    """The tokens with the smallest draws of each row."""
    order = keyed.bits(family, index)
    order[~maskable] = _LAST
    count = mask_count(maskable.sum(axis=1), probability)
    # Draws of one family never coincide, so the count-th smallest is a clean border.
    border = np.take_along_axis(np.sort(order, axis=1), np.maximum(count - 1, 0)[:, None], axis=1)
    return (order <= border) & maskable


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of each row, all arrays of shape (batch, length).

    `starts`: where words start; `first`: for each column, where its word starts; `lengths`: tokens of the word that
    starts there, else 0; `number`: of the word in its row; `segment`: of the run of maskable tokens in its row.
    """

    starts: Bools
    first: Ints
    lengths: Ints
    number: Ints
    segment: Ints


def _find_words(maskable: Bools, word_starts: Bools) -> _Words:
    opens = maskable.copy()
    opens[:, 1:] &= ~maskable[:, :-1]
    starts = (word_starts & maskable) | opens
    rows, width = maskable.shape
    first = np.maximum.accumulate(np.where(starts, np.arange(width), 0), axis=1)
    flat = (first + np.arange(rows)[:, None] * width)[maskable]
    lengths = np.bincount(flat, minlength=rows * width).reshape(rows, width)
    return _Words(starts, first, lengths, np.cumsum(starts, axis=1) - 1, np.cumsum(opens, axis=1))


def _key(rank: NDArray[Any], width: int) -> U64:
    """A rank to sort words by, with their column in the lowest bits."""
    key: U64 = (rank.astype(np.uint64) << _COLUMN_BITS) | np.arange(width, dtype=np.uint64)
    return key


def _random_order(words: _Words, index: Ints, family: int) -> U64:
    """A random sort key for each word; the largest value where no word starts."""
    random = (keyed.bits(family, index) >> np.uint64(17)) | np.uint64(1 << 46)  # above every span's rank
    return np.where(words.starts, _key(random, index.shape[1]), _LAST)


def _take_words(words: _Words, order: U64, share: Floats, coins: Floats) -> Bools:
    """Where the words stand that a share of tokens pays for, taken in order."""
    order = np.sort(order, axis=1)
    column = np.minimum(order & _COLUMN, order.shape[1] - 1).astype(np.int64)
    lengths = np.where(order == _LAST, 0, np.take_along_axis(words.lengths, column, axis=1))
    after = np.cumsum(lengths, axis=1)
    left = share[:, None] - (after - lengths)
    # The word that is longer than what is left is taken with the probability left / length.
    taken = ((lengths <= left) | (coins[:, None] * lengths < left)) & (lengths > 0)
    taken[:, 0] = lengths[:, 0] > 0
    row, rank = np.nonzero(taken)
    starts = np.zeros_like(words.starts)
    starts[row, column[row, rank]] = True
    return np.take_along_axis(starts, words.first, axis=1)


def _draw_spans(words: _Words, sequence: Ints, share: Floats, *, seed: int, epoch: int) -> Ints:
    """The number of the span that covers each column, -1 where none does: shape (batch, length).

    Spans start at words drawn uniformly and end with their segment; where two meet, the earlier one keeps its words.
    A row has more spans than its share needs; how many depends on nothing but the row.
    """
    needed = (2 * share / 3.8).astype(np.int64) + 4
    draw = np.arange(needed.max(), dtype=np.int64)
    index = sequence[:, None] * _ROW + draw
    start = keyed.integers(keyed.key(seed, "span start", epoch), index, words.starts.sum(axis=1, keepdims=True))
    uniform = keyed.uniform(keyed.key(seed, "span length", epoch), index)
    whole = 1.0 - (1.0 - _SPAN_P) ** _SPAN_MAX
    length = 1 + np.floor(np.log1p(-uniform * whole) / np.log1p(-_SPAN_P)).astype(np.int64)
    span = np.full(words.starts.shape, -1, dtype=np.int64)
    for i in draw[::-1]:
        begin = start[:, i, None]
        own = np.where(words.starts & (words.number == begin), words.segment, 0).max(axis=1, keepdims=True)
        inside = (words.number >= begin) & (words.number < begin + length[:, i, None]) & (words.segment == own)
        span[inside & (i < needed)[:, None]] = i
    return span
