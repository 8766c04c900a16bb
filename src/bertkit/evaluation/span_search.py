"""The best spans of a window, exactly: every start with every end that makes a span of allowed length."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def best_spans(starts: Floats, ends: Floats, *, count: int, max_length: int) -> list[tuple[int, int, float]]:
    """The `count` spans with the greatest `starts[i] + ends[j]`, i <= j < i + max_length, best first.

    Args:
        starts, ends: scores of a window's context tokens, shape (tokens,).

    Returns:
        `(i, j, score)`, the end included; ties in the order of start, then of end.
    """
    size = len(starts)
    if not size:
        return []
    length = min(max_length, size)
    # Row d, column i: the span of d + 1 tokens from i on.
    padded = np.concatenate([ends, np.full(length, -np.inf)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[:size].T
    table = starts + windows
    flat = table.ravel()
    kept = min(count, int(np.isfinite(flat).sum()))
    if kept < len(flat):
        lowest = np.partition(flat, len(flat) - kept)[len(flat) - kept] if kept else np.inf
        chosen = np.flatnonzero(flat >= lowest)
    else:
        chosen = np.arange(len(flat))
    lengths, firsts = np.divmod(chosen, size)
    order = np.lexsort((lengths, firsts, -flat[chosen]))[:kept]
    return [(int(firsts[k]), int(firsts[k] + lengths[k]), float(flat[chosen[k]])) for k in order]
