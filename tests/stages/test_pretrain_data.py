"""The store is the same bytes however it is built, and training refuses one that has changed."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertkit import storage
from bertkit.artifacts import Artifact, Corpus, PretrainData, Tokenizer
from bertkit.config import Config, build, parse_overrides
from bertkit.data import worker_pool
from bertkit.data.token_store import TokenStore
from bertkit.errors import IntegrityError, StageError
from bertkit.stage import stage
from bertkit.stages.corpus import CorpusConfig, corpus
from bertkit.stages.pretrain_data import PretrainDataConfig, pretrain_data
from bertkit.stages.tokenizer import TokenizerConfig, tokenizer
from bertkit.text import encoders

CHINESE = ["我爱北京天安门。", "他在2019年说:hello world,很高兴。", "測試繁體中文。"]


def run(declared: Any, config: type[Config], inputs: dict[str, Artifact], out: Path, *overrides: str) -> Any:
    values = build(config, parse_overrides(overrides))
    names = {name: one.fingerprint for name, one in inputs.items()}
    return declared.run(values, inputs, out, declared.identity(values, names, storage.Digests()))


@pytest.fixture(scope="module")
def inputs(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "zh.txt").write_text("\n\n".join("\n".join(CHINESE) + str(i) for i in range(30)), encoding="utf-8")
    files = f"source.files=['{made_up}/corpus.txt', '{folder}/zh.txt']"
    made = run(corpus, CorpusConfig, {}, folder / "corpus", "source.format=text", files, "num_workers=0")
    words = run(tokenizer, TokenizerConfig, {"corpus": made}, folder / "tokenizer", "vocab_size=250")
    return {"corpus": made, "tokenizer": words}


def store_of(inputs: dict[str, Artifact], out: Path, *overrides: str) -> dict[str, bytes]:
    made = run(pretrain_data, PretrainDataConfig, inputs, out, *overrides)
    return {
        path.name: path.read_bytes() for path in made.path.iterdir() if path.suffix == ".bin" or path.stem == "meta"
    }


def test_workers_and_encoders_change_no_byte(
    inputs: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nanotoken")
    expected = store_of(inputs, tmp_path / "plain", "encoder=tokenizers", "num_workers=1")
    assert len(expected) == 9
    monkeypatch.setattr(encoders, "_CHECKED", 2)
    assert store_of(inputs, tmp_path / "fast", "encoder=nanotoken") == expected
    monkeypatch.setattr(worker_pool.ordered_map, "__kwdefaults__", {"in_process": 0})  # workers for so little text
    assert store_of(inputs, tmp_path / "workers", "encoder=tokenizers", "num_workers=2") == expected
    assert store_of(inputs, tmp_path / "fast workers", "encoder=nanotoken", "num_workers=2") == expected


def test_a_difference_on_the_way_is_warned_of_and_the_slow_encoder_takes_over(
    inputs: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("nanotoken")
    expected = store_of(inputs, tmp_path / "plain", "encoder=tokenizers")
    monkeypatch.setattr("bertkit.text.encoder_parity.first_difference", lambda *_: None)

    def fail(texts: list[str], *_: Any) -> None:
        raise encoders.DifferenceError(texts[0])

    monkeypatch.setattr(encoders, "_compare", fail)
    with caplog.at_level(logging.WARNING):
        assert store_of(inputs, tmp_path / "fast", "encoder=nanotoken") == expected
    assert "read 'The " in caplog.text


def test_words_of_chinese_text_are_the_segmenters(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    pytest.importorskip("rjieba")
    plain = store_of(inputs, tmp_path / "plain", "num_workers=1")
    cut = store_of(inputs, tmp_path / "cut", "word_segmenter=rjieba", "num_workers=1")
    changed = {name for name in cut if cut[name] != plain[name]}
    assert changed - {"heldout.words.bin"} == {"meta.json", "train.words.bin"}  # by chance no Chinese is held out
    store = TokenStore(tmp_path / "cut", "train")
    pieces = (inputs["tokenizer"].path / "vocab.txt").read_text(encoding="utf-8").splitlines()
    tokens = [pieces[i] for i in store.tokens]
    starts = store.word_starts(np.arange(len(tokens)))
    at = next(i for i in range(len(tokens)) if tokens[i : i + 3] == ["天", "安", "门"])
    assert starts[at : at + 4].tolist() == [True, False, False, True]
    assert not any(started for token, started in zip(tokens, starts, strict=True) if token.startswith("##"))


class NothingConfig(Config):
    """No options."""


@stage("read", version=1)
def read(config: NothingConfig, data: PretrainData, *, out: Path) -> Corpus:
    """Stands for training, which maps the store."""
    storage.write_json(out / "stats.json", {})
    return Corpus(out)


def test_a_flipped_bit_is_found_before_training_reads_it(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    store_of(inputs, tmp_path / "store")
    data = PretrainData.open(tmp_path / "store")
    path = tmp_path / "store" / "train.tokens.bin"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"(?s)train\.tokens\.bin has .*run its stage again"):
        run(read, NothingConfig, {"data": data}, tmp_path / "out")
    assert not (tmp_path / "out" / "stats.json").exists()


def test_a_store_that_was_not_finished_is_not_opened(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    store_of(inputs, tmp_path / "store")
    (tmp_path / "store" / "manifest.json").unlink()
    with pytest.raises(StageError, match="has not finished"):
        PretrainData.open(tmp_path / "store")


def test_the_tokenizer_of_another_maker_makes_the_same_store(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    expected = store_of(inputs, tmp_path / "own")
    for number, names in enumerate([("tokenizer.json",), ("vocab.txt", "tokenizer_config.json")]):
        folder = tmp_path / f"foreign {number}"
        folder.mkdir()
        for name in names:
            shutil.copy(inputs["tokenizer"].path / name, folder)
        foreign = Tokenizer.open(folder)
        made = store_of({**inputs, "tokenizer": foreign}, tmp_path / f"store {number}")
        assert {name: made[name] for name in made if name != "meta.json"} == {
            name: expected[name] for name in expected if name != "meta.json"
        }
        assert foreign.fingerprint in made["meta.json"].decode()
