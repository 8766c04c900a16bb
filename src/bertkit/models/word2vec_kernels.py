"""word2vec's inner loop, compiled by numba: all four modes, without locks, and free of Python while it runs.

Every draw is that of `bertkit.data.keyed`: a function of a key and of the word's place in the text. A part of the text
is therefore trained on in the same way whichever thread does it; only the order of the updates is the threads'.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])

_ONE, _GAMMA = np.uint64(1), np.uint64(0x9E3779B97F4A7C15)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_11, _27, _30, _31, _32 = (np.uint64(n) for n in (11, 27, 30, 31, 32))
_LOW = np.uint64(0xFFFFFFFF)


def _compiled(function: Function) -> Function:
    """Sums may be reordered, which lets them use wide registers; nothing else of float arithmetic is given up."""
    made: Function = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})(function)
    return made


@_compiled
def bits(family: np.uint64, index: int) -> np.uint64:
    """As `keyed.bits`, of one index."""
    z = (np.uint64(index) + _ONE) * _GAMMA + family
    z = (z ^ (z >> _30)) * _MIX1
    z = (z ^ (z >> _27)) * _MIX2
    return np.uint64(z ^ (z >> _31))


@_compiled
def draw_noise(family: np.uint64, index: int, threshold: NDArray[np.uint64], alias: NDArray[np.int32]) -> int:
    """A word by the alias method (Walker 1977): a slot of equal size, then its own word or the one that fills it up."""
    drawn = bits(family, index)
    slot = np.int64(((drawn >> _32) * np.uint64(len(alias))) >> _32)
    return int(slot) if (drawn & _LOW) < threshold[slot] else int(alias[slot])


@_compiled
def _learn(
    hidden: NDArray[np.float32],
    outputs: NDArray[np.float32],
    targets: NDArray[np.int64],
    labels: NDArray[np.float32],
    count: int,
    rate: float,
    error: NDArray[np.float32],
) -> None:
    """One logistic regression a target: updates its row of `outputs`, and leaves the step for `hidden` in `error`."""
    width = hidden.shape[0]
    for d in range(width):
        error[d] = 0
    for t in range(count):
        row = targets[t]
        score = np.float32(0)
        for d in range(width):
            score += hidden[d] * outputs[row, d]
        step = np.float32((labels[t] - np.float32(1) / (np.float32(1) + math.exp(-score))) * rate)
        for d in range(width):
            value = outputs[row, d]
            error[d] += step * value
            outputs[row, d] = value + step * hidden[d]


@_compiled
def _with_noise(
    centre: int,
    family: np.uint64,
    index: int,
    negative: int,
    threshold: NDArray[np.uint64],
    alias: NDArray[np.int32],
    targets: NDArray[np.int64],
    labels: NDArray[np.float32],
) -> int:
    """The centre word as a target to say yes to, and noise to say no to; how many these are."""
    targets[0], labels[0], count = centre, 1, 1
    for k in range(negative):
        drawn = draw_noise(family, index * negative + k, threshold, alias)
        if drawn != centre:
            targets[count], labels[count] = drawn, 0
            count += 1
    return count


@_compiled
def train_part(
    ids: NDArray[np.int32],
    ends: NDArray[np.int64],
    first: int,
    last: int,
    inputs: NDArray[np.float32],
    outputs: NDArray[np.float32],
    keep: NDArray[np.float64],
    threshold: NDArray[np.uint64],
    alias: NDArray[np.int32],
    nodes: NDArray[np.int32],
    turns: NDArray[np.float32],
    paths: NDArray[np.int64],
    keys: NDArray[np.uint64],
    window: int,
    negative: int,
    cbow: bool,
    rate: float,
    slope: float,
) -> None:
    """Learn from the sentences `first` to `last` (excluded); changes `inputs` and `outputs`, both (words or nodes, width).

    Args:
        ids, ends: of all words of the text, and where each sentence ends among them.
        keep: probability that an occurrence of a word stays (subsampling).
        threshold, alias: the noise, see `draw_noise`.
        nodes, turns, paths: hierarchical softmax: word w passes `nodes[paths[w]:paths[w + 1]]`, where `turns` are 1 for
            left; used when `negative` is 0.
        keys: of subsampling, windows and noise.
        negative: noise words for each centre word. They are drawn once and shared by all words of its window (Ji et al.
            2016), which keeps their rows in the fastest memory; the vectors are as good as with fresh ones.
        rate, slope: the learning rate is `rate - slope * place`, at each place of the text.
    """
    width = inputs.shape[1]
    longest, deepest = 0, negative + 1
    for s in range(first, last):
        longest = max(longest, int(ends[s] - (ends[s - 1] if s else 0)))
    for w in range(len(paths) - 1):
        deepest = max(deepest, int(paths[w + 1] - paths[w]))
    words, places = np.empty(longest, np.int64), np.empty(longest, np.int64)
    targets, labels = np.empty(deepest, np.int64), np.empty(deepest, np.float32)
    error, mean = np.empty(width, np.float32), np.empty(width, np.float32)
    for s in range(first, last):
        kept = 0
        for place in range(ends[s - 1] if s else 0, ends[s]):
            word = ids[place]
            if np.float64(bits(keys[0], place) >> _11) * 2.0**-53 < keep[word]:
                words[kept], places[kept] = word, place
                kept += 1
        for i in range(kept):
            centre, place = words[i], places[i]
            reach = 1 + int(((bits(keys[1], place) >> _32) * np.uint64(window)) >> _32)
            left, right = max(0, i - reach), min(kept, i + reach + 1)
            if right - left < 2:
                continue
            if negative:
                count = _with_noise(centre, keys[2], place, negative, threshold, alias, targets, labels)
            else:
                count = paths[centre + 1] - paths[centre]
                for k in range(count):
                    targets[k], labels[k] = nodes[paths[centre] + k], turns[paths[centre] + k]
            now = rate - slope * place
            if cbow:
                share = np.float32(1) / np.float32(right - left - 1)
                for d in range(width):
                    mean[d] = 0
                for j in range(left, right):
                    if j != i:
                        # By itself: a row found anew for each number is not read in wide registers.
                        row = inputs[words[j]]
                        for d in range(width):
                            mean[d] += row[d] * share
                _learn(mean, outputs, targets, labels, count, now, error)
                # All of it to each word, where the mean's gradient would be a share: Google's tool and gensim do so too.
                for j in range(left, right):
                    if j != i:
                        row = inputs[words[j]]
                        for d in range(width):
                            row[d] += error[d]
            else:
                for j in range(left, right):
                    if j != i:
                        row = inputs[words[j]]
                        _learn(row, outputs, targets, labels, count, now, error)
                        for d in range(width):
                            row[d] += error[d]
