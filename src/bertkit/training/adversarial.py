"""Adversarial training on word embeddings: FGM, PGD and FreeLB, each text moved by its own gradient."""

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bertkit.training.loop import MicroBatch

Method = Literal["fgm", "pgd", "freelb"]
Sums = dict[str, Tensor]


class Adversary:
    """Passes micro-batches through the network with their word embeddings moved; a `Recipe.learn`.

    A text's perturbation has a norm of at most `epsilon` over all its tokens and follows the direction of its own
    gradient, so neither accumulation nor the number of processes changes it. Padding is not moved.

    - `fgm` (Miyato et al. 2017): one step of `epsilon`. Half the loss is that of the original embeddings, half that of
      the moved ones (Goodfellow et al. 2015).
    - `pgd` (Madry et al. 2018): `steps` steps of `alpha` from the original; the loss as in `fgm`.
    - `freelb` (Zhu et al. 2020): `steps` passes from a random start with a step of `alpha` between them; the loss is
      their mean.

    Sums are the means of those of the passes that are learnt from.
    """

    def __init__(self, embeddings: nn.Embedding, method: Method, *, epsilon: float, alpha: float, steps: int) -> None:
        self._width = embeddings.embedding_dim
        self._epsilon, self._alpha, self._steps = epsilon, alpha, steps
        self._learn = {"fgm": self._fgm, "pgd": self._pgd, "freelb": self._freelb}[method]
        self._moved: Tensor | None = None
        embeddings.register_forward_hook(self._move)

    def __call__(self, micro_batch: MicroBatch) -> Sums:
        try:
            return self._learn(micro_batch)
        finally:
            self._moved = None

    def _fgm(self, micro_batch: MicroBatch) -> Sums:
        self._moved = self._zeros(micro_batch)
        clean = micro_batch.backward(0.5, more=True)
        self._moved = self._epsilon * _directions(_grad(self._moved), micro_batch)
        return _mean([clean, micro_batch.backward(0.5)])

    def _pgd(self, micro_batch: MicroBatch) -> Sums:
        self._moved = self._zeros(micro_batch)
        clean = micro_batch.backward(0.5, more=True)
        self._moved = self._ascend(self._moved, _grad(self._moved), micro_batch)
        for _ in range(self._steps - 1):
            gradient = micro_batch.gradient(self._moved.requires_grad_())
            self._moved = self._ascend(self._moved, gradient, micro_batch)
        return _mean([clean, micro_batch.backward(0.5)])

    def _freelb(self, micro_batch: MicroBatch) -> Sums:
        self._moved = self._start(micro_batch)
        passes = []
        for step in range(1, self._steps + 1):
            passes.append(micro_batch.backward(1 / self._steps, more=step < self._steps))
            if step < self._steps:
                self._moved = self._ascend(self._moved, _grad(self._moved), micro_batch).requires_grad_()
        return _mean(passes)

    def _move(self, module: nn.Module, inputs: Any, embedded: Tensor) -> Tensor | None:
        return None if self._moved is None else embedded + self._moved

    def _zeros(self, micro_batch: MicroBatch) -> Tensor:
        ids = micro_batch.batch["input_ids"]
        return torch.zeros(*ids.shape, self._width, device=ids.device, requires_grad=True)

    def _start(self, micro_batch: MicroBatch) -> Tensor:
        """Uniform from -1 to 1, times epsilon over the root of how many numbers a text has (Zhu et al., algorithm 1)."""
        micro_batch.seed("perturbation")
        moved = self._zeros(micro_batch).detach().uniform_(-1.0, 1.0)
        mask = _mask(micro_batch)
        numbers = mask.expand_as(moved).sum((1, 2), keepdim=True).float()
        return (moved * mask * (self._epsilon / numbers.sqrt())).requires_grad_()

    def _ascend(self, moved: Tensor, gradient: Tensor, micro_batch: MicroBatch) -> Tensor:
        """A step of alpha, and back onto the ball of radius epsilon."""
        after = moved.detach() + self._alpha * _directions(gradient, micro_batch)
        norms = _norms(after)
        return torch.where(norms > self._epsilon, after * (self._epsilon / norms), after)


def install_input_noise(embeddings: nn.Module, std: float) -> None:
    """Add Gaussian noise to word embeddings while training, drawn as dropout is."""
    embeddings.register_forward_hook(partial(_noised, std))


def _noised(std: float, module: nn.Module, inputs: Any, embedded: Tensor) -> Tensor | None:
    return embedded + std * torch.randn_like(embedded) if module.training else None


def _grad(moved: Tensor) -> Tensor:
    assert moved.grad is not None
    return moved.grad


def _mask(micro_batch: MicroBatch) -> Tensor:
    """1 where a token is, shape (rows, length, 1)."""
    ids = micro_batch.batch["input_ids"]
    return micro_batch.batch.get("attention_mask", torch.ones_like(ids))[..., None]


def _directions(gradient: Tensor, micro_batch: MicroBatch) -> Tensor:
    """Each text's gradient at a length of 1, without its padding; 0 where it is 0 or not finite."""
    gradient = gradient.detach() * _mask(micro_batch)
    # By the largest number first: squares of gradients under fp16 scaling would leave the range of floats.
    gradient = gradient / gradient.abs().amax((1, 2), keepdim=True)
    return (gradient / _norms(gradient)).nan_to_num(0.0, 0.0, 0.0)


def _norms(moved: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(moved, dim=(1, 2), keepdim=True)
    return norms


def _mean(passes: list[Sums]) -> Sums:
    return {name: torch.stack([one[name] for one in passes]).sum(0) / len(passes) for name in passes[0]}
