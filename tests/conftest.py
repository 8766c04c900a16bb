"""Made-up text with topics, and a pipeline small enough for every test run."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# No test may reach the network, whatever a library would like to look up.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="true", WANDB_MODE="offline")

REPOSITORY = Path(__file__).parents[1]

TOPICS = {
    "cooking": "soup bread oven garlic onion butter kitchen pepper flour recipe sauce dinner",
    "sailing": "boat wind harbour mast anchor tide captain island storm sailor rope deck",
    "astronomy": "star planet orbit telescope comet moon galaxy crater eclipse light sky rocket",
}
VERBS = ["found", "watched", "wanted", "lost", "described", "carried", "followed", "needed", "changed", "remembered"]


def article(topic: str, rng: random.Random, sentences: int) -> list[str]:
    """Sentences such as `The old captain followed a rope.`, all of one topic."""
    nouns = TOPICS[topic].split()
    return [
        f"The {rng.choice(['old', 'new', 'small', 'bright'])} {rng.choice(nouns)} {rng.choice(VERBS)} "
        f"a {rng.choice(nouns)} and the {rng.choice(nouns)}."
        for _ in range(sentences)
    ]


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `corpus.txt` (documents between blank lines) and `topics.jsonl` (text and label)."""
    import json

    folder = tmp_path_factory.mktemp("made up")
    rng = random.Random(0)
    topics = [list(TOPICS)[i % 3] for i in range(120)]
    documents = ["\n".join(article(topic, rng, rng.randint(3, 9))) for topic in topics]
    (folder / "corpus.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    for split, count in (("train", 90), ("test", 30)):
        rows = [{"text": " ".join(article(t, rng, 2)), "label": t} for t in (topics * 2)[:count]]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


PIPELINE = """\
stages:
  corpus: {{stage: corpus, config: {{source: {{format: text, files: "{folder}/corpus.txt"}}, num_workers: 0, heldout_percentage: 10}}}}
  tokenizer: {{stage: tokenizer, inputs: {{corpus: corpus}}, config: {{vocab_size: 150}}}}
  pretrain_data: {{stage: pretrain_data, inputs: {{corpus: corpus, tokenizer: tokenizer}}}}
  pretrain:
    stage: pretrain
    inputs: {{data: pretrain_data, tokenizer: tokenizer}}
    config:
      model: {{num_hidden_layers: 1, hidden_size: 32, intermediate_size: 64, initializer_range: 0.1}}
      max_seq_length: 48
      train_batch_size: 8
      micro_batch_size: 4
      max_steps: 12
      eval_steps: 6
      logging_steps: 2
      save_steps: 4
      learning_rate: 5e-3
  topic_data:
    stage: task_data
    config: {{source: {{format: jsonl, train: "{folder}/train.jsonl", test: "{folder}/test.jsonl"}}, name: topic}}
  topic: {{stage: finetune, inputs: {{data: topic_data, start: pretrain}}, seeds: [1, 2], config:
    {{max_seq_length: 32, train_batch_size: 8, num_train_epochs: 6, learning_rate: 3e-3}}}}
  topic_random: {{stage: finetune, inputs: {{data: topic_data, start: pretrain}}, seeds: [1, 2], config:
    {{max_seq_length: 32, train_batch_size: 8, num_train_epochs: 6, learning_rate: 3e-3, init: random}}}}
  topic_eval: {{stage: evaluate, inputs: {{model: topic, data: topic_data}}}}
  topic_random_eval: {{stage: evaluate, inputs: {{model: topic_random, data: topic_data}}}}
  report:
    stage: report
    inputs: {{metrics: [topic_eval, topic_random_eval], pretrain: [pretrain], corpus: [corpus], tokenizer: [tokenizer], task_data: [topic_data]}}
"""


@pytest.fixture(scope="session")
def pipeline(made_up: Path) -> Path:
    """A pipeline YAML over the made-up text: the whole road in some twenty seconds."""
    path = made_up / "small.yaml"
    path.write_text(PIPELINE.format(folder=made_up), encoding="utf-8")
    return path


Bertkit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def bertkit() -> Bertkit:
    """Run the `bertkit` command as a user would, in the repository."""

    def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "bertkit", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            timeout=280,
        )

    return run


@pytest.fixture(scope="session")
def whole_run(pipeline: Path, bertkit: Bertkit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of one complete run of the small pipeline; tests read it and change nothing."""
    root = tmp_path_factory.mktemp("whole run")
    done = bertkit("run", pipeline, "--root", root)
    assert done.returncode == 0, done.stderr
    return root
