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
from bertkit.data.batching import Arrays, GlobalBatch, Position
from bertkit.errors import NumericError
from bertkit.training.scaling import LossScaler


class Objective(Protocol):
    """A module that turns a micro-batch into sums: losses, correct answers, counts."""

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]: ...


@dataclass(frozen=True, slots=True)
class StepResult:
    """One optimizer step, summed over all processes.

    `loss` is what was minimised; `sums` are the objective's, over the global batch; `position` is that of the batch
    used; `padded_tokens` counts padding too; `seconds` is this process's time from fetching the batch to the end of the
    update. Of a `skipped` step the update was left out. `stop`: a process was asked to stop. `flops`
    are this process's.
    """

    step: int
    position: Position
    epoch: float
    loss: float
    sums: dict[str, float]
    learning_rate: float
    grad_norm: float
    sequences: int
    tokens: int
    seconds: float
    padded_tokens: int = 0
    skipped: bool = False
    stop: bool = False
    flops: float = 0.0


@dataclass(frozen=True, slots=True)
class NonFinite:
    """A step whose loss or gradient is NaN or infinite, before its update."""

    batch: GlobalBatch
    loss: float
    grad_norm: float


def refuse(found: NonFinite) -> None:
    """Stop at a step that is not finite."""
    position = found.batch.position
    raise NumericError(
        f"step {position.step}: the loss is {found.loss}, the gradient norm {found.grad_norm} (batch {position.number} "
        f"of epoch {position.epoch}); the weights were left as before it",
        remedy="Lower learning_rate or raise warmup_steps; the last checkpoint is kept.",
    )


def train_steps(
    objective: nn.Module,
    batches: Iterable[GlobalBatch],
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    *,
    learning_rate: Callable[[int], float],
    max_grad_norm: float,
    seed: int,
    on_nonfinite: Callable[[NonFinite], None] = refuse,
    stop: Callable[[], bool] = lambda: False,
    scaler: LossScaler | None = None,
    flops: Callable[[Arrays], float] = lambda arrays: 0.0,
) -> Iterator[StepResult]:
    """Take an optimizer step for each global batch and yield its result; `objective` is prepared by `accelerator`.

    Every loss is divided by its count over the whole global batch, so accumulation, padding and the number of
    processes change nothing but rounding. Dropout is keyed by (seed, step, micro-batch), so a step does not depend on
    the ones before it.

    Args:
        on_nonfinite: called in every process before the update when the loss or the gradient is NaN or infinite; raises,
            or returns to have the update left out.
        stop: whether this process was asked to stop; all processes hear of it in the same step's result.
        scaler: of the loss, in fp16; a gradient that overflows under it has the update left out.
        flops: the floating-point operations of a micro-batch.

    Raises:
        NumericError: by default, where a loss or the gradient is not finite; the weights are as before the step.
    """
    started = time.perf_counter()
    for batch in batches:
        step = batch.position.step
        rate = learning_rate(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        objective.train()
        optimizer.zero_grad(set_to_none=True)
        denominators, padded_tokens = _add_up_counts(batch, accelerator)
        sums = _accumulate(objective, batch, denominators, accelerator, seed=seed, scaler=scaler)
        grad_norm = float(nn.utils.clip_grad_norm_(objective.parameters(), max_grad_norm))
        totals = add_up(sums, accelerator, stop=float(stop()))
        asked_to_stop = totals.pop("stop") > 0
        loss = sum(totals[name] / count for name, count in denominators.items() if count)
        finite = math.isfinite(grad_norm) and math.isfinite(loss)
        overflow = scaler is not None and scaler.can_shrink and math.isfinite(loss)
        if finite:
            optimizer.step()
        elif not overflow:
            on_nonfinite(NonFinite(batch, loss, grad_norm))
        if scaler is not None:
            scaler.settle(finite)
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
            padded_tokens=padded_tokens,
            skipped=not finite,
            stop=asked_to_stop,
            flops=sum(flops(arrays) for _, arrays in batch.micro_batches),
        )
        # The caller's logging, evaluation and saving between two steps are not training time.
        started = time.perf_counter()


def _accumulate(
    objective: nn.Module,
    batch: GlobalBatch,
    denominators: dict[str, int],
    accelerator: Accelerator,
    *,
    seed: int,
    scaler: LossScaler | None,
) -> list[dict[str, Tensor]]:
    """Add this process's gradients of a global batch; the last micro-batch exchanges them."""
    collected = []
    for i, (number, arrays) in enumerate(batch.micro_batches):
        last = i == len(batch.micro_batches) - 1
        torch.manual_seed(keyed.key(seed, f"dropout {number}", batch.position.step) >> 1)
        with nullcontext() if last else accelerator.no_sync(objective):
            sums = objective(to_tensors(arrays, accelerator.device))
            # A loss that nothing counts towards is 0, and stays in: every process must reach the same parameters.
            parts = [sums[name] / max(count, 1) for name, count in denominators.items()]
            # Gradients are averaged over processes where a sum is wanted.
            factor = accelerator.num_processes * (scaler.factor if scaler else 1.0)
            accelerator.backward(torch.stack(parts).sum() * factor)
        collected.append({name: value.detach() for name, value in sums.items()})
    if scaler is not None:
        scaler.unscale(objective.parameters())
    return collected


def _add_up_counts(batch: GlobalBatch, accelerator: Accelerator) -> tuple[dict[str, int], int]:
    """Denominators and padded tokens over all processes: integers, so that their sums are exact."""
    names = sorted(batch.denominators)
    counts = [*(batch.denominators[name] for name in names), batch.padded_tokens]
    if accelerator.num_processes > 1:
        counts = accelerator.reduce(torch.tensor(counts, device=accelerator.device), "sum").tolist()
    return dict(zip(names, counts, strict=False)), counts[-1]


def evaluate(objective: nn.Module, micro_batches: Iterable[Arrays], accelerator: Accelerator) -> dict[str, float]:
    """The objective's sums over all processes' micro-batches, without dropout or gradients."""
    objective.eval()
    # Below the data-parallel wrapper, whose exchange would wait for processes that have fewer micro-batches.
    inner = accelerator.unwrap_model(objective)
    with torch.no_grad(), accelerator.autocast():
        sums = [inner(to_tensors(arrays, accelerator.device)) for arrays in micro_batches]
    objective.train()
    return add_up(sums, accelerator)


def add_up(sums: list[dict[str, Tensor]], accelerator: Accelerator, **own: float) -> dict[str, float]:
    """Sums over micro-batches and processes, and `own` numbers over processes.

    Every process must hold at least one micro-batch.
    """
    names = sorted(sums[0])
    stacked = torch.stack([torch.stack([one[name].double() for name in names]) for one in sums]).sum(0)
    stacked = torch.cat([stacked, torch.tensor(list(own.values()), dtype=stacked.dtype, device=stacked.device)])
    reduced = accelerator.reduce(stacked, "sum") if accelerator.num_processes > 1 else stacked
    return dict(zip([*names, *own], reduced.tolist(), strict=True))


def to_tensors(arrays: Arrays, device: Any) -> dict[str, Tensor]:
    """NumPy arrays as tensors on `device`; through pinned memory to a GPU, so that the copy runs beside the work."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if torch.device(device).type == "cuda":
        tensors = {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in tensors.items()}
    return tensors
