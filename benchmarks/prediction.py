"""Prediction by bertkit and by the `transformers` pipeline, taking turns: texts a second, and the ratio.

    python benchmarks/prediction.py [--texts 512] [--rounds 3] [--start FOLDER]

The model is a classifier of MiniLM's shape (6 layers of 384), trained for two steps: what it answers does not matter here,
only that both sides answer alike, which is checked. The pipeline gets the best of several batch sizes, found first; bertkit
its default. Two sets of texts: SST-2's sentences, and those mixed with SQuAD's passages (up to 256 tokens). All in one
process and as many threads as `--threads` says.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "../shared/data"
BATCHES = (1, 8, 32, 64)
LENGTH = 256


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, help="a Hugging Face BERT folder; by default random weights")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory() as place:
        folder = classifier(Path(place), options.start or new_start(Path(place) / "start"))
        ours, theirs = bertkit_side(folder, options.threads), pipeline_side(folder)
        worst = min(compare(name, texts, ours, theirs, options.rounds) for name, texts in sets(options.texts).items())
    return 0 if worst >= 1 else 1


def new_start(folder: Path) -> Path:
    """A BERT of MiniLM's shape with random weights and the vocabulary of bert-base-uncased."""
    import torch
    from transformers import BertConfig, BertForPreTraining

    from bertkit.models import bert
    from bertkit.text import wordpiece

    folder.mkdir()
    vocabulary = (DATA / "vocab/bert-base-uncased-vocab.txt").read_text(encoding="utf-8").splitlines()
    wordpiece.save(vocabulary, folder, casing=wordpiece.Casing(), model_max_length=512)
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 6, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536}
    bert.save(BertForPreTraining(BertConfig(vocab_size=len(vocabulary), **sizes)), folder)
    return folder


def classifier(place: Path, start: Path) -> Path:
    import bertkit

    rows = sst2(200)
    sizes = {"max_seq_length": LENGTH, "train_batch_size": 8, "max_steps": 2, "device": "cpu", "num_threads": 1}
    found = bertkit.finetune("classification", train=rows, dev=rows[:20], model=start, out=place / "out", **sizes)
    return found.model.folder


def sst2(count: int) -> list[dict[str, str]]:
    lines = (DATA / "sst2/train.tsv").read_text(encoding="utf-8").splitlines()[1 : count * 3 + 1 : 3]
    return [dict(zip(("text", "label"), line.rsplit("\t", 1), strict=True)) for line in lines]


def sets(count: int) -> dict[str, list[str]]:
    short = [row["text"] for row in sst2(count)]
    squad = json.loads(next((DATA / "squad").glob("dev*.json")).read_text(encoding="utf-8"))
    long = [paragraph["context"] for article in squad["data"] for paragraph in article["paragraphs"]][: count // 4]
    mixed = [long[i // 4] if i % 4 == 0 else short[i] for i in range(count)]
    return {"SST-2": short, "mixed": mixed}


def bertkit_side(folder: Path, threads: int) -> Callable[[list[str]], list[str]]:
    import bertkit

    model = bertkit.load(folder, device="cpu", num_threads=threads)
    return lambda texts: [line["predicted"] for line in model.predict(texts)]


def pipeline_side(folder: Path) -> Callable[..., list[str]]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    model = AutoModelForSequenceClassification.from_pretrained(folder)
    peer = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")

    def predict(texts: list[str], batch_size: int) -> list[str]:
        found: list[Any] = peer(texts, batch_size=batch_size, truncation=True, max_length=LENGTH)
        return [one["label"] for one in found]

    return predict


def compare(name: str, texts: list[str], ours: Any, theirs: Any, rounds: int) -> float:
    """Prints a line; returns how many times as fast bertkit is."""
    some = texts[: max(64, len(texts) // 4)]
    best = min(BATCHES, key=lambda size: seconds(lambda: theirs(some, size)))
    assert ours(some) == theirs(some, best), "the two sides answer differently"
    ratios, speeds = [], []
    for _ in range(rounds):
        mine, other = seconds(lambda: ours(texts)), seconds(lambda: theirs(texts, best))
        ratios.append(other / mine)
        speeds.append((len(texts) / mine, len(texts) / other))
    ratio = statistics.median(ratios)
    mine, other = (statistics.median(column) for column in zip(*speeds, strict=True))
    print(f"{name:<6} bertkit {mine:7.1f} texts/s   pipeline (batch {best}) {other:7.1f} texts/s   ratio {ratio:.2f}")
    return ratio


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
