"""bertkit from Python: data as lists, tables and files; what comes back is what the stages wrote."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertForPreTraining
from typer.testing import CliRunner

import bertkit
from bertkit.baselines import BASELINES
from bertkit.cli import app
from bertkit.config import Layer, build
from bertkit.errors import ConfigError, DataError, StageError
from bertkit.models import bert
from bertkit.pipeline.spec import preset_layer
from bertkit.stages.finetune_config import FinetuneConfig
from bertkit.text import wordpiece

WORDS = ["soup", "bread", "boat", "wind", "the", "a", "ada", "bob", "rome", "oslo", "saw", "who", "is", "in", "."]
SMALL = {"max_seq_length": 24, "train_batch_size": 8, "max_steps": 60, "learning_rate": 1e-2, "warmup_steps": 0}
SMALL |= {"device": "cpu", "num_threads": 1, "dropout": 0.0}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    wordpiece.save([*wordpiece.SPECIAL_TOKENS, *WORDS], folder, casing=wordpiece.Casing(), model_max_length=32)
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=5 + len(WORDS), max_position_embeddings=32, initializer_range=0.2, **sizes)
    bert.save(BertForPreTraining(config), folder)
    return folder


def dishes(count: int, seed: int) -> list[dict[str, str]]:
    """Distinct texts whose label is told by their last word."""
    rng, found = random.Random(seed), {}
    while len(found) < count:
        last, label = rng.choice([("soup", "food"), ("bread", "food"), ("boat", "sea"), ("wind", "sea")])
        found[" ".join([*rng.choices(["the", "a", "saw", "ada", "bob", "in"], k=6), last])] = label
    return [{"text": text, "label": label} for text, label in found.items()]


def test_lists_give_scores_wrong_predictions_and_the_model(start: Path, tmp_path: Path) -> None:
    train, test = dishes(80, 0), dishes(30, 1)
    pairs = [(row["text"], row["label"]) for row in train]
    options: dict[str, Any] = {"train": pairs, "test": test, "model": start, "out": tmp_path / "out", **SMALL}
    result = bertkit.finetune("classification", **options)
    assert (result.split, result.primary) == ("test", "accuracy")
    right = [line["gold"] == line["predicted"] for line in result.predictions]
    assert result.scores["accuracy"] == pytest.approx(sum(right) / 30)
    assert result.scores["accuracy"] > 0.9
    assert [line["id"] for line in result.wrong] == [
        line["id"] for line, fine in zip(result.predictions, right, strict=True) if not fine
    ]
    again = result.model.predict([row["text"] for row in test])
    by_text = {row["text"]: row["label"] for row in test}
    assert sum(
        line["predicted"] == by_text[row["text"]] for line, row in zip(again, test, strict=True)
    ) / 30 == pytest.approx(result.scores["accuracy"])
    assert result.model.predict("the soup")[0]["predicted"] in ("food", "sea")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("manifest.json")}
    assert len(made) == 3
    assert bertkit.finetune("classification", **options).scores == result.scores
    assert {path: path.stat().st_mtime_ns for path in made} == made  # done already, and left as it was


def test_a_model_that_learnt_nothing_shows_its_mistakes_with_their_texts(start: Path) -> None:
    rows, test = dishes(40, 0), dishes(30, 1)
    result = bertkit.finetune(
        "classification", train=rows, test=test, model=start, **{**SMALL, "max_steps": 1, "learning_rate": 1e-9}
    )
    assert len(result.wrong) == 30 - round(result.scores["accuracy"] * 30) > 0
    assert all(line["text"] in {row["text"] for row in test} for line in result.wrong)
    assert "accuracy" in repr(result)
    assert len(repr(result)) < 1000  # what a notebook shows


def test_frames_and_files_are_one_result(start: Path, tmp_path: Path) -> None:
    rows = dishes(60, 0)
    frame = pd.DataFrame(rows).rename(columns={"text": "sentence"})
    frame.to_csv(tmp_path / "train.csv", index=False)
    found = [
        bertkit.finetune("classification", train=given, model="textcnn", **{**SMALL, "max_steps": 10})
        for given in (frame, tmp_path / "train.csv")
    ]
    assert found[0].split == "validation"
    assert found[0].scores == found[1].scores


def test_tags_and_answers(start: Path) -> None:
    rng = random.Random(0)
    sentences: dict[str, dict[str, Any]] = {}
    for _ in range(60):
        tokens = [*rng.choices(["the", "saw", "in", "a"], k=4), rng.choice(["Ada", "Bob"]), rng.choice(["soup", "."])]
        tags = ["B-PER" if token in ("Ada", "Bob") else "O" for token in tokens]
        sentences[" ".join(tokens)] = {"tokens": tokens, "tags": tags}
    tagged = bertkit.finetune("tagging", train=list(sentences.values()), model=start, **SMALL)
    assert tagged.scores["f1"] > 0.8
    (line,) = tagged.model.predict(["a saw in a Bob ."])
    assert [entity["text"] for entity in line["entities"]] == ["Bob"]

    contexts = [f"{a} is in {b} . the {c}" for a in ("ada", "bob") for b in ("rome", "oslo") for c in WORDS[:6]]
    questions = [
        {
            "question": f"who is in {text.split()[3]}",
            "context": text,
            "answers": [{"text": text.split()[0], "answer_start": 0}],
        }
        for text in contexts
    ]
    found = bertkit.finetune("spans", train=questions, dev=questions, model=start, **SMALL)
    assert found.split == "validation"
    assert len(found.wrong) == round((1 - found.scores["exact_match"]) * len(questions))


def test_what_a_frame_has_no_value_for_is_missing_and_counted(tmp_path: Path) -> None:
    frame = pd.DataFrame(dishes(60, 0)).assign(day=pd.Timestamp("2026-01-01"), stars=pd.array([None] * 60, "Int64"))
    frame.loc[3, "text"], frame.loc[5, "label"] = math.nan, None
    options: dict[str, Any] = {"model": "bag", **SMALL, "max_steps": 1}
    with pytest.raises(DataError, match="the text is missing"):
        bertkit.finetune("classification", train=frame, **options)
    bertkit.finetune("classification", train=frame, max_bad_rows=2, out=tmp_path / "out", **options)
    [task] = (tmp_path / "out" / "task_data").glob("*/task.json")
    assert json.loads(task.read_text())["dropped"]["train"] == {"empty text": 1, "no label": 1}


def test_mistakes_are_told_before_anything_is_trained(start: Path, tmp_path: Path) -> None:
    rows = dishes(10, 0)
    with pytest.raises(ConfigError, match=r'finetune\("classification"'):
        bertkit.finetune("tagging", train=rows, model=start)
    with pytest.raises(DataError, match="train, example 2: is 'text alone'"):
        bertkit.finetune("classification", train=[("a", "b"), "text alone"], model=start)
    with pytest.raises(DataError, match=r"train.jsonl:2: the text has half a character"):
        bertkit.finetune("classification", train=[("a", "b"), ("a\ud83d", "c")], model=start)
    with pytest.raises(DataError, match="no examples"):
        bertkit.finetune("classification", train=[], model=start)
    with pytest.raises(ConfigError, match="did you mean 'learning_rate'"):
        bertkit.finetune("classification", train=rows * 5, model=start, learning_rat=1.0)
    with pytest.raises(StageError, match="no such directory"):
        bertkit.load(tmp_path / "absent")
    with pytest.raises(StageError, match="no head that predicts"):
        bertkit.load(start).predict(["soup"])
    told = CliRunner().invoke(app, ["predict", str(start), "soup"])
    assert isinstance(told.exception, StageError)
    assert "no head that predicts" in str(told.exception)


def test_importing_bertkit_loads_nothing_heavy() -> None:
    code = (
        "import bertkit, sys, json; print(json.dumps([n for n in ('torch', 'numpy', 'pydantic') if n in sys.modules]))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(said.stdout) == []
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = bertkit.absent


def test_baselines_are_those_of_their_presets() -> None:
    for name, values in BASELINES.items():
        preset = preset_layer(Path(__file__).resolve().parents[1], "finetune", name)
        assert build(FinetuneConfig, Layer(values), name=name) == build(FinetuneConfig, preset, name=name), name


def test_a_vocabulary_of_another_language_is_told_before_the_training_and_with_the_scores(
    start: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(text, label) for i in range(20) for text, label in ((f"好 吃 {i}", "good"), (f"难 吃 {i}", "bad"))]
    result = bertkit.finetune("classification", train=rows, dev=rows, model=start, **{**SMALL, "max_steps": 1})
    assert "60 % of the training tokens are unknown" in caplog.text
    assert result.metrics["unknown_tokens"] == 0.6
    assert any("60% of all tokens are unknown" in note for note in result.metrics["notes"])
    caplog.clear()
    told = bertkit.finetune("classification", train=dishes(40, 0), model=start, **{**SMALL, "max_steps": 1})
    assert (told.metrics["unknown_tokens"], "unknown" in caplog.text) == (0.0, False)


def test_splits_of_two_formats_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("text,label\nhello,a\nbye,b\n")
    rows = [("one", "a"), ("two", "b")]
    with pytest.raises(ConfigError, match="test is csv, train is jsonl"):
        bertkit.finetune("classification", train=rows, test=tmp_path / "test.csv", model="bag")
