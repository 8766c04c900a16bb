"""A BERT too small to know anything, over the words of the made-up articles."""

import re
from pathlib import Path

import pytest

TOPIC = """\
stages:
  data:
    stage: task_data
    config: {{source: {{format: jsonl, train: "{folder}/train.jsonl", test: "{folder}/test.jsonl"}}, name: topic}}
  model:
    stage: finetune
    inputs: {{data: data, start: "{start}"}}
    config: {{max_seq_length: 32, train_batch_size: 16, num_train_epochs: 2, learning_rate: 3e-3, num_threads: 1}}
  scores: {{stage: evaluate, inputs: {{model: model, data: data}}, config: {{bootstrap_samples: 100}}}}
  report: {{stage: report, inputs: {{metrics: [scores], models: [model]}}}}
"""


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


@pytest.fixture
def topic_pipeline(made_up: Path, tiny_start: Path, tmp_path: Path) -> Path:
    """A file that fine-tunes `tiny_start` on the topics of the made-up articles, scores it and reports."""
    path = tmp_path / "topic.yaml"
    path.write_text(TOPIC.format(folder=made_up, start=tiny_start))
    return path
