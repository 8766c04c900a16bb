"""Word vectors are scored on sets of pairs and analogies: exactly, by frequency, with what they do not cover counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.stats import spearmanr

from bertkit import artifacts, storage
from bertkit.artifacts import Metrics, WordVectors
from bertkit.config import build, parse_overrides
from bertkit.errors import ConfigError, DataError
from bertkit.evaluation.word_vectors import Lexicon, predict_analogies
from bertkit.reporting import markdown_page, page
from bertkit.reporting.collect import collect
from bertkit.stages.evaluate_vectors import EvaluateVectorsConfig, evaluate_vectors
from bertkit.text.word_sets import Analogy, read_analogies, read_pairs

SETS = Path(__file__).resolve().parents[2] / "../shared/data/wordsim"
WORDS = ["king", "queen", "man", "woman", "boy", "girl", "paris"]
# royal, grown up, child, male, female, city
VALUES = np.array(
    [
        [1, 0, 0, 1, 0, 0],
        [2, 0, 0, 0, 2, 0],
        [0, 1, 0, 1, 0, 0],
        [0, 1, 0, 0, 1, 0],
        [0, 0, 3, 3, 0, 0],
        [0, 0, 1, 0, 1, 0],
        [1, 0, 0, 0, 0, 9],
    ],
    dtype=np.float32,
)


@pytest.fixture
def vectors(tmp_path: Path) -> WordVectors:
    folder = storage.make_directory(tmp_path / "vectors")
    save_file(
        {"vectors": VALUES, "counts": np.array([5000, 4000, 900, 800, 90, 80, 7])}, folder / "vectors.safetensors"
    )
    (folder / "words.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    artifacts.finish(WordVectors(folder), {"fingerprint": "0123456789", "seconds": 3.0})
    return WordVectors.open(folder)


PAIRS = "# a comment\nking\tqueen\t8\nking\tParis\t1\nboy\tman\t7\nboy\tnowhere\t2\nwoman\tgirl\t7.5\nman\tgirl\t3\n"
ANALOGIES = ": royals\nman woman king queen\nMan king Woman Queen\n: children\nboy girl man woman\nboy girl x y\n"


def scored(vectors: WordVectors, out: Path, *overrides: str) -> Metrics:
    config = build(EvaluateVectorsConfig, parse_overrides(list(overrides)))
    identity = evaluate_vectors.identity(config, {"vectors": vectors.fingerprint}, storage.Digests())
    return evaluate_vectors.run(config, {"vectors": vectors}, out, identity)  # type: ignore[return-value]


def test_scores_coverage_bands_and_a_report(vectors: WordVectors, tmp_path: Path) -> None:
    (tmp_path / "likeness.tsv").write_text(PAIRS, encoding="utf-8")
    (tmp_path / "analogies.txt").write_text(ANALOGIES, encoding="utf-8")
    files = f"files=['{tmp_path}/likeness.tsv', '{tmp_path}/analogies.txt']"
    made = scored(vectors, tmp_path / "out", files, "frequency_bands=[0, 100, 1000]")
    found: dict[str, Any] = made.read_json("metrics.json")
    units = VALUES / np.linalg.norm(VALUES, axis=1, keepdims=True)
    known = [("king", "queen", 8), ("king", "paris", 1), ("boy", "man", 7), ("woman", "girl", 7.5), ("man", "girl", 3)]
    cosines = [units[WORDS.index(a)] @ units[WORDS.index(b)] for a, b, _ in known]
    assert found["metrics"]["likeness"] == pytest.approx(spearmanr([s for *_, s in known], cosines).statistic)
    assert found["sets"]["likeness"]["items"] == 6
    assert found["sets"]["likeness"]["known"] == found["n"] == 5
    assert [band["items"] for band in found["sets"]["likeness"]["bands"]] == [4, 0, 1]
    assert found["metrics"]["analogies"] == 1.0
    assert found["sets"]["analogies"]["coverage"] == 0.75
    assert found["sets"]["analogies"]["sections"]["royals"] == {"items": 2, "score": 1.0}
    assert found["notes"] == ["Left out, for a word has no vector: 1 of 6 in likeness, 1 of 4 in analogies."]
    report = collect([made])
    for written in (page.render(report), markdown_page.render(report)):
        assert "word2vec" in written
        assert "word vectors" in written
    assert json.dumps(report)


def test_spaces_around_words_are_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "set.txt").write_text("king \tqueen\t 8\n", encoding="utf-8")
    (pair,) = read_pairs(tmp_path / "set.txt")
    assert (pair.first, pair.second, pair.score) == ("king", "queen", 8)


def test_sets_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two are called 'set'"):
        build(EvaluateVectorsConfig, parse_overrides(["files=['a/set.txt', 'b/set.tsv']"]))


def test_report_of_analogies_alone(vectors: WordVectors, tmp_path: Path) -> None:
    (tmp_path / "analogies.txt").write_text(ANALOGIES, encoding="utf-8")
    made = scored(vectors, tmp_path / "out", f"files=['{tmp_path}/analogies.txt']")
    report = collect([made])
    assert "word2vec" in markdown_page.render(report)
    for written in (page.render(report), markdown_page.render(report)):
        assert "Where it goes wrong" not in written, "a heading with nothing below"
        assert "#mistakes" not in written


def test_vectors_of_one_name_are_told_what_names_them(vectors: WordVectors, tmp_path: Path) -> None:
    (tmp_path / "analogies.txt").write_text(ANALOGIES, encoding="utf-8")
    files = f"files=['{tmp_path}/analogies.txt']"
    made = [scored(vectors, tmp_path / "a", files), scored(vectors, tmp_path / "b", files, "restrict_vocab=6")]
    with pytest.raises(DataError, match="two runs are called 'word2vec'") as refused:
        collect(made)
    assert "`name` of finetune or evaluate_vectors" in refused.value.remedy


def test_the_words_asked_about_are_no_answers() -> None:
    lexicon = Lexicon(WORDS, VALUES)
    question = Analogy("1", "x", "king", "queen", "king", "woman")
    (row,) = predict_analogies(lexicon, [question])
    assert row["predicted"] not in ("king", "queen")
    assert predict_analogies(lexicon, [question], restrict_vocab=3)[0]["predicted"] is None


def test_bad_files_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    for text, read, message in (
        ("a\tb\t1\na b 1\n", read_pairs, r"set.txt:2: is not two words"),
        ("a\tb\tmuch\n", read_pairs, r"set.txt:1: has no number"),
        ("a\tb\tnan\n", read_pairs, r"set.txt:1: has no number"),
        ("a\t \t1\n", read_pairs, r"set.txt:1: is not two words"),
        ("# only\n", read_pairs, r"holds no pairs"),
        (": s\na b c\n", read_analogies, r"set.txt:2: has 3 words"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read(path)
    with pytest.raises(DataError, match="No such file"):
        read_pairs(tmp_path / "none")


@pytest.mark.skipif(not SETS.is_dir(), reason="the shared data sets are not there")
def test_the_published_sets_are_read_whole() -> None:
    pairs = {
        "wordsim353.tsv": 353, "simlex999.txt": 999, "EN-MEN-TR-3k.txt": 3000, "EN-RW-STANFORD.txt": 2034,
    }  # fmt: skip
    assert {name: len(read_pairs(SETS / name)) for name in pairs} == pairs
    questions = {"questions-words.txt": 19544, "zh_morphological.txt": 10177, "zh_semantic.txt": 7636}
    assert {name: len(read_analogies(SETS / name)) for name in questions} == questions
