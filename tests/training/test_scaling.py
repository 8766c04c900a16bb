"""Loss scaling changes no bit while nothing overflows; what overflows costs one update and is counted."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from bertkit.data.batching import GlobalBatch, Position
from bertkit.errors import NumericError
from bertkit.training.loop import StepResult, train_steps
from bertkit.training.scaling import LossScaler


class Squares(nn.Module):
    """A linear model under the squared error, as sums."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Linear(4, 1)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        errors = 16 * (self.model(batch["x"]).squeeze(1) - batch["y"])
        return {"loss": errors.square().sum(), "count": torch.tensor(len(errors))}


def batches() -> Iterator[GlobalBatch]:
    for step in range(1, 100):
        rng = np.random.default_rng(step)
        parts = [
            (i, {"x": rng.normal(size=(4, 4)).astype(np.float32), "y": rng.normal(size=4).astype(np.float32)})
            for i in range(2)
        ]
        yield GlobalBatch(
            position=Position(0, step - 1, step),
            epoch=0.0,
            micro_batches=parts,
            denominators={"loss": 8},
            sequences=8,
            tokens=8,
            padded_tokens=8,
            **({"rows": np.arange(8)} if "rows" in GlobalBatch.__dataclass_fields__ else {}),
        )


def run(objective: nn.Module, steps: int, scaler: LossScaler | None, skip: int = 0) -> list[StepResult]:
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.05)
    stream: Any = (batch for batch in batches() if batch.position.step > skip)
    results = train_steps(
        objective,
        stream,
        optimizer,
        Accelerator(cpu=True),
        learning_rate=lambda step: 0.05,
        max_grad_norm=1.0,
        seed=0,
        scaler=scaler,
    )
    return [next(results) for _ in range(steps)]


def test_without_overflow_every_bit_is_the_same() -> None:
    plain, scaled = Squares(), Squares()
    first, second = run(plain, 8, None), run(scaled, 8, LossScaler(2.0**16, growth_interval=3))
    assert [r.loss for r in first] == [r.loss for r in second]
    assert [r.grad_norm for r in first] == [r.grad_norm for r in second]
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), scaled.parameters(), strict=True))


def test_an_overflow_costs_the_update_and_halves_the_factor() -> None:
    objective, scaler = Squares(), LossScaler(2.0**127)
    before = [p.detach().clone() for p in objective.parameters()]
    results = run(objective, 1, scaler)
    assert results[0].skipped
    assert not math.isfinite(results[0].grad_norm)
    assert all(torch.equal(a, b) for a, b in zip(before, objective.parameters(), strict=True))
    assert scaler.state == {"factor": 2.0**126, "good": 0, "overflows": 1}
    skipped = [r.skipped for r in run(objective, 20, scaler)]
    assert not all(skipped), "it soon finds a factor that fits"
    assert skipped == sorted(skipped, reverse=True)


def test_it_grows_after_good_steps_and_goes_on_from_its_state() -> None:
    whole = LossScaler(4.0, growth_interval=3)
    run(Squares(), 7, whole)
    assert whole.state == {"factor": 16.0, "good": 1, "overflows": 0}
    first, second = LossScaler(4.0, growth_interval=3), LossScaler(1.0, growth_interval=3)
    objective = Squares()
    run(objective, 5, first)
    second.restore(first.state)
    run(objective, 2, second, skip=5)
    assert second.state == whole.state


def test_a_gradient_that_no_factor_helps_is_an_error() -> None:
    objective, scaler = Squares(), LossScaler(4.0)
    with torch.no_grad():
        objective.model.weight[0, 0] = float("nan")
    with pytest.raises(NumericError, match="the loss is nan"):
        run(objective, 1, scaler)
