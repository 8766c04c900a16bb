"""Stage `finetune`: train a head on a task, with early stopping and the best weights restored."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bertkit import storage
from bertkit.artifacts import Checkpoint, Model, TaskData
from bertkit.config import Config, runtime
from bertkit.errors import ConfigError, StageError
from bertkit.stage import stage

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")


class FinetuneConfig(Config):
    """How to fine-tune a BERT."""

    init: Literal["pretrained", "random"] = "pretrained"
    """Start from the weights of `start`, or from random ones of the same shape: what pretraining is measured against."""
    name: str | None = None
    """What reports call the model; by default, `BERT, pretrained` or `BERT, random weights`."""
    max_seq_length: Annotated[int, Field(ge=3)] = 128
    """Tokens read of a text, special tokens counted in; longer texts lose their end, and are counted."""
    train_batch_size: Positive = 32
    """Examples in an optimizer step, over all processes."""
    num_train_epochs: Annotated[float, Field(gt=0)] = 3.0
    """Passes over the training split."""
    max_steps: Positive | None = None
    """Optimizer steps, instead of `num_train_epochs`."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    """Peak of the learning rate."""
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after warm-up."""
    warmup_steps: Annotated[float, Field(ge=0)] = 0.1
    """Steps of warm-up; below 1, a share of all steps."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decay of matrices; biases and LayerNorm are left alone."""
    adam_beta1: Share = 0.9
    """AdamW's first moment."""
    adam_beta2: Share = 0.999
    """AdamW's second moment."""
    adam_epsilon: Annotated[float, Field(gt=0)] = 1e-6
    """AdamW's epsilon."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are scaled down to this norm."""
    classifier_dropout: Share | None = None
    """Dropout before the classifier; by default the model's own."""
    eval_steps: Positive | None = None
    """Steps between two measurements on the validation split; by default, once an epoch."""
    early_stopping_patience: Positive | None = 3
    """Stop after this many measurements without a better one; null never stops."""
    metric_for_best_model: Literal["loss", "accuracy"] = "loss"
    """What says which weights are kept."""
    seed: int = 42
    """Of new weights, order and dropout."""

    logging_steps: Positive = runtime(10)
    """Steps between two rows of the log."""
    save_total_limit: Positive = runtime(1)
    """Checkpoints kept while training; one is written at each measurement."""
    micro_batch_size: Positive | None = runtime(None)
    """Examples computed at once by a process; less memory, the same loss. Dropout is drawn for each micro-batch."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    """Where to compute."""
    mixed_precision: Literal["auto", "no", "bf16"] = runtime("auto")
    """`auto` is bf16 on GPUs that have it, else fp32."""
    num_threads: Positive | None = runtime(None)
    """CPU threads of a process; by default its share of the cores."""
    report_to: list[str] = runtime([])
    """Trackers: wandb, tensorboard, ..."""
    run_name: str = runtime("bertkit-finetune")
    """The run's name in trackers."""


@stage("finetune", version=1, resumable=True, parallel=True)
def finetune(config: FinetuneConfig, data: TaskData, start: Checkpoint, *, out: Path) -> Model:
    """Fine-tune a BERT on a task; the weights that were best on the validation split are kept."""
    from bertkit.models import bert
    from bertkit.training import checkpoints, optimizers, processes
    from bertkit.training.best import BestWeights
    from bertkit.training.journal import Journal, open_trackers
    from bertkit.training.loop import evaluate, train_steps

    # --- read inputs
    task = _check_task(data)
    encoded = {
        split: _encode(config, data, start, split) for split in ("train", "validation") if split in task["counts"]
    }
    train, validation = encoded["train"], encoded.get("validation")
    if validation is None:
        raise StageError(
            "has no validation split to choose the best weights on",
            where=str(data.path),
            remedy="Set validation_percentage in task_data, or give it a validation file.",
        )

    # --- build model
    accelerator = processes.make_accelerator(config.device, config.mixed_precision, trackers=config.report_to, out=out)
    threads = processes.pin_threads(config.num_threads, accelerator.num_processes)
    model = bert.classifier(
        start.path, task["labels"], init=config.init, dropout=config.classifier_dropout, seed=config.seed
    )
    objective = accelerator.prepare(bert.ClassificationLoss(model))
    optimizer = optimizers.adamw(
        objective,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
    )
    rows = _micro_batch_rows(config, accelerator.num_processes)
    steps_per_epoch = math.ceil(len(train.rows) / config.train_batch_size)
    max_steps = config.max_steps or max(1, round(config.num_train_epochs * steps_per_epoch))
    warmup = optimizers.warmup_count(config.warmup_steps, max_steps)
    eval_steps = config.eval_steps or steps_per_epoch

    # --- resume
    best = BestWeights(config.metric_for_best_model, config.early_stopping_patience)
    step, position = 0, (0, 0)
    saved = checkpoints.load_newest(out)
    if saved is not None:
        checkpoints.load_parameters(model, saved.groups["model"])
        checkpoints.load_optimizer_tensors(optimizer, objective, saved.groups["optimizer"])
        best.restore(saved.groups["best"], saved.state["best"])
        step, position = saved.step, tuple(saved.state["position"])
    accelerator.wait_for_everyone()

    # --- loop
    open_trackers(
        accelerator,
        config.report_to,
        project="bertkit",
        run=config.run_name,
        config=config.model_dump(mode="json"),
        out=out,
    )
    journal = Journal(
        out,
        accelerator,
        name=f"finetune {task['name']}",
        max_steps=max_steps,
        logging_steps=config.logging_steps,
        summarise=summarise,
        done_steps=step,
    )
    place = {"rank": accelerator.process_index, "world_size": accelerator.num_processes}
    steps = train_steps(
        objective,
        train.batches(config.train_batch_size, rows, seed=config.seed, start=position, **place),
        optimizer,
        accelerator,
        learning_rate=lambda step: optimizers.learning_rate_at(
            step, peak=config.learning_rate, max_steps=max_steps, warmup_steps=warmup, kind=config.lr_scheduler_type
        ),
        max_grad_norm=config.max_grad_norm,
        seed=config.seed,
        first_step=step + 1,
    )
    while step < max_steps and not best.exhausted:
        result = next(steps)
        step = result.step
        journal.step(result)
        if step % eval_steps and step < max_steps:
            continue
        batches = validation.share(rows, **place)
        figures = summarise(evaluate(objective, batches, accelerator))
        journal.evaluation(step, result.epoch, figures)
        best.offer(step, figures, checkpoints.parameters(model))
        if accelerator.is_main_process and step < max_steps:
            checkpoints.save(
                out,
                step,
                {
                    "model": checkpoints.parameters(model),
                    "optimizer": checkpoints.optimizer_tensors(optimizer, objective),
                    "best": best.weights,
                },
                {"position": [result.position[0], result.position[1] + 1], "best": best.state},
                keep=config.save_total_limit,
            )
    journal.close()

    # --- write
    checkpoints.load_parameters(model, best.weights)
    if accelerator.is_main_process:
        bert.save(model, out)
        storage.copy_files(start.path, out, TOKENIZER_FILES)
        figures: dict[str, Any] = {
            "parameters": bert.count_parameters(model),
            "train_seconds": round(journal.train_seconds, 3),
            "global_step": step,
            "max_steps": max_steps,
            "best_step": best.step,
            "best_metric": best.value,
            "metric_for_best_model": config.metric_for_best_model,
            "stopped_early": step < max_steps,
            "truncated": {split: texts.truncated for split, texts in encoded.items()},
        }
        storage.write_json(
            out / "predictor.json",
            {
                "kind": task["kind"],
                "task": task["name"],
                "labels": task["labels"],
                "name": config.name or f"BERT, {'pretrained' if config.init == 'pretrained' else 'random weights'}",
                "backbone": "bert",
                "max_seq_length": config.max_seq_length,
                "seed": config.seed,
                "data": data.fingerprint,
                **figures,
            },
        )
        state = {"num_processes": accelerator.num_processes, "num_threads": threads, "device": str(accelerator.device)}
        storage.write_json(out / "trainer_state.json", {**figures, **state, "log_history": journal.rows})
        checkpoints.remove_all(out)
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
    return task


def _encode(config: FinetuneConfig, data: TaskData, start: Checkpoint, split: str) -> Any:
    from bertkit.data.encoding import encode_texts
    from bertkit.data.pretraining import SpecialIds
    from bertkit.models.bert import check_ids, require_bert
    from bertkit.text.vocabulary import read_vocabulary
    from bertkit.text.wordpiece import load_encoder

    vocabulary, model = read_vocabulary(start.path), require_bert(start.path)
    check_ids(vocabulary.size, model["vocab_size"], start.path)
    if config.max_seq_length > model["max_position_embeddings"]:
        raise ConfigError(
            f"max_seq_length {config.max_seq_length} is over the model's {model['max_position_embeddings']} positions",
            where=str(start.path),
        )
    encoder = load_encoder(start.path)
    task_rows = data.rows(split)
    label_ids = {label: i for i, label in enumerate(data.task["labels"])}
    return encode_texts(
        [row["text"] for row in task_rows],
        [label_ids[row["label"]] for row in task_rows],
        lambda texts: [e.ids for e in encoder.encode_batch_fast(texts, add_special_tokens=False)],
        SpecialIds(vocabulary.cls, vocabulary.sep, vocabulary.pad),
        max_seq_length=config.max_seq_length,
    )


def _micro_batch_rows(config: FinetuneConfig, world_size: int) -> int:
    from bertkit.data.batching import micro_batch_rows

    try:
        return micro_batch_rows(config.train_batch_size, config.micro_batch_size, world_size)
    except ValueError as e:
        raise ConfigError(str(e), remedy="Choose a train_batch_size that the number of processes divides.") from None
