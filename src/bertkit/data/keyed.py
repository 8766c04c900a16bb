"""Random draws that are pure functions of (seed, purpose, epoch, index).

A draw depends on nothing that came before it, so order, workers, ranks and restarts cannot change it. The generator
is SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"), whose n-th output is a
mixing function of `key + n * gamma` and therefore needs no state.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def key(seed: int, purpose: str, epoch: int = 0) -> int:
    """The 64-bit key of one family of draws."""
    text = f"{seed}\0{purpose}\0{epoch}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def bits(family: int, index: NDArray[np.int64]) -> U64:
    """64 random bits for each of `index` (non-negative), in its shape."""
    z = (index.astype(np.uint64) + np.uint64(1)) * _GAMMA + np.array(family, dtype=np.uint64)
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    mixed: U64 = z ^ (z >> np.uint64(31))
    return mixed


def uniform(family: int, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Uniform draws from [0, 1) with 53 bits."""
    return (bits(family, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def integers(family: int, index: NDArray[np.int64], high: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Uniform integers from [0, high); `high` is at least 1 and may differ by index."""
    return np.floor(uniform(family, index) * high).astype(np.int64)


def permutation(family: int, n: int) -> NDArray[np.int64]:
    """A permutation of `range(n)`."""
    return np.argsort(bits(family, np.arange(n, dtype=np.int64)), kind="stable")
