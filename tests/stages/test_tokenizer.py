from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertkit import artifacts, storage
from bertkit.artifacts import Corpus, Tokenizer
from bertkit.config import build, merge, parse_overrides, read_yaml
from bertkit.errors import ConfigError
from bertkit.stages.corpus import CorpusConfig, corpus
from bertkit.stages.tokenizer import TokenizerConfig, tokenizer

PRESETS = Path(__file__).resolve().parents[2] / "recipes" / "presets" / "tokenizer"
THINGS = ["harbours", "gulls", "nets", "sails", "engines", "maps"]

MakeCorpus = Callable[[int], Corpus]


@pytest.fixture
def make_corpus(tmp_path: Path) -> MakeCorpus:
    def make(documents: int) -> Corpus:
        path = tmp_path / "a.txt"
        texts = [f"Chapter {i} is about {THINGS[i % 6]}. Some {THINGS[i % 5]} are older." for i in range(documents)]
        path.write_text("\n\n".join(texts), encoding="utf-8")
        config = build(CorpusConfig, parse_overrides(["source.format=text", f"source.files={path}"]))
        result = corpus.run(config, {}, tmp_path / "corpus", corpus.identity(config, {}, storage.Digests()))
        assert isinstance(result, Corpus)
        return result

    return make


def run(given: Corpus, out: Path, *overrides: str) -> Tokenizer:
    config = build(TokenizerConfig, parse_overrides(overrides))
    identity = tokenizer.identity(config, {"corpus": given.fingerprint}, storage.Digests())
    result = tokenizer.run(config, {"corpus": given}, out, identity)
    assert isinstance(result, Tokenizer)
    return result


def quality(result: Tokenizer) -> dict[str, Any]:
    return dict(result.read_json("quality.json"))


def test_a_tokenizer_is_trained_proven_and_measured_on_held_out_text(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    given = make_corpus(300)
    result = run(given, tmp_path / "out", "vocab_size=120")
    figures = quality(result)
    heldout = [sentence for _, sentences in given.documents("heldout") for sentence in sentences]
    assert figures["vocab_size"] == 120
    assert figures["measured_on"]["split"] == "heldout"
    assert figures["measured_on"]["texts"] == figures["probe"]["texts"] == len(heldout) > 0
    assert figures["measured_on"]["characters"] == sum(map(len, heldout))
    assert figures["probe"]["differences"] == 0
    assert figures["unknown_rate"] == 0
    assert figures["fertility"] >= 1
    assert len((result.path / "vocab.txt").read_text(encoding="utf-8").splitlines()) == 120
    artifacts.verify(result.path)


def test_two_runs_write_the_same_files(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    given = make_corpus(100)
    files = [run(given, tmp_path / name, "vocab_size=150").manifest["files"] for name in ("a", "b")]
    assert files[0] == files[1]


def test_without_held_out_text_it_is_measured_on_the_training_text(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    figures = quality(run(make_corpus(5), tmp_path / "out"))
    assert figures["measured_on"]["split"] == "train"
    assert figures["vocab_size"] < figures["vocab_size_asked"] == 8000


def test_long_corpora_are_measured_on_a_sample(
    make_corpus: MakeCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = make_corpus(300)
    monkeypatch.setattr("bertkit.stages.tokenizer._SAMPLE_CHARACTERS", 1000)
    figures = quality(run(given, tmp_path / "out", "vocab_size=120"))
    assert 800 < figures["unused_measured_on"]["characters"] < 1300


def test_a_vocabulary_too_small_for_the_alphabet(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vocab_size 30 is too small.*\n.*limit_alphabet"):
        run(make_corpus(30), tmp_path / "out", "vocab_size=30")
    assert not (tmp_path / "out" / "tokenizer.json").exists()


def test_every_preset_loads() -> None:
    paths = sorted(PRESETS.glob("*.yaml"))
    assert [path.stem for path in paths] == ["chinese", "english"]
    for path in paths:
        assert path.read_text(encoding="utf-8").startswith("# ")
        assert build(TokenizerConfig, merge(read_yaml(path))).vocab_size > 20_000
