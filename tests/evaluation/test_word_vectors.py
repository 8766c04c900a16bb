"""Word vectors are scored as gensim scores them."""

import random
from pathlib import Path

import numpy as np
import pytest

from bertkit.evaluation.word_vectors import Lexicon, predict_file, score_set

models = pytest.importorskip("gensim.models")

WORDS = [f"w{i}" for i in range(40)]


@pytest.fixture
def vectors() -> np.ndarray:
    found = np.random.default_rng(3).standard_normal((len(WORDS), 8)).astype(np.float32)
    found[7] = found[6]  # which ties cosines
    return found


def theirs(vectors: np.ndarray) -> "models.KeyedVectors":
    made = models.KeyedVectors(vectors.shape[1])
    made.add_vectors(WORDS, vectors)
    return made


def ours(vectors: np.ndarray, path: Path, restrict_vocab: int | None = None) -> dict[str, float]:
    rows = predict_file(Lexicon(WORDS, vectors), path, restrict_vocab=restrict_vocab)
    return score_set(rows, counts=None, samples=100, bands=[])


def test_similarity_with_ties_capitals_and_unknown_words(vectors: np.ndarray, tmp_path: Path) -> None:
    draw = random.Random(1)
    words = [*WORDS, *(word.upper() for word in WORDS[:20]), "nowhere"]
    # Not a word with itself: rounding says how such cosines are ordered.
    pairs = [pair for pair in (draw.choices(words, k=2) for _ in range(300)) if pair[0].lower() != pair[1].lower()]
    lines = [f"{a}\t{b}\t{draw.randint(0, 5)}" for a, b in pairs]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join([*lines, lines[0], "w6\tw1\t3", "w7\tw1\t4"]) + "\n", encoding="utf-8")
    _, correlation, unknown = theirs(vectors).evaluate_word_pairs(str(path))
    found = ours(vectors, path)
    assert found["score"] == pytest.approx(correlation.statistic, abs=1e-6)
    assert 100 * (1 - found["coverage"]) == pytest.approx(unknown)
    low, high = found["interval"]
    assert low < found["score"] < high


@pytest.mark.parametrize("restrict_vocab", [None, 25])
def test_analogies_with_capitals_repeats_and_unknown_words(
    vectors: np.ndarray, tmp_path: Path, restrict_vocab: int | None
) -> None:
    draw = random.Random(2)
    # Some have an answer: the fourth vector is what the other three make.
    vectors[::4] = vectors[1::4] - vectors[2::4] + vectors[3::4]
    fitting = [f"w{i + 2} W{i + 1} w{i + 3} w{i}" for i in range(0, 40, 4)]
    words = [*WORDS, *(word.upper() for word in WORDS), "nowhere"]
    others = [" ".join(draw.choices(words, k=4)) for _ in range(200)]
    path = tmp_path / "questions.txt"
    path.write_text("\n".join([": a", *fitting, ": b", *others, "w1 w1 w2 w2"]) + "\n", encoding="utf-8")
    share, sections = theirs(vectors).evaluate_word_analogies(str(path), restrict_vocab=restrict_vocab or len(WORDS))
    found = ours(vectors, path, restrict_vocab)
    assert found["score"] == share > 0.01
    assert found["known"] == sum(len(part["correct"]) + len(part["incorrect"]) for part in sections[:-1])
