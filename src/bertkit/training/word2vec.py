"""Training word vectors: parts of the text dealt to threads, and a checkpoint now and then.

A step is a block of `BLOCK` words, or as many as whole sentences make of it. All that happens in it is a function of
the step, so that weights and one number are the whole state. With one thread every run gives the same bytes; more
threads write to the same weights without locks (Recht et al. 2011), and their updates may interleave in other ways.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bertkit.data import keyed
from bertkit.data.word_stream import WordStream
from bertkit.errors import HostError, NumericError, TerminatedError
from bertkit.models import word2vec
from bertkit.training import checkpoints
from bertkit.training.stopping import StopSignal

log = logging.getLogger(__name__)

BLOCK = 1 << 20
_PART = 1 << 15
_LOG_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is learnt and how; the fields of the stage's config, which explains them."""

    architecture: Literal["skipgram", "cbow"]
    objective: Literal["negative_sampling", "hierarchical_softmax"]
    size: int
    window: int
    negative: int
    noise_exponent: float
    sample: float
    learning_rate: float
    end_learning_rate: float
    epochs: int
    seed: int


class Word2Vec:
    """Vectors of the words of a stream, and how far their training has come."""

    def __init__(self, stream: WordStream, options: Options) -> None:
        self._train_part = load_kernels()
        self._stream, self._options = stream, options
        n, counts = len(stream.words), stream.counts
        self.vectors = _small_random(n, options.size, options.seed)
        self._hierarchical = options.objective == "hierarchical_softmax"
        self.outputs = np.zeros((n - 1 if self._hierarchical else n, options.size), np.float32)
        self._keep = word2vec.keep_probabilities(counts, sample=options.sample)
        # Of the noise and the tree, one is used; the other is a single word's.
        noisy, treed = (counts[:1], counts) if self._hierarchical else (counts, counts[:1])
        self._noise = word2vec.alias_table(word2vec.noise_probabilities(noisy, exponent=options.noise_exponent))
        self._tree = word2vec.huffman_tree(treed)
        self._blocks = _cut(stream.ends, 0, len(stream.ends), BLOCK)
        self.step, self.max_steps = 0, len(self._blocks) * options.epochs

    def run_step(self, pool: ThreadPoolExecutor) -> None:
        """Learn from the next block of the text.

        Raises:
            NumericError: a vector is no longer finite.
        """
        epoch, block = divmod(self.step, len(self._blocks))
        keys = [keyed.key(self._options.seed, purpose, epoch) for purpose in ("subsample", "window", "noise")]
        learn = self._learner(epoch, np.array(keys, np.uint64))
        list(pool.map(learn, _cut(self._stream.ends, *self._blocks[block], _PART)))
        self.step += 1
        if not np.isfinite(self.vectors.sum(dtype=np.float64)):
            raise NumericError(
                f"word vectors are not finite after step {self.step}", remedy="Lower learning_rate, or window of cbow."
            )

    def _learner(self, epoch: int, keys: NDArray[np.uint64]) -> Callable[[tuple[int, int]], None]:
        o, length = self._options, len(self._stream.ids)
        slope = (o.learning_rate - o.end_learning_rate) / (length * o.epochs)
        rate = o.learning_rate - slope * epoch * length
        tables = (self._keep, *self._noise, self._tree.nodes, self._tree.turns, self._tree.ends, keys)
        how = (o.window, 0 if self._hierarchical else o.negative, o.architecture == "cbow", rate, slope)
        text = (self._stream.ids, self._stream.ends)

        def learn(part: tuple[int, int]) -> None:
            self._train_part(*text, *part, self.vectors, self.outputs, *tables, *how)

        return learn

    def state(self) -> dict[str, dict[str, torch.Tensor]]:
        """The weights, as a checkpoint holds them."""
        return {"model": {"vectors": torch.from_numpy(self.vectors), "outputs": torch.from_numpy(self.outputs)}}

    def restore(self, saved: checkpoints.Saved) -> None:
        """Go on from a checkpoint."""
        self.step = saved.step
        self.vectors = saved.groups["model"]["vectors"].numpy()
        self.outputs = saved.groups["model"]["outputs"].numpy()


def train(
    stream: WordStream, options: Options, *, out: Path, identity: dict[str, Any], num_threads: int, save_steps: int
) -> Word2Vec:
    """Train to the end, from the newest checkpoint in `out` where there is one.

    Raises:
        TerminatedError: SIGTERM came; a checkpoint is saved.
        HostError: numba is not installed.
        NumericError: see `Word2Vec.run_step`.
    """
    model = Word2Vec(stream, options)
    if saved := checkpoints.load_newest(out, identity):
        model.restore(saved)
    begun, started, shown = model.step, time.monotonic(), time.monotonic()
    words_a_step = len(stream.ids) * options.epochs / model.max_steps
    with ThreadPoolExecutor(num_threads) as pool, StopSignal() as stop:
        while model.step < model.max_steps:
            model.run_step(pool)
            if stop.received or model.step % save_steps == 0 or model.step == model.max_steps:
                checkpoints.save(out, model.step, model.state(), {}, keep=1, identity=identity)
            if stop.received:
                remedy = "Run the same command again to go on."
                raise TerminatedError("ended by SIGTERM", where=str(out), remedy=remedy)
            if (now := time.monotonic()) - shown > _LOG_SECONDS:
                speed, shown = (model.step - begun) * words_a_step / (now - started), now
                log.info("word2vec: step %d of %d, %.0f words/s", model.step, model.max_steps, speed)
    return model


def load_kernels() -> Callable[..., None]:
    """`word2vec_kernels.train_part`, which is compiled when it is first called.

    Raises:
        HostError: numba is not installed, or finds no place to keep what it compiles.
    """
    try:
        from bertkit.models.word2vec_kernels import train_part
    except ImportError:
        raise HostError("the compiler numba is not installed", remedy='pip install "bertkit[word2vec]"') from None
    except RuntimeError as e:
        remedy = "Set NUMBA_CACHE_DIR to a directory that you may write to."
        raise HostError(f"numba cannot keep what it compiles: {e}", remedy=remedy) from None
    return train_part


def _small_random(rows: int, width: int, seed: int) -> NDArray[np.float32]:
    """Uniform between -1 and 1, over the width: as in gensim. Google's half of that learns more slowly at first."""
    family, vectors = keyed.key(seed, "vectors"), np.empty(rows * width, np.float32)
    for start in range(0, len(vectors), BLOCK):  # draws take eight times the room of what is kept of them
        draws = keyed.uniform(family, np.arange(start, min(start + BLOCK, len(vectors)), dtype=np.int64))
        vectors[start : start + BLOCK] = (2 * draws - 1) / width
    return vectors.reshape(rows, width)


def _cut(ends: NDArray[np.int64], first: int, last: int, size: int) -> list[tuple[int, int]]:
    """The sentences `first` to `last` (excluded) in runs of about `size` words."""
    start = int(ends[first - 1]) if first else 0
    marks = np.searchsorted(ends[first:last], np.arange(start + size, int(ends[last - 1]), size)) + first + 1
    edges = [first, *dict.fromkeys(int(mark) for mark in marks if mark < last), last]
    return list(pairwise(edges))
