"""A step that is not finite changes nothing, is named, and can be replayed."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from bertkit.data.batching import GlobalBatch, Position
from bertkit.errors import NumericError
from bertkit.training.loop import StepResult, train_steps
from bertkit.training.nonfinite import NonFiniteSteps, read_batch


class Sum(nn.Module):
    """Loss: the sum of w * x; infinite where x is."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(3))

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"loss": (self.w * batch["x"]).sum(), "count": torch.tensor(len(batch["x"]))}


def batches(bad: dict[int, float], steps: int = 6) -> list[GlobalBatch]:
    made = []
    for step in range(1, steps + 1):
        x = np.full((2, 3), 0.1 * step, dtype=np.float32)
        x[1, 2] = bad.get(step, x[1, 2])
        micro = [(0, {"x": x[:1]}), (1, {"x": x[1:]})]
        rows = np.array([step * 10, step * 10 + 1])
        made.append(GlobalBatch(Position(1, step + 6, step), 1.5, micro, {"loss": 2}, 2, 6, 6, rows))
    return made


class Training:
    def __init__(self, out: Path, action: Any, limit: int = 2) -> None:
        self.model = Sum()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.policy = NonFiniteSteps(out, action, limit=limit, skipped=[], process_index=0)
        self.states: list[list[torch.Tensor]] = []

    def state(self) -> list[torch.Tensor]:
        kept = [value for values in self.optimizer.state.values() for value in values.values()]
        return [tensor.detach().clone() for tensor in (self.model.w, *kept)]

    def run(self, made: list[GlobalBatch]) -> list[StepResult]:
        results = []
        for result in train_steps(
            self.model,
            made,
            self.optimizer,
            Accelerator(cpu=True),
            learning_rate=lambda step: 0.1,
            max_grad_norm=1.0,
            seed=1,
            on_nonfinite=self.policy,
        ):
            results.append(result)
            self.states.append(self.state())
        return results


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_stop_names_the_step_and_writes_a_batch_that_can_be_replayed(tmp_path: Path, value: float) -> None:
    training = Training(tmp_path, "stop")
    made = batches({3: value})
    with pytest.raises(NumericError, match=r"step 3: .*batch 9 of epoch 1, sequences 30, 31") as caught:
        training.run(made)
    assert caught.value.exit_code == 5
    assert len(training.states) == 2
    assert all(torch.equal(a, b) for a, b in zip(training.state(), training.states[-1], strict=True))
    path = tmp_path / "nonfinite-step-3.safetensors"
    assert str(path) in str(caught.value)
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["position"] == [1, 9, 3]
    assert facts["sequences"] == [30, 31]
    replayed = read_batch(path)
    assert [number for number, _ in replayed] == [0, 1]
    for (_, arrays), (_, written) in zip(replayed, made[2].micro_batches, strict=True):
        assert np.array_equal(arrays["x"], written["x"], equal_nan=True)


def test_skip_leaves_out_the_update_and_goes_on(tmp_path: Path) -> None:
    training = Training(tmp_path, "skip")
    results = training.run(batches({2: math.nan, 4: math.inf}))
    assert [r.step for r in results if r.skipped] == [2, 4] == training.policy.skipped
    for step in (2, 4):
        before, after = training.states[step - 2], training.states[step - 1]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not torch.equal(training.states[-1][0], training.states[-2][0])
    assert all(torch.isfinite(tensor).all() for tensor in training.state())


def test_skipping_more_often_than_allowed_stops(tmp_path: Path) -> None:
    training = Training(tmp_path, "skip", limit=1)
    with pytest.raises(NumericError, match=r"step 4: .*1 steps were skipped before it"):
        training.run(batches({2: math.nan, 4: math.nan}))
    assert training.policy.skipped == [2, 4]


def test_the_limit_counts_steps_skipped_before_a_restart(tmp_path: Path) -> None:
    training = Training(tmp_path, "skip", limit=2)
    training.policy.skipped = [7, 8]
    with pytest.raises(NumericError, match="2 steps were skipped before it"):
        training.run(batches({1: math.nan}))
