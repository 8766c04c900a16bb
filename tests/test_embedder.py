"""Vectors are transformers' hidden states, and fillings its probabilities, from Python and the shell."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, BertConfig, BertForMaskedLM, BertForPreTraining, BertTokenizerFast, pipeline

import bertkit
from bertkit.embedder import Embedder
from bertkit.errors import ConfigError, DataError, StageError
from bertkit.mask_filler import MaskFiller
from bertkit.models import bert
from bertkit.text import wordpiece

WORDS = ["soup", "bread", "boat", "wind", "the", "a", "old", "saw", "##s", ".", ","]
TEXTS = ["The old boat.", "a", "soups, bread, soups, the wind and the boat saw the old wind .", "The wind"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pretrained")
    wordpiece.save([*wordpiece.SPECIAL_TOKENS, *WORDS], place, casing=wordpiece.Casing(), model_max_length=32)
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 3, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=5 + len(WORDS), max_position_embeddings=32, initializer_range=0.5, **sizes)
    bert.save(BertForPreTraining(config), place)
    return place


def reference(folder: Path, text: str, layer: int) -> Any:
    """transformers' own states of a text alone."""
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.inference_mode():
        states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
    return states[layer][0].numpy()


@pytest.mark.parametrize("layer", [-1, 0, 1, 2, -4])
def test_vectors_are_the_hidden_states_of_transformers(folder: Path, layer: int) -> None:
    expected = [reference(folder, text, layer) for text in TEXTS]
    made = {"cls": lambda x: x[0], "mean": lambda x: x.mean(0), "max": lambda x: x.max(0), "tokens": lambda x: x}
    for pooling, pool in made.items():
        embedder = Embedder(folder, pooling=pooling, layer=layer, device="cpu", num_threads=1)  # type: ignore[arg-type]
        found = embedder.embed(TEXTS, batch_size=3)
        assert len(found) == len(TEXTS)
        for one, states in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, pool(states), atol=1e-5)


def test_fine_tuned_folders_have_vectors_too(folder: Path, whole_run: Path) -> None:
    tuned = whole_run / "latest/small/topic@1"
    vectors = bertkit.load(tuned, device="cpu").embed(["the soup", "a star"])
    np.testing.assert_allclose(vectors[0], reference(tuned, "the soup", -1).mean(0), atol=1e-5)


def test_long_texts_are_cut_and_counted(folder: Path) -> None:
    embedder = Embedder(folder, max_seq_length=6, device="cpu", num_threads=1)
    assert embedder.embed(["the old boat saw the wind", "soup"]).shape == (2, 32)
    assert embedder.truncated == 1
    assert Embedder(folder, device="cpu").embed([]).shape == (0, 32)
    with pytest.raises(ConfigError, match="reads 3 to 32"):
        Embedder(folder, max_seq_length=33)
    with pytest.raises(StageError, match=r"layers 0 .* to 3, not 4"):
        Embedder(folder, layer=4)
    with pytest.raises(StageError, match="no such directory"):
        Embedder(folder / "absent")


def test_masks_are_filled_as_transformers_fills_them(folder: Path) -> None:
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    peer = pipeline("fill-mask", BertForMaskedLM.from_pretrained(folder), tokenizer=tokenizer, top_k=4, device="cpu")
    texts = ["The [MASK] saw a boat.", "soup[MASK] , bread", "[MASK]"]
    found = bertkit.load(folder, device="cpu", num_threads=1).fill(texts, top_k=4)
    for text, masks in zip(texts, found, strict=True):
        (candidates,), expected = masks, peer(text)
        assert [one.token for one in candidates] == [tokenizer.convert_ids_to_tokens(e["token"]) for e in expected]
        assert [one.score for one in candidates] == pytest.approx([e["score"] for e in expected], abs=1e-5)
    both = peer("The [MASK] saw [MASK].")
    (masks,) = MaskFiller(folder, device="cpu").fill(["The [MASK] saw [MASK]."], top_k=4)
    for candidates, expected in zip(masks, both, strict=True):
        assert [one.score for one in candidates] == pytest.approx([e["score"] for e in expected], abs=1e-5)


def test_what_cannot_be_filled_says_why(folder: Path, whole_run: Path) -> None:
    filler = MaskFiller(folder, device="cpu", num_threads=1)
    with pytest.raises(DataError, match=r"input 2 has no \[MASK\]"):
        filler.fill(["a [MASK]", "nothing"])
    with pytest.raises(DataError, match="the model reads 32"):
        filler.fill(["boat " * 40 + "[MASK]"])
    with pytest.raises(StageError, match="no masked-LM head"):
        MaskFiller(whole_run / "latest/small/topic@1")


def run(*arguments: object, given: str | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bertkit", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, text=True)


def test_the_commands_write_what_python_gives(folder: Path, tmp_path: Path) -> None:
    expected = Embedder(folder, pooling="cls", device="cpu").embed(TEXTS)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    said = run("embed", folder, "--file", tmp_path / "texts.txt", "--pooling", "cls", "--out", tmp_path / "v.npy")
    assert said.returncode == 0, said.stderr
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), expected, atol=1e-5)
    lines = run(
        "embed", folder, "--file", "-", "--jsonl", "--pooling", "tokens", given='{"text": "soups", "id": "x"}\n'
    )
    (line,) = map(json.loads, lines.stdout.splitlines())
    assert (line["id"], line["tokens"], len(line["embeddings"])) == ("x", ["[CLS]", "soup", "##s", "[SEP]"], 4)
    filled = run("fill", folder, "The [MASK].", "--json", "--top-k", "2")
    assert len(json.loads(filled.stdout)["masks"][0]) == 2, filled.stderr
    assert run("fill", folder, "none").returncode == 2
    assert run("embed", folder, "a", "--pooling", "tokens", "--out", tmp_path / "v.npy").returncode == 2


def test_texts_before_a_bad_one_are_not_lost(folder: Path) -> None:
    stream = Embedder(folder, device="cpu", num_threads=1).stream(["a", "the", "", "soup"])
    assert [next(stream).id, next(stream).id] == ["1", "2"]
    with pytest.raises(DataError, match="input 3 has an empty text"):
        next(stream)
