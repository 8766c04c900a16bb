"""What a pretraining run says of its data, and how its masks follow its config."""

import logging
import random
from pathlib import Path
from typing import Any

import pytest

from bertkit import storage
from bertkit.artifacts import PretrainData, Tokenizer
from bertkit.config import build, parse_overrides
from bertkit.stages import load

SMALL = [
    "model.num_hidden_layers=1",
    "model.hidden_size=32",
    "model.intermediate_size=64",
    "max_seq_length=32",
    "train_batch_size=8",
    "max_steps=5",
    "eval_steps=5",
    "max_eval_samples=16",
    "num_threads=1",
]


def run(stage: str, out: Path, overrides: list[str], **inputs: Any) -> Any:
    declared = load(stage)
    config = build(declared.config, parse_overrides(overrides))
    identity = declared.identity(config, {k: v.fingerprint for k, v in inputs.items()}, storage.Digests())
    return declared.run(config, inputs, out, identity)


def tokenized(folder: Path, text: Path, *options: str) -> tuple[PretrainData, Tokenizer]:
    source = ["source.format=text", f"source.files={text}", "num_workers=0", "heldout_percentage=10", *options]
    corpus = run("corpus", folder / "corpus", source)
    tokenizer = run("tokenizer", folder / "tokenizer", ["vocab_size=150"], corpus=corpus)
    return run("pretrain_data", folder / "data", [], corpus=corpus, tokenizer=tokenizer), tokenizer


@pytest.fixture(scope="module")
def english(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[PretrainData, Tokenizer]:
    return tokenized(tmp_path_factory.mktemp("english"), made_up / "corpus.txt")


def test_the_masked_share_goes_to_its_end_over_the_run_and_stays_on_held_out_text(
    english: tuple[PretrainData, Tokenizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertkit.data.pretraining import PretrainingData

    asked: list[tuple[str, str, float | None]] = []
    collate = PretrainingData.collate

    def listening(self: PretrainingData, *arguments: Any, probability: float | None = None) -> Any:
        asked.append((self.store.split, self.mask_strategy, probability))
        return collate(self, *arguments, probability=probability)

    monkeypatch.setattr(PretrainingData, "collate", listening)
    data, tokenizer = english
    options = ["mask_strategy=whole_word", "mlm_probability_end=0.55"]
    made = run("pretrain", tmp_path / "out", [*SMALL, *options], data=data, tokenizer=tokenizer)
    train = [round(p, 6) for split, _, p in asked if split == "train" and p is not None]
    assert train[:5] == [0.15, 0.25, 0.35, 0.45, 0.55]
    assert {(strategy, p) for split, strategy, p in asked if split == "heldout"} == {("whole_word", None)}

    counts = made.read_json("trainer_state.json")["data"]
    assert counts["tokens"] == data.read_json("meta.json")["counts"]["train"]["tokens"]
    assert counts["tokens_unused"] == 0
    assert counts["label_0"] + counts["label_1"] + counts["without_pair"] == counts["sequences"]


def test_chinese_without_a_segmenter_is_said_to_have_words_of_one_character(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(0)
    characters = "".join(map(chr, range(0x4E00, 0x4E80)))
    documents = [["".join(rng.choices(characters, k=rng.randint(6, 20))) + "。" for _ in range(8)] for _ in range(40)]
    text = tmp_path / "zh.txt"
    text.write_text("\n\n".join("\n".join(sentences) for sentences in documents) + "\n", encoding="utf-8")
    data, tokenizer = tokenized(tmp_path, text, "language=zh")
    for strategy, said in (("token", False), ("whole_word", True)):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            options = [f"mask_strategy={strategy}", "max_steps=1"]
            run("pretrain", tmp_path / strategy, [*SMALL, *options], data=data, tokenizer=tokenizer)
        assert ("every Chinese character is a word of its own" in caplog.text) == said
        assert "tokens_unused" in caplog.text
