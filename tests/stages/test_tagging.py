"""A tagger from column files to entities in plain text."""

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import conlleval
import pytest
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from stage_runs import random_bert, run
from transformers import AutoModelForTokenClassification

from bertkit.artifacts import Checkpoint, Metrics, Model, TaskData
from bertkit.errors import ConfigError, StageError
from bertkit.evaluation.tagging import score
from bertkit.predictor import Predictor
from bertkit.stages.evaluate import EvaluateConfig, evaluate
from bertkit.stages.finetune import FinetuneConfig, finetune
from bertkit.stages.task_data import TaskDataConfig, task_data

WORDS = ["saw", "and", "the", "ada", "bob", "lee", "rome", "oslo", "##s", ".", "in"]
SMALL = ["max_seq_length=16", "train_batch_size=8", "max_steps=100", "learning_rate=1e-2", "warmup_steps=0"]
SMALL += ["tagging.stride=6", "device=cpu", "num_threads=1", "dropout=0"]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return random_bert(tmp_path_factory.mktemp("start"), WORDS, width=32, spread=0.2)


def sentence(rng: random.Random) -> str:
    """Persons of one to three names, places, and other words, between 1 and 50 tokens, in IOB1."""
    lines, before = [], "O"
    for _ in range(rng.choice([1, 3, 8, 25])):
        kind = rng.choice(["O", "PER", "LOC"])
        size = {"O": 1, "PER": rng.randint(1, 3), "LOC": 1}[kind]
        for place in range(size):
            words = {"O": ["saw", "and", "the", "in", "."], "PER": ["Ada", "Bobs", "Lee"], "LOC": ["Rome", "Oslo"]}[
                kind
            ]
            opening = place == 0 and before == kind
            tag = "O" if kind == "O" else f"{'B' if opening else 'I'}-{kind}"
            lines.append(f"{rng.choice(words)} {tag}")
        before = kind
    return "\n".join(lines)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    folder, rng = tmp_path_factory.mktemp("data"), random.Random(0)
    files = {"train": 150, "validation": 30, "test": 40}
    for split, count in files.items():
        rows = {sentence(rng) for _ in range(count)}
        (folder / f"{split}.conll").write_text("\n\n".join(sorted(rows)) + "\n", encoding="utf-8")
    overrides = [f"source.{split}={folder / split}.conll" for split in files]
    made: TaskData = run(task_data, TaskDataConfig, folder / "out", "source.format=conll", *overrides)
    return made


@pytest.fixture(scope="module", params=["softmax", "crf"])
def model(request: Any, start: Checkpoint, data: TaskData, tmp_path_factory: pytest.TempPathFactory) -> Model:
    out = tmp_path_factory.mktemp("model") / "out"
    overrides = [*SMALL, f"tagging.head={request.param}", "tagging.pooling=mean", "early_stopping_patience=null"]
    made: Model = run(finetune, FinetuneConfig, out, *overrides, data=data, start=start)
    return made


def test_every_token_is_scored_and_every_number_follows_from_the_predictions(
    model: Model, data: TaskData, tmp_path: Path
) -> None:
    chosen = ["bootstrap_samples=100", "device=cpu"]
    metrics: Metrics = run(evaluate, EvaluateConfig, tmp_path / "out", *chosen, model=model, data=data)
    found, lines = metrics.read_json("metrics.json"), list(metrics.predictions())
    rows = {row["id"]: row for row in data.rows("test")}
    assert found["primary"] == "f1"
    assert found["windows"] > len(rows) == found["n"]
    assert found["notes"]
    assert found["tokens"] == sum(len(row["tokens"]) for row in rows.values())
    assert {name: score(lines)[name] for name in ("metrics", "per_type", "errors")} == {
        name: found[name] for name in ("metrics", "per_type", "errors")
    }
    # The names follow from the words, but where two persons touch: no model can know.
    assert found["metrics"]["accuracy"] > 0.85
    for line in lines:
        row = rows[line["id"]]
        assert (line["tokens"], line["gold"]) == (row["tokens"], row["tags"])
        assert line["predicted"][0][0] != "I"
        assert all(b[0] != "I" or a[2:] == b[2:] for a, b in pairwise(line["predicted"]))
        for entity in line["entities"]:
            assert row["text"][entity["start"] : entity["end"]] == entity["text"]
            assert 0 < entity["score"] <= 1


@pytest.mark.filterwarnings("ignore")
def test_a_models_tags_are_scored_as_conlleval_and_seqeval_do(model: Model, data: TaskData, tmp_path: Path) -> None:
    metrics: Metrics = run(evaluate, EvaluateConfig, tmp_path / "out", "device=cpu", model=model, data=data)
    lines, found = metrics.predictions(), metrics.read_json("metrics.json")
    golds, saids = ([line[side] for line in lines] for side in ("gold", "predicted"))
    pairs = [pair for gold, said in zip(golds, saids, strict=True) for pair in [*zip(gold, said, strict=True), None]]
    theirs = conlleval.evaluate(["" if pair is None else f"w {pair[0]} {pair[1]}" for pair in pairs])
    whole = theirs["overall"]["chunks"]["evals"]
    ours = [found["metrics"][name] for name in ("precision", "recall", "f1")]
    assert ours == pytest.approx([whole["prec"], whole["rec"], whole["f1"]], abs=1e-9)
    report = classification_report(golds, saids, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    for name, row in {**found["per_type"], "micro avg": found["metrics"]}.items():
        other = [report[name][of] for of in ("precision", "recall", "f1-score")]
        assert [row[of] or 0.0 for of in ("precision", "recall", "f1")] == pytest.approx(other, abs=1e-9)


def test_the_folder_finds_names_in_plain_text_with_their_places(model: Model) -> None:
    text = "The  ADA saw Oslo,\tand Ada’s Rome.\n" * 5
    (line,) = Predictor.load(model.path, device="cpu", num_threads=1).predict([text])
    assert "gold" not in line
    assert len(line["tokens"]) == len(line["predicted"]) == 9 * 5 + 5
    names = [(one["type"], one["text"]) for one in line["entities"]]
    assert names.count(("LOC", "Oslo")) == 5
    assert all(text[one["start"] : one["end"]] == one["text"] for one in line["entities"])


def test_given_tokens_are_taken_as_they_are(model: Model) -> None:
    predictor = Predictor.load(model.path, device="cpu", num_threads=1)
    given: list[Any] = [{"tokens": ["Ada", "saw", "Oslo"], "id": "x", "tags": ["B-NONE"] * 3}, "Ada saw Oslo"]
    first, second = predictor.predict(given)
    assert first["id"] == "x"
    assert first["tokens"] == ["Ada", "saw", "Oslo"]
    assert first["entities"] == second["entities"]
    assert "gold" not in first


def test_transformers_loads_the_folder(model: Model, data: TaskData) -> None:
    theirs = AutoModelForTokenClassification.from_pretrained(model.path)
    assert list(theirs.config.id2label.values()) == data.task["labels"] == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def test_data_of_other_types_is_refused(model: Model, data: TaskData, tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("a B-ORG\n\nb B-ORG\n\nc B-ORG\n")
    source = ["source.format=conll", f"source.train={tmp_path}/train.conll", f"source.test={tmp_path}/train.conll"]
    other = run(task_data, TaskDataConfig, tmp_path / "data", *source, "validation_percentage=0")
    with pytest.raises(StageError, match="labels"):
        run(evaluate, EvaluateConfig, tmp_path / "out", model=model, data=other)


def test_options_that_a_crf_does_not_read_are_refused(start: Checkpoint, data: TaskData, tmp_path: Path) -> None:
    overrides = [*SMALL, "tagging.head=crf", "loss.label_smoothing=0.1"]
    with pytest.raises(ConfigError, match="CRF"):
        run(finetune, FinetuneConfig, tmp_path / "out", *overrides, data=data, start=start)


def test_balanced_class_weights_count_tags(start: Checkpoint, data: TaskData, tmp_path: Path) -> None:
    overrides = [*SMALL, "max_steps=2", "loss.class_weights=balanced"]
    assert run(finetune, FinetuneConfig, tmp_path / "out", *overrides, data=data, start=start).path.is_dir()
