"""Optimizers over parameter groups, and learning rates as pure functions of the step."""

import math
from typing import Literal

import torch
from torch import nn

Scheduler = Literal["linear", "cosine", "constant"]


def adamw(
    model: nn.Module, *, learning_rate: float, weight_decay: float, betas: tuple[float, float], eps: float
) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) that does not decay biases and LayerNorm (Devlin et al. 2019, A.2)."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            # Biases and LayerNorm weights are the vectors; every matrix decays.
            (decayed if parameter.ndim > 1 else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, eps=eps, fused=True)


def learning_rate_at(step: int, *, peak: float, max_steps: int, warmup_steps: int, kind: Scheduler) -> float:
    """The learning rate of optimizer step `step` (from 1): linear warm-up to `peak`, then decay to 0 after `max_steps`."""
    if step <= warmup_steps:
        return peak * step / warmup_steps
    share = (step - warmup_steps - 1) / max(1, max_steps - warmup_steps)
    match kind:
        case "linear":
            return peak * max(0.0, 1.0 - share)
        case "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
        case "constant":
            return peak


def warmup_count(warmup_steps: float, max_steps: int) -> int:
    """Steps of warm-up: below 1 a share of all steps, else a number of them."""
    return round(warmup_steps * max_steps) if warmup_steps < 1 else round(warmup_steps)
