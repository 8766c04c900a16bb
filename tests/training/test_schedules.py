"""Learning rates are transformers' own, but for a first step that is not wasted."""

from itertools import pairwise
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from bertkit.training.schedules import learning_rate_at, step_count

STEPS, WARMUP = 50, 7

CASES: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "linear": ({"kind": "linear"}, transformers.get_linear_schedule_with_warmup, {"num_training_steps": STEPS}),
    "cosine": ({"kind": "cosine"}, transformers.get_cosine_schedule_with_warmup, {"num_training_steps": STEPS}),
    "constant": ({"kind": "constant"}, transformers.get_constant_schedule_with_warmup, {}),
    "polynomial": (
        {"kind": "polynomial", "power": 2.0, "lr_end": 0.05},
        transformers.get_polynomial_decay_schedule_with_warmup,
        {"num_training_steps": STEPS, "power": 2.0, "lr_end": 0.05},
    ),
} | {
    f"warmup_stable_decay {decay}": (
        {"kind": "warmup_stable_decay", "decay_steps": 12, "decay_type": decay},
        transformers.get_wsd_schedule,
        {"num_training_steps": STEPS, "num_decay_steps": 12, "decay_type": decay},
    )
    for decay in ("linear", "cosine", "1-sqrt")
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("warmup", [0, WARMUP])
def test_every_step_has_the_rate_that_transformers_gives_it(name: str, warmup: int) -> None:
    ours, schedule, options = CASES[name]
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=2.0)
    scheduler = schedule(optimizer, num_warmup_steps=warmup, **options)
    theirs = []
    for _ in range(STEPS + 1):
        theirs.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    for step in range(1, STEPS + 1):
        # transformers counts from 0, and so gives the first step of a warm-up a rate of 0.
        expected = theirs[step] if step <= warmup else theirs[step - 1]
        rate = learning_rate_at(step, peak=2.0, max_steps=STEPS, warmup_steps=warmup, **ours)
        assert rate == pytest.approx(expected, abs=1e-12), step


@given(
    name=st.sampled_from(sorted(CASES)),
    max_steps=st.integers(1, 300),
    warmup=st.integers(0, 400),
    decay=st.integers(0, 400),
)
def test_rates_rise_to_the_peak_then_never_again(name: str, max_steps: int, warmup: int, decay: int) -> None:
    options = CASES[name][0] | {"decay_steps": decay}
    rates = [
        learning_rate_at(step, peak=1.0, max_steps=max_steps, warmup_steps=warmup, **options)
        for step in range(1, max_steps + 10)
    ]
    assert all(0 <= rate <= 1 for rate in rates)
    assert all(a < b for a, b in pairwise(rates[:warmup]))
    if warmup < max_steps and decay < max_steps - warmup:
        assert max(rates) == 1.0
        assert all(a >= b for a, b in pairwise(rates[max(0, warmup - 1) :]))


def test_steps_are_a_share_below_one_and_a_number_above() -> None:
    assert step_count(0.1, 250) == 25
    assert step_count(0, 250) == 0
    assert step_count(40, 250) == 40
