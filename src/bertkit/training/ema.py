"""An exponential moving average of the weights, for measuring and keeping (Polyak & Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bertkit.training import sharding

Tensors = dict[str, Tensor]


class WeightAverage:
    """The average of a model's parameters after each update of `optimizer`, held by every process.

    After update t it moves by 1 - min(`decay`, (1 + t) / (10 + t)), so that the random first weights soon fade. It
    costs the memory of one more copy of the weights.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, decay: float) -> None:
        self._model, self._decay = model, decay
        self.weights: Tensors = {name: p.detach().clone() for name, p in model.named_parameters()}
        self.updates = 0
        # A step that is left out, because its gradient is not finite, must not count: the optimizer knows.
        optimizer.register_step_post_hook(self._follow)

    def restore(self, weights: Tensors, updates: int) -> None:
        """Go on from what was saved."""
        for name, average in self.weights.items():
            average.copy_(sharding.like(weights[name], average))
        self.updates = updates

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """The model has the averaged weights inside the block, its own again after it; nothing is copied, unless it is sharded."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _follow(self, *_: Any) -> None:
        self.updates += 1
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        current = [p.detach() for p in self._model.parameters()]
        torch._foreach_lerp_(list(self.weights.values()), current, 1.0 - decay)

    def _exchange(self) -> None:
        for name, parameter in self._model.named_parameters():
            if hasattr(parameter, "full_tensor"):
                # What is gathered comes from the memory that the parameter began with.
                own = parameter.detach().clone()
                parameter.detach().copy_(self.weights[name])
                self.weights[name].copy_(own)
            else:
                parameter.data, self.weights[name] = self.weights[name], parameter.data
