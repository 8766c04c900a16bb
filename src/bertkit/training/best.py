"""Early stopping that gives back the best weights (Prechelt 1998, "Early stopping - but when?")."""

from typing import Any

from torch import Tensor


class BestWeights:
    """Remembers the weights with the best held-out figure, and when to give up.

    `metric` is `loss` (lower is better) or a score (higher is better); ties go to the earlier one. `patience` counts
    measurements in a row that are not better; None never gives up.
    """

    def __init__(self, metric: str, patience: int | None) -> None:
        self._metric, self._patience = metric, patience
        self.weights: dict[str, Tensor] = {}
        self.step = 0
        self.value: float | None = None
        self._misses = 0

    @property
    def exhausted(self) -> bool:
        return self._patience is not None and self._misses >= self._patience

    def offer(self, step: int, figures: dict[str, float], weights: dict[str, Tensor]) -> bool:
        """Take the figures measured after `step`; copies `weights` and returns True where they are the best yet."""
        value = figures[self._metric]
        better = self.value is None or (value < self.value if self._metric == "loss" else value > self.value)
        if not better:
            self._misses += 1
            return False
        self.value, self.step, self._misses = value, step, 0
        self.weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        return True

    @property
    def state(self) -> dict[str, Any]:
        """All but the weights, as JSON."""
        return {"value": self.value, "step": self.step, "misses": self._misses}

    def restore(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from what was saved."""
        self.weights, self.value, self.step, self._misses = weights, state["value"], state["step"], state["misses"]
