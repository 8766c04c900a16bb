"""What the presets of the baselines hold, for those who have the package and not the repository around it."""

from collections.abc import Mapping
from typing import Any

TRAINING = {
    "max_seq_length": 256,
    "train_batch_size": 50,
    "num_train_epochs": 10,
    "learning_rate": 1e-3,
    "warmup_steps": 0,
    "early_stopping_patience": 3,
}
"""How a network from random weights is trained, unlike a pretrained one."""


def _rnn(cell: str) -> dict[str, Any]:
    """A recurrent network and how it is trained; see `BASELINES`."""
    model = {"backbone": "rnn", "embeddings": {"size": 200, "dropout": 0.3}, "rnn": {"cell": cell, "hidden_size": 128}}
    return {**TRAINING, "model": model}


BASELINES: dict[str, dict[str, Any]] = {
    "bag": {
        **TRAINING,
        "learning_rate": 3e-3,
        "weight_decay": 0,
        "model": {"backbone": "bag", "embeddings": {"size": 100}, "bag": {"ngrams": 2, "buckets": 100_000}},
    },
    "textcnn": {
        **TRAINING,
        "regularization": {"max_norm": 3},
        "model": {"backbone": "textcnn", "embeddings": {"size": 300}},
    },
    "rnn": _rnn("rnn"),
    "lstm": _rnn("lstm"),
    "gru": _rnn("gru"),
    "transformer": {
        **TRAINING,
        "learning_rate": 5e-4,
        "warmup_steps": 0.1,
        "dropout": 0.2,
        "model": {"backbone": "transformer", "embeddings": {"size": 128}},
    },
}


def config_of(model: str | Mapping[str, Any]) -> dict[str, Any]:
    """finetune's config of a baseline: by its name, or with a block `model` of one's own.

    Raises:
        KeyError: there is no baseline of that name.
    """
    return BASELINES[model] if isinstance(model, str) else {**TRAINING, "model": dict(model)}
