"""Stage `evaluate`: predict a split with a trained model, and score the predictions."""

import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bertkit import storage
from bertkit.artifacts import Metrics, Model, TaskData
from bertkit.config import Config, runtime
from bertkit.errors import StageError
from bertkit.stage import stage


class EvaluateConfig(Config):
    """What to score."""

    split: Literal["train", "validation", "test"] | None = None
    """The split to score; by default test where it has labels, else validation."""
    bootstrap_samples: Annotated[int, Field(ge=100)] = 1000
    """Resamples behind the 95 % intervals."""
    eval_batch_size: Annotated[int, Field(ge=1)] = runtime(64)
    """Texts predicted at once."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    """Where to compute."""
    num_threads: Annotated[int, Field(ge=1)] | None = runtime(None)
    """CPU threads; by default all cores."""


@stage("evaluate", version=1)
def evaluate(config: EvaluateConfig, model: Model, data: TaskData, *, out: Path) -> Metrics:
    """Predict every text of a split and score the predictions."""
    from bertkit.evaluation.classification import score, score_intervals

    predictor, task = model.read_json("predictor.json"), data.task
    if predictor["labels"] != task["labels"]:
        raise StageError(
            f"was trained on the labels {predictor['labels']}, the data has {task['labels']}", where=str(model.path)
        )
    if (trained := predictor.get("text_columns", ["text"])) != task["text_columns"]:
        raise StageError(
            f"was trained on {' and '.join(trained)}, the data has {' and '.join(task['text_columns'])}",
            where=str(model.path),
            remedy="Evaluate it on data of its own task, or fine-tune a model on this one.",
        )
    split = _choose_split(config, data)
    rows = data.rows(split)
    started = time.monotonic()
    scores, truncated = _predict(config, model, predictor, rows)
    seconds = time.monotonic() - started
    predictions = [
        {
            "id": row["id"],
            "gold": row["label"],
            "predicted": predictor["labels"][int(row_scores.argmax())],
            "scores": dict(zip(predictor["labels"], row_scores.tolist(), strict=True)),
        }
        for row, row_scores in zip(rows, scores, strict=True)
    ]
    storage.write_json_lines(out / "predictions.jsonl", iter(predictions))
    labels = predictor["labels"]
    notes = []
    if split == "validation":
        notes.append("Scored on the validation split, which also chose the weights: expect a little less on new text.")
    if truncated:
        notes.append(f"{truncated} of {len(rows)} texts were cut at {predictor['max_seq_length']} tokens.")
    storage.write_json(
        out / "metrics.json",
        {
            "task": task["name"],
            "kind": task["kind"],
            "model": predictor["name"],
            "split": split,
            "primary": task["primary"],
            **score(predictions, labels),
            "intervals": score_intervals(predictions, labels, count=config.bootstrap_samples),
            "seed": predictor["seed"],
            "parameters": predictor["parameters"],
            "train_seconds": predictor["train_seconds"],
            "predict_seconds": round(seconds, 3),
            "truncated": truncated,
            "data": data.fingerprint,
            "notes": notes,
        },
    )
    return Metrics(out)


def _choose_split(config: EvaluateConfig, data: TaskData) -> str:
    counts = data.task["counts"]
    wanted = config.split or ("test" if counts.get("test") else "validation")
    if not counts.get(wanted):
        raise StageError(
            f"has no labelled {wanted!r} split; it has {', '.join(name for name, n in counts.items() if n)}",
            where=str(data.path),
            remedy="Set split to one of those.",
        )
    return wanted


def _predict(
    config: EvaluateConfig, model: Model, predictor: dict[str, Any], rows: list[dict[str, Any]]
) -> tuple[Any, int]:
    """Probabilities, shape (rows, labels), and how many texts were cut."""
    import torch

    from bertkit.data.encoding import encode_rows
    from bertkit.models import bert
    from bertkit.training import processes
    from bertkit.training.prediction import predict_logits

    processes.pin_threads(config.num_threads, 1)
    device = processes.make_accelerator(config.device, "no").device
    network = bert.ClassificationLoss(bert.load_classifier(model.path)).to(device)
    encoded = encode_rows(model.path, rows, [0] * len(rows), max_seq_length=predictor["max_seq_length"])
    logits = predict_logits(network, network.logits, encoded, batch_size=config.eval_batch_size, device=device)
    return torch.from_numpy(logits).double().softmax(-1).numpy(), encoded.truncated
