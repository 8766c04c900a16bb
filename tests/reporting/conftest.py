"""Small artifacts of every kind, in the formats the stages write."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from bertkit import artifacts

LABELS = ["garden", "kitchen", "海边"]
VERSIONS = {"bertkit": "0.1.0", "python": "3.11.9"}


class Maker:
    """Writes artifacts below a folder; every method returns the artifact it wrote."""

    def __init__(self, root: Path) -> None:
        self.root, self.count = root, 0

    def _write(self, kind, files, *, stage, config=None, inputs=None):
        self.count += 1
        fingerprint = f"{self.count:010x}"
        path = self.root / fingerprint
        path.mkdir(parents=True)
        for name in kind.files:
            (path / name).write_text("{}")
        for name, content in files.items():
            text = (
                "".join(json.dumps(row) + "\n" for row in content) if name.endswith(".jsonl") else json.dumps(content)
            )
            (path / name).write_text(text, encoding="utf-8")
        header = {
            "stage": stage,
            "fingerprint": fingerprint,
            "identity": {"config": config or {}, "inputs": inputs or {}},
            "versions": VERSIONS,
            "seconds": 12.5,
            "processes": 1,
        }
        artifacts.finish(kind(path), header)
        return kind(path)

    def model(self, name="BERT", *, init="pretrained", seed=1, learning_rate=1e-4, data=None):
        described = {"name": name, "task": "places", "seed": seed, "global_step": 90, "max_steps": 100, "best_step": 60}
        described |= {"best_metric": 0.25, "metric_for_best_model": "loss", "train_seconds": 31.0}
        config = {"init": init, "seed": seed, "name": None, "learning_rate": learning_rate}
        rows = [
            {"step": step, "loss": 2 - step / 60, "learning_rate": 1e-4, "grad_norm": 1.0, "sequences_per_second": 90.0}
            for step in range(10, 100, 10)
        ]
        rows += [{"step": 30, "eval_loss": 0.5}, {"step": 60, "eval_loss": 0.25}, {"step": 90, "eval_loss": None}]
        files = {"predictor.json": described, "log.jsonl": rows}
        inputs = {"data": data.fingerprint} if data else {}
        return self._write(artifacts.Model, files, stage="finetune", config=config, inputs=inputs)

    def metrics(self, predicted, gold, *, name="BERT", seed=1, model=None, data=None, labels=LABELS, **fields):
        """Predictions as label indices, each 80 % sure; ids are `t0`, `t1`, ..."""
        from bertkit.evaluation.classification import score, score_intervals

        rest = 0.2 / (len(labels) - 1)
        rows = [
            {
                "id": f"t{i}",
                "gold": labels[g],
                "predicted": labels[p],
                "scores": {label: 0.8 if j == p else rest for j, label in enumerate(labels)},
            }
            for i, (p, g) in enumerate(zip(predicted, gold, strict=True))
        ]
        scores = {
            "task": "places",
            "kind": "classification",
            "model": name,
            "split": "test",
            "primary": "accuracy",
            **score(rows, labels),
            "intervals": score_intervals(rows, labels, count=200),
            "seed": seed,
            "parameters": 4_400_000,
            "train_seconds": 31.2,
            "predict_seconds": 1.2,
            "truncated": 2,
            "data": data.fingerprint if data else None,
            "notes": ["2 of 60 texts were cut at 128 tokens."],
            **fields,
        }
        inputs = {"model": model.fingerprint} if model else {}
        files = {"metrics.json": scores, "predictions.jsonl": rows}
        return self._write(artifacts.Metrics, files, stage="evaluate", inputs=inputs)

    def metrics_of(self, rows, *, kind, name, data=None, **scores):
        """Predictions of any kind, whose primary metric is F1."""
        told = {
            "task": "demo",
            "data": data.fingerprint if data else None,
            "kind": kind,
            "model": name,
            "split": "test",
            "primary": "f1",
            "seed": 1,
            **scores,
        }
        files = {"metrics.json": {"intervals": {}, "notes": [], **told}, "predictions.jsonl": rows}
        return self._write(artifacts.Metrics, files, stage="evaluate")

    def checkpoint(self, rows):
        state = {"global_step": rows[-1]["step"] if rows else 0, "num_parameters": 1_500_000, "train_seconds": 183.0}
        files = {"log.jsonl": rows, "trainer_state.json": state}
        return self._write(artifacts.Checkpoint, files, stage="pretrain", config={"max_steps": 100})

    def vectors(self, words, vectors):
        made = self._write(artifacts.WordVectors, {"words.txt": "x"}, stage="word2vec")
        (made.path / "words.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        save_file({"vectors": np.asarray(vectors, np.float32)}, made.path / "vectors.safetensors")
        return made

    def corpus(self, dropped):
        stats = {
            "source": {"format": "text"},
            "language": "en",
            "read": 100 + sum(dropped.values()),
            "kept": 100,
            "dropped": dropped,
            "changed": {"byte order mark removed": 1},
            "documents": {"train": 98, "heldout": 2},
            "sentences": {"train": 900, "heldout": 21},
            "characters": {"train": 50_000, "heldout": 1_100},
        }
        return self._write(artifacts.Corpus, {"stats.json": stats}, stage="corpus")

    def tokenizer(self):
        quality = {"vocab_size": 8000, "fertility": 1.157, "unknown_rate": 0.00042, "unused_entries": 581}
        return self._write(artifacts.Tokenizer, {"quality.json": quality}, stage="tokenizer")

    def token_store(self):
        counts = {split: {"documents": 98, "sentences": 900, "tokens": 12_000} for split in ("train", "heldout")}
        return self._write(artifacts.PretrainData, {"meta.json": {"counts": counts}}, stage="pretrain_data")

    def data_of(self, rows, *, kind, **described):
        """The test rows of a task of any kind."""
        keys = ("read", "counts", "dropped", "changed", "label_counts", "overlap", "labels")
        task = {"name": "demo", "kind": kind, **{key: {} for key in keys}, "counts": {"test": len(rows)}, **described}
        made = self._write(artifacts.TaskData, {"task.json": task}, stage="task_data")
        pq.write_table(pa.Table.from_pylist(rows), made.path / "test.parquet")
        return made

    def task_data(self, texts, gold, labels=LABELS, dropped=None):
        task = {
            "name": "places",
            "kind": "classification",
            "text_columns": ["text"],
            "labels": labels,
            "primary": "accuracy",
            "read": {"test": len(texts) + sum((dropped or {}).values())},
            "counts": {"test": len(texts)},
            "dropped": {"test": dropped or {}},
            "changed": {"test": {}},
            "label_counts": {"test": {label: gold.count(i) for i, label in enumerate(labels)}},
            "overlap": {"test_in_train": 0, "train_repeats": 3},
        }
        made = self._write(artifacts.TaskData, {"task.json": task}, stage="task_data")
        columns = {
            "id": [f"t{i}" for i in range(len(texts))],
            "text": texts,
            "label": [labels[g] for g in gold],
        }
        pq.write_table(pa.table(columns), made.path / "test.parquet")
        return made


@pytest.fixture
def make(tmp_path):
    return Maker(tmp_path / "artifacts")


def log_rows(steps=100, every=10, *, nsp=True):
    """A log as pretraining writes it: falling losses, held-out figures every five rows."""
    rows = []
    for step in range(0, steps + 1, every):
        loss = 9.0 * 0.99**step + 2
        if step:
            row = {"step": step, "loss": loss + 0.7, "mlm_loss": loss, "tokens_per_second": 20_000.0}
            rows.append(row | ({"nsp_loss": 0.7} if nsp else {}))
        if step % (5 * every) == 0:
            row = {"step": step, "eval_mlm_loss": loss + 0.1, "eval_perplexity": 2.0**loss, "eval_mlm_accuracy": 0.1}
            rows.append(row | ({"eval_nsp_loss": 0.69, "eval_nsp_accuracy": 0.55} if nsp else {}))
    return rows


@pytest.fixture
def log():
    return log_rows
