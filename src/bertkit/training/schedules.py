"""Learning rates as pure functions of the step: a resumed run needs no scheduler state."""

import math
from typing import Literal

Scheduler = Literal["linear", "cosine", "constant", "polynomial", "warmup_stable_decay"]
Decay = Literal["linear", "cosine", "1-sqrt"]


def learning_rate_at(
    step: int,
    *,
    peak: float,
    max_steps: int,
    warmup_steps: int,
    kind: Scheduler,
    power: float = 1.0,
    lr_end: float = 0.0,
    decay_steps: int = 0,
    decay_type: Decay = "linear",
) -> float:
    """The learning rate of optimizer step `step` (from 1): linear warm-up to `peak`, then as `kind` says.

    After warm-up it is the rate that transformers' schedule of the same name gives its step `step - 1`, for it counts
    from 0. In warm-up it is that of `step`: transformers spends the first step on a rate of 0.

    `polynomial` falls to `lr_end`, and stays there, as (1 - share) ** `power`. `warmup_stable_decay` (Hu et al. 2024,
    "MiniCPM") keeps the peak until `decay_steps` before the end; `1-sqrt` is the decay of Haegele et al. 2024.
    """
    if step <= warmup_steps:
        return peak * step / warmup_steps
    share = min(1.0, (step - warmup_steps - 1) / max(1, max_steps - warmup_steps))
    match kind:
        case "linear":
            return peak * (1.0 - share)
        case "cosine":
            return peak * _decayed(share, "cosine")
        case "constant":
            return peak
        case "polynomial":
            return lr_end + (peak - lr_end) * math.pow(1.0 - share, power)
        case "warmup_stable_decay":
            done = (step - 1 - (max_steps - decay_steps)) / max(1, decay_steps)
            return peak * _decayed(min(1.0, max(0.0, done)), decay_type)


def _decayed(share: float, kind: Decay) -> float:
    """What is left of the peak after a share of the decay."""
    match kind:
        case "linear":
            return 1.0 - share
        case "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * share))
        case "1-sqrt":
            return 1.0 - math.sqrt(share)


def step_count(steps: float, max_steps: int) -> int:
    """Steps of warm-up or decay: below 1 a share of all steps, else a number of them."""
    return round(steps * max_steps) if steps < 1 else round(steps)
