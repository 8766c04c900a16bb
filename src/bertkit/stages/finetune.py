"""Stage `finetune`: train a model on a task, with early stopping and the best weights restored."""

import logging
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertkit import storage
from bertkit.artifacts import Checkpoint, Model, TaskData, Tokenizer, WordVectors
from bertkit.errors import ConfigError, NumericError, StageError
from bertkit.stage import stage
from bertkit.stages.finetune_config import FinetuneConfig
from bertkit.stages.session import Session
from bertkit.stages.starting_point import bert_start, check_inputs, network_over_pieces, network_over_words

if TYPE_CHECKING:
    from bertkit.data.encoded import EncodedRows
    from bertkit.kinds.base import Kind, Prediction
    from bertkit.training.prediction import Outputs

log = logging.getLogger(__name__)

_MANY_UNKNOWN = 0.1


def _input_files(config: FinetuneConfig) -> list[Path]:
    """The files whose content decides the result."""
    block = config.augmentation
    files = [block.synonyms if block is not None else None, config.model.embeddings.vectors_file]
    return [file for file in files if file is not None]


@stage("finetune", version=3, resumable=True, parallel=True, input_files=_input_files, fits=check_inputs)
def finetune(
    config: FinetuneConfig,
    data: TaskData,
    start: Checkpoint | None = None,
    tokenizer: Tokenizer | None = None,
    vectors: WordVectors | None = None,
    *,
    out: Path,
) -> Model:
    """Fine-tune a BERT on a task, or train a baseline; the weights that were best on the validation split are kept."""
    from bertkit.data.task_splits import sample
    from bertkit.kinds import kind_of
    from bertkit.models import bert
    from bertkit.training.best import BestWeights
    from bertkit.training.recipes import make_recipe, with_r_drop

    # --- read inputs
    task = _check_task(data)
    kind = kind_of(task, config.settings(task["kind"]), where=str(data.path))
    rows = {split: data.rows(split) for split in ("train", "validation")}
    if config.max_train_samples is not None:
        chosen_rows = sample(["\0".join(kind.texts(row)) for row in rows["train"]], config.max_train_samples)
        rows["train"] = [rows["train"][i] for i in chosen_rows]
    if start is not None:
        begin = bert_start(config, start, kind)
    elif tokenizer is not None:
        begin = network_over_pieces(config, tokenizer)
    else:
        all_rows = rows | ({"test": data.rows("test")} if task["counts"].get("test") else {})
        begin = network_over_words(config, kind, all_rows, vectors, out)
    train, validation = (kind.encode(begin.folder, rows[split]) for split in ("train", "validation"))
    source = train if config.augmentation is None else _augmented(config, begin.folder, kind, rows["train"], train)
    steps_per_epoch = math.ceil(len(train) / config.train_batch_size)

    given = {"start": start, "tokenizer": tokenizer, "vectors": vectors}

    # --- build model, resume
    session = Session(
        config,
        lambda: with_r_drop(kind.new_objective(begin.source, config.loss_options()), config.regularization.r_drop),
        out=out,
        name=f"finetune {task['name']}",
        inputs={"data": data.fingerprint, **{name: one.fingerprint for name, one in given.items() if one is not None}},
        max_steps=config.max_steps or max(1, round(config.num_train_epochs * steps_per_epoch)),
        summarise=kind.summarise,
        make_recipe=partial(make_recipe, learning_rate=config.learning_rate, seed=config.seed, **config.tricks()),
    )
    if config.model.normalises_batches and session.micro_batch < config.train_batch_size:
        raise _parted_batch(config.train_batch_size, session.micro_batch)
    if session.is_main:
        _warn_of_unknown(begin.folder, train)
    metric = task["primary"] if config.metric_for_best_model == "primary" else config.metric_for_best_model
    best, tuned = BestWeights(metric, config.early_stopping_patience, min_delta=config.early_stopping_threshold), {}
    if session.saved is not None:
        best.restore(session.saved.groups["best"], session.saved.state["best"])
        tuned = session.saved.state["tuned"]
    session.more = lambda: ({"best": best.weights}, {"best": best.state, "tuned": tuned})
    chosen: dict[str, Any] = {}
    silent: list[str] = []

    def score(outputs: "list[Outputs]") -> dict[str, float]:
        """The figures with what is tuned: the model is kept with it."""
        predictions = kind.predictions(outputs, validation, rows["validation"])
        chosen.clear()
        if found := kind.tune(predictions):
            chosen.update(found)
            predictions = kind.tuned(found).predictions(outputs, validation, rows["validation"])
        scored = kind.score(predictions)
        silent.clear()
        if metric in scored["undefined"] and _right_answers_have(metric, kind, predictions):
            silent.append(scored["undefined"][metric])
        return {name: value for name, value in scored["metrics"].items() if value is not None}

    # --- loop
    for result in session.steps(
        partial(source.batches, config.train_batch_size, session.micro_batch, seed=config.seed)
    ):
        last = result.step == session.max_steps
        if result.step % (config.eval_steps or steps_per_epoch) and not last:
            continue
        figures = session.measure_predictions(validation, score)
        if metric not in figures and not silent:
            raise _no_such_metric(metric, figures)
        # A model that answers all alike has no correlation yet: never better than one that has.
        if best.offer(result.step, {metric: math.nan, **figures}, session.weights):
            tuned = dict(chosen)
        if best.exhausted:
            break
        if not last:
            session.save()

    if best.value is None or math.isnan(best.value):
        raise _never_measured(metric, silent, out)

    # --- write
    facts = {
        "best_step": best.step,
        "best_metric": best.value,
        "metric_for_best_model": metric,
        "stopped_early": session.step < session.max_steps,
        "encoded": {"train": kind.counts(train), "validation": kind.counts(validation)},
    }
    if session.is_main:
        predictor = {
            "kind": task["kind"],
            "task": task["name"],
            "primary": task["primary"],
            **{key: task[key] for key in kind.task_keys if key in task},
            "name": config.display_name,
            "backbone": config.model.backbone,
            **begin.facts,
            "settings": {**kind.settings, "tuned": tuned},
            "seed": config.seed,
            "data": data.fingerprint,
            "origin": data.origin,
            "examples": len(rows["train"]),
            "parameters": bert.count_parameters(session.model),
            "train_seconds": round(session.journal.train_seconds, 3),
            **facts,
        }
        storage.write_json(out / "predictor.json", predictor)
    session.finish(begin.folder, facts, weights=best.weights)
    return Model(out)


def _warn_of_unknown(folder: Path, train: "EncodedRows") -> None:
    """Say before the training what would spoil it: a vocabulary of another language or script."""
    from bertkit.text.vocabulary import read_vocabulary

    if (share := train.share_of(read_vocabulary(folder).unk)) > _MANY_UNKNOWN:
        what = "%.0f %% of the training tokens are unknown to the vocabulary of %s: is it one for these texts?"
        log.warning(what, 100 * share, folder)


def _augmented(
    config: FinetuneConfig, folder: Path, kind: "Kind", rows: list[dict[str, Any]], written: "EncodedRows"
) -> "EncodedRows":
    """The training rows, changed anew for each epoch."""
    from bertkit.data.augmentation import Augmentation, AugmentedRows, read_synonyms

    if kind.name != "classification":
        raise ConfigError(f"augmentation is for classification, and this is a task of kind {kind.name!r}")
    assert config.augmentation is not None
    options = config.augmentation.model_dump(exclude={"synonyms"})
    path = config.augmentation.synonyms
    augmentation = Augmentation(config.seed, **options, synonyms=read_synonyms(path) if path is not None else {})
    return AugmentedRows(rows, kind.columns, partial(kind.encode, folder), augmentation, written)


def _parted_batch(whole: int, part: int) -> ConfigError:
    """Of parts, each would be normalised by itself: another model, under the same fingerprint."""
    return ConfigError(
        f"model.textcnn.norm=batch normalises by a batch of {whole}, and {part} of it would be computed at once",
        remedy="Leave micro_batch_size out and launch one process, or set model.textcnn.norm=layer.",
    )


def _right_answers_have(metric: str, kind: "Kind", predictions: "list[Prediction]") -> bool:
    """Whether it is the model, not the data, that leaves a metric without a value."""
    return kind.score([kind.made_right(row) for row in predictions])["metrics"][metric] is not None


def _never_measured(metric: str, reasons: list[str], out: Path) -> NumericError:
    return NumericError(
        ": ".join([f"{metric} had no value at any measurement", *reasons]),
        where=str(out),
        remedy="Lower learning_rate or raise warmup_steps, or choose another metric_for_best_model.",
    )


def _no_such_metric(metric: str, figures: dict[str, float]) -> ConfigError:
    return ConfigError(
        f"metric_for_best_model {metric!r} has no value on the validation split",
        remedy=f"It has {', '.join(figures)}.",
    )


def _check_task(data: TaskData) -> dict[str, Any]:
    task = data.task
    if not task["counts"].get("validation"):
        raise StageError(
            "has no validation split to choose the best weights on",
            where=str(data.path),
            remedy="Set validation_percentage in task_data, or give it a validation file.",
        )
    return task
