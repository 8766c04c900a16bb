"""bertkit's word2vec and gensim's on the same sentences, taking turns: words/s of training, and the quality it buys.

    python benchmarks/word2vec.py CORPUS [--sets DIR] [--characters 50000000] [--modes sg_ns,cbow_ns,sg_hs,cbow_hs]
                                  [--seeds N] [--epochs 3] [--threads 2]

CORPUS is a folder that the stage `corpus` wrote; DIR holds the test sets of SETS. gensim reads sentences from memory: from
a file it is no faster on two cores, and its learning rate falls more slowly than asked, for each of its threads counts
its own words alone. Both are timed without counting words, which bertkit does
while it writes word ids. Words/s are words of the vocabulary, before subsampling, times epochs.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bertkit.artifacts import Corpus
from bertkit.data.word_stream import EncodedWords, WordStream, encode, open_stream, write_stream
from bertkit.evaluation import word_vectors
from bertkit.text.word_level import splitter, word_tokenizer
from bertkit.training.word2vec import Options, train

SETS = ("wordsim353.tsv", "simlex999.txt", "EN-MEN-TR-3k.txt", "EN-RW-STANFORD.txt", "questions-words.txt")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--sets", type=Path, default=Path(__file__).resolve().parents[1] / "../shared/data/wordsim")
    parser.add_argument("--characters", type=int, default=50_000_000)
    parser.add_argument("--modes", default="sg_ns,cbow_ns")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stream(folder / "stream", parts(options.corpus, options.characters), min_count=5, max_size=10**6)
        stream = open_stream(folder / "stream")
        assert stream is not None
        print(f"{len(stream.ids):,} words of {len(stream.words):,}", flush=True)
        runners = {"bertkit": partial(ours, stream, folder), "gensim": partial(theirs, sentences(stream))}
        # Compiled, and cached, before it is timed.
        ours(replace(stream, ends=stream.ends[:1]), folder, "sg_ns", 0, 1, 1)
        for mode in options.modes.split(","):
            compare(mode, runners, stream, options)
    return 0


def parts(folder: Path, characters: int) -> Iterator[EncodedWords]:
    """The corpus as words, up to so many characters."""
    split = splitter(word_tokenizer([], lowercase=True))
    corpus = Corpus.open(folder)
    for group in corpus.row_groups("train"):
        sentences, _ = corpus.read_row_group(*group)
        yield encode(sentences, lambda text: [w for w in split(text) if any(map(str.isalnum, w))])
        characters -= sum(map(len, sentences))
        if characters < 0:
            return


def sentences(stream: WordStream) -> list[list[str]]:
    starts = [0, *stream.ends[:-1].tolist()]
    return [[stream.words[i] for i in stream.ids[a:b]] for a, b in zip(starts, stream.ends, strict=True)]


def ours(stream: WordStream, folder: Path, mode: str, seed: int, epochs: int, threads: int) -> tuple[float, Any]:
    options = Options(
        architecture="skipgram" if mode.startswith("sg") else "cbow",
        objective="negative_sampling" if mode.endswith("ns") else "hierarchical_softmax",
        size=100,
        window=5,
        negative=5,
        noise_exponent=0.75,
        sample=1e-3,
        learning_rate=0.025,
        end_learning_rate=0.0001,
        epochs=epochs,
        seed=seed,
    )
    with tempfile.TemporaryDirectory(dir=folder) as out:
        started = time.monotonic()
        model = train(stream, options, out=Path(out), identity={}, num_threads=threads, save_steps=10**9)
        return time.monotonic() - started, (stream.words, model.vectors)


def theirs(text: list[list[str]], mode: str, seed: int, epochs: int, threads: int) -> tuple[float, Any]:
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=100,
        window=5,
        min_count=5,
        sample=1e-3,
        negative=5 if mode.endswith("ns") else 0,
        hs=int(mode.endswith("hs")),
        sg=int(mode.startswith("sg")),
        workers=threads,
        epochs=epochs,
        seed=seed + 1,
    )
    model.build_vocab(text)
    started = time.monotonic()
    model.train(text, total_examples=model.corpus_count, epochs=epochs)
    return time.monotonic() - started, (model.wv.index_to_key, model.wv.vectors)


def compare(mode: str, runners: dict[str, Any], stream: WordStream, options: argparse.Namespace) -> None:
    words = len(stream.ids) * options.epochs
    speeds: dict[str, list[float]] = {name: [] for name in runners}
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in runners}
    for seed in range(options.seeds):
        for name, run in runners.items():
            seconds, (vocabulary, vectors) = run(mode, seed, options.epochs, options.threads)
            speeds[name].append(words / seconds)
            lexicon = word_vectors.Lexicon(vocabulary, vectors)
            for file in SETS:
                rows = word_vectors.predict_file(lexicon, options.sets / file)
                found = word_vectors.score_set(rows, counts=stream.counts, samples=100, bands=[])
                scores[name].setdefault(file, []).append(found["score"])
            shown = "  ".join(f"{file} {values[-1]:.3f}" for file, values in scores[name].items())
            print(f"{mode:8} seed {seed} {name:8} {words / seconds:10,.0f} words/s  {shown}", flush=True)
    mine, other = (statistics.median(values) for values in speeds.values())
    print(f"{mode:8} bertkit / gensim: {mine / other:.2f} times the words/s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
