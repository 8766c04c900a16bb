"""Stage `evaluate`: predict a split with a trained model, and score the predictions."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from bertkit import storage
from bertkit.artifacts import Metrics, Model, TaskData
from bertkit.config import Config, runtime
from bertkit.errors import StageError
from bertkit.stage import stage

if TYPE_CHECKING:
    from bertkit.kinds.base import Kind


_MANY_UNKNOWN = 0.1


class EvaluateConfig(Config):
    """What to score."""

    split: Literal["train", "validation", "test"] | None = None
    """The split to score; by default test where it has labels, else validation."""
    bootstrap_samples: Annotated[int, Field(ge=100)] = 1000
    """Resamples behind the 95 % intervals."""
    eval_batch_size: Annotated[int, Field(ge=1)] | None = runtime(None)
    """Texts predicted at once; by default 8 on a CPU, 64 on a GPU."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    """Where to compute."""
    num_threads: Annotated[int, Field(ge=1)] | None = runtime(None)
    """CPU threads; by default all cores."""


@stage("evaluate", version=2)
def evaluate(config: EvaluateConfig, model: Model, data: TaskData, *, out: Path) -> Metrics:
    """Predict every text of a split and score the predictions."""
    from bertkit.kinds import kind_of

    predictor, task = model.read_json("predictor.json"), data.task
    kind = kind_of(predictor, predictor["settings"], where=str(model.path))
    _check_same_task(kind, model, data)
    split = _choose_split(config, data)
    rows = data.rows(split)
    started = time.monotonic()
    predictions, counts, unknown = _predict(config, kind, model, rows)
    seconds = time.monotonic() - started
    storage.write_json_lines(out / "predictions.jsonl", iter(predictions))
    notes = []
    if note := data.origin.get("note"):
        notes.append(note)
    if split == "validation":
        notes.append("Scored on the validation split, which also chose the weights: expect a little less on new text.")
    if unknown > _MANY_UNKNOWN:
        notes.append(f"{unknown:.0%} of all tokens are unknown to the model's vocabulary: it cannot tell them apart.")
    storage.write_json(
        out / "metrics.json",
        {
            "task": task["name"],
            "kind": task["kind"],
            "model": predictor["name"],
            "split": split,
            "primary": task["primary"],
            **{key: task[key] for key in kind.task_keys if key in task},
            **kind.score(predictions),
            "intervals": kind.score_intervals(predictions, count=config.bootstrap_samples),
            "seed": predictor["seed"],
            "parameters": predictor["parameters"],
            "train_seconds": predictor["train_seconds"],
            "predict_seconds": round(seconds, 3),
            **counts,
            "unknown_tokens": round(unknown, 4),
            "data": data.fingerprint,
            **({"fold": task["fold"]} if "fold" in task else {}),
            "notes": notes + kind.notes(counts, len(rows)),
        },
    )
    return Metrics(out)


def _check_same_task(kind: "Kind", model: Model, data: TaskData) -> None:
    remedy = "Evaluate it on data of its own task, or fine-tune a model on this one."
    for key in ("kind", *kind.task_keys):
        trained, given = kind.task.get(key), data.task.get(key)
        if trained != given:
            raise StageError(
                f"was trained on {key} {_listed(trained)}, the data has {_listed(given)}",
                where=str(model.path),
                remedy=remedy,
            )


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


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
    config: EvaluateConfig, kind: "Kind", model: Model, rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, int], float]:
    """The predictions, what encoding did to the rows, and the share of tokens that are unknown."""
    from bertkit.text.vocabulary import read_vocabulary
    from bertkit.training import processes
    from bertkit.training.prediction import predict_outputs

    processes.pin_threads(config.num_threads, 1)
    device = processes.make_accelerator(config.device, "no").device
    objective = kind.load_objective(model.path).to(device)
    encoded = kind.encode(model.path, rows)
    outputs = predict_outputs(objective, encoded, batch_size=config.eval_batch_size, device=device)
    unknown = encoded.share_of(read_vocabulary(model.path).unk)
    return kind.predictions(outputs, encoded, rows), kind.counts(encoded), unknown
