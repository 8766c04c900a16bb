"""Several labels, numbers and long texts: from a file to scores and predictions, by way of the stages."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk
from stage_runs import random_bert, run
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bertkit.artifacts import Checkpoint, Metrics, Model, TaskData
from bertkit.errors import ConfigError, DataError
from bertkit.evaluation import multilabel, regression
from bertkit.predictor import Predictor
from bertkit.stages.evaluate import EvaluateConfig, evaluate
from bertkit.stages.finetune import FinetuneConfig, finetune
from bertkit.stages.task_data import TaskDataConfig, task_data

WORDS = ["soup", "bread", "boat", "wind", "star", "moon", "old", "new"]
SMALL = [
    "max_seq_length=12",
    "train_batch_size=8",
    "max_steps=24",
    "eval_steps=12",
    "learning_rate=5e-3",
    "device=cpu",
    "num_threads=1",
]


def task(folder: Path, rows: list[dict], *overrides: str) -> TaskData:
    folder.mkdir(exist_ok=True)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = ["source.format=jsonl", f"source.train={folder / 'rows.jsonl'}", "validation_percentage=30"]
    return run(task_data, TaskDataConfig, folder / "data", *source, *overrides)


def scored(model: Model, data: TaskData, out: Path) -> Metrics:
    return run(evaluate, EvaluateConfig, out, "bootstrap_samples=100", "device=cpu", model=model, data=data)


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Checkpoint:
    return random_bert(tmp_path_factory.mktemp("start"), WORDS)


def texts(count: int, longest: int = 9) -> list[list[str]]:
    rng = random.Random(4)
    return [rng.choices(WORDS, k=rng.randint(2, longest)) for _ in range(count)]


@pytest.fixture(scope="module")
def several(start, tmp_path_factory) -> tuple[TaskData, Model]:
    """Which of two words a text has; a third of the texts have neither."""
    folder = tmp_path_factory.mktemp("several")
    rows = [{"text": " ".join(t), "label": [w for w in ("soup", "moon") if w in t]} for t in texts(80)]
    data = task(folder, rows)
    return data, run(finetune, FinetuneConfig, folder / "model", *SMALL, data=data, start=start)


def test_several_labels_are_understood_trained_and_scored_from_their_predictions(several, tmp_path):
    data, model = several
    assert (data.task["problem_type"], data.task["labels"]) == ("multi_label_classification", ["moon", "soup"])
    assert data.task["primary"] == "micro_f1"
    metrics = scored(model, data, tmp_path / "eval")
    content, rows = metrics.read_json("metrics.json"), metrics.predictions()
    assert content["metrics"] == multilabel.score(rows, data.task["labels"])["metrics"]
    assert content["primary"] == "micro_f1"
    assert content["metrics"]["micro_f1"] > 0.6
    assert [row["gold"] for row in rows] == [sorted(row["label"]) for row in data.rows("validation")]
    assert content["metrics"]["micro_f1"] == model.read_json("predictor.json")["best_metric"]


def test_a_models_several_labels_are_scored_as_by_scikit_learn(several, tmp_path):
    data, model = several
    metrics = scored(model, data, tmp_path / "eval")
    rows, found = metrics.predictions(), metrics.read_json("metrics.json")["metrics"]
    labels = data.task["labels"]
    gold, said = (
        np.array([[label in row[side] for label in labels] for row in rows]) for side in ("gold", "predicted")
    )
    scores = np.array([[row["scores"][label] for label in labels] for row in rows])
    for average in ("micro", "macro"):
        assert found[f"{average}_f1"] == pytest.approx(sk.f1_score(gold, said, average=average), abs=1e-9)
    assert found["samples_f1"] == pytest.approx(sk.f1_score(gold, said, average="samples", zero_division=1.0), abs=1e-9)
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(gold, scores), abs=1e-9)


def test_thresholds_are_kept_with_the_model_and_used_to_predict(several, tmp_path):
    data, model = several
    thresholds = model.read_json("predictor.json")["settings"]["tuned"]["thresholds"]
    assert thresholds.keys() == {"moon", "soup"}
    rows = scored(model, data, tmp_path / "eval").predictions()
    found = multilabel.outcomes(rows, data.task["labels"])
    assert multilabel.best_thresholds(found.gold, found.scores) == pytest.approx(list(thresholds.values()), abs=1e-4)
    for row in rows:
        assert row["predicted"] == [label for label, t in thresholds.items() if row["scores"][label] >= t]
    text = data.rows("validation")[0]["text"]
    line = Predictor.load(model.path, device="cpu").predict([text])[0]
    assert line["scores"] == pytest.approx(rows[0]["scores"], abs=1e-5)
    assert line["predicted"] == rows[0]["predicted"]
    assert "gold" not in line
    theirs = AutoModelForSequenceClassification.from_pretrained(model.path).eval()
    logits = theirs(**AutoTokenizer.from_pretrained(model.path)(text, return_tensors="pt")).logits[0]
    assert logits.sigmoid().tolist() == pytest.approx(list(line["scores"].values()), abs=1e-5)


def test_numbers_are_trained_on_and_predicted(start, tmp_path):
    rows = [{"text": " ".join(t), "label": t.count("soup") * 1.5 - 1} for t in texts(80)]
    with pytest.raises(DataError, match="problem_type=regression"):
        task(tmp_path / "undeclared", rows)
    data = task(tmp_path, rows, "source.problem_type=regression")
    assert data.task["label_range"]["train"]["min"] == -1.0
    model = run(finetune, FinetuneConfig, tmp_path / "model", *SMALL, "loss.type=huber", data=data, start=start)
    metrics = scored(model, data, tmp_path / "eval")
    content = metrics.read_json("metrics.json")
    assert content["metrics"] == regression.score(metrics.predictions())["metrics"]
    assert content["primary"] == "spearmanr"
    assert content["metrics"]["spearmanr"] > 0.4
    assert [row["gold"] for row in metrics.predictions()] == [row["label"] for row in data.rows("validation")]
    numbers = [[row[side] for row in metrics.predictions()] for side in ("gold", "predicted")]
    for name, theirs in (("pearson", scipy.stats.pearsonr), ("spearmanr", scipy.stats.spearmanr)):
        assert content["metrics"][name] == pytest.approx(theirs(*numbers)[0], abs=1e-9)
    line = Predictor.load(model.path, device="cpu").predict(["soup soup"])[0]
    assert math.isfinite(line["predicted"])
    assert "gold" not in line
    with pytest.raises(ConfigError, match=r"loss.type 'cross_entropy' does not fit regression"):
        run(finetune, FinetuneConfig, tmp_path / "m2", *SMALL, "loss.type=cross_entropy", data=data, start=start)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_what_only_the_end_of_a_long_text_tells_is_learnt_in_windows_and_not_from_a_cut_text(start, tmp_path, pooling):
    rng = random.Random(7)
    middle = [" ".join(rng.choices(["boat", "wind", "old", "new"], k=14)) for _ in range(160)]
    rows = [{"text": f"{text} {('soup', 'star')[i % 2]}", "label": "ab"[i % 2]} for i, text in enumerate(middle)]
    data = task(tmp_path, rows)
    options = [*SMALL, "max_steps=120", "eval_steps=30", "max_seq_length=10"]
    windows = [*options, f"classification.window_pooling={pooling}", "classification.window_overlap=2"]
    one = "classification.max_windows=1"

    read = run(finetune, FinetuneConfig, tmp_path / "read", *windows, data=data, start=start)
    found = scored(read, data, tmp_path / "read_eval").read_json("metrics.json")
    assert found["metrics"]["accuracy"] > 0.95
    assert found["truncated"] == 0
    assert found["windows"] > found["n"]

    cut = run(finetune, FinetuneConfig, tmp_path / "cut", *windows, one, data=data, start=start)
    found = scored(cut, data, tmp_path / "cut_eval").read_json("metrics.json")
    assert found["metrics"]["accuracy"] < 0.75
    assert any("were cut after 1 windows of 10 tokens" in note for note in found["notes"])


def test_accumulation_over_windows_changes_nothing(start, tmp_path):
    rows = [{"text": " ".join(t * 3), "label": "ab"["soup" in t]} for t in texts(40, longest=6)]
    data = task(tmp_path, rows)
    options = ["dropout=0", "max_steps=4", "logging_steps=1", "classification.window_pooling=attention"]
    options += ["classification.window_overlap=1"]
    losses = []
    for micro in (8, 2):
        out, size = tmp_path / f"m{micro}", f"micro_batch_size={micro}"
        run(finetune, FinetuneConfig, out, *SMALL, *options, size, data=data, start=start)
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        losses.append([row["loss"] for row in log if "loss" in row])
    assert len(losses[0]) == 4
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_balanced_class_weights_lift_the_rare_label(start, tmp_path):
    """Numbers are unknown to the tokenizer: nothing tells the labels apart, and a model gives the rare one its share."""
    rows = [{"text": f"moon {1000 + i}", "label": "rare" if i % 10 == 0 else "common"} for i in range(240)]
    data = task(tmp_path, rows)
    shares = []
    for weights in ("null", "balanced"):
        options = [*SMALL, f"loss.class_weights={weights}", "max_steps=100", "eval_steps=100", "train_batch_size=48"]
        model = run(finetune, FinetuneConfig, tmp_path / f"model_{weights}", *options, data=data, start=start)
        given = Predictor.load(model.path, device="cpu").predict(row["text"] for row in data.rows("validation"))
        shares.append(sum(line["scores"]["rare"] for line in given) / len(given))
    assert shares[0] < 0.2
    assert shares[1] > 0.35


def test_windows_are_for_single_texts(start, tmp_path):
    rows = [{"text": " ".join(t), "text_pair": "new moon", "label": "ab"[i % 2]} for i, t in enumerate(texts(30))]
    data = task(tmp_path, rows, "source.columns.text_pair=text_pair")
    with pytest.raises(ConfigError, match="single texts"):
        run(
            finetune,
            FinetuneConfig,
            tmp_path / "m",
            *SMALL,
            "classification.window_pooling=max",
            data=data,
            start=start,
        )
