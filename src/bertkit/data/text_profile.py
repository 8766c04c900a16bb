"""How long texts are, in characters and tokens, and how many a model would cut."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

LIMITS = (128, 256, 512)
"""Lengths at which models are commonly run, in tokens."""

Encode = Callable[[list[str]], list[list[int]]]


def profile(
    texts: Sequence[tuple[str, ...]], encode: Encode | None = None, *, unknown: int | None = None
) -> dict[str, Any]:
    """The lengths of rows, each of one text or more that are read together.

    Returns:
        `characters` and, with `encode`, `tokens` (special ones counted in): each `min`, `median`, `p95` and `max`; and
        `truncated`, how many rows are longer than each of `LIMITS`; with the id that stands for `unknown` ones also
        `unknown_tokens`, their share, special ones not counted.
    """
    found: dict[str, Any] = {"characters": _spread([sum(map(len, row)) for row in texts])}
    if encode is None:
        return found
    strangers = 0
    lengths = np.array([1 + len(row) for row in texts], dtype=np.int64)
    for place in range(max(map(len, texts))):
        for start in range(0, len(texts), 1024):
            part = texts[start : start + 1024]
            encoded = encode([row[place] for row in part])
            lengths[start : start + 1024] += [len(ids) for ids in encoded]
            strangers += sum(ids.count(unknown) for ids in encoded) if unknown is not None else 0
    truncated = {str(limit): int((lengths > limit).sum()) for limit in LIMITS}
    found |= {"tokens": _spread(lengths), "truncated": truncated}
    if unknown is not None:
        ordinary = int(lengths.sum()) - sum(1 + len(row) for row in texts)
        found["unknown_tokens"] = round(strangers / ordinary, 4) if ordinary else 0.0
    return found


def _spread(lengths: Any) -> dict[str, float]:
    values = np.asarray(lengths)
    return {
        "min": int(values.min()),
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": int(values.max()),
    }
