"""A transformer encoder trained from scratch (Vaswani et al. 2017)."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from bertkit.models.dropout import Dropout
from bertkit.models.pooling import Pooling

Positions = Literal["sinusoidal", "learned"]
Norm = Literal["pre", "post"]


class Transformer(nn.Module):
    """Layers of self-attention over embeddings with positions; `max_length` tokens at most with learned ones."""

    def __init__(
        self,
        width: int,
        *,
        hidden_size: int,
        num_layers: int,
        num_heads: int,
        intermediate_size: int,
        positions: Positions,
        norm: Norm,
        pooling: Literal["max", "mean", "attention"],
        dropout: float,
        max_length: int,
    ) -> None:
        super().__init__()
        self.width = hidden_size
        self.project = nn.Linear(width, hidden_size) if width != hidden_size else None
        self.positions = nn.Embedding(max_length, hidden_size) if positions == "learned" else None
        if self.positions is not None:
            nn.init.normal_(self.positions.weight, std=0.02)
        self.dropout = Dropout(dropout)
        sizes = (hidden_size, num_heads, intermediate_size)
        self.layers = nn.ModuleList(_Layer(*sizes, pre=norm == "pre", dropout=dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_size) if norm == "pre" else None
        self.pool = Pooling(pooling, hidden_size)

    def forward(self, embedded: Tensor, real: Tensor) -> Tensor:
        """States (rows, length, `width`); tokens that are not `real` (rows, length) are attended to by none."""
        # Embeddings as large as the positions that are added to them.
        states = embedded * math.sqrt(embedded.shape[-1])
        states = states if self.project is None else self.project(states)
        length, width = states.shape[1:]
        if self.positions is not None:
            placed = self.positions(torch.arange(length, device=states.device))
        else:
            placed = sinusoids(length, width, states.device).to(states.dtype)
        states = self.dropout(states + placed)
        whole = not torch.compiler.is_exporting() and bool(real.all())
        mask = None if whole else real[:, None, None, :]
        for layer in self.layers:
            states = layer(states, mask)
        found: Tensor = states if self.norm is None else self.norm(states)
        return found


def sinusoids(length: int, width: int, device: torch.device | None = None) -> Tensor:
    """The paper's positions, (length, width): sines at even numbers, cosines at odd ones, of falling frequency."""
    places = torch.arange(length, device=device)[:, None]
    frequencies = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000.0) / width))
    angles = places * frequencies
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width]


class _Layer(nn.Module):
    """Attention and two matrices, each added to what it read; normalised before reading or after adding."""

    def __init__(self, width: int, heads: int, inner: int, *, pre: bool, dropout: float) -> None:
        super().__init__()
        self._heads, self._pre, self._p = heads, pre, dropout
        self.attention, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.attention_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        if self._pre:
            states = states + self.dropout(self._attend(self.attention_norm(states), mask))
            found: Tensor = states + self.dropout(self._feed(self.norm(states)))
        else:
            states = self.attention_norm(states + self.dropout(self._attend(states, mask)))
            found = self.norm(states + self.dropout(self._feed(states)))
        return found

    def weights(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """How much each token takes from each other, (rows, heads, length, length), of what `forward` is given."""
        query, key, _ = self._parts(self.attention_norm(states) if self._pre else states)
        scores: Tensor = (query @ key.transpose(2, 3)).float() * query.shape[-1] ** -0.5
        return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1)

    def _parts(self, states: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, each (rows, heads, length, size)."""
        parts: Tensor = self.attention(states).unflatten(-1, (3, self._heads, -1))
        return parts.permute(2, 0, 3, 1, 4).unbind(0)

    def _attend(self, states: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = self._parts(states)
        p = self._p if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=p)
        found: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return found

    def _feed(self, states: Tensor) -> Tensor:
        fed: Tensor = self.narrow(functional.gelu(self.widen(states)))
        return fed
