"""A tagger's folder loads everywhere, and its loss is the one that it says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForTokenClassification

from bertkit.errors import ConfigError
from bertkit.models import bert
from bertkit.models.tagging import BertTagger, TaggingLoss, load_tagger, new_tagger, pool_pieces, token_loss

LABELS = ["O", "B-A", "I-A", "B-C", "I-C"]
SIZES = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    bert.save(bert.new_pretraining_model(SIZES, vocab_size=50, pad_token_id=0, seed=1), folder)
    return folder


def tagger(start: Path, **changes: Any) -> BertTagger:
    options: dict[str, Any] = {"head": "softmax", "constrained": True, "init": "pretrained", "dropout": 0.0, "seed": 3}
    return new_tagger(start, LABELS, **(options | {"reinit_layers": None} | changes))


def batch() -> dict[str, torch.Tensor]:
    """Two windows: five pieces of three tokens; two pieces of two tokens, from a sentence's middle."""
    return {
        "input_ids": torch.tensor([[2, 7, 8, 9, 10, 11, 3], [2, 12, 13, 3, 0, 0, 0]]),
        "token_type_ids": torch.zeros(2, 7, dtype=torch.long),
        "attention_mask": torch.tensor([[1] * 7, [1] * 4 + [0] * 3]),
        "word_begins": torch.tensor([[1, 3, 4], [1, 2, 0]]),
        "word_ends": torch.tensor([[3, 4, 6], [2, 3, 1]]),
        "labels": torch.tensor([[1, 2, 0], [2, 0, -100]]),
        "edges": torch.tensor([[1, 1], [0, 0]]),
    }


def test_the_loss_is_transformers_own_with_labels_at_first_pieces(start: Path) -> None:
    model = tagger(start).eval()
    sums = TaggingLoss(model, pooling="first")(batch())
    labels = torch.full((2, 7), -100)
    labels[0, [1, 3, 4]] = torch.tensor([1, 2, 0])
    labels[1, [1, 2]] = torch.tensor([2, 0])
    given = {name: batch()[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
    reference = model(**given, labels=labels).loss
    assert sums["count"].item() == 5
    assert (sums["loss"] / sums["count"]).item() == pytest.approx(reference.item(), abs=1e-5)


def test_the_crfs_loss_counts_a_window_that_begins_inside_an_entity_fairly(start: Path) -> None:
    objective = TaggingLoss(tagger(start, head="crf").train(), pooling="mean")
    sums = objective(batch())
    assert 0 < sums["loss"].item() < 50
    sums["loss"].backward()
    for name, parameter in objective.model.named_parameters():
        if "pooler" not in name:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_mean_pooling_is_the_mean_and_padding_is_finite() -> None:
    states = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(0))
    given = batch()
    pooled = pool_pieces(states, given["word_begins"], given["word_ends"], "mean")
    assert torch.allclose(pooled[0, 0], states[0, 1:3].mean(0), atol=1e-6)
    assert torch.allclose(pooled[0, 2], states[0, 4:6].mean(0), atol=1e-6)
    assert torch.allclose(pooled[1, 0], states[1, 1], atol=1e-6)
    assert pooled.isfinite().all()
    assert torch.equal(pool_pieces(states, given["word_begins"], given["word_ends"], "first")[0, 1], states[0, 3])


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_a_saved_folder_predicts_the_same_and_loads_in_transformers(start: Path, tmp_path: Path, head: str) -> None:
    model = tagger(start, head=head).eval()
    bert.save(model, tmp_path)
    first, second = (
        TaggingLoss(one, pooling="first").eval().outputs(batch()) for one in (model, load_tagger(tmp_path))
    )
    for name in ("logits", "probabilities", "tags"):
        assert torch.equal(first[name], second[name]), name
    theirs = AutoModelForTokenClassification.from_pretrained(tmp_path).eval()
    assert list(theirs.config.id2label.values()) == LABELS
    given = {name: batch()[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
    with torch.no_grad():
        assert torch.allclose(theirs(**given).logits[0, [1, 3, 4]], first["logits"][0], atol=1e-5)


def test_tags_are_valid_and_probabilities_sum_to_one(start: Path) -> None:
    for head in ("softmax", "crf"):
        model = tagger(start, head=head, init="random").eval()
        with torch.no_grad():
            model.classifier.bias[2] = 20.0  # I-A above all
            outputs = TaggingLoss(model, pooling="first").eval().outputs(batch())
        assert outputs["tags"][0].tolist() == [1, 2, 2]
        assert outputs["tags"][1, :2].tolist() == [2, 2], "a window from the middle may go on with an entity"
        assert np.allclose(outputs["probabilities"].sum(-1), 1, atol=1e-5)
        free = tagger(start, head=head, init="random", constrained=False).eval()
        with torch.no_grad():
            free.classifier.bias[2] = 20.0
            assert TaggingLoss(free, pooling="first").eval().outputs(batch())["tags"][0].tolist() == [2, 2, 2]


def test_losses_of_the_config(start: Path) -> None:
    smooth = token_loss("softmax", {"type": "auto", "label_smoothing": 0.1}, None)
    objective = TaggingLoss(tagger(start).eval(), pooling="first", loss=smooth)
    logits = torch.nn.Module.__call__(objective, batch())["loss"]
    outputs = objective.outputs(batch())["logits"]
    known = batch()["labels"] != -100
    expected = functional.cross_entropy(outputs[known], batch()["labels"][known], reduction="sum", label_smoothing=0.1)
    assert torch.allclose(logits, expected)
    assert token_loss("crf", {"type": "auto"}, None) is None
    for options, weights in (({"type": "focal"}, None), ({"label_smoothing": 0.1}, None), ({}, [1.0] * 5)):
        with pytest.raises(ConfigError, match="CRF"):
            token_loss("crf", options, weights)
