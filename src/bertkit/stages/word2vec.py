"""Stage `word2vec`: word vectors from a corpus, by all four modes of Mikolov et al. 2013."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from bertkit import storage
from bertkit.artifacts import SPARE, Corpus, WordVectors
from bertkit.config import Config, fingerprint, runtime
from bertkit.stage import stage

if TYPE_CHECKING:
    from bertkit.data.word_stream import EncodedWords, WordStream
    from bertkit.training.word2vec import Options, Word2Vec


class Word2VecConfig(Config):
    """Which words get vectors, and how these are learnt. Defaults are gensim's."""

    architecture: Literal["skipgram", "cbow"] = "skipgram"
    """Predict the words around a word from it (`skipgram`), or a word from the mean of those around it (`cbow`)."""

    objective: Literal["negative_sampling", "hierarchical_softmax"] = "negative_sampling"
    """Tell the word from `negative` drawn ones, or find it in a Huffman tree."""

    vector_size: int = Field(100, ge=1)
    """Numbers in a vector."""

    window: int = Field(5, ge=1)
    """Farthest word that counts as near; for each word a reach from 1 to this is drawn."""

    negative: int = Field(5, ge=1)
    """Noise words for each word (negative sampling only); those near it share them."""

    noise_exponent: float = Field(0.75, ge=-10, le=10)
    """Noise is drawn by word counts to this power."""

    sample: float = Field(1e-3, ge=0)
    """Words with a greater share of the text are left out at random, the more so the more frequent; 0 leaves none out."""

    min_count: int = Field(5, ge=1)
    """Words that occur less often get no vector, and their neighbours move together."""

    max_vocab_size: int = Field(1_000_000, ge=2)
    """Most words that get a vector, the most frequent first."""

    lowercase: bool = True
    """Read capitals as small letters."""

    chinese_units: Literal["word", "character"] = "word"
    """What Chinese text is made of: words, found by `rjieba` (the extra `zh`) when the corpus is Chinese, or characters."""

    keep_punctuation: bool = False
    """Make words of punctuation marks too; otherwise they are left out."""

    learning_rate: float = Field(0.025, gt=0)
    """At the start; it falls in a straight line to `end_learning_rate`. For `cbow`, 0.05 is usual."""

    end_learning_rate: float = Field(0.0001, ge=0)
    """At the end."""

    num_train_epochs: int = Field(5, ge=1)
    """Times through the text."""

    seed: int = 0
    """Of first vectors, subsampling, windows and noise."""

    num_threads: int | None = runtime(None, ge=1)
    """Threads that learn; by default one a core. With 1, every run on one kind of processor gives the same bytes; with more,
    the same quality."""

    num_workers: int | None = runtime(None, ge=0)
    """Processes that split the text into words; by default one a core, at most eight. The result does not depend on it."""

    save_steps: int = runtime(50, ge=1)
    """A checkpoint every so many steps; a step is about a million words."""

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        unread = sorted({"negative", "noise_exponent"} & self.model_fields_set)
        if self.objective == "hierarchical_softmax" and unread:
            raise ValueError(f"{', '.join(unread)}: not read by the objective hierarchical_softmax")
        if self.end_learning_rate > self.learning_rate:
            raise ValueError(f"end_learning_rate {self.end_learning_rate} is above learning_rate {self.learning_rate}")
        return self


@stage("word2vec", version=1, resumable=True)
def word2vec(config: Word2VecConfig, corpus: Corpus, *, out: Path) -> WordVectors:
    """Learn word vectors: skip-gram or CBOW, by negative sampling or hierarchical softmax."""
    from bertkit.training import checkpoints
    from bertkit.training.word2vec import load_kernels, train

    load_kernels()  # missing, they should be missed before the text is read
    stream = _stream(config, corpus, out)
    identity = {"config": fingerprint(config.identity()), "corpus": corpus.fingerprint}
    threads = config.num_threads or len(os.sched_getaffinity(0))
    model = train(
        stream, _options(config), out=out, identity=identity, num_threads=threads, save_steps=config.save_steps
    )
    _write(model, stream, out)
    checkpoints.put_by(out)
    return WordVectors(out)


def _options(config: Word2VecConfig) -> "Options":
    from bertkit.training.word2vec import Options

    return Options(
        architecture=config.architecture,
        objective=config.objective,
        size=config.vector_size,
        window=config.window,
        negative=config.negative,
        noise_exponent=config.noise_exponent,
        sample=config.sample,
        learning_rate=config.learning_rate,
        end_learning_rate=config.end_learning_rate,
        epochs=config.num_train_epochs,
        seed=config.seed,
    )


def _stream(config: Word2VecConfig, corpus: Corpus, out: Path) -> "WordStream":
    """The text as word ids, written once where only unfinished work needs it."""
    from bertkit.data.word_stream import open_stream, write_stream
    from bertkit.data.worker_pool import ordered_map

    folder = storage.make_directory(out / SPARE) / "stream"
    if (stream := open_stream(folder)) is None:
        segmented = config.chinese_units == "word" and corpus.read_json("stats.json").get("language") == "zh"
        if segmented:
            from bertkit.text.words import load_segmenter

            load_segmenter()  # missing, it should be missed now
        encode = partial(
            _encode_row_group,
            lowercase=config.lowercase,
            chinese_units="word" if segmented else "character",
            keep_punctuation=config.keep_punctuation,
        )
        workers = min(os.cpu_count() or 1, 8) if config.num_workers is None else config.num_workers
        parts = ordered_map(encode, corpus.row_groups("train"), workers)
        write_stream(folder, parts, min_count=config.min_count, max_size=config.max_vocab_size)
        stream = open_stream(folder)
    assert stream is not None
    return stream


def _encode_row_group(
    group: tuple[Path, int], *, lowercase: bool, chinese_units: Literal["word", "character"], keep_punctuation: bool
) -> "EncodedWords":
    from bertkit.data.word_stream import encode
    from bertkit.text.word_level import splitter, word_tokenizer

    split = splitter(word_tokenizer([], lowercase=lowercase, chinese_units=chinese_units))
    sentences, _ = Corpus.read_row_group(*group)
    return encode(sentences, split, is_word=None if keep_punctuation else _is_word)


def _is_word(text: str) -> bool:
    return any(map(str.isalnum, text))


def _write(model: "Word2Vec", stream: "WordStream", out: Path) -> None:
    """The vectors and counts, the words, and what was read."""
    WordVectors(out).write(stream.words, model.vectors, stream.counts)
    facts: dict[str, Any] = {**stream.facts, "vector_size": model.vectors.shape[1], "steps": model.step}
    storage.write_json(out / "stats.json", facts)
