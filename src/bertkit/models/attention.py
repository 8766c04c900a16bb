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
WITH_WEIGHTS = "bertkit_with_weights"


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
    weights = fast_dropout(_weights(query, key, attention_mask, scaling), dropout)
    return torch.matmul(weights, value).transpose(1, 2), None


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, scaling: float | None) -> Tensor:
    """How much each token takes from each other, shape (rows, heads, length, length)."""
    scores = torch.matmul(query * (query.shape[-1] ** -0.5 if scaling is None else scaling), key.transpose(2, 3))
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, -1)


def attend_and_tell(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """As `attend` without dropout, with the weights beside the mixed values."""
    weights = _weights(query, key, attention_mask, scaling)
    return torch.matmul(weights, value).transpose(1, 2), weights


def install_attention(model: Any) -> None:
    """Let a transformers model attend by `attend`."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def install_telling_attention(model: Any) -> None:
    """Let a transformers model attend by `attend_and_tell`."""
    AttentionInterface.register(WITH_WEIGHTS, attend_and_tell)
    AttentionMaskInterface.register(WITH_WEIGHTS, sdpa_mask)
    model.set_attn_implementation(WITH_WEIGHTS)
