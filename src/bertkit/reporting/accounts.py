"""What was read, kept and dropped, and how every result was made, from the artifacts' own counts."""

from collections.abc import Mapping, Sequence
from typing import Any

from bertkit.artifacts import MANIFEST, Artifact, Checkpoint, Corpus, Metrics, Model, PretrainData, TaskData, Tokenizer
from bertkit.reporting import curves, training_curves

_FINAL = ("eval_mlm_loss", "eval_perplexity", "eval_mlm_accuracy", "eval_nsp_loss", "eval_nsp_accuracy")
_STATE = ("global_step", "max_steps", "epoch", "num_parameters", "train_seconds", "train_batch_size", "device")

# No part of a result's name, where only content counts, and yet a command must say them.
_READ = ("files", "train", "validation", "test", "data_dir", "synonyms", "vectors_file", "mixed_precision")


def corpus(source: Corpus) -> dict[str, Any]:
    """The counts of a corpus."""
    stats = source.read_json("stats.json")
    keys = ("source", "language", "read", "kept", "dropped", "changed", "documents", "sentences", "characters")
    return {"fingerprint": source.fingerprint, **{key: stats.get(key) for key in keys}}


def tokenizer(source: Tokenizer) -> dict[str, Any]:
    """The figures of a tokenizer."""
    quality = source.counts()
    keys = ("vocab_size", "vocab_size_asked", "fertility", "unknown_rate", "characters_per_token", "unused_entries")
    measured = quality.get("measured_on") or {}
    return {
        "fingerprint": source.fingerprint,
        **{key: quality.get(key) for key in keys},
        "measured_on": {key: measured.get(key) for key in ("split", "words", "tokens")},
    }


def token_store(source: PretrainData) -> dict[str, Any]:
    """What a token store holds, by split."""
    return {"fingerprint": source.fingerprint, "counts": source.read_json("meta.json")["counts"]}


def task(source: TaskData) -> dict[str, Any]:
    """A task's rows by split: read, kept, dropped, changed, and by label."""
    described = source.task
    keys = ("name", "kind", "labels", "read", "counts", "dropped", "changed", "label_counts", "overlap")
    of_kinds = ("tokens", "units", "entities", "unanswerable", "contexts", "characters")
    return {"fingerprint": source.fingerprint, **{key: described.get(key) for key in (*keys, *of_kinds)}}


def pretraining(source: Checkpoint) -> dict[str, Any]:
    """A pretraining run: its loss charts, the held-out figures at each measurement, its size and speed."""
    rows = curves.read_log(source.path / "log.jsonl")
    state_there = (source.path / "trainer_state.json").is_file()
    state = source.read_json("trainer_state.json") if state_there else {}
    measurements = [row for row in rows if any(key in row for key in _FINAL)]
    speeds = [row["tokens_per_second"] for row in rows if row.get("tokens_per_second")]
    return {
        "fingerprint": source.fingerprint,
        **{key: state.get(key) for key in _STATE},
        "tokens_per_second": sorted(speeds)[len(speeds) // 2] if speeds else None,
        "charts": curves.charts(rows),
        "measurements": [
            {"step": row["step"], **{key.removeprefix("eval_"): row.get(key) for key in _FINAL}} for row in measurements
        ],
        "missing": None if rows else "the checkpoint has no log.jsonl",
    }


def made(artifacts: Sequence[Artifact]) -> list[dict[str, Any]]:
    """How each of `artifacts` was made: stage, fingerprint, seconds, settings, versions. Repeats are left out."""
    rows = {}
    for one in artifacts:
        manifest = _manifest(one)
        rows[one.fingerprint] = {
            "stage": manifest.get("stage"),
            "artifact": type(one).__name__,
            "fingerprint": one.fingerprint,
            "seconds": manifest.get("seconds"),
            "processes": manifest.get("processes"),
            "subject": _subject(one),
            "bytes": sum(file["size"] for file in manifest.get("files", {}).values()),
            "inputs": manifest.get("identity", {}).get("inputs", {}),
            "config": manifest.get("identity", {}).get("config", {}),
            "given": _deciding(manifest.get("given"), manifest.get("identity", {}).get("config", {})),
            "versions": manifest.get("versions", {}),
        }
    return list(rows.values())


def _deciding(given: Any, config: Any) -> Any:
    """What was given of the settings that decide the result; all settings, where a manifest does not say."""
    if given is None:
        return config
    if not isinstance(given, dict) or not isinstance(config, dict):
        return given
    return {
        key: _deciding(value, config.get(key, value))
        for key, value in given.items()
        if key in config or (key in _READ and value is not None)
    }


def _subject(one: Artifact) -> str:
    """What a result is of, where its stage does not say: a task, a model."""
    if isinstance(one, TaskData):
        return str(one.task["name"])
    if isinstance(one, Model):
        described = one.read_json("predictor.json")
        return f"{described.get('task')}, {described.get('name')}"
    if isinstance(one, Metrics):
        described = one.read_json("metrics.json")
        return f"{described['task']}, {described['model']}"
    return ""


def _of_rows(source: Model, described: Mapping[str, Any]) -> str:
    """What tells the runs of a learning curve apart."""
    sampled = _manifest(source).get("identity", {}).get("config", {}).get("max_train_samples")
    return "" if sampled is None else f", {described['examples']:,} training rows"


def _manifest(one: Artifact) -> dict[str, Any]:
    """How it was made; nothing of a folder that no stage made."""
    return one.manifest if (one.path / MANIFEST).is_file() else {}


def fine_tuning(source: Model) -> dict[str, Any]:
    """How long a fine-tuning run went on, which step it kept, and its curves."""
    described = source.read_json("predictor.json")
    keys = (
        "name",
        "task",
        "seed",
        "global_step",
        "max_steps",
        "best_step",
        "best_metric",
        "metric_for_best_model",
        "stopped_early",
        "train_seconds",
        "max_seq_length",
    )
    rows = curves.read_log(source.path / "log.jsonl")
    return {
        "fingerprint": source.fingerprint,
        **{key: described.get(key) for key in keys},
        "name": f"{described.get('name')}{_of_rows(source, described)}",
        "train_truncated": described.get("encoded", {}).get("train", {}).get("truncated"),
        "curves": training_curves.series(rows, described.get("metric_for_best_model")),
    }
