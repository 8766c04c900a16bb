"""Convolutions over a text (Kim 2014, "Convolutional Neural Networks for Sentence Classification")."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from bertkit.models.pooling import Name, Pooling

Norm = Literal["none", "batch", "layer"]
Activation = Literal["relu", "leaky_relu", "elu", "tanh", "sigmoid", "gelu"]


class TextCNN(nn.Module):
    """`num_filters` filters of each width; the state of a token is what they make of the tokens around it.

    A filter of width w sees (w - 1) // 2 tokens before and w // 2 after its own, zeros where the text ends: so padding
    changes nothing, and a text may be shorter than the widest filter.
    """

    def __init__(
        self,
        width: int,
        *,
        filter_widths: Sequence[int],
        num_filters: int,
        pooling: Name,
        k: int,
        norm: Norm,
        activation: Activation,
    ) -> None:
        super().__init__()
        self._sizes = list(filter_widths)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, num_filters, size) for size in filter_widths)
        self.width = num_filters * len(filter_widths)
        self.norm: nn.Module | None = None
        if norm != "none":
            self.norm = BatchNorm(self.width) if norm == "batch" else nn.LayerNorm(self.width)
        self._activation = getattr(torch, activation, None) or getattr(functional, activation)
        self.pool = Pooling(pooling, self.width, k=k)

    def forward(self, embedded: Tensor, real: Tensor) -> Tensor:
        """States (rows, length, `width`) of embeddings that are 0 where they are not `real` (rows, length)."""
        channels = embedded.transpose(1, 2)
        found = []
        for size, convolution in zip(self._sizes, self.convolutions, strict=True):
            found.append(convolution(functional.pad(channels, ((size - 1) // 2, size // 2))))
        states = torch.cat(found, 1).transpose(1, 2)
        if isinstance(self.norm, BatchNorm):
            states = self.norm(states, real)
        elif self.norm is not None:
            states = self.norm(states)
        activated: Tensor = self._activation(states)
        return activated


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015) over real tokens alone: padding takes no part in mean and variance.

    The running figures are parameters without a gradient, so that checkpoints and averages carry them.
    """

    def __init__(self, width: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self._momentum, self._eps = momentum, eps
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.running_mean = nn.Parameter(torch.zeros(width), requires_grad=False)
        self.running_var = nn.Parameter(torch.ones(width), requires_grad=False)

    def forward(self, states: Tensor, real: Tensor) -> Tensor:
        mean: Tensor = self.running_mean
        variance: Tensor = self.running_var
        if self.training:
            taken = states[real].float()
            mean, variance = taken.mean(0), taken.var(0, unbiased=False)
            with torch.no_grad():
                count = len(taken)
                self.running_mean.lerp_(mean, self._momentum)
                self.running_var.lerp_(variance * (count / max(count - 1, 1)), self._momentum)
        scale = self.weight * (variance + self._eps).rsqrt()
        return states * scale + (self.bias - mean * scale)
