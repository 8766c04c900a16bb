"""Attention with dropout on a CPU; everywhere else, torch's own.

torch's CPU kernel knows no dropout: asked for it, it falls back on plain operations and draws a slow mask. The same
operations with the mask of `dropout` take about half the time.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from bertkit.models.dropout import dropout as fast_dropout

NAME = "bertkit"


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers calls an attention function.

    Args:
        query, key, value: shape (rows, heads, length, size).
        attention_mask: true where a key may be seen, shape (rows, 1, length, length), or None.

    Returns:
        The mixed values, shape (rows, length, heads, size), and no weights.
    """
    if not dropout or query.device.type != "cpu" or torch.compiler.is_compiling():
        mixed: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return mixed
    scores = torch.matmul(query * (query.shape[-1] ** -0.5 if scaling is None else scaling), key.transpose(2, 3))
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = fast_dropout(torch.softmax(scores, -1), dropout)
    return torch.matmul(weights, value).transpose(1, 2), None


def install_attention(model: Any) -> None:
    """Let a transformers model attend by `attend`."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
