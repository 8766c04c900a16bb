"""The attention weights of a BERT, layer by layer, to look at."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BertModel

from bertkit.models.attention import install_telling_attention
from bertkit.models.bert import load_parts, pooled_states, require_bert
from bertkit.models.classification import load_classifier


def load_for_weights(folder: Path) -> Any:
    """The encoder of a BERT folder, pretrained or fine-tuned, whose heads are left out, ready to be looked at.

    Raises:
        StageError: the folder holds no BERT.
    """
    require_bert(folder)
    return telling(load_parts(BertModel, folder, may_miss=("pooler.",)))


def telling(model: BertModel) -> BertModel:
    """The model set to give its weights, and to draw no dropout."""
    install_telling_attention(model)
    model.eval()
    return model


def window_weights(folder: Path, batch: dict[str, Tensor]) -> Tensor:
    """How much of each window of one text a classifier takes that pools windows by attention, shape (windows,).

    Args:
        folder: the classifier's.
        batch: of `EncodedDocuments.collate` for one text.
    """
    model = load_classifier(folder).eval()
    with torch.inference_mode():
        weights: Tensor = model.window_weights(pooled_states(model, batch), batch["text_windows"])
    return weights[0]


def attention_weights(model: BertModel, batch: dict[str, Tensor]) -> list[Tensor]:
    """The weights of each layer, shape (rows, heads, length, length): row i is how much token i takes from each token.

    Args:
        model: of `telling`.
        batch: `input_ids`, and where there are any `token_type_ids` and `attention_mask`, each of shape (rows, length).
    """
    found: list[Tensor] = []
    layers: Any = model.encoder.layer
    hooks = [layer.attention.self.register_forward_hook(lambda _m, _i, out: found.append(out[1])) for layer in layers]
    try:
        with torch.inference_mode():
            model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found
