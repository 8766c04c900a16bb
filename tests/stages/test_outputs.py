"""What the stages leave behind is Hugging Face's, complete, and says what it is."""

import json
from pathlib import Path

import pytest
import sklearn.metrics as sk
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertTokenizer,
)

from bertkit import artifacts
from bertkit.artifacts import Checkpoint, Metrics, Model, PretrainData, TaskData, Tokenizer
from bertkit.models import bert


@pytest.fixture(scope="module")
def made(whole_run: Path) -> Path:
    return whole_run / "latest" / "small"


def test_every_directory_is_as_its_manifest_says(whole_run: Path) -> None:
    directories = [path.parent for path in whole_run.rglob("manifest.json")]
    assert len(directories) == 14
    for directory in directories:
        assert artifacts.verify(directory) >= 1
        assert not list(directory.glob("checkpoint-*"))
        assert not (directory / ".stage.json").exists()


@pytest.mark.parametrize("auto", [AutoModelForPreTraining, AutoModelForMaskedLM])
def test_the_checkpoint_loads_with_the_logits_that_bertkit_computes(made: Path, auto: type) -> None:
    model, info = auto.from_pretrained(made / "pretrain", output_loading_info=True)
    assert not info["missing_keys"]
    # A masked-LM model has no place for the pooler and the NSP head: transformers leaves them out by design.
    heads = ("bert.pooler.", "cls.seq_relationship.")
    assert not [key for key in info["unexpected_keys"] if auto is AutoModelForPreTraining or not key.startswith(heads)]
    tokenizer = AutoTokenizer.from_pretrained(made / "pretrain")
    batch = tokenizer(["The old captain", "a bright comet and the sky"], padding=True, return_tensors="pt")
    ours = bert.PretrainingLoss(bert.load_pretraining_model(made / "pretrain", seed=0).eval())
    with torch.no_grad():
        hidden, _ = ours.encode(dict(batch))
        expected = ours.model.cls.predictions(hidden)
        output = model.eval()(**batch)
    logits = output.prediction_logits if auto is AutoModelForPreTraining else output.logits
    assert torch.allclose(logits, expected, atol=1e-5)


def test_the_classifier_gives_the_probabilities_that_were_scored(made: Path) -> None:
    model, info = AutoModelForSequenceClassification.from_pretrained(made / "topic@1", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(made / "topic@1")
    rows = {row["id"]: row for row in TaskData.open(made / "topic_data").rows("test")}
    predictions = Metrics.open(made / "topic_eval@1").predictions()
    assert len(predictions) == len(rows) == 30
    for prediction in predictions:
        text = rows[prediction["id"]]["text"]
        batch = tokenizer([text], truncation=True, max_length=32, return_tensors="pt")
        with torch.no_grad():
            probabilities = model.eval()(**batch).logits.double().softmax(-1)[0].tolist()
        named = {model.config.id2label[i]: p for i, p in enumerate(probabilities)}
        assert prediction["scores"] == pytest.approx(named, abs=1e-5)
        assert prediction["predicted"] == max(named, key=lambda label: named[label])
        assert prediction["gold"] == rows[prediction["id"]]["label"]


@pytest.mark.parametrize("name", ["topic_eval@1", "topic_random_eval@2"])
def test_the_classifiers_scores_are_scikit_learns(made: Path, name: str) -> None:
    metrics = Metrics.open(made / name)
    rows, found = metrics.predictions(), metrics.read_json("metrics.json")
    labels = found["labels"]
    gold, said = ([row[side] for row in rows] for side in ("gold", "predicted"))
    scores = [[row["scores"][label] for label in labels] for row in rows]
    expected = {
        "accuracy": sk.accuracy_score(gold, said),
        **{f"{kind}_f1": sk.f1_score(gold, said, average=kind) for kind in ("macro", "micro", "weighted")},
        "matthews_correlation": sk.matthews_corrcoef(gold, said),
        "log_loss": sk.log_loss(gold, scores, labels=labels),
    }
    assert {key: found["metrics"][key] for key in expected} == pytest.approx(expected, abs=1e-9)


def test_tokenizer_readers_agree_in_every_folder(made: Path) -> None:
    texts = ["The old captain followed a rope.", "Émile's CAFÉ, 北京 ok"]
    entries = (made / "tokenizer" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    for folder in ("tokenizer", "pretrain", "topic@1"):
        auto, slow = AutoTokenizer.from_pretrained(made / folder), BertTokenizer.from_pretrained(made / folder)
        for text in texts:
            ids = auto(text)["input_ids"]
            assert ids == slow(text)["input_ids"]
            assert [entries[i] for i in ids] == auto.convert_ids_to_tokens(ids)


def test_the_store_holds_the_corpus_in_the_tokenizers_ids(made: Path) -> None:
    from bertkit.artifacts import Corpus
    from bertkit.data.token_store import TokenStore

    tokenizer = AutoTokenizer.from_pretrained(made / "tokenizer")
    for split in ("train", "heldout"):
        store = TokenStore(made / "pretrain_data", split)
        documents = list(Corpus.open(made / "corpus").documents(split))
        assert store.counts["documents"] == len(documents)
        expected = [i for _, doc in documents for s in doc for i in tokenizer(s, add_special_tokens=False)["input_ids"]]
        assert store.tokens.tolist() == expected
    assert (
        PretrainData.open(made / "pretrain_data").read_json("meta.json")["tokenizer"]
        == Tokenizer.open(made / "tokenizer").fingerprint
    )


def test_log_and_state_tell_the_same_story(made: Path) -> None:
    checkpoint = Checkpoint.open(made / "pretrain")
    rows = [json.loads(line) for line in (checkpoint.path / "log.jsonl").read_text().splitlines()]
    state = checkpoint.read_json("trainer_state.json")
    assert state["log_history"] == rows
    assert (state["global_step"], state["max_steps"]) == (12, 12)
    assert [row["step"] for row in rows if "eval_mlm_loss" in row] == [0, 6, 12]
    assert [row["step"] for row in rows if "loss" in row] == [2, 4, 6, 8, 10, 12]
    last = rows[-1]
    assert last["eval_perplexity"] == pytest.approx(2.718281828 ** last["eval_mlm_loss"], rel=1e-6)
    assert {"eval_mlm_accuracy", "eval_nsp_loss", "eval_nsp_accuracy"} <= last.keys()
    assert {"learning_rate", "grad_norm", "sequences_per_second", "tokens_per_second"} <= rows[1].keys()
    assert last["eval_mlm_loss"] < rows[0]["eval_mlm_loss"]


def test_the_best_weights_are_kept(made: Path) -> None:
    model = Model.open(made / "topic@1")
    predictor = model.read_json("predictor.json")
    history = model.read_json("trainer_state.json")["log_history"]
    measured = {row["step"]: row["eval_accuracy"] for row in history if "eval_accuracy" in row}
    assert predictor["metric_for_best_model"] == "accuracy"
    assert predictor["best_metric"] == max(measured.values())
    assert measured[predictor["best_step"]] == max(measured.values())


def test_metrics_say_what_they_are_of(made: Path) -> None:
    metrics = Metrics.open(made / "topic_eval@2").read_json("metrics.json")
    assert (metrics["task"], metrics["kind"], metrics["split"], metrics["n"]) == ("topic", "classification", "test", 30)
    assert metrics["model"] == "BERT, pretrained"
    assert metrics["seed"] == 2
    assert 0 <= metrics["metrics"][metrics["primary"]] <= 1
    low, high = metrics["intervals"]["accuracy"]
    assert low <= metrics["metrics"]["accuracy"] <= high
    assert Metrics.open(made / "topic_random_eval@2").read_json("metrics.json")["model"] == "BERT, random weights"
