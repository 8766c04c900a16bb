"""The training loop: a generator of optimizer steps. Saving, logging and stopping belong to the caller."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from bertkit.data import keyed
from bertkit.data.batching import Arrays, GlobalBatch
from bertkit.errors import NumericError


class Objective(Protocol):
    """A module that turns a micro-batch into sums: losses, correct answers, counts."""

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]: ...


@dataclass(frozen=True, slots=True)
class StepResult:
    """One optimizer step, summed over all processes.

    `loss` is what was minimised; `sums` are the objective's, over the global batch; `position` is (epoch, batch in the
    epoch) of the batch used; `seconds` is this process's time from fetching the batch to the end of the update.
    """

    step: int
    position: tuple[int, int]
    epoch: float
    loss: float
    sums: dict[str, float]
    learning_rate: float
    grad_norm: float
    sequences: int
    tokens: int
    seconds: float


def train_steps(
    objective: nn.Module,
    batches: Iterable[GlobalBatch],
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    *,
    learning_rate: Callable[[int], float],
    max_grad_norm: float,
    seed: int,
    first_step: int = 1,
) -> Iterator[StepResult]:
    """Take an optimizer step for each global batch and yield its result; `objective` is prepared by `accelerator`.

    Every loss is divided by its count over the whole global batch, so accumulation, padding and the number of
    processes change nothing but rounding. Dropout is keyed by (seed, step, micro-batch), so a step does not depend on
    the ones before it.

    Raises:
        NumericError: a loss or the gradient is not finite; the weights are as they were before the step.
    """
    step = first_step - 1
    started = time.perf_counter()
    for batch in batches:
        step += 1
        rate = learning_rate(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        objective.train()
        optimizer.zero_grad(set_to_none=True)
        sums = _accumulate(objective, batch, accelerator, seed=seed, step=step)
        grad_norm = float(nn.utils.clip_grad_norm_(objective.parameters(), max_grad_norm))
        totals = add_up(sums, accelerator)
        loss = sum(totals[name] / count for name, count in batch.denominators.items() if count)
        if not (math.isfinite(grad_norm) and math.isfinite(loss)):
            raise NumericError(
                f"step {step}: the loss is {loss}, the gradient norm {grad_norm}; the weights were left as before it",
                remedy="Lower learning_rate or raise warmup_steps; the last checkpoint is kept.",
            )
        optimizer.step()
        now = time.perf_counter()
        yield StepResult(
            step=step,
            position=batch.position,
            epoch=batch.epoch,
            loss=loss,
            sums=totals,
            learning_rate=rate,
            grad_norm=grad_norm,
            sequences=batch.sequences,
            tokens=batch.tokens,
            seconds=now - started,
        )
        # The caller's logging, evaluation and saving between two steps are not training time.
        started = time.perf_counter()


def _accumulate(
    objective: nn.Module, batch: GlobalBatch, accelerator: Accelerator, *, seed: int, step: int
) -> list[dict[str, Tensor]]:
    """Add this process's gradients of a global batch; the last micro-batch exchanges them."""
    collected = []
    for i, (number, arrays) in enumerate(batch.micro_batches):
        last = i == len(batch.micro_batches) - 1
        torch.manual_seed(keyed.key(seed, f"dropout {number}", step) >> 1)
        with nullcontext() if last else accelerator.no_sync(objective):
            sums = objective(to_tensors(arrays, accelerator.device))
            # A loss that nothing counts towards is 0, and stays in: every process must reach the same parameters.
            parts = [sums[name] / max(count, 1) for name, count in batch.denominators.items()]
            # Gradients are averaged over processes where a sum is wanted.
            accelerator.backward(torch.stack(parts).sum() * accelerator.num_processes)
        collected.append({name: value.detach() for name, value in sums.items()})
    return collected


def evaluate(objective: nn.Module, micro_batches: Iterable[Arrays], accelerator: Accelerator) -> dict[str, float]:
    """The objective's sums over all processes' micro-batches, without dropout or gradients."""
    objective.eval()
    # Below the data-parallel wrapper, whose exchange would wait for processes that have fewer micro-batches.
    inner = accelerator.unwrap_model(objective)
    with torch.no_grad(), accelerator.autocast():
        sums = [inner(to_tensors(arrays, accelerator.device)) for arrays in micro_batches]
    objective.train()
    return add_up(sums, accelerator)


def add_up(sums: list[dict[str, Tensor]], accelerator: Accelerator) -> dict[str, float]:
    """Sums over micro-batches and processes. Every process must hold at least one micro-batch."""
    names = sorted(sums[0])
    stacked = torch.stack([torch.stack([one[name].double() for name in names]) for one in sums]).sum(0)
    reduced = accelerator.reduce(stacked, "sum") if accelerator.num_processes > 1 else stacked
    return dict(zip(names, reduced.tolist(), strict=True))


def to_tensors(arrays: Arrays, device: Any) -> dict[str, Tensor]:
    """NumPy arrays as tensors on `device`."""
    return {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in arrays.items()}
