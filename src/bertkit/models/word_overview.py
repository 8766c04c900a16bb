"""Word vectors for people to look at: the nearest neighbours of some frequent words, and these words on a map."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The most frequent words of any language say how, not what; a map of them shows little.
_PASSED_OVER = 100


def overview(words: Sequence[str], vectors: NDArray[np.float32], *, count: int, neighbours: int = 8) -> dict[str, Any]:
    """The `neighbours` by cosine, and the two principal components, of `count` frequent words.

    Args:
        words: the most frequent first; words of one letter and numbers are passed over, and the first hundred where
            there are enough.
        vectors: shape (words, width).

    Returns:
        `neighbours`: word to `[[word, cosine], ...]`; `map`: `{"word", "x", "y"}` each; `variance_shown`: the share of
        the words' variance along x and y.
    """
    telling = [
        i for i, word in enumerate(words) if not any(map(str.isdigit, word)) and (len(word) > 1 or ord(word) > 255)
    ]
    start = min(_PASSED_OVER, max(len(telling) - count, 0))
    chosen = np.array(telling[start : start + count] or [0])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths > 0, lengths, 1)
    near = {}
    for row in chosen.tolist():
        cosines = units @ units[row]
        cosines[row] = -np.inf
        best = np.argsort(-cosines, kind="stable")[: min(neighbours, len(words) - 1)]
        near[words[row]] = [[words[i], round(float(cosines[i]), 4)] for i in best.tolist()]
    centred = units[chosen] - units[chosen].mean(axis=0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    # The sign of an axis is chance, so it is fixed; one axis is all that vectors of one number have.
    axes = np.zeros((len(chosen), 2))
    axes[:, : min(2, len(scale))] = (left * scale)[:, :2]
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)
    shares = [*(scale**2 / max((scale**2).sum(), 1e-12)).tolist(), 0.0][:2]
    points = [
        {"word": words[i], "x": round(x, 4), "y": round(y, 4)}
        for i, (x, y) in zip(chosen.tolist(), axes.tolist(), strict=True)
    ]
    return {"neighbours": near, "map": points, "variance_shown": [round(share, 4) for share in shares]}
