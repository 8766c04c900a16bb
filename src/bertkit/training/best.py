"""Early stopping that gives back the best weights (Prechelt 1998, "Early stopping - but when?")."""

import math
from typing import Any

from torch import Tensor

_LOWER = {
    *("loss", "brier", "error", "perplexity", "mse", "rmse", "mae"),
    *("squared_error", "absolute_error", "calibration_error"),
}


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better, by its name: losses and errors should be low, every other score high."""
    plain = metric.removesuffix("_score")
    return not any(plain == low or plain.endswith(f"_{low}") for low in _LOWER)


class BestWeights:
    """Remembers the weights with the best held-out figure, and when to give up.

    `metric` is `loss` or a score; ties go to the earlier one. `patience` counts measurements in a row that are not
    better; None never gives up. Only what is better by more than `min_delta` is; a figure that is NaN never is.
    """

    def __init__(self, metric: str, patience: int | None, *, min_delta: float = 0.0) -> None:
        self._metric, self._patience, self._min_delta = metric, patience, min_delta
        self._sign = 1.0 if higher_is_better(metric) else -1.0
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
        if not self._better(value):
            self._misses += 1
            return False
        self.value, self.step, self._misses = value, step, 0
        self.weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        return True

    def _better(self, value: float) -> bool:
        if self.value is None:
            return True  # there must be weights to give back, even if all that is measured is NaN
        if math.isnan(self.value):
            return not math.isnan(value)
        return self._sign * (value - self.value) > self._min_delta

    @property
    def state(self) -> dict[str, Any]:
        """All but the weights, as JSON, which has no NaN: a step without a value is one."""
        value = None if self.value is None or math.isnan(self.value) else self.value
        return {"value": value, "step": self.step, "misses": self._misses}

    def restore(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from what was saved."""
        self.weights, self.step, self._misses = weights, state["step"], state["misses"]
        self.value = math.nan if self.step and state["value"] is None else state["value"]
