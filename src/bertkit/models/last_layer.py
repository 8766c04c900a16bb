"""The last layer of a BERT at the places that are read alone.

A classifier reads the state of [CLS], masked language modelling those of the masked tokens: of the last layer every other
query, sum and feed-forward output is computed for nothing. Keys and values are needed everywhere. The states that are
computed, and all gradients, are the same.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.models.bert.modeling_bert import BertLayer

from bertkit.models.attention import attend


class PickedLayer(BertLayer):  # type: ignore[misc]  # transformers is untyped
    """A `BertLayer` that gives the states of the places `picked` alone, where it is told."""

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, *args: Any, **kwargs: Any) -> Tensor:
        """States (rows, picks, hidden) at the places `picked` (rows, picks), or all, (rows, length, hidden), without it."""
        states: Tensor
        picked: Tensor | None = kwargs.pop("picked", None)
        if picked is None:
            states = super().forward(hidden_states, attention_mask, *args, **kwargs)
            return states
        own, wide = self.attention.self, picked[..., None].expand(-1, -1, hidden_states.shape[-1])
        asking = hidden_states.gather(1, wide)
        # It hides padding, and so the same keys from every query.
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        query, key, value = (
            part(states).unflatten(-1, (own.num_attention_heads, own.attention_head_size)).transpose(1, 2)
            for part, states in ((own.query, asking), (own.key, hidden_states), (own.value, hidden_states))
        )
        dropout = own.dropout.p if self.training else 0.0
        mixed, _ = attend(own, query, key, value, mask, dropout=dropout, scaling=own.scaling)
        states = self.feed_forward_chunk(self.attention.output(mixed.flatten(2), asking))
        return states  # typed, which what is called is not


def install_picking(model: Any) -> None:
    """Let the last layer of a BERT, alone or below a head, give the places that `picked` names."""
    layers = getattr(model, "bert", model).encoder.layer
    if len(layers) and type(layers[-1]) is BertLayer:
        layers[-1].__class__ = PickedLayer


def first_places(input_ids: Tensor) -> Tensor:
    """The `picked` of a model that reads [CLS] alone, (rows, 1)."""
    return torch.zeros_like(input_ids[:, :1])
