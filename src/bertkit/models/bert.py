"""BERT as transformers has it: build and load it, and the loss of pretraining."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import BertConfig, BertForPreTraining
from transformers.utils import logging as transformers_logging

from bertkit import storage
from bertkit.errors import DataError, StageError
from bertkit.foreign import require_safetensors
from bertkit.models.attention import install_attention
from bertkit.models.dropout import install_dropout
from bertkit.models.initialisation import attend_to_neighbours, attend_to_the_same_words
from bertkit.models.last_layer import first_places, install_picking
from bertkit.models.masked_lm import masked_lm_loss
from bertkit.models.objective import Batch, Sums


class PretrainingLoss(nn.Module):
    """Masked-LM and next-sentence losses of a `BertForPreTraining`, as sums that callers divide.

    The vocabulary projection, most of a small model's work, runs at the masked positions alone.
    """

    def __init__(self, model: BertForPreTraining) -> None:
        super().__init__()
        self.model = quickened(model)

    def forward(self, batch: Batch) -> Sums:
        """Sums over a micro-batch made by `PretrainingData.collate`: `*_loss`, `*_correct`, `*_count`, all scalars."""
        hidden, pooled = self.encode(batch)
        masked = hidden.flatten(0, 1).index_select(
            0, batch["masked_picks" if "picked" in batch else "masked_positions"]
        )
        head, labels = self.model.cls.predictions, batch["masked_labels"]
        decoder = head.decoder
        mlm_loss, mlm_correct = masked_lm_loss(head.transform(masked), decoder.weight, decoder.bias, labels)
        pair, pair_label = self.model.cls.seq_relationship(pooled).float(), batch["next_sentence_label"]
        return {
            "mlm_loss": mlm_loss,
            "mlm_correct": mlm_correct,
            "mlm_count": torch.tensor(len(labels), device=labels.device),
            # A batch without pairs still reaches the pooler, with a gradient of zero: every process needs the same graph.
            "nsp_loss": functional.cross_entropy(pair, pair_label, reduction="sum", ignore_index=-100),
            "nsp_correct": (pair.argmax(-1) == pair_label).sum(),
            "nsp_count": (pair_label != -100).sum(),
        }

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Hidden states (rows, length or picks, hidden) and the pooled [CLS] (rows, hidden)."""
        output = self.model.bert(
            input_ids=batch["input_ids"],
            token_type_ids=batch["token_type_ids"],
            attention_mask=batch.get("attention_mask"),
            picked=batch.get("picked"),
        )
        return output.last_hidden_state, output.pooler_output


def quickened(model: Any) -> Any:
    """The model with dropout, attention and a last layer that compute the same at less cost."""
    install_dropout(model)
    install_attention(model)
    install_picking(model)
    return model


def pooled_states(model: Any, batch: Batch) -> Tensor:
    """The pooled [CLS] of a model with a BERT below its head, (rows, hidden)."""
    pooled: Tensor = model.bert(
        input_ids=batch["input_ids"],
        token_type_ids=batch["token_type_ids"],
        attention_mask=batch.get("attention_mask"),
        picked=first_places(batch["input_ids"]),
    ).pooler_output
    return pooled


def last_states(model: Any, batch: Batch) -> Tensor:
    """The states of the last layer of a model with a BERT below its head, (rows, length, hidden)."""
    states: Tensor = model.bert(
        input_ids=batch["input_ids"],
        token_type_ids=batch["token_type_ids"],
        attention_mask=batch.get("attention_mask"),
    ).last_hidden_state
    return states


def recompute_activations(model: Any) -> None:
    """Have the encoder compute its activations again in the backward pass; dropout is drawn as it was (Chen et al. 2016)."""
    for layer in model.bert.encoder.layer:
        layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)


def new_pretraining_model(
    sizes: dict[str, Any], *, vocab_size: int, pad_token_id: int, seed: int
) -> BertForPreTraining:
    """A BERT with random weights that depend on `seed` alone.

    `sizes` are `BertConfig` values; `local_heads` among them says how many heads begin by attending to neighbours
    (`models.initialisation`).
    """
    torch.manual_seed(seed)
    return _new(BertForPreTraining, BertConfig(**sizes, vocab_size=vocab_size, pad_token_id=pad_token_id))


def _new(cls: Any, config: BertConfig) -> Any:
    """A model of `cls` with new weights. `config.json` keeps `local_heads`, so that one made anew begins as the first."""
    model = cls(config)
    if heads := getattr(config, "local_heads", 0):
        attend_to_neighbours(model.bert, heads)
    return model


def load_pretraining_model(folder: Path, *, seed: int, **changes: Any) -> BertForPreTraining:
    """The pretraining model in a Hugging Face folder; heads it lacks start random, by `seed`.

    `changes` replace values of its `config.json`, such as dropout.
    """
    require_bert(folder)
    torch.manual_seed(seed)
    return load_parts(BertForPreTraining, folder, may_miss=("cls.", "bert.pooler."), **changes)


def label_names(labels: list[str]) -> dict[str, Any]:
    """Labels as a model's `config.json` has them."""
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}


def new_head(
    cls: Any,
    folder: Path,
    changes: dict[str, Any],
    *,
    new: tuple[str, ...],
    init: Literal["pretrained", "random"],
    dropout: float | None,
    seed: int,
    reinit_layers: int | None,
    matching_heads: int = 0,
) -> Any:
    """A model of `cls` from the BERT in `folder`: its weights, or random ones of the same shape.

    Args:
        changes: replace values of its `config.json`.
        new: beginnings of the names of parameters that the folder may lack.
        dropout: where given, replaces the model's own, on layers, attention weights and before the head.
        reinit_layers: where given, the pooler and so many of the top layers get new weights (Zhang et al. 2021).
        matching_heads: so many heads of the first layer, its last ones, begin anew; see `attend_to_the_same_words`.

    Raises:
        StageError: the model has fewer layers, or heads that cannot match.
    """
    require_bert(folder)
    torch.manual_seed(seed)
    if dropout is not None:
        names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
        changes = changes | dict.fromkeys(names, dropout)
    if init == "random":
        model = _new(cls, _config(folder, changes))
    else:
        model = load_parts(cls, folder, may_miss=new, **changes)
        if reinit_layers is not None:
            _reinitialise(model, reinit_layers)
    if matching_heads:
        _let_match(model, matching_heads, folder)
    return model


def _let_match(model: Any, heads: int, folder: Path) -> None:
    try:
        attend_to_the_same_words(model.bert, heads)
    except ValueError as e:
        raise StageError(f"matching_heads: {e}", where=str(folder), remedy="Give fewer, or 0.") from None


def _reinitialise(model: Any, layers: int) -> None:
    count = len(model.bert.encoder.layer)
    if layers > count:
        raise StageError(f"reinit_layers is {layers}, the model has {count} layers")
    spread = model.config.initializer_range
    pooler = [model.bert.pooler] if model.bert.pooler is not None else []
    for part in (*pooler, *model.bert.encoder.layer[count - layers :]):
        for module in part.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=spread)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)


def load_head(cls: Any, folder: Path) -> Any:
    """A fine-tuned model of `cls`, complete."""
    require_bert(folder)
    return load_parts(cls, folder, may_miss=())


def require_bert(folder: Path) -> dict[str, Any]:
    """The `config.json` of a BERT folder.

    Raises:
        StageError: there is none, or it describes another kind of model.
    """
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError("no such file: not a Hugging Face model folder", where=str(path)) from None
    except ValueError as e:
        raise StageError(f"not valid JSON: {e}", where=str(path)) from None
    if config.get("model_type") != "bert":
        raise StageError(f"model_type is {config.get('model_type')!r}; only 'bert' can be used here", where=str(path))
    return config


def check_ids(vocab_size: int, model_vocab_size: int, folder: Path) -> None:
    """Refuse a tokenizer with ids that the model has no embedding for."""
    if vocab_size > model_vocab_size:
        raise DataError(
            f"the tokenizer has {vocab_size} entries, the model's embedding {model_vocab_size}",
            where=str(folder),
            remedy="Use the tokenizer that the model was trained with.",
        )


def count_parameters(model: nn.Module) -> int:
    """The numbers that training may change, tied ones once; frozen layers are counted in."""
    return sum(p.numel() for p in model.parameters())


def _config(folder: Path, changes: dict[str, Any]) -> BertConfig:
    """The folder's configuration with `changes`, which may name what transformers knows nothing of."""
    config = BertConfig.from_pretrained(folder, local_files_only=True)
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def load_parts(cls: Any, folder: Path, *, may_miss: tuple[str, ...], **changes: Any) -> Any:
    """Load weights; a missing tensor outside `may_miss` is an error instead of a warning that scrolls by."""
    require_safetensors(folder)
    with without_messages():
        config = _config(folder, changes)
        model, info = cls.from_pretrained(folder, config=config, output_loading_info=True, local_files_only=True)
    missing = (
        [name for name in info["missing_keys"] if not name.startswith(may_miss)] if may_miss else info["missing_keys"]
    )
    if missing or info["mismatched_keys"]:
        raise StageError(
            f"lacks {len(missing)} of the model's tensors, for example {sorted(missing)[:3]}"
            if missing
            else f"holds tensors of other shapes: {sorted(map(str, info['mismatched_keys']))[:3]}",
            where=str(folder / "model.safetensors"),
        )
    return model


@contextmanager
def without_messages() -> Iterator[None]:
    """Hide transformers' load report and progress bars: `load_parts` checks for itself."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)


def save(model: Any, out: Path) -> None:
    """Write `config.json` and `model.safetensors` as any Hugging Face reader expects them."""
    with without_messages():
        model.save_pretrained(out)
    config = out / "config.json"
    for weights in (
        out.glob("*.safetensors") if config.is_file() else ()
    ):  # a baseline writes no config.json, and sees to it
        storage.share_like(weights, config)
