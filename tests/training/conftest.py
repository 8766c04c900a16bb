"""A BERT small enough for hand-written references, and texts of ids for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from bertkit.data.encoding import EncodedTexts
from bertkit.models.attention import install_attention
from bertkit.models.dropout import install_dropout
from bertkit.models.objective import Batch, Sums, TaskObjective


@pytest.fixture(autouse=True)
def precision_of_its_own() -> None:
    """accelerate keeps one state a process: without this a test computes in the precision of the one before."""
    AcceleratorState._reset_state()


class TinyClassifier(TaskObjective):
    """Two layers, three classes."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        config = BertConfig(
            num_hidden_layers=2,
            hidden_size=16,
            num_attention_heads=2,
            intermediate_size=32,
            initializer_range=0.3,
            vocab_size=40,
            num_labels=3,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
        self.model = BertForSequenceClassification(config)
        install_dropout(self.model)
        install_attention(self.model)

    def outputs(self, batch: Batch) -> dict[str, Tensor]:
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        return {"logits": self.model(**inputs).logits}

    def sums(self, batch: Batch, outputs: dict[str, Tensor]) -> Sums:
        labels = batch["labels"]
        loss = functional.cross_entropy(outputs["logits"], labels, reduction="sum")
        correct = (outputs["logits"].argmax(-1) == labels).sum()
        return {"loss": loss, "correct": correct, "count": torch.tensor(len(labels))}


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Any]:
    """Makes the same objective anew; `dropout` is 0 unless given."""
    return lambda dropout=0.0: TinyClassifier(dropout)


def eight_texts() -> EncodedTexts:
    """Eight texts of different lengths."""
    rng = np.random.default_rng(0)
    rows = [np.array([2, *rng.integers(5, 40, size=n), 3]) for n in (9, 2, 5, 5, 1, 12, 3, 7)]
    return EncodedTexts(rows, rng.integers(0, 3, size=len(rows)), 0, 0)


@pytest.fixture(scope="session")
def eight() -> EncodedTexts:
    return eight_texts()
