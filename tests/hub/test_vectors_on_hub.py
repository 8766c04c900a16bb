"""Word vectors go to the Hub with a card of their own, and come back as an input."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

from bertkit import artifacts, storage
from bertkit.artifacts import WordVectors
from bertkit.errors import ConfigError
from bertkit.stages.publish import push_folder

Client = Callable[..., dict[str, Any]]
RECIPES = Path(__file__).resolve().parents[2] / "recipes"
WORDS = ["the", "bread", "soup", "boat", "sea"]


@pytest.fixture
def vectors(tmp_path: Path) -> WordVectors:
    made = WordVectors(storage.make_directory(tmp_path / "vectors"))
    made.write(WORDS, np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32))
    storage.write_json(made.path / "stats.json", {"words": 900, "vocabulary": 5, "dropped": {"words too rare": 3}})
    header = {"fingerprint": "0123456789", "seconds": 3.0, "config": {"architecture": "cbow"}, "versions": {}}
    artifacts.finish(made, {**header, "identity": {"inputs": {"corpus": "abc"}}, "inputs": {"corpus": str(tmp_path)}})
    return WordVectors.open(made.path)


def scores(**changed: Any) -> dict[str, Any]:
    found = {"items": 10, "known": 4, "score": 0.5, "interval": [0.25, 0.75]}
    one = {"task": "word vectors", "kind": "vectors", "model": "mine", "split": "test", "parameters": 40}
    return {**one, "train_seconds": 3.0, "metrics": {"pairs": 0.5}, "sets": {"pairs": found}, **changed}


def test_vectors_are_pushed_and_come_back_with_a_card_that_runs(
    hub: Any, client: Client, client_home: Path, vectors: WordVectors, tmp_path: Path
) -> None:
    options = {"scores": [scores()], "license": "cc-by-4.0", "language": "en"}
    pushed = client("push_folder", repo="me/vectors", folder=str(vectors.path), options=options)["done"]
    card = ModelCard(pushed["card"])
    assert (card.data.license, card.data.eval_results[0].metric_value) == ("cc-by-4.0", 0.5)
    assert "| pairs | 10 | 4 (40.0%) | Spearman correlation | 0.500 | 0.250 to 0.750 |" in pushed["card"]
    assert [(one.dataset_name, one.metric_type) for one in card.data.eval_results] == [("pairs", "spearmanr")]
    assert "cbow" in pushed["card"]
    assert str(tmp_path).encode() not in b"".join(hub.repositories["me/vectors"].files.values())

    fetched = WordVectors.open(Path(client("fetch", repo="me/vectors")["done"]))
    for name in ("vectors.safetensors", "words.txt", "stats.json"):
        assert (fetched.path / name).read_bytes() == (vectors.path / name).read_bytes()

    snippets = re.findall(r"```python\n(.*?)```", pushed["card"], re.DOTALL)
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    code = [sys.executable, "-c", "".join(snippets)]
    done = subprocess.run(code, capture_output=True, text=True, env={**os.environ, **own})
    assert done.returncode == 0, done.stderr
    ours, alone = (ast.literal_eval(line) for line in done.stdout.splitlines())
    assert ["bread", *(word for word, _ in ours[0])] == alone


PIPELINE = """
stages:
  corpus: {{stage: corpus, config: {{source: {{format: text, files: "{folder}/corpus.txt"}}, num_workers: 0}}}}
  vectors: {{stage: word2vec, inputs: {{corpus: corpus}}, config: {{vector_size: 8, min_count: 2, num_threads: 1}}}}
  scores: {{stage: evaluate_vectors, inputs: {{vectors: vectors}}, config: {{files: ["{folder}/pairs.tsv"]}}}}
  publish: {{stage: publish, inputs: {{vectors: vectors, metrics: [scores]}}, config: {{repo: me/words, private: true}}}}
"""


def test_a_pipeline_ends_with_vectors_on_the_hub(
    hub: Any, client: Client, bertkit: Any, made_up: Path, tmp_path: Path
) -> None:
    (tmp_path / "corpus.txt").write_text((made_up / "corpus.txt").read_text())
    words = list(dict.fromkeys(re.findall("[a-z]{4,}", (tmp_path / "corpus.txt").read_text())))[:20]
    (tmp_path / "pairs.tsv").write_text("".join(f"{a}\t{b}\t{n}\n" for n, (a, b) in enumerate(pairwise(words))))
    (tmp_path / "words.yaml").write_text(PIPELINE.format(folder=tmp_path))
    own = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    run = partial(bertkit, "run", tmp_path / "words.yaml", "--root", tmp_path / "root", **own, HF_HUB_DISABLE_XET="1")
    done = run()
    assert done.returncode == 0, done.stderr
    assert hub.token not in done.stdout + done.stderr
    assert "_upload" not in done.stderr  # addresses of uploads hold signatures
    repository = hub.repositories["me/words"]
    assert repository.private
    made = tmp_path / "root/latest/words/publish"
    assert json.loads((made / "published.json").read_text())["revision"] == repository.head
    assert (made / "README.md").read_bytes() == repository.files["README.md"]
    (result,) = ModelCard((made / "README.md").read_text()).data.eval_results
    assert (result.dataset_name, result.metric_type) == ("pairs", "spearmanr")
    assert str(tmp_path).encode() not in b"".join(repository.files.values())
    fetched = Path(client("fetch", repo="me/words")["done"])
    assert artifacts.verify(fetched) == 3
    hub.requests.clear()
    assert run().returncode == 0
    assert hub.requests == []  # it is done


def test_scores_of_other_vectors_are_refused(vectors: WordVectors) -> None:
    with pytest.raises(ConfigError, match="not these vectors'"):
        push_folder(vectors.path, "me/it", scores=[scores(parameters=41)], dry_run=True)


def test_vectors_read_from_a_file_say_so(tmp_path: Path) -> None:
    from bertkit.stages.vector_conversion import read_in

    (tmp_path / "glove.txt").write_text("bread 1 2\nsoup 2 1\n")
    read_in(tmp_path / "glove.txt", tmp_path / "read", binary=False)
    card, _ = push_folder(tmp_path / "read", "me/it", dry_run=True)
    assert "how they were learnt is not known" in card
    assert "No scores were published" in card


def test_a_textcnn_is_finetuned_on_vectors_named_by_their_repository(
    hub: Any, client: Client, client_home: Path, vectors: WordVectors, tmp_path: Path
) -> None:
    client("push_folder", repo="me/vectors", folder=str(vectors.path))
    lines = [
        f'{{"text": "the {a} {b} {n}", "label": "{a}"}}' for a in ("boat", "soup") for b in WORDS for n in range(4)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(client_home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}

    def recipe(name: str, *arguments: str) -> None:
        command = [sys.executable, str(RECIPES / f"{name}.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own})
        assert done.returncode == 0, done.stderr

    source = ("source.format=jsonl", f"source.train={tmp_path / 'rows.jsonl'}", "validation_percentage=30")
    recipe("task_data", "--out", str(tmp_path / "data"), *source)
    small = ("model.backbone=textcnn", "model.embeddings.channels=static", "model.embeddings.size=8", "max_steps=2")
    inputs = ("--input", f"data={tmp_path / 'data'}", "--input", "vectors=me/vectors")
    recipe("finetune", *inputs, "--out", str(tmp_path / "model"), *small, "device=cpu", "num_threads=1")
    made = artifacts.read_manifest(tmp_path / "model") or {}
    assert made["identity"]["inputs"]["vectors"] == vectors.fingerprint
