"""Stage `pretrain`: train BERT with masked LM and next-sentence prediction."""

import logging
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from bertkit.artifacts import Checkpoint, PretrainData, Tokenizer
from bertkit.config import Config, runtime
from bertkit.errors import ConfigError, DataError, StageError
from bertkit.stage import stage
from bertkit.stages.session import Session
from bertkit.stages.training_config import Above0, Positive, Share, TrainingConfig

if TYPE_CHECKING:
    from bertkit.data.pretraining import PretrainingData

log = logging.getLogger(__name__)


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
    initializer_range: Above0 = 0.02
    """Standard deviation of new weights: 0.02 as in BERT-base; narrow models start faster with more (1/sqrt(width))."""
    local_heads: Annotated[int, Field(ge=0)] = 2
    """Heads of the first layer that begin by attending to the tokens beside each token, at offsets -1, +1, -2, +2 and so
    on, which spares pretraining its first plateau; 0 begins with noise alone, as BERT did."""
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

    @model_validator(mode="after")
    def _local_heads_fit(self) -> "ModelConfig":
        if self.local_heads > self.num_attention_heads:
            raise ValueError(f"local_heads {self.local_heads} is over num_attention_heads {self.num_attention_heads}")
        if self.local_heads and min(self.hidden_size // self.num_attention_heads, self.hidden_size // 4) < 8:
            raise ValueError(
                f"local_heads needs a hidden_size of 32 or more and 8 or more of it a head, there are "
                f"{self.hidden_size} and {self.hidden_size // self.num_attention_heads}; local_heads=0 begins without"
            )
        return self


_DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")
# Of a new model only: a model to start from has its weights.
_NEW = ("local_heads",)


class PretrainConfig(TrainingConfig):
    """How to pretrain. `max_steps`, where given, stands instead of `num_train_epochs`."""

    model: ModelConfig = ModelConfig()
    """Sizes of a new model. With the input `start`, those given must be its own; dropout may be another."""
    objective: Literal["mlm_nsp", "mlm_sop", "mlm"] = "mlm_nsp"
    """Masked LM with next-sentence prediction, with sentence-order prediction, or alone."""
    max_seq_length: Annotated[int, Field(ge=8)] = 128
    """Tokens in a sequence, special tokens counted in."""
    mlm_probability: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of tokens to predict; `mlm_probability_end` says where it goes from there."""
    mlm_probability_end: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share at the last step, reached in a straight line; by default as at the first. Held-out text keeps the first."""
    mask_strategy: Literal["token", "whole_word", "span"] = "token"
    """What is masked together: single word pieces, whole words, or spans of whole words (SpanBERT)."""
    short_seq_prob: Share = 0.1
    """Share of sequences made shorter than they could be."""
    num_train_epochs: Above0 = 1.0
    """Passes over the text."""
    eval_steps: Positive = 100
    """Steps between two measurements on held-out text."""
    max_eval_samples: Positive = 1024
    """Held-out sequences measured on, the same ones each time."""

    save_steps: Positive = runtime(500)
    """Steps between two checkpoints."""

    @model_validator(mode="after")
    def _sequences_fit(self) -> "PretrainConfig":
        if self.max_seq_length > self.model.max_position_embeddings:
            raise ValueError(
                f"max_seq_length {self.max_seq_length} is over the model's "
                f"max_position_embeddings {self.model.max_position_embeddings}"
            )
        return self


@stage("pretrain", version=3, resumable=True, parallel=True)
def pretrain(
    config: PretrainConfig, data: PretrainData, tokenizer: Tokenizer, start: Checkpoint | None = None, *, out: Path
) -> Checkpoint:
    """Train BERT with masked LM and next-sentence prediction, from random weights or from a checkpoint."""
    from bertkit.models import bert

    # --- read inputs
    train, heldout = read_data(config, data, tokenizer)
    counts = train.counts()
    _say_what_words_are(config, data, tokenizer)
    log.info("sequences: %s", ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if start is not None:
        _same_vocabulary(start, tokenizer)
        _check_sizes(config, start)
    steps_per_epoch = train.steps_per_epoch(config.train_batch_size)
    max_steps = count_steps(config, steps_per_epoch)
    if config.mlm_probability_end is not None:
        train = replace(train, mlm_probability_end=config.mlm_probability_end, mlm_steps=max_steps)

    # --- build model, resume
    session = Session(
        config,
        lambda: bert.PretrainingLoss(_build(config, train, start)),
        out=out,
        name="pretrain",
        inputs={
            "data": data.fingerprint,
            "tokenizer": tokenizer.fingerprint,
            **({"start": start.fingerprint} if start else {}),
        },
        max_steps=max_steps,
        summarise=summarise,
    )

    def measure() -> None:
        if heldout is not None:
            session.measure(heldout.heldout(session.micro_batch, config.max_eval_samples, **session.place))

    # --- loop
    if session.step == 0:
        measure()
    for result in session.steps(partial(train.batches, config.train_batch_size, session.micro_batch)):
        last = result.step == session.max_steps
        if result.step % config.eval_steps == 0 or last:
            measure()
        if result.step % config.save_steps == 0 and not last:
            session.save()

    # --- write
    session.finish(tokenizer.path, {"steps_per_epoch": steps_per_epoch, "data": counts})
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


def _build(config: PretrainConfig, train: "PretrainingData", start: Checkpoint | None) -> Any:
    from bertkit.models import bert

    if start is not None:
        dropout = {name: getattr(config.model, name) for name in _DROPOUT if name in config.model.model_fields_set}
        return bert.load_pretraining_model(start.path, seed=config.seed, **dropout)
    return bert.new_pretraining_model(
        config.model.model_dump(),
        vocab_size=train.store.vocab_size,
        pad_token_id=train.special.pad,
        seed=config.seed,
    )


def read_data(
    config: PretrainConfig, data: PretrainData, tokenizer: Tokenizer
) -> "tuple[PretrainingData, PretrainingData | None]":
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
            config.mask_strategy,
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


def _say_what_words_are(config: PretrainConfig, data: PretrainData, tokenizer: Tokenizer) -> None:
    from bertkit.text.vocabulary import read_entries

    if config.mask_strategy == "token" or data.read_json("meta.json").get("word_segmenter", "none") != "none":
        return
    entries = [entry.removeprefix("##") for entry in read_entries(tokenizer.path)]
    if 2 * sum("\u4e00" <= entry <= "\u9fff" for entry in entries) > len(entries):
        log.info(
            "mask_strategy=%s: every Chinese character is a word of its own, for the store was made without a "
            "segmenter; pretrain_data's word_segmenter=rjieba finds words",
            config.mask_strategy,
        )


def _same_vocabulary(start: Checkpoint, tokenizer: Tokenizer) -> None:
    from bertkit.text.vocabulary import read_entries

    if read_entries(start.path) != read_entries(tokenizer.path):
        raise StageError(
            "its vocabulary is not that of the input 'tokenizer': the same id means another word piece",
            where=str(start.path),
            remedy="Tokenize the corpus with the tokenizer in this folder.",
        )


def _check_sizes(config: PretrainConfig, start: Checkpoint) -> None:
    """Refuse sizes that the started model does not have, and sequences that it cannot read."""
    from bertkit.models.bert import require_bert

    model = require_bert(start.path)
    given = sorted(config.model.model_fields_set - {*_DROPOUT, *_NEW})
    if other := [name for name in given if getattr(config.model, name) != model.get(name)]:
        raise ConfigError(
            "model."
            + ", model.".join(f"{name} is {getattr(config.model, name)}, there {model.get(name)}" for name in other),
            where=str(start.path),
            remedy="The input 'start' decides the sizes: leave them out, or start from another model.",
        )
    if config.max_seq_length > model["max_position_embeddings"]:
        raise ConfigError(
            f"max_seq_length {config.max_seq_length} is over the model's {model['max_position_embeddings']} positions",
            where=str(start.path),
        )


def count_steps(config: PretrainConfig, steps_per_epoch: int) -> int:
    if steps_per_epoch == 0:
        raise DataError(
            f"the corpus fills less than one batch of {config.train_batch_size} sequences",
            remedy="Lower train_batch_size, or add text.",
        )
    return config.max_steps or max(1, round(config.num_train_epochs * steps_per_epoch))
