"""A stage run by itself, and a BERT for it to start from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForPreTraining

from bertkit import storage
from bertkit.artifacts import Checkpoint
from bertkit.config import build, parse_overrides
from bertkit.models import bert
from bertkit.text import wordpiece


def run(stage: Any, config: Any, out: Path, *overrides: str, **inputs: Any) -> Any:
    """What a stage makes of a config, given as overrides, and of its inputs; None stands for one that is not given."""
    chosen = build(config, parse_overrides(overrides), name=stage.name)
    given = {name: one for name, one in inputs.items() if one is not None}
    names = {
        name: [each.fingerprint for each in one] if isinstance(one, tuple) else one.fingerprint
        for name, one in given.items()
    }
    return stage.run(chosen, given, out, stage.identity(chosen, names, storage.Digests()))


def random_bert(
    folder: Path, words: Sequence[str], *, layers: int = 1, width: int = 16, inner: int = 32, spread: float = 0.5
) -> Checkpoint:
    """A BERT with random weights and these words as a Hugging Face folder, up to 32 tokens, two heads a layer."""
    wordpiece.save([*wordpiece.SPECIAL_TOKENS, *words], folder, casing=wordpiece.Casing(), model_max_length=32)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(wordpiece.SPECIAL_TOKENS) + len(words),
        max_position_embeddings=32,
        initializer_range=spread,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=2,
        intermediate_size=inner,
    )
    bert.save(BertForPreTraining(config), folder)
    return Checkpoint.open(folder)
