"""Dynamic loss scaling, which keeps small fp16 gradients from vanishing (Micikevicius et al. 2018)."""

from collections.abc import Iterable

import torch
from torch import nn


class LossScaler:
    """The factor on the loss, how many updates have gone well with it, and how many were lost to overflow in all.

    The factor is a power of two, so scaling itself rounds nothing. A gradient that overflows halves it and costs the
    update; after `growth_interval` good updates it doubles. Every process sees the same gradient, so all agree.
    """

    def __init__(self, factor: float = 2.0**16, growth_interval: int = 2000) -> None:
        self.factor, self._interval = factor, growth_interval
        self._good = self._overflows = 0

    @property
    def can_shrink(self) -> bool:
        """Whether a smaller factor may still help; where not, the gradient itself is not finite."""
        return self.factor > 1.0

    @torch.no_grad()
    def unscale(self, parameters: Iterable[nn.Parameter]) -> None:
        """Take the factor out of the gradients again."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        torch._foreach_mul_(gradients, 1.0 / self.factor)

    def settle(self, finite: bool) -> None:
        """Hear how the step ended."""
        if not finite:
            self.factor, self._good = self.factor / 2, 0
            self._overflows += 1
        elif self._good + 1 == self._interval:
            self.factor, self._good = self.factor * 2, 0
        else:
            self._good += 1

    @property
    def state(self) -> dict[str, float]:
        """The three numbers, as JSON."""
        return {"factor": self.factor, "good": self._good, "overflows": self._overflows}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from what was saved."""
        self.factor = state["factor"]
        self._good, self._overflows = int(state["good"]), int(state["overflows"])
