"""Pairs of texts are fine-tuned on, scored and reported, and never mixed up with single texts."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from stage_runs import random_bert, run
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForPreTraining

from bertkit import storage
from bertkit.artifacts import Checkpoint, Metrics, Model, TaskData
from bertkit.errors import ConfigError, StageError
from bertkit.models import bert
from bertkit.stages.evaluate import EvaluateConfig, evaluate
from bertkit.stages.finetune import FinetuneConfig, finetune
from bertkit.stages.report import ReportConfig, report
from bertkit.stages.task_data import TaskDataConfig, task_data

WORDS = ["soup", "bread", "boat", "wind", "star", "moon", "old", "new"]
SMALL = ["max_seq_length=12", "train_batch_size=8", "max_steps=4", "learning_rate=1e-3", "device=cpu", "num_threads=1"]


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Checkpoint:
    """A BERT with random weights as a Hugging Face folder."""
    return random_bert(tmp_path_factory.mktemp("start"), WORDS)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, TaskData]:
    """The same rows as pairs and, their second texts left out, as single texts."""
    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(0)
    rows = []
    for i in range(48):
        first = " ".join(rng.choices(WORDS, k=rng.randint(1, 9)))
        second = " ".join(rng.choices(WORDS, k=rng.randint(1, 9)))
        rows.append({"text": first, "text_pair": second, "label": ("no", "yes")[i % 2]})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = ["source.format=jsonl", f"source.train={folder / 'rows.jsonl'}", "validation_percentage=30"]
    pairs = run(task_data, TaskDataConfig, folder / "pairs", *source, "source.columns.text_pair=text_pair")
    return {"pairs": pairs, "single": run(task_data, TaskDataConfig, folder / "single", *source)}


@pytest.fixture(scope="module")
def models(start, data, tmp_path_factory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("models")
    return {
        kind: run(finetune, FinetuneConfig, folder / kind, *SMALL, data=one, start=start) for kind, one in data.items()
    }


def scored(model: Model, data: TaskData, out: Path) -> Metrics:
    return run(evaluate, EvaluateConfig, out, "bootstrap_samples=100", "device=cpu", model=model, data=data)


def test_pairs_get_the_probabilities_that_transformers_gives_them(models, data, tmp_path):
    metrics = scored(models["pairs"], data["pairs"], tmp_path / "out")
    model = AutoModelForSequenceClassification.from_pretrained(models["pairs"].path).eval()
    tokenizer = AutoTokenizer.from_pretrained(models["pairs"].path)
    rows = {row["id"]: row for row in data["pairs"].rows("validation")}
    cut = 0
    for prediction in metrics.predictions():
        row = rows[prediction["id"]]
        long = len(tokenizer(row["text"], row["text_pair"])["input_ids"]) > 12
        batch = tokenizer(row["text"], row["text_pair"], truncation="longest_first", max_length=12, return_tensors="pt")
        with torch.no_grad():
            expected = model(**batch).logits.double().softmax(-1)[0].tolist()
        assert [prediction["scores"][label] for label in ("no", "yes")] == pytest.approx(expected, abs=1e-5)
        cut += long
    found = metrics.read_json("metrics.json")
    assert found["truncated"] == cut > 0


def test_a_model_says_what_it_reads_and_refuses_the_other(models, data, tmp_path):
    assert models["pairs"].read_json("predictor.json")["text_columns"] == ["text", "text_pair"]
    assert models["single"].read_json("predictor.json")["text_columns"] == ["text"]
    with pytest.raises(StageError, match="trained on text_columns text, text_pair, the data has text"):
        scored(models["pairs"], data["single"], tmp_path / "a")
    with pytest.raises(StageError, match="trained on text_columns text, the data has text, text_pair"):
        scored(models["single"], data["pairs"], tmp_path / "b")


def test_whose_data_it_learnt_from_and_what_there_is_to_note_goes_with_model_and_scores(models, data, tmp_path):
    own = models["pairs"].read_json("predictor.json")
    assert (own["origin"], own["examples"]) == ({}, data["pairs"].task["counts"]["train"])
    shutil.copytree(data["pairs"].path, tmp_path / "part")
    source = {"dataset": "lcqmc", "note": "Trained on a part.", "title": "LCQMC", "files": {}}
    storage.write_json(tmp_path / "part/task.json", {**data["pairs"].task, "source": source})
    part = TaskData.open(tmp_path / "part")
    assert part.origin == {"dataset": "lcqmc", "note": "Trained on a part."}
    assert "Trained on a part." in scored(models["pairs"], part, tmp_path / "out").read_json("metrics.json")["notes"]


def test_a_report_shows_both_texts_of_a_mistake(models, data, tmp_path):
    metrics = scored(models["pairs"], data["pairs"], tmp_path / "metrics")
    made = run(report, ReportConfig, tmp_path / "page", metrics=(metrics,), task_data=(data["pairs"],))
    shown = made.read_json("report.json")["tasks"][0]["mistakes"]["shown"]
    assert shown
    rows = {row["id"]: row for row in data["pairs"].rows("validation")}
    for one in shown:
        assert one["text"] == f"{rows[one['id']]['text']} ⏎ {rows[one['id']]['text_pair']}"


def test_a_model_with_one_segment_is_refused(start, data, tmp_path):
    folder = tmp_path / "one segment"
    shutil.copytree(start.path, folder)
    bert.save(BertForPreTraining(BertConfig.from_pretrained(start.path, type_vocab_size=1)), folder)
    with pytest.raises(StageError, match="one segment only"):
        run(finetune, FinetuneConfig, tmp_path / "out", *SMALL, data=data["pairs"], start=Checkpoint.open(folder))


def test_matching_heads_are_of_pairs(start, data, tmp_path):
    run(finetune, FinetuneConfig, tmp_path / "pairs", *SMALL, "matching_heads=1", data=data["pairs"], start=start)
    with pytest.raises(ConfigError, match="matching_heads compare two texts, and this task has one"):
        run(finetune, FinetuneConfig, tmp_path / "out", *SMALL, "matching_heads=1", data=data["single"], start=start)
