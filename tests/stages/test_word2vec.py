"""Word vectors from a corpus: planted synonyms are found, and neither kills nor workers change a byte."""

import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertkit import storage
from bertkit.artifacts import Corpus, WordVectors
from bertkit.config import build, parse_overrides
from bertkit.errors import ConfigError, DataError, HostError, NumericError, TerminatedError
from bertkit.stages.corpus import CorpusConfig, corpus
from bertkit.stages.word2vec import Word2VecConfig, word2vec
from bertkit.training import word2vec as training

pytest.importorskip("numba")

SMALL = ("vector_size=16", "min_count=3", "num_train_epochs=3", "num_threads=1", "num_workers=0", "save_steps=4")
PLANTED = {"cat": "feline", "car": "auto"}
AROUND = {
    "cat": ["purrs", "sleeps", "whiskers", "milk", "mouse"],
    "car": ["drives", "wheels", "engine", "road", "fuel"],
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A text in which a word and its synonym stand among the same words."""
    folder, rng = tmp_path_factory.mktemp("text"), random.Random(0)
    documents = []
    for _ in range(120):
        topic = rng.choice(list(PLANTED))
        name = rng.choice([topic, PLANTED[topic]])
        documents.append(
            "\n".join("The " + " ".join([*rng.sample(AROUND[topic], 3), name.title()]) + "." for _ in range(8))
        )
    (folder / "text.txt").write_text("\n\n".join(documents), encoding="utf-8")
    config = build(
        CorpusConfig,
        parse_overrides(["source.format=text", f"source.files={folder}/text.txt", "num_workers=0"]),
    )
    return corpus.run(config, {}, folder / "corpus", corpus.identity(config, {}, storage.Digests()))  # type: ignore[return-value]


def learn(text: Corpus, out: Path, *overrides: str) -> WordVectors:
    config = build(Word2VecConfig, parse_overrides([*SMALL, *overrides]))
    identity = word2vec.identity(config, {"corpus": text.fingerprint}, storage.Digests())
    return word2vec.run(config, {"corpus": text}, out, identity)  # type: ignore[return-value]


def content(made: WordVectors) -> dict[str, bytes]:
    return {name: (made.path / name).read_bytes() for name in ("vectors.safetensors", "words.txt", "stats.json")}


@pytest.mark.parametrize(
    "mode",
    [
        ("skipgram", "negative_sampling"),
        ("cbow", "negative_sampling"),
        ("skipgram", "hierarchical_softmax"),
        ("cbow", "hierarchical_softmax"),
    ],
)
def test_synonyms_come_to_lie_together(text: Corpus, tmp_path: Path, mode: tuple[str, str]) -> None:
    made = learn(
        text, tmp_path / "out", f"architecture={mode[0]}", f"objective={mode[1]}",
        "num_train_epochs=30", "sample=0", "learning_rate=0.05",
    )  # fmt: skip
    words, vectors = made.read()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = {(a, b): units[words.index(a)] @ units[words.index(b)] for a in words for b in words}
    for word, synonym in PLANTED.items():
        other = PLANTED["car" if word == "cat" else "cat"]
        assert cosine[word, synonym] > cosine[word, other] + 0.1


def test_words_come_by_frequency_with_their_counts(text: Corpus, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    made = learn(text, tmp_path / "out")
    words, vectors = made.read()
    counts = load_file(made.path / "vectors.safetensors")["counts"]
    assert words[0] == "the"
    assert "." not in words
    assert vectors.shape == (len(words), 16)
    assert vectors.dtype == np.float32
    said = " ".join(" ".join(sentences) for _, sentences in text.documents("train")).lower().replace(".", "").split()
    assert counts.tolist() == [said.count(word) for word in words]
    sentences = sum(len(sentences) for _, sentences in text.documents("train"))
    assert made.read_json("stats.json")["dropped"]["punctuation marks"] == sentences, "a full stop each"
    whole = learn(text, tmp_path / "marks", "keep_punctuation=true")
    assert "." in whole.read()[0]
    assert "punctuation marks" not in whole.read_json("stats.json")["dropped"]
    assert not (made.path / ".spare").exists()


def test_one_thread_gives_the_same_bytes_with_any_workers(text: Corpus, tmp_path: Path) -> None:
    first = content(learn(text, tmp_path / "a"))
    assert content(learn(text, tmp_path / "b", "num_workers=2")) == first
    assert content(learn(text, tmp_path / "c", "seed=1"))["vectors.safetensors"] != first["vectors.safetensors"]


def test_two_threads_learn_from_every_part(text: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_PART", 64)
    one, two = (learn(text, tmp_path / f"{n}", f"num_threads={n}").read()[1] for n in (1, 2))
    assert np.abs(one).max() > 0.1
    np.testing.assert_allclose(two, one, atol=0.1)


@pytest.mark.parametrize("how", ["killed", "SIGTERM"])
def test_a_stopped_run_comes_to_the_same_end(
    text: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(training, "BLOCK", 300)
    whole = content(learn(text, tmp_path / "whole"))
    run_step, done = training.Word2Vec.run_step, []

    def stopping(self: training.Word2Vec, pool: Any) -> None:
        run_step(self, pool)
        done.append(self.step)
        if self.step == 10 and len(done) == 10:
            if how == "killed":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(training.Word2Vec, "run_step", stopping)
    with pytest.raises(KeyboardInterrupt if how == "killed" else TerminatedError):
        learn(text, tmp_path / "out")
    assert content(learn(text, tmp_path / "out")) == whole
    again = done[10]
    assert again == (9 if how == "killed" else 11), "it went on from its newest checkpoint"
    assert done[-1] > 20


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["objective=hierarchical_softmax", "negative=9"], "negative: not read by the objective hierarchical_softmax"),
        (["objective=hierarchical_softmax", "noise_exponent=1"], "noise_exponent: not read by the objective"),
        (["learning_rate=1e-5"], "end_learning_rate 0.0001 is above learning_rate 1e-05"),
    ],
)
def test_options_that_say_nothing_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(Word2VecConfig, parse_overrides(overrides))


def test_what_cannot_be_learnt_is_said(text: Corpus, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="word2vec needs two"):
        learn(text, tmp_path / "few", "min_count=100000")
    with pytest.raises(NumericError, match="not finite after step"):
        learn(text, tmp_path / "wild", "learning_rate=1e30", "num_train_epochs=5")


def test_a_missing_compiler_is_missed_before_the_text_is_read(
    text: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numba

    def reading(self: Corpus, split: str) -> None:
        raise AssertionError

    monkeypatch.setattr(Corpus, "row_groups", reading)
    monkeypatch.delitem(sys.modules, "bertkit.models.word2vec_kernels", raising=False)
    # As where neither the package nor the home directory can be written to.
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "_IPythonCacheLocator")
    with pytest.raises(HostError, match="cannot keep what it compiles"):
        learn(text, tmp_path / "kept")
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(HostError, match="numba is not installed"):
        learn(text, tmp_path / "none")


def test_a_text_of_single_words_teaches_nothing(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\n".join(["Apple.", "Pear."] * 20), encoding="utf-8")
    overrides = ["source.format=text", f"source.files={tmp_path}/words.txt", "num_workers=0"]
    config = build(CorpusConfig, parse_overrides(overrides))
    made: Any = corpus.run(config, {}, tmp_path / "corpus", corpus.identity(config, {}, storage.Digests()))
    with pytest.raises(DataError, match="no word has a neighbour"):
        learn(made, tmp_path / "out")


def test_chinese_is_read_by_words_or_characters(tmp_path: Path) -> None:
    pytest.importorskip("rjieba")
    (tmp_path / "zh.txt").write_text(
        "\n\n".join(
            ["我爱北京天安门。\n他们在北京工作。"] * 1
            + [f"我们第{i}次去北京天安门工作。\n他爱工作。" for i in range(20)]
        ),
        encoding="utf-8",
    )
    overrides = ["source.format=text", f"source.files={tmp_path}/zh.txt", "num_workers=0", "language=zh"]
    config = build(CorpusConfig, parse_overrides(overrides))
    made: Any = corpus.run(config, {}, tmp_path / "corpus", corpus.identity(config, {}, storage.Digests()))
    words, _ = learn(made, tmp_path / "words").read()
    assert {"北京", "天安门", "工作"} <= set(words)
    characters, _ = learn(made, tmp_path / "characters", "chinese_units=character").read()
    assert {len(word) for word in characters if word < "0" or word > "9"} == {1}
    assert "京" in characters


def test_a_line_end_of_old_in_a_word_is_no_line_end(tmp_path: Path) -> None:
    from bertkit.stages import vector_conversion

    (tmp_path / "v.txt").write_bytes(b"2 2\na\rb 1 2\nc 3 4\n")
    vector_conversion.read_in(tmp_path / "v.txt", tmp_path / "out", binary=False)
    words, values = WordVectors.open(tmp_path / "out").read()
    assert words == ["a\rb", "c"]
    assert values.tolist() == [[1, 2], [3, 4]]


def test_gensim_reads_what_is_exported_and_its_files_come_back(text: Corpus, tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models")
    from typer.testing import CliRunner

    from bertkit.cli import app

    words, vectors = learn(text, tmp_path / "out").read()
    for flags in ([], ["--binary"]):
        path, back = tmp_path / f"vectors{len(flags)}", tmp_path / f"back{len(flags)}"
        said = CliRunner().invoke(app, ["convert-vectors", str(tmp_path / "out"), str(path), *flags])
        assert said.exit_code == 0, said.output
        theirs = models.KeyedVectors.load_word2vec_format(str(path), binary=bool(flags))
        assert theirs.index_to_key == words
        np.testing.assert_array_equal(theirs.vectors, vectors)
        theirs.save_word2vec_format(str(path), binary=bool(flags))
        said = CliRunner().invoke(app, ["convert-vectors", str(path), str(back)])
        assert said.exit_code == 0, said.output
        again, values = WordVectors.open(back).read()
        assert again == words
        np.testing.assert_array_equal(values, vectors)
