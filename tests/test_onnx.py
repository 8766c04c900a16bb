"""Exported graphs compute what torch does, for every head; without the packages there is a remedy."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForPreTraining

import bertkit
from bertkit.errors import HostError, NumericError, StageError
from bertkit.models import bert, onnx_graph
from bertkit.predictor import Predictor
from bertkit.text import wordpiece

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

WORDS = ["the", "first", "of", "these", "words", "soup", "boat", "##s", "who", "."]
FEW: dict[str, Any] = {"max_steps": 2, "max_seq_length": 24, "train_batch_size": 8, "device": "cpu", "num_threads": 1}
SENTENCES = [f"{a} {b} of the {c}" for a in WORDS[:5] for b in WORDS[:5] for c in ("soup", "boat", "boats")]
ROWS: dict[str, list[dict[str, Any]]] = {
    "classification": [{"text": text, "label": text.split()[-1]} for text in SENTENCES],
    "tagging": [{"tokens": t.split(), "tags": ["O"] * 4 + ["B-THING"]} for t in SENTENCES],
    "spans": [
        {"question": "who", "context": t, "answers": [{"text": "of", "answer_start": t.index("of")}]} for t in SENTENCES
    ],
}
GIVEN: dict[str, list[Any]] = {
    "classification": ["the soup", "these boats of words . . the first soup"],
    "tagging": ["the soup", "these boats of words . . the first soup " * 3],
    "spans": [("who", "the soup of boats"), ("who of these", "the first words of these boats . " * 5)],
}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    wordpiece.save([*wordpiece.SPECIAL_TOKENS, *WORDS], folder, casing=wordpiece.Casing(), model_max_length=32)
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=5 + len(WORDS), max_position_embeddings=32, initializer_range=0.2, **sizes)
    bert.save(BertForPreTraining(config), folder)
    return folder


@pytest.mark.parametrize("kind", ["classification", "tagging", "spans"])
def test_a_graph_predicts_what_torch_does(start: Path, tmp_path: Path, kind: Any, monkeypatch: Any) -> None:
    more: dict[str, Any] = {"tagging": {"tagging": {"head": "crf", "pooling": "mean", "stride": 4}}}.get(kind, {})
    if kind == "spans":
        more = {"spans": {"doc_stride": 4}}
    folder = check_export(kind, tmp_path, model=start, **FEW, **more)
    plain = Predictor.load(folder, device="cpu", num_threads=1)
    if kind != "classification":
        return
    command = [
        sys.executable,
        "-m",
        "bertkit",
        "predict",
        str(folder),
        "the soup",
        "--onnx",
        str(tmp_path / "model.onnx"),
    ]
    assert '"predicted"' in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    monkeypatch.setattr(onnx_graph, "largest_difference", lambda *_: 0.5)
    with pytest.raises(NumericError, match="0.5 from torch"):
        plain.export_onnx(tmp_path / "wrong.onnx")
    assert not (tmp_path / "wrong.onnx").exists()
    (tmp_path / "torn.onnx").write_bytes((tmp_path / "model.onnx").read_bytes()[:1000])
    with pytest.raises(HostError, match="cannot read the graph"):
        Predictor.load(folder, onnx=tmp_path / "torn.onnx")


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_long_texts_in_windows(start: Path, tmp_path: Path, pooling: str) -> None:
    windows = {"classification": {"window_pooling": pooling, "window_overlap": 2}}
    check_export("classification", tmp_path, model=start, **FEW, **windows)


CNN = {"backbone": "textcnn", "textcnn": {"pooling": "kmax", "k": 2}}
TRANSFORMER = {"backbone": "transformer", "transformer": {"hidden_size": 16, "num_heads": 2}}
BAG = {"backbone": "bag", "bag": {"ngrams": 3, "buckets": 50}}


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        ("classification", CNN),
        ("classification", TRANSFORMER),
        ("pairs", BAG),
        ("tagging", {**CNN, "textcnn": {}, "characters": {"size": 4}}),
        ("spans", TRANSFORMER),
    ],
    ids=lambda given: given if isinstance(given, str) else given["backbone"],
)
def test_baselines(kind: str, network: dict[str, Any], tmp_path: Path) -> None:
    check_export(kind, tmp_path, model=network, **FEW)


def test_a_recurrent_network_is_refused(tmp_path: Path) -> None:
    rows = ROWS["classification"]
    folder = bertkit.finetune("classification", train=rows, dev=rows, model="gru", **FEW).model.folder
    with pytest.raises(StageError, match="recurrent"):
        Predictor.load(folder, device="cpu").export_onnx(tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def check_export(kind: str, out: Path, *, model: Any, **options: Any) -> Path:
    """A trained model, whose folder is given back, and its graph predict the same."""
    rows = ROWS["classification" if kind == "pairs" else kind]
    given = GIVEN["classification" if kind == "pairs" else kind]
    if kind == "pairs":
        rows = [{**row, "text_pair": other["text"]} for row, other in zip(rows, reversed(rows), strict=True)]
        given = [(text, other) for text, other in zip(given, reversed(given), strict=True)]
    task: Any = "classification" if kind == "pairs" else kind
    folder = bertkit.finetune(task, train=rows, dev=rows, model=model, **options).model.folder
    plain = Predictor.load(folder, device="cpu", num_threads=1)
    assert plain.export_onnx(out / "model.onnx") < 1e-4
    exported = Predictor.load(folder, num_threads=1, onnx=out / "model.onnx")
    for line, expected in zip(exported.predict(given), plain.predict(given), strict=True):
        assert line["predicted"] == expected["predicted"]
        if task == "classification":
            assert line["scores"] == pytest.approx(expected["scores"], abs=1e-4)
    return folder
