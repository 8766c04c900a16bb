"""Baselines are another `model` of finetune: the same data, checkpoints, scores and predictions as a BERT's."""

import json
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from stage_runs import run

from bertkit.artifacts import Metrics, Model, TaskData, Tokenizer, WordVectors
from bertkit.config import build, parse_overrides
from bertkit.errors import ConfigError
from bertkit.predictor import Predictor
from bertkit.stages.evaluate import EvaluateConfig, evaluate
from bertkit.stages.finetune import FinetuneConfig, finetune
from bertkit.stages.session import Session
from bertkit.stages.task_data import TaskDataConfig, task_data
from bertkit.text import wordpiece

WORDS = ["soup", "bread", "boat", "wind", "star", "moon", "old", "new"]
SMALL = [
    *("max_seq_length=16", "train_batch_size=8", "num_train_epochs=3", "learning_rate=1e-2", "eval_steps=2"),
    *("micro_batch_size=4", "device=cpu", "num_threads=1", "peak_flops=1e9", "early_stopping_patience=null"),
    *("warmup_steps=0", "model.embeddings.size=16"),
]
BACKBONES = {
    "textcnn": [
        "model.textcnn.num_filters=8",
        "model.textcnn.norm=batch",
        "micro_batch_size=8",
        "regularization.max_norm=3",
    ],
    "rnn": ["model.rnn.hidden_size=8"],
    "transformer": ["model.transformer.hidden_size=16", "model.transformer.intermediate_size=16"],
    "bag": ["model.bag.buckets=100"],
}


def train(out: Path, data: TaskData, backbone: str, *overrides: str, **inputs: Any) -> Model:
    options = [*SMALL, f"model.backbone={backbone}", *BACKBONES[backbone], *overrides]
    made: Model = run(finetune, FinetuneConfig, out, *options, data=data, **inputs)
    return made


def read(folder: Path, rows: list[dict[str, Any]], *more: str) -> TaskData:
    folder.mkdir(exist_ok=True)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = ["source.format=jsonl", f"source.train={folder / 'rows.jsonl'}"]
    made: TaskData = run(task_data, TaskDataConfig, folder / "task", *source, "validation_percentage=30", *more)
    return made


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """Texts that say whether a boat is among them."""
    rng = random.Random(0)
    texts = dict.fromkeys(" ".join(rng.choices(WORDS, k=rng.randint(2, 9))) for _ in range(100))
    return read(tmp_path_factory.mktemp("texts"), [{"text": t, "label": "yes" if "boat" in t else "no"} for t in texts])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """Pairs that say whether both have the same words."""
    rng = random.Random(1)
    rows = []
    for number in range(160):
        words, others = (rng.sample(WORDS, k=rng.randint(1, 3)) for _ in range(2))
        same = number % 2 == 0 or set(words) == set(others)
        pair = " ".join(words[::-1] if same else others)
        rows.append({"text": " ".join(words), "text_pair": pair, "label": "same" if same else "other"})
    return read(tmp_path_factory.mktemp("pairs"), rows, "source.columns.text_pair=text_pair")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    wordpiece.save([*wordpiece.SPECIAL_TOKENS, *WORDS], folder, casing=wordpiece.Casing(), model_max_length=32)
    return Tokenizer.open(folder)


def word_vectors(folder: Path, words: list[str], values: np.ndarray) -> WordVectors:
    folder.mkdir()
    (folder / "words.txt").write_text("".join(f"{word}\n" for word in words))
    save_file({"vectors": values.astype(np.float32)}, folder / "vectors.safetensors")
    (folder / "manifest.json").write_text(json.dumps({"artifact": "WordVectors", "fingerprint": "0123456789"}))
    return WordVectors.open(folder)


@pytest.mark.parametrize("units", ["words", "pieces"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_baseline_learns_is_scored_and_predicts_what_was_scored(
    backbone: str, units: str, data: TaskData, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = train(
        *(tmp_path / "m", data, backbone, "max_steps=90", "eval_steps=30", "learning_rate=3e-2", "micro_batch_size=8"),
        tokenizer=tokenizer if units == "pieces" else None,
    )
    facts = model.read_json("predictor.json")
    assert (facts["backbone"], facts["input_units"]) == (backbone, units)
    metrics: Metrics = run(
        evaluate, EvaluateConfig, tmp_path / "e", "device=cpu", "num_threads=1", model=model, data=data
    )
    assert metrics.read_json("metrics.json")["metrics"]["accuracy"] > 0.75
    rows = {row["id"]: row["text"] for row in data.rows("validation")}
    predictor = Predictor.load(model.path, device="cpu", num_threads=1)
    for line in metrics.predictions():
        [found] = predictor.predict([rows[line["id"]]])
        assert found["predicted"] == line["predicted"]
        assert found["scores"] == pytest.approx(line["scores"], abs=1e-5)


@pytest.mark.parametrize("backbone", ["textcnn", "rnn"])
def test_pairs_are_read_by_siamese_networks(backbone: str, pairs: TaskData, tmp_path: Path) -> None:
    model = train(tmp_path / "m", pairs, backbone, "max_steps=150", "eval_steps=50", "micro_batch_size=8")
    predictor = Predictor.load(model.path, device="cpu", num_threads=1)
    rows = pairs.rows("validation")
    found = predictor.predict([(row["text"], row["text_pair"]) for row in rows])
    right = [line["predicted"] == row["label"] for line, row in zip(found, rows, strict=True)]
    assert sum(right) / len(right) > 0.75


class Cut(Exception):  # noqa: N818
    pass


def result(model: Model) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rows = [json.loads(line) for line in (model.path / "log.jsonl").read_text().splitlines()]
    timings = ("seconds", "_per_second", "mfu")
    return load_file(model.path / "model.safetensors"), [
        {key: value for key, value in row.items() if not key.endswith(timings)} for row in rows
    ]


@pytest.mark.parametrize(
    ("backbone", "tricks"),
    [
        ("textcnn", ["model.textcnn.pooling=kmax", "model.textcnn.k=2", "adversarial.method=fgm", "ema_decay=0.9"]),
        ("rnn", ["regularization.input_noise=0.05", "regularization.r_drop=0.5", "model.rnn.num_layers=2"]),
        ("transformer", ["adversarial.method=freelb", "layers.head_learning_rate=1e-2", "augmentation.swap=0.2"]),
    ],
)
def test_a_run_goes_on_from_a_checkpoint_to_the_bit(
    backbone: str, tricks: list[str], data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = result(train(tmp_path / "whole", data, backbone, *tricks))
    saved = Session.save

    def save_and_die(self: Session) -> None:
        saved(self)
        if self.step == 6:
            raise Cut

    monkeypatch.setattr(Session, "save", save_and_die)
    with pytest.raises(Cut):
        train(tmp_path / "cut", data, backbone, *tricks)
    monkeypatch.setattr(Session, "save", saved)
    again = result(train(tmp_path / "cut", data, backbone, *tricks))
    assert len(whole[1]) > 3
    assert again[1] == whole[1]
    assert all(torch.equal(whole[0][name], again[0][name]) for name in whole[0])


def entry(model: Model, word: str) -> int:
    vocabulary = json.loads((model.path / "tokenizer.json").read_text())["model"]["vocab"]
    return int(vocabulary[word])


@pytest.mark.parametrize("channels", ["static", "non_static", "multichannel"])
def test_vectors_are_where_embeddings_begin(channels: str, data: TaskData, tmp_path: Path) -> None:
    values = np.arange(12.0).reshape(3, 4) / 10
    vectors = word_vectors(tmp_path / "v", ["boat", "Soup", "elsewhere"], values)
    options = [f"model.embeddings.channels={channels}", "model.embeddings.size=4"]
    model = train(tmp_path / "m", data, "textcnn", *options, vectors=vectors)
    facts = model.read_json("predictor.json")
    assert facts["words_with_vector"] == 1
    weights = load_file(model.path / "model.safetensors")
    given = torch.from_numpy(values[0]).float()
    if channels != "non_static":
        torch.testing.assert_close(weights["backbone.embeddings.fixed.weight"][entry(model, "boat")], given)
    if channels != "static":
        tuned = weights["backbone.embeddings.tuned.weight"][entry(model, "boat")]
        assert 0 < (tuned - given).abs().max() < 0.5


def test_vectors_can_begin_with_length_one(data: TaskData, tmp_path: Path) -> None:
    vectors = word_vectors(
        tmp_path / "v", ["boat", "soup", "star"], np.array([[3, 0, 4, 0], [0, 0, 0, 0], [0, 0, 0, 9]])
    )
    options = ["model.embeddings.channels=static", "model.embeddings.size=4", "model.embeddings.unit_vectors=true"]
    model = train(tmp_path / "m", data, "textcnn", *options, vectors=vectors)
    table = load_file(model.path / "model.safetensors")["backbone.embeddings.fixed.weight"]
    found = table[[entry(model, word) for word in ("boat", "soup", "star")]]
    torch.testing.assert_close(found, torch.tensor([[0.6, 0, 0.8, 0], [0, 0, 0, 0], [0, 0, 0, 1]]))


def test_a_file_of_vectors_serves_as_well_and_widens_the_vocabulary(
    data: TaskData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With few words kept of the training split, those that have a vector are known all the same."""
    path = tmp_path / "glove.txt"
    path.write_text("soup 1 2 3 4\nstar 4 3 2 1\n")
    options = ["model.words.max_size=1", f"model.embeddings.vectors_file={path}", "model.embeddings.size=4"]
    with caplog.at_level(logging.INFO):
        model = train(tmp_path / "m", data, "textcnn", *options, "max_steps=4")
    facts = model.read_json("predictor.json")
    assert facts["words_with_vector"] == 2
    assert f"2 of the {facts['words']} words have a vector" in caplog.text
    assert 2 <= facts["words"] <= 3
    assert 0.5 < facts["unknown_share"]["validation"] < 0.8
    assert entry(model, "star") > 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.backbone=textcnn", "model.rnn.cell=gru"], "rnn: not read by the backbone textcnn"),
        (["model.words.lowercase=false"], "words: not read by the backbone bert"),
        (["model.backbone=textcnn", "model.textcnn.k=2"], "k: not read by the pooling max"),
        (["model.backbone=rnn", "reinit_layers=1"], "reinit_layers: of a BERT's pretrained layers; rnn has none"),
        (["model.backbone=rnn", "layers.freeze_layers=1"], "layers.freeze_layers: of a BERT's"),
        (["model.backbone=bag", "layers.learning_rate_decay=0.9"], "layers.learning_rate_decay: of a BERT's"),
        (["model.backbone=textcnn", "init=random"], "init: of a BERT's"),
        (["model.backbone=transformer", "gradient_checkpointing=true"], "gradient_checkpointing: of a BERT's"),
        (["model.backbone=transformer", "model.transformer.num_heads=3"], "does not divide among 3 heads"),
        (["model.backbone=textcnn", "model.textcnn.filter_widths=[]"], "filter_widths"),
    ],
)
def test_options_that_a_backbone_does_not_read_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(FinetuneConfig, parse_overrides(overrides), name="finetune")


def test_inputs_that_do_not_fit_the_backbone_are_refused(data: TaskData, tokenizer: Tokenizer, tmp_path: Path) -> None:
    vectors = word_vectors(tmp_path / "v", ["boat"], np.ones((1, 4)))
    far = word_vectors(tmp_path / "far", ["nowhere"], np.ones((1, 4)))
    cases: list[tuple[list[str], dict[str, Any], str]] = [
        ([], {}, "a BERT starts from the input `start`, and nothing is given"),
        ([], {"tokenizer": tokenizer}, "a BERT starts from the input `start`, and given is tokenizer"),
        (["model.backbone=rnn"], {"tokenizer": tokenizer, "vectors": vectors}, "`tokenizer` makes word pieces"),
        (["model.backbone=rnn", "model.words.min_count=2"], {"tokenizer": tokenizer}, "model.words is not read"),
        (["model.backbone=rnn", "model.embeddings.channels=static"], {}, "channels=static keeps vectors as given"),
        (["model.backbone=rnn", "model.embeddings.channels=static"], {"tokenizer": tokenizer}, "and none are"),
        (["model.backbone=rnn", "model.embeddings.unit_vectors=true"], {}, "unit_vectors changes the vectors given"),
        (["model.backbone=rnn", "model.embeddings.size=5"], {"vectors": vectors}, "is 5, the vectors have 4 numbers"),
        (["model.backbone=rnn"], {"vectors": far}, "has a vector for no word of the task"),
        (["model.backbone=rnn", "classification.window_pooling=mean"], {}, "window_pooling is for a BERT"),
    ]
    for i, (options, inputs, message) in enumerate(cases):
        with pytest.raises(ConfigError, match=message):
            run(finetune, FinetuneConfig, tmp_path / str(i), "device=cpu", *options, data=data, **inputs)


def test_batch_norm_is_by_whole_batches(data: TaskData, tmp_path: Path) -> None:
    """`micro_batch_size` is no part of a result's name, so it may not change the result."""
    with pytest.raises(ConfigError, match="normalises by a batch of 8, and 4 of it would be computed at once"):
        train(tmp_path / "m", data, "textcnn", "micro_batch_size=4")


@pytest.mark.parametrize("backbone", ["textcnn", "rnn", "bag"])
def test_mixout_without_layers_to_mix_is_refused(backbone: str, data: TaskData, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mixout is for linear layers, and below the head there are none"):
        train(tmp_path / "m", data, backbone, "regularization.mixout=0.5")


def test_names_in_reports_say_what_a_network_is() -> None:
    def name(*overrides: str) -> str:
        return build(FinetuneConfig, parse_overrides(overrides), name="finetune").display_name

    assert name("model.backbone=textcnn") == "TextCNN"
    assert name("model.backbone=rnn") == "BiLSTM"
    assert name("model.backbone=rnn", "model.rnn.cell=gru", "model.rnn.bidirectional=false") == "GRU"
    assert name("model.backbone=bag", "name=fastText") == "fastText"
    assert name("init=random") == "BERT, random weights"
