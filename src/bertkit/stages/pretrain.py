"""Stage `pretrain`: train BERT with masked LM and next-sentence prediction."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bertkit import storage
from bertkit.artifacts import Checkpoint, PretrainData, Tokenizer
from bertkit.config import Config, runtime
from bertkit.errors import ConfigError, DataError, StageError
from bertkit.stage import stage

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")


class ModelConfig(Config):
    """Sizes of the encoder, in `BertConfig`'s words."""

    num_hidden_layers: Positive = 2
    """Transformer layers."""
    hidden_size: Positive = 128
    """Width of the vectors."""
    num_attention_heads: Positive = 2
    """Attention heads; must divide `hidden_size`."""
    intermediate_size: Positive = 512
    """Width of the feed-forward layer."""
    max_position_embeddings: Positive = 512
    """Longest sequence the model can ever read."""
    hidden_act: str = "gelu"
    """Activation of the feed-forward layer."""
    hidden_dropout_prob: Share = 0.1
    """Dropout on layers."""
    attention_probs_dropout_prob: Share = 0.1
    """Dropout on attention weights."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "ModelConfig":
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        return self


class PretrainConfig(Config):
    """How to pretrain. One of `max_steps` and `num_train_epochs` must be given."""

    model: ModelConfig = ModelConfig()
    """Sizes of a new model; not used when the input `start` is given."""
    objective: Literal["mlm_nsp", "mlm_sop", "mlm"] = "mlm_nsp"
    """Masked LM with next-sentence prediction, with sentence-order prediction, or alone."""
    max_seq_length: Annotated[int, Field(ge=8)] = 128
    """Tokens in a sequence, special tokens counted in."""
    mlm_probability: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of tokens to predict."""
    short_seq_prob: Share = 0.1
    """Share of sequences made shorter than they could be."""
    train_batch_size: Positive = 32
    """Sequences in an optimizer step, over all processes."""
    max_steps: Positive | None = None
    """Optimizer steps."""
    num_train_epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the text, instead of `max_steps`."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
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
    seed: int = 42
    """Of weights, pairs, masks, order and dropout."""
    eval_steps: Positive = 100
    """Steps between two measurements on held-out text."""
    max_eval_samples: Positive = 1024
    """Held-out sequences measured on, the same ones each time."""

    logging_steps: Positive = runtime(10)
    """Steps between two rows of the log."""
    save_steps: Positive = runtime(500)
    """Steps between two checkpoints."""
    save_total_limit: Positive = runtime(2)
    """Checkpoints kept while training."""
    micro_batch_size: Positive | None = runtime(None)
    """Sequences computed at once by a process; less memory, the same loss. Dropout is drawn for each micro-batch."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    """Where to compute."""
    mixed_precision: Literal["auto", "no", "bf16"] = runtime("auto")
    """`auto` is bf16 on GPUs that have it, else fp32."""
    num_threads: Positive | None = runtime(None)
    """CPU threads of a process; by default its share of the cores."""
    report_to: list[str] = runtime([])
    """Trackers: wandb, tensorboard, ..."""
    run_name: str = runtime("bertkit-pretrain")
    """The run's name in trackers."""

    @model_validator(mode="after")
    def _one_duration(self) -> "PretrainConfig":
        if (self.max_steps is None) == (self.num_train_epochs is None):
            raise ValueError("give either max_steps or num_train_epochs")
        if self.max_seq_length > self.model.max_position_embeddings:
            raise ValueError(
                f"max_seq_length {self.max_seq_length} is over the model's "
                f"max_position_embeddings {self.model.max_position_embeddings}"
            )
        return self


@stage("pretrain", version=1, resumable=True, parallel=True)
def pretrain(
    config: PretrainConfig, data: PretrainData, tokenizer: Tokenizer, start: Checkpoint | None = None, *, out: Path
) -> Checkpoint:
    """Train BERT with masked LM and next-sentence prediction, from random weights or from a checkpoint."""
    from bertkit.models import bert
    from bertkit.training import checkpoints, loop, optimizers, processes
    from bertkit.training.journal import Journal, open_trackers

    # --- read inputs
    train, heldout = _read_data(config, data, tokenizer)

    # --- build model
    accelerator = processes.make_accelerator(config.device, config.mixed_precision, trackers=config.report_to, out=out)
    threads = processes.pin_threads(config.num_threads, accelerator.num_processes)
    if start is None:
        sizes = config.model.model_dump()
        vocab_size, pad = train.store.vocab_size, train.special.pad
        model = bert.new_pretraining_model(sizes, vocab_size=vocab_size, pad_token_id=pad, seed=config.seed)
    else:
        _same_vocabulary(start, tokenizer)
        model = bert.load_pretraining_model(start.path, seed=config.seed)
    objective = accelerator.prepare(bert.PretrainingLoss(model))
    optimizer = optimizers.adamw(
        objective,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
    )
    rows = _micro_batch_rows(config, accelerator.num_processes)
    steps_per_epoch = train.steps_per_epoch(config.train_batch_size)
    max_steps = _count_steps(config, steps_per_epoch)
    warmup = optimizers.warmup_count(config.warmup_steps, max_steps)

    # --- resume
    saved = checkpoints.load_newest(out)
    step, position = 0, (0, 0)
    if saved is not None:
        checkpoints.load_parameters(model, saved.groups["model"])
        checkpoints.load_optimizer_tensors(optimizer, objective, saved.groups["optimizer"])
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
        name="pretrain",
        max_steps=max_steps,
        logging_steps=config.logging_steps,
        summarise=summarise,
        done_steps=step,
    )
    place = {"rank": accelerator.process_index, "world_size": accelerator.num_processes}

    def measure(step: int, epoch: float) -> None:
        if heldout is not None:
            batches = heldout.heldout(rows, config.max_eval_samples, **place)
            journal.evaluation(step, epoch, summarise(loop.evaluate(objective, batches, accelerator)))

    if step == 0:
        measure(0, 0.0)
    epoch = 0.0
    steps = loop.train_steps(
        objective,
        train.batches(config.train_batch_size, rows, start=position, **place),
        optimizer,
        accelerator,
        learning_rate=lambda step: optimizers.learning_rate_at(
            step, peak=config.learning_rate, max_steps=max_steps, warmup_steps=warmup, kind=config.lr_scheduler_type
        ),
        max_grad_norm=config.max_grad_norm,
        seed=config.seed,
        first_step=step + 1,
    )
    while step < max_steps:
        result = next(steps)
        step, epoch = result.step, result.epoch
        journal.step(result)
        if step % config.eval_steps == 0 or step == max_steps:
            measure(step, epoch)
        if step % config.save_steps == 0 and step < max_steps and accelerator.is_main_process:
            checkpoints.save(
                out,
                step,
                {
                    "model": checkpoints.parameters(model),
                    "optimizer": checkpoints.optimizer_tensors(optimizer, objective),
                },
                {"position": [result.position[0], result.position[1] + 1]},
                keep=config.save_total_limit,
            )
    journal.close()

    # --- write
    if accelerator.is_main_process:
        bert.save(model, out)
        storage.copy_files(tokenizer.path, out, TOKENIZER_FILES)
        state = {
            "global_step": step,
            "max_steps": max_steps,
            "epoch": round(epoch, 4),
            "steps_per_epoch": steps_per_epoch,
            "train_batch_size": config.train_batch_size,
            "num_parameters": bert.count_parameters(model),
            "train_seconds": round(journal.train_seconds, 3),
            "num_processes": accelerator.num_processes,
            "num_threads": threads,
            "device": str(accelerator.device),
            "mixed_precision": str(accelerator.mixed_precision),
            "log_history": journal.rows,
        }
        storage.write_json(out / "trainer_state.json", state)
        checkpoints.remove_all(out)
    return Checkpoint(out)


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """The figures of a log row from the objective's sums; figures without anything counted are left out."""
    mlm_loss = sums["mlm_loss"] / sums["mlm_count"]
    figures = {
        "mlm_loss": mlm_loss,
        "perplexity": math.exp(min(mlm_loss, 700.0)),
        "mlm_accuracy": sums["mlm_correct"] / sums["mlm_count"],
    }
    if sums["nsp_count"]:
        figures["nsp_loss"] = sums["nsp_loss"] / sums["nsp_count"]
        figures["nsp_accuracy"] = sums["nsp_correct"] / sums["nsp_count"]
    return figures


def _read_data(config: PretrainConfig, data: PretrainData, tokenizer: Tokenizer) -> tuple[Any, Any]:
    """Training and held-out sequences; no held-out ones when the corpus has none."""
    import numpy as np

    from bertkit.data import masking
    from bertkit.data.pairs import check_objective
    from bertkit.data.pretraining import PretrainingData, SpecialIds
    from bertkit.data.token_store import TokenStore
    from bertkit.text.vocabulary import read_vocabulary

    made_with = data.read_json("meta.json")["tokenizer"]
    if made_with != tokenizer.fingerprint:
        raise StageError(
            f"was tokenized with the tokenizer {made_with}, the input 'tokenizer' is {tokenizer.fingerprint}",
            where=str(data.path),
            remedy="Give the tokenizer that pretrain_data read.",
        )
    vocabulary = read_vocabulary(tokenizer.path)
    special = SpecialIds(vocabulary.cls, vocabulary.sep, vocabulary.pad)
    ids = masking.Vocabulary(vocabulary.mask, np.array(vocabulary.ordinary, dtype=np.int64))

    def sequences(split: str, objective: Any, seed: int) -> PretrainingData:
        return PretrainingData(
            TokenStore(data.path, split),
            special,
            ids,
            objective,
            config.max_seq_length,
            config.mlm_probability,
            config.short_seq_prob,
            seed,
        )

    check_objective(TokenStore(data.path, "train"), config.objective)
    train = sequences("train", config.objective, config.seed)
    counts = TokenStore(data.path, "heldout").counts
    if not counts["documents"]:
        return train, None
    # One held-out document has no other to take a second sentence from. Its masks must not follow the run's seed:
    # runs with different seeds are compared on it.
    objective = "mlm" if config.objective == "mlm_nsp" and counts["documents"] < 2 else config.objective
    return train, sequences("heldout", objective, seed=0)


def _same_vocabulary(start: Checkpoint, tokenizer: Tokenizer) -> None:
    from bertkit.text.vocabulary import read_entries

    if read_entries(start.path) != read_entries(tokenizer.path):
        raise StageError(
            "its vocabulary is not that of the input 'tokenizer': the same id means another word piece",
            where=str(start.path),
            remedy="Tokenize the corpus with the tokenizer in this folder.",
        )


def _micro_batch_rows(config: PretrainConfig, world_size: int) -> int:
    from bertkit.data.batching import micro_batch_rows

    try:
        return micro_batch_rows(config.train_batch_size, config.micro_batch_size, world_size)
    except ValueError as e:
        raise ConfigError(str(e), remedy="Choose a train_batch_size that the number of processes divides.") from None


def _count_steps(config: PretrainConfig, steps_per_epoch: int) -> int:
    if steps_per_epoch == 0:
        raise DataError(
            f"the corpus fills less than one batch of {config.train_batch_size} sequences",
            remedy="Lower train_batch_size, or add text.",
        )
    if config.max_steps is not None:
        return config.max_steps
    assert config.num_train_epochs is not None
    return max(1, round(config.num_train_epochs * steps_per_epoch))
