"""Dropout whose random numbers cost little on a CPU.

torch draws a CPU mask one Mersenne Twister number at a time, which took a tenth of a training step. Here one number
of torch's generator seeds SFC64, which fills the mask sixteen bits an element: still a function of `torch.manual_seed`
alone, whatever the number of threads, and replayed by activation checkpointing.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Dropout):
    """`nn.Dropout` with a fast mask on CPUs; elsewhere, `nn.Dropout` itself."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p if self.training else 0.0)


def dropout(input: Tensor, p: float) -> Tensor:
    """Zero each element with probability `p`, to within 1/131,072, and divide the others by what is kept."""
    if not p:
        return input
    if input.device.type != "cpu" or torch.compiler.is_compiling():
        return functional.dropout(input, p)
    dropped: Tensor = _Masked.apply(input, keep_mask(input.shape, p, input.dtype))  # type: ignore[no-untyped-call]
    return dropped


def keep_mask(shape: torch.Size, p: float, dtype: torch.dtype) -> Tensor:
    """0 where an element is dropped, else what keeps the expectation: one over the share that is kept."""
    threshold = round(p * 65536)
    count = shape.numel()
    if threshold >= 65536:
        return torch.zeros(shape, dtype=dtype)
    seed = int(torch.randint(2**62, ()))
    lanes = np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.uint16)[:count]
    scale = np.float32(65536 / (65536 - threshold))
    return torch.from_numpy(np.multiply(lanes >= threshold, scale, dtype=np.float32)).view(shape).to(dtype)


class _Masked(torch.autograd.Function):
    """A product of which only one factor has a gradient, so that only the mask is kept for it."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(mask)
        return input * mask

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return gradient * mask, None


def install_dropout(model: nn.Module) -> None:
    """Put `Dropout` in the place of every `nn.Dropout` of a model."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))
