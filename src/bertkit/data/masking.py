"""Masked language modelling targets: 15 % of the tokens, of which 80 % become [MASK], 10 % another token, 10 % stay.

Devlin et al. 2019, 3.1. Drawn anew each epoch, keyed by sequence and position.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertkit.data import keyed

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What masking needs to know of a vocabulary. `ordinary`: ids of all entries that are not special tokens."""

    mask_id: int
    ordinary: Ints


def mask_count(maskable: Ints, probability: float) -> Ints:
    """How many of `maskable` tokens a sequence has masked: the rounded share, at least one where there is any."""
    share = np.rint(maskable * probability).astype(np.int64)
    count: Ints = np.minimum(np.maximum(share, 1), maskable)
    return count


def mask_tokens(
    input_ids: Ints,
    maskable: NDArray[np.bool_],
    sequence: Ints,
    vocabulary: Vocabulary,
    *,
    probability: float,
    seed: int,
    epoch: int,
) -> tuple[Ints, NDArray[np.bool_]]:
    """Choose and replace tokens.

    Args:
        input_ids: shape (batch, length).
        maskable: the same shape, false at special tokens and padding.
        sequence: shape (batch,), the number of each row in its epoch.

    Returns:
        The replaced ids and where the model must predict the original, both of shape (batch, length).
    """
    # Rows are keyed by their own number and columns by position, so padding and batch size change no draw.
    index = sequence[:, None] * (1 << 20) + np.arange(input_ids.shape[1], dtype=np.int64)
    order = keyed.bits(keyed.key(seed, "mask choice", epoch), index)
    order[~maskable] = np.iinfo(np.uint64).max
    rank = np.argsort(np.argsort(order, axis=1, kind="stable"), axis=1, kind="stable")
    chosen = (rank < mask_count(maskable.sum(axis=1), probability)[:, None]) & maskable

    fate = keyed.uniform(keyed.key(seed, "mask fate", epoch), index)
    other = vocabulary.ordinary[keyed.integers(keyed.key(seed, "mask other", epoch), index, len(vocabulary.ordinary))]
    replaced = np.where(chosen & (fate < 0.8), vocabulary.mask_id, input_ids)
    replaced = np.where(chosen & (fate >= 0.8) & (fate < 0.9), other, replaced)
    return replaced, chosen
