"""What word2vec computes from word counts before it learns: noise, subsampling and the Huffman tree (Mikolov et al. 2013)."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def noise_probabilities(counts: Counts, *, exponent: float) -> NDArray[np.float64]:
    """The chance of each word to be drawn as noise: its count to the power `exponent`, as a share of the sum."""
    weights = counts.astype(np.float64) ** exponent
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def keep_probabilities(counts: Counts, *, sample: float) -> NDArray[np.float64]:
    """The chance of each occurrence of a word to stay: `sqrt(t / f) + t / f`, at most 1, of the word's share f.

    Args:
        counts: of each word, shape (words,).
        sample: t; 0 keeps everything. Google's tool computes this, not the formula of the paper.
    """
    if not sample:
        return np.ones(len(counts))
    ratio = sample * counts.sum() / counts
    kept: NDArray[np.float64] = np.minimum(np.sqrt(ratio) + ratio, 1.0)
    return kept


def alias_table(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Vose's tables (1991), from which one draw of 64 bits takes a word in constant time.

    Returns:
        For each of n slots of equal size, the share of its own word in units of 2**-32, and the word that fills it up.
    """
    n = len(probabilities)
    share, alias = probabilities * n, np.arange(n, dtype=np.int32)
    small, large = (deque(np.flatnonzero(chosen).tolist()) for chosen in (share < 1, share >= 1))
    while small and large:
        poor, rich = small.popleft(), large[0]
        alias[poor] = rich
        share[rich] -= 1 - share[poor]
        if share[rich] < 1:
            small.append(large.popleft())
    share[[*small, *large]] = 1  # what rounding left over
    return np.round(share * 2**32).astype(np.uint64), alias


@dataclass(frozen=True, slots=True)
class HuffmanTree:
    """Each word's way from the root: `nodes[ends[w]:ends[w + 1]]`, and at each whether it turns left (1) or right (0)."""

    nodes: NDArray[np.int32]
    turns: NDArray[np.float32]
    ends: NDArray[np.int64]


def huffman_tree(counts: Counts) -> HuffmanTree:
    """The tree in which frequent words have short ways: the mean way over the text is the shortest there is.

    Args:
        counts: of each word, shape (words,), the greatest first. There are words - 1 inner nodes; the last is the root.
    """
    n = len(counts)
    leaves, inner = deque(range(n - 1, -1, -1)), deque[int]()
    weight = np.concatenate([counts, np.zeros(n - 1, np.int64)])
    parent, turn = np.full(len(weight), -1, np.int64), np.zeros(len(weight), np.float32)
    for made in range(n, len(weight)):  # inner nodes are made in the order of their weight: two queues are enough
        for side in (1, 0):
            queue = leaves if leaves and (not inner or weight[leaves[0]] <= weight[inner[0]]) else inner
            child = queue.popleft()
            parent[child], turn[child] = made, side
            weight[made] += weight[child]
        inner.append(made)
    depth = np.zeros(len(weight), np.int64)
    for node in range(len(weight) - 2, -1, -1):
        depth[node] = depth[parent[node]] + 1
    ends = np.concatenate([[0], np.cumsum(depth[:n])])
    nodes, turns = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.float32)
    below, place = np.arange(n), ends[1:] - 1
    for _ in range(depth.max()):  # a step up from all words that are not yet at the root
        under = depth[below] > 0
        below, place = below[under], place[under]
        nodes[place], turns[place] = parent[below] - n, turn[below]
        below, place = parent[below], place - 1
    return HuffmanTree(nodes, turns, ends)
