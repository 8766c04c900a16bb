"""A BERT too small to know anything, over the words of the made-up articles."""

import re
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_start(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished folder to fine-tune from, made in no time."""
    import torch
    from transformers import BertConfig, BertForPreTraining

    from bertkit.models import bert
    from bertkit.text import wordpiece

    folder = tmp_path_factory.mktemp("tiny") / "start"
    words = sorted(set(re.findall("[a-z]+", (made_up / "corpus.txt").read_text(encoding="utf-8").lower())))
    wordpiece.save([*wordpiece.SPECIAL_TOKENS, *words], folder, casing=wordpiece.Casing(), model_max_length=48)
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    vocabulary = len(wordpiece.SPECIAL_TOKENS) + len(words)
    config = BertConfig(vocab_size=vocabulary, max_position_embeddings=48, initializer_range=0.5, **sizes)
    bert.save(BertForPreTraining(config), folder)
    return folder
