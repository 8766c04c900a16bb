"""The masked-LM loss over a vocabulary, with its gradients made on the way and the logits kept for a moment only.

Cross-entropy over logits of shape (masked, vocabulary) reads and writes that array, the largest of a small model's
step, some ten times. Here a slab of rows at a time becomes probabilities in place, and the gradients of the hidden
states and of the weights are taken from it while it is there, as in Liger kernels (Hsu et al. 2024).
"""

from typing import Any

import torch
from torch import Tensor

# Bytes of logits held at once: near a CPU's caches; on a GPU many rows keep the matrix products full.
_SLAB = {"cpu": 32 * 2**20, "cuda": 2**30}


def masked_lm_loss(hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of `hidden @ weight.T + bias`, summed, and how many labels have the highest logit.

    Under autocast the products are taken in its type and everything else in float32.

    Args:
        hidden: shape (masked, width).
        weight: shape (vocabulary, width).
        bias: shape (vocabulary,).
        labels: shape (masked,).
    """
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        hidden, weight, bias = hidden.to(dtype), weight.to(dtype), bias.to(dtype)
    with torch.autocast(device, enabled=False):
        loss, correct = _MaskedLmLoss.apply(hidden, weight, bias, labels)  # type: ignore[no-untyped-call]
    return loss, correct


class _MaskedLmLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        training = any(ctx.needs_input_grad)
        rows = max(1, _SLAB.get(hidden.device.type, 2**28) // (4 * len(weight)))
        loss = torch.zeros((), dtype=torch.float64, device=hidden.device)
        correct = torch.zeros((), dtype=torch.int64, device=hidden.device)
        gradients = (torch.empty_like(hidden), torch.zeros_like(weight), torch.zeros_like(bias))
        for start in range(0, len(labels), rows):
            states, wanted = hidden[start : start + rows], labels[start : start + rows, None]
            logits = torch.addmm(bias, states, weight.t()).float()
            gold, top = logits.gather(1, wanted), logits.amax(1, keepdim=True)
            probabilities = torch.softmax(logits, 1, out=logits)
            # The sum of exponentials by way of the largest probability, which cannot underflow.
            loss += (top - probabilities.amax(1, keepdim=True).log() - gold).double().sum()
            correct += (gold == top).sum()
            if training:
                slope = probabilities.scatter_add_(1, wanted, torch.full_like(gold, -1.0)).to(weight.dtype)
                torch.mm(slope, weight, out=gradients[0][start : start + rows])
                gradients[1].addmm_(slope.t(), states)
                gradients[2].add_(slope.sum(0))
        if training:
            ctx.gradients = gradients
        ctx.mark_non_differentiable(correct)
        return loss.float(), correct

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        # In place: they were made for this moment and are as large as the embeddings.
        hidden, weight, bias = (gradient.mul_(outer.to(gradient.dtype)) for gradient in ctx.gradients)
        del ctx.gradients
        return hidden, weight, bias, None
