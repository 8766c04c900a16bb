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
    folder = bertkit.finetune(kind, train=ROWS[kind], dev=ROWS[kind], model=start, **FEW, **more).model.folder
    plain = Predictor.load(folder, device="cpu", num_threads=1)
    assert plain.export_onnx(tmp_path / "model.onnx") < 1e-4
    exported = Predictor.load(folder, num_threads=1, onnx=tmp_path / "model.onnx")
    for line, expected in zip(exported.predict(GIVEN[kind]), plain.predict(GIVEN[kind]), strict=True):
        assert line["predicted"] == expected["predicted"]
        if kind == "classification":
            assert line["scores"] == pytest.approx(expected["scores"], abs=1e-4)
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


def test_a_baseline_is_refused(tmp_path: Path) -> None:
    rows = ROWS["classification"]
    folder = bertkit.finetune("classification", train=rows, dev=rows, model="bag", **FEW).model.folder
    with pytest.raises(StageError):
        Predictor.load(folder, device="cpu").export_onnx(tmp_path / "model.onnx")
