"""word2vec's tables are optimal, its draws follow their laws, and each mode's updates are those of a plain computation."""

import heapq
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, repeat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bertkit.data import keyed
from bertkit.data.word_stream import WordStream, encode, open_stream, write_stream
from bertkit.errors import DataError
from bertkit.models import word2vec
from bertkit.training import word2vec as training
from bertkit.training.word2vec import Options, Word2Vec

kernels = pytest.importorskip("bertkit.models.word2vec_kernels", reason="numba is not installed")
falling = st.lists(st.integers(1, 1000), min_size=2, max_size=60).map(lambda xs: np.array(sorted(xs, reverse=True)))


@given(falling)
@settings(max_examples=50, deadline=None)
def test_no_tree_has_shorter_ways_than_huffmans(counts: NDArray[np.int64]) -> None:
    tree = word2vec.huffman_tree(counts)
    lengths = np.diff(tree.ends)
    heap, shortest = counts.tolist(), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        shortest += both
        heapq.heappush(heap, both)
    assert (lengths * counts).sum() == shortest
    assert (0.5**lengths).sum() == 1, "a full tree: no code begins another"
    codes = {tuple(tree.turns[a:b]) for a, b in pairwise(tree.ends)}
    assert len(codes) == len(counts)
    passed = {
        (tuple(tree.turns[a : a + k]), int(tree.nodes[a + k])) for a, b in pairwise(tree.ends) for k in range(b - a)
    }
    assert len(passed) == len({turns for turns, _ in passed}) == len({node for _, node in passed}) == len(counts) - 1
    assert ((), len(counts) - 2) in passed, "every way begins at the root, and the same turns lead to the same node"


@given(falling)
@settings(max_examples=50, deadline=None)
def test_alias_slots_add_up_to_the_probabilities(counts: NDArray[np.int64]) -> None:
    probabilities = word2vec.noise_probabilities(counts, exponent=0.75)
    threshold, alias = word2vec.alias_table(probabilities)
    own = threshold / 2.0**32
    shares = np.bincount(alias, weights=1 - own, minlength=len(counts)) + own
    np.testing.assert_allclose(shares / len(counts), probabilities, atol=1e-8)


def test_noise_is_drawn_by_the_three_quarter_power() -> None:
    counts = np.array([10_000, 625, 16, 1])
    probabilities = word2vec.noise_probabilities(counts, exponent=0.75)
    np.testing.assert_allclose(probabilities, np.array([1000, 125, 8, 1]) / 1134)
    table = word2vec.alias_table(probabilities)
    family = np.uint64(keyed.key(3, "noise"))
    drawn = Counter(kernels.draw_noise(family, i, *table) for i in range(50_000))
    for word, probability in enumerate(probabilities):
        spread = np.sqrt(probability * (1 - probability) * 50_000)
        assert abs(drawn[word] - probability * 50_000) < 4 * spread


def test_draws_are_those_of_the_data_layer() -> None:
    family = keyed.key(1, "window", 2)
    index = np.array([0, 1, 2**40])
    assert [kernels.bits(np.uint64(family), i) for i in index] == keyed.bits(family, index).tolist()


def test_subsampling_keeps_rare_words_and_thins_frequent_ones() -> None:
    counts = np.array([900_000, 99_990, 10])
    keep = word2vec.keep_probabilities(counts, sample=1e-3)
    share = 0.9
    assert keep[0] == pytest.approx(np.sqrt(1e-3 / share) + 1e-3 / share)
    assert keep[2] == 1
    assert (word2vec.keep_probabilities(counts, sample=0) == 1).all()


TEXT = [["a", "b", "c", "a", "d"], ["b"], ["c", "a", "e", "b", "a", "d", "f"], ["a", "b"]] * 3


def made_stream(folder: Path, sentences: list[list[str]]) -> WordStream:
    part = encode((" ".join(sentence) for sentence in sentences), str.split)
    write_stream(folder / "stream", [part], min_count=1, max_size=100)
    stream = open_stream(folder / "stream")
    assert stream is not None
    return stream


def options(mode: str, **more: float) -> Options:
    return Options(
        architecture="skipgram" if mode.startswith("sg") else "cbow",
        objective="negative_sampling" if mode.endswith("ns") else "hierarchical_softmax",
        **{
            "size": 7,
            "window": 3,
            "negative": 4,
            "noise_exponent": 0.75,
            "sample": 0.3,
            "learning_rate": 0.5,
            "end_learning_rate": 0.1,
            "epochs": 2,
            "seed": 5,
            **more,
        },  # type: ignore[arg-type]
    )


def plain(stream: WordStream, o: Options) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """word2vec as one would write it down: float64, no tables but the probabilities themselves."""
    n, length = len(stream.words), len(stream.ids)
    draws = keyed.uniform(keyed.key(o.seed, "vectors"), np.arange(n * o.size))
    inputs = ((2 * draws - 1) / o.size).reshape(n, o.size)
    outputs = np.zeros((n, o.size))
    keep = word2vec.keep_probabilities(stream.counts, sample=o.sample)
    table = word2vec.alias_table(word2vec.noise_probabilities(stream.counts, exponent=0.75))
    tree = word2vec.huffman_tree(stream.counts)
    for epoch in range(o.epochs):
        thin, reaches, noise = (keyed.key(o.seed, name, epoch) for name in ("subsample", "window", "noise"))
        for start, end in zip([0, *stream.ends[:-1]], stream.ends, strict=True):
            drawn = keyed.uniform(thin, np.arange(start, end))
            kept = [p for p in range(start, end) if drawn[p - start] < keep[stream.ids[p]]]
            for i, place in enumerate(kept):
                centre = int(stream.ids[place])
                reach = 1 + int(keyed.bits(reaches, np.array([place]))[0] >> np.uint64(32)) * o.window // 2**32
                near = [j for j in range(len(kept)) if j != i and abs(j - i) <= reach]
                done = (epoch * length + place) / (o.epochs * length)
                rate = o.learning_rate + (o.end_learning_rate - o.learning_rate) * done
                for places in [[j] for j in near] if o.architecture == "skipgram" else [near] if near else []:
                    if o.objective == "negative_sampling":
                        drawn_words = [
                            kernels.draw_noise(np.uint64(noise), place * o.negative + k, *table)
                            for k in range(o.negative)
                        ]
                        targets = [(centre, 1.0)] + [(word, 0.0) for word in drawn_words if word != centre]
                    else:
                        way = slice(tree.ends[centre], tree.ends[centre + 1])
                        targets = list(zip(tree.nodes[way].tolist(), tree.turns[way].tolist(), strict=True))
                    group = [int(stream.ids[kept[j]]) for j in places]
                    hidden = inputs[group].mean(axis=0)
                    error = np.zeros(o.size)
                    for row, label in targets:
                        step = rate * (label - 1 / (1 + np.exp(-hidden @ outputs[row])))
                        error += step * outputs[row]
                        outputs[row] += step * hidden
                    for word in group:
                        inputs[word] += error
    return inputs, outputs


def check_against_plain(stream: WordStream, o: Options) -> Word2Vec:
    model = Word2Vec(stream, o)
    with ThreadPoolExecutor(1) as pool:
        while model.step < model.max_steps:
            model.run_step(pool)
    inputs, outputs = plain(stream, o)
    np.testing.assert_allclose(model.vectors, inputs, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(model.outputs, outputs[: len(model.outputs)], rtol=2e-4, atol=2e-5)
    return model


MODES = ["sg_ns", "cbow_ns", "sg_hs", "cbow_hs"]


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_is_the_plain_computation(mode: str, tmp_path: Path) -> None:
    model = check_against_plain(made_stream(tmp_path, TEXT), options(mode))
    assert np.abs(model.vectors).max() > 0.5, "something was learnt"


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), max_size=6),
    st.sampled_from(MODES),
    st.integers(1, 3),
    st.integers(1, 3),
)
@settings(max_examples=30, deadline=None)
def test_so_it_is_of_two_words_and_a_window_of_one(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[str]], mode: str, window: int, size: int
) -> None:
    stream = made_stream(tmp_path_factory.mktemp("odd"), [["a", "b"], *sentences])
    check_against_plain(stream, options(mode, window=window, size=size, sample=0, epochs=1))


def test_first_vectors_are_drawn_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = training._small_random(7, 3, 1)
    monkeypatch.setattr(training, "BLOCK", 4)
    np.testing.assert_array_equal(training._small_random(7, 3, 1), whole)
    assert np.abs(whole).max() <= 1 / 3


def test_words_left_out_are_counted_by_reason(tmp_path: Path) -> None:
    part = encode(["a a a a b b b c c c d d e"], str.split)
    write_stream(tmp_path / "stream", [part], min_count=3, max_size=2)
    stream = open_stream(tmp_path / "stream")
    assert stream is not None
    assert stream.words == ["a", "b"]
    assert stream.facts["dropped"] == {"words too rare": 3, "words over max_vocab_size": 3}


def test_of_a_long_sentence_nothing_is_lost(tmp_path: Path) -> None:
    stream = made_stream(tmp_path, [["a", "b", "c"] * 8000, ["a"]])
    assert stream.ends.tolist() == [10_000, 20_000, 24_000, 24_001]
    assert stream.ids.tolist() == [*[0, 1, 2] * 8000, 0]


def test_memory_does_not_follow_the_text(tmp_path: Path) -> None:
    part = encode(["a b c"] * 5000, str.split)
    tracemalloc.start()
    write_stream(tmp_path / "stream", repeat(part, 300), min_count=1, max_size=100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    stream = open_stream(tmp_path / "stream")
    assert stream is not None
    assert stream.counts.tolist() == [1_500_000] * 3
    assert most < 3_000_000, "the lengths of the sentences alone are 12 million bytes"


@given(
    st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), min_size=1, max_size=20),
    st.integers(1, 4),
    st.integers(1, 5),
)
@settings(max_examples=40, deadline=None)
def test_a_stream_is_the_text_without_its_rare_words(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[str]], min_count: int, parts: int
) -> None:
    counts = Counter(word for sentence in sentences for word in sentence)
    frequent = {word for word, count in counts.items() if count >= min_count}
    folder = tmp_path_factory.mktemp("text") / "stream"
    size = -(-len(sentences) // parts)
    encoded = [
        encode((" ".join(s) for s in sentences[i : i + size]), str.split) for i in range(0, len(sentences), size)
    ]
    together = any(sum(word in frequent for word in sentence) > 1 for sentence in sentences)
    if len(frequent) < 2 or not together:
        with pytest.raises(DataError, match="word2vec needs two" if len(frequent) < 2 else "no word has a neighbour"):
            write_stream(folder, encoded, min_count=min_count, max_size=100)
        assert open_stream(folder) is None
        return
    write_stream(folder, encoded, min_count=min_count, max_size=100)
    stream = open_stream(folder)
    assert stream is not None
    assert dict(zip(stream.words, stream.counts.tolist(), strict=True)) == {w: counts[w] for w in frequent}
    assert (np.diff(stream.counts) <= 0).all()
    read, start = [], 0
    for end in stream.ends:
        read.append([stream.words[i] for i in stream.ids[start:end]])
        start = end
    assert read == [kept for s in sentences if (kept := [word for word in s if word in frequent])]
    assert stream.facts["dropped"] == {"words too rare": counts.total() - len(stream.ids)}
