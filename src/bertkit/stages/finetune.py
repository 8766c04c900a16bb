"""Stage `finetune`: train a head on a task, with early stopping and the best weights restored."""

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from bertkit import storage
from bertkit.artifacts import Checkpoint, Model, TaskData
from bertkit.errors import ConfigError, StageError
from bertkit.stage import stage
from bertkit.stages.session import Session
from bertkit.stages.training_config import Above0, Positive, Share, TrainingConfig

if TYPE_CHECKING:
    from bertkit.data.encoding import EncodedTexts


class FinetuneConfig(TrainingConfig):
    """How to fine-tune a BERT. `max_steps`, where given, stands instead of `num_train_epochs`."""

    init: Literal["pretrained", "random"] = "pretrained"
    """Start from the weights of `start`, or from random ones of the same shape: what pretraining is measured against."""
    name: str | None = None
    """What reports call the model; by default, `BERT, pretrained` or `BERT, random weights`."""
    max_seq_length: Annotated[int, Field(ge=5)] = 128
    """Tokens read of a text, special tokens counted in; longer ones lose their end, of a pair the longer text first, and
    are counted."""
    num_train_epochs: Above0 = 3.0
    """Passes over the training split."""
    learning_rate: Above0 = 5e-5
    """Peak of the learning rate."""
    dropout: Share | None = None
    """Dropout on layers, attention weights and before the classifier; by default the model's own."""
    reinit_layers: Annotated[int, Field(ge=0)] | None = None
    """New weights for the pooler and so many top layers, which pretraining may have spoilt for the task; null keeps all."""
    eval_steps: Positive | None = None
    """Steps between two measurements on the validation split, and checkpoints; by default, once an epoch."""
    early_stopping_patience: Positive | None = 3
    """Stop after this many measurements without a better one; null never stops."""
    metric_for_best_model: Literal["loss", "accuracy"] = "loss"
    """What says which weights are kept."""

    @property
    def display_name(self) -> str:
        return self.name or ("BERT, pretrained" if self.init == "pretrained" else "BERT, random weights")


@stage("finetune", version=1, resumable=True, parallel=True)
def finetune(config: FinetuneConfig, data: TaskData, start: Checkpoint, *, out: Path) -> Model:
    """Fine-tune a BERT on a task; the weights that were best on the validation split are kept."""
    from bertkit.models import bert
    from bertkit.training.best import BestWeights

    # --- read inputs
    task = _check_task(data)
    train, validation = (_encode(config, data, start, split) for split in ("train", "validation"))
    steps_per_epoch = math.ceil(len(train.rows) / config.train_batch_size)

    # --- build model, resume
    session = Session(
        config,
        lambda: bert.ClassificationLoss(
            bert.classifier(
                start.path,
                task["labels"],
                init=config.init,
                dropout=config.dropout,
                seed=config.seed,
                reinit_layers=config.reinit_layers,
            )
        ),
        out=out,
        name=f"finetune {task['name']}",
        inputs={"data": data.fingerprint, "start": start.fingerprint},
        max_steps=config.max_steps or max(1, round(config.num_train_epochs * steps_per_epoch)),
        summarise=summarise,
    )
    best = BestWeights(config.metric_for_best_model, config.early_stopping_patience)
    if session.saved is not None:
        best.restore(session.saved.groups["best"], session.saved.state["best"])
    session.more = lambda: ({"best": best.weights}, {"best": best.state})

    # --- loop
    for result in session.steps(partial(train.batches, config.train_batch_size, session.micro_batch, seed=config.seed)):
        last = result.step == session.max_steps
        if result.step % (config.eval_steps or steps_per_epoch) and not last:
            continue
        figures = session.measure(validation.share(session.micro_batch, **session.place))
        best.offer(result.step, figures, session.weights)
        if best.exhausted:
            break
        if not last:
            session.save()

    # --- write
    facts = {
        "best_step": best.step,
        "best_metric": best.value,
        "metric_for_best_model": config.metric_for_best_model,
        "stopped_early": session.step < session.max_steps,
        "truncated": {"train": train.truncated, "validation": validation.truncated},
    }
    if session.is_main:
        predictor = {
            "kind": task["kind"],
            "task": task["name"],
            "labels": task["labels"],
            "text_columns": task["text_columns"],
            "name": config.display_name,
            "backbone": "bert",
            "max_seq_length": config.max_seq_length,
            "seed": config.seed,
            "data": data.fingerprint,
            "parameters": bert.count_parameters(session.model),
            "train_seconds": round(session.journal.train_seconds, 3),
            **facts,
        }
        storage.write_json(out / "predictor.json", predictor)
    session.finish(start.path, facts, weights=best.weights)
    return Model(out)


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """The figures of a log row from the objective's sums."""
    return {"loss": sums["loss"] / sums["count"], "accuracy": sums["correct"] / sums["count"]}


def _check_task(data: TaskData) -> dict[str, Any]:
    task = data.task
    if task["kind"] != "classification":
        raise StageError(
            f"is a task of kind {task['kind']!r}; finetune has heads for: classification", where=str(data.path)
        )
    if not task["counts"].get("validation"):
        raise StageError(
            "has no validation split to choose the best weights on",
            where=str(data.path),
            remedy="Set validation_percentage in task_data, or give it a validation file.",
        )
    return task


def _encode(config: FinetuneConfig, data: TaskData, start: Checkpoint, split: str) -> "EncodedTexts":
    from bertkit.data.encoding import encode_rows
    from bertkit.models.bert import check_ids, require_bert
    from bertkit.text.vocabulary import read_vocabulary

    model = require_bert(start.path)
    check_ids(read_vocabulary(start.path).size, model["vocab_size"], start.path)
    if config.max_seq_length > model["max_position_embeddings"]:
        raise ConfigError(
            f"max_seq_length {config.max_seq_length} is over the model's {model['max_position_embeddings']} positions",
            where=str(start.path),
        )
    if "text_pair" in data.task["text_columns"] and model.get("type_vocab_size", 2) < 2:
        raise StageError(
            "has an embedding for one segment only (type_vocab_size 1), and a pair has two",
            where=str(start.path),
            remedy="Start from a model that was pretrained on pairs.",
        )
    rows = data.rows(split)
    label_ids = {label: i for i, label in enumerate(data.task["labels"])}
    labels = [label_ids[row["label"]] for row in rows]
    return encode_rows(start.path, rows, labels, max_seq_length=config.max_seq_length)
