"""The training loop: a generator of optimizer steps. Saving, logging and stopping belong to the caller."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from bertkit.data import keyed
from bertkit.data.batching import Arrays, GlobalBatch, Position
from bertkit.errors import NumericError
from bertkit.training import sharding
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
    are this process's. `layer_norms` are those of the gradient by part of the network, where they were asked for.
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
    layer_norms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NonFinite:
    """A step whose loss or gradient is NaN or infinite, before its update."""

    batch: GlobalBatch
    loss: float
    grad_norm: float


class MicroBatch:
    """A micro-batch of a step, to be passed through the network once or several times: gradients add up.

    Every pass draws the same dropout, so that passes differ in nothing but what was changed between them. A `silent` one
    adds nothing to gradients and sums: it is there for processes to keep step.
    """

    def __init__(
        self,
        batch: dict[str, Tensor],
        objective: nn.Module,
        accelerator: Accelerator,
        *,
        denominators: dict[str, int],
        factor: float,
        last: bool,
        silent: bool,
        draws: Callable[[str], int],
    ) -> None:
        self.batch = batch
        self._objective, self._accelerator, self._draws = objective, accelerator, draws
        self._denominators, self._factor, self._last = denominators, factor, last
        self._voice = 0.0 if silent else 1.0

    def seed(self, purpose: str) -> None:
        """Set torch's generator for draws of one purpose, by (seed, step, micro-batch)."""
        torch.manual_seed(self._draws(purpose))

    def backward(self, weight: float = 1.0, *, more: bool = False) -> dict[str, Tensor]:
        """Add `weight` times the loss's gradients to the parameters'; gives the objective's sums.

        `more` says that another call follows. The last one of the step's last micro-batch exchanges the gradients.
        """
        self.seed("dropout")
        alone = more or not self._last
        with self._no_exchange() if alone else nullcontext():
            # The data-parallel wrapper would do this for itself; sharded weights have none.
            with self._accelerator.autocast():
                sums = self._objective(self.batch)
            self._accelerator.backward(self._loss(sums) * (weight * self._factor * self._voice))
        return {name: value.detach() if self._voice else torch.zeros_like(value) for name, value in sums.items()}

    def _no_exchange(self) -> AbstractContextManager[None]:
        if sharding.is_sharded(self._objective):
            return sharding.no_exchange(self._objective)
        found: AbstractContextManager[None] = self._accelerator.no_sync(self._objective)
        return found

    def gradient(self, wanted: Tensor) -> Tensor:
        """The gradient of the loss in `wanted`, times a positive factor; those of the parameters stay as they are."""
        self.seed("dropout")
        # Below the data-parallel wrapper, which would wait for gradients of parameters.
        inner = self._accelerator.unwrap_model(self._objective)
        with self._accelerator.autocast():
            loss = self._loss(inner(self.batch)) * self._factor
        return torch.autograd.grad(loss, wanted)[0]

    def _loss(self, sums: dict[str, Tensor]) -> Tensor:
        # A loss that nothing counts towards is 0, and stays in: every process must reach the same parameters.
        return torch.stack([sums[name] / max(count, 1) for name, count in self._denominators.items()]).sum()


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the steps of a run do beside adding up gradients; by default nothing.

    Around a step's gradients stand `around`, the first outermost: they may change weights before and gradients after.
    `learn` passes a micro-batch through the network and gives its sums. `lr_factor` is a parameter's share of the
    learning rate, by name; `after_update` follows each update.
    """

    around: tuple[Callable[[Position], AbstractContextManager[None]], ...] = ()
    learn: Callable[[MicroBatch], dict[str, Tensor]] = MicroBatch.backward
    lr_factor: Callable[[str], float] | None = None
    after_update: Callable[[], None] | None = None


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
    recipe: Recipe = Recipe(),
    measure_gradients: Callable[[nn.Module], dict[str, float]] = lambda module: {},
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
        recipe: its `around` and `learn`; the rest of it belongs to the optimizer.
        measure_gradients: what a result's `layer_norms` are, before clipping.

    Raises:
        NumericError: by default, where a loss or the gradient is not finite; the weights are as before the step.
    """
    started = time.perf_counter()
    for batch in batches:
        step = batch.position.step
        rate = learning_rate(step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("lr_factor", 1.0)
        objective.train()
        optimizer.zero_grad(set_to_none=True)
        denominators, padded_tokens = _add_up_counts(batch, accelerator)
        with ExitStack() as changes:
            for change in recipe.around:
                changes.enter_context(change(batch.position))
            sums = _accumulate(
                objective, batch, denominators, accelerator, seed=seed, scaler=scaler, learn=recipe.learn
            )
        layer_norms = measure_gradients(objective)
        grad_norm = float(sharding.whole(nn.utils.clip_grad_norm_(objective.parameters(), max_grad_norm)))
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
            layer_norms=layer_norms if finite else {},
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
    learn: Callable[[MicroBatch], dict[str, Tensor]],
) -> list[dict[str, Tensor]]:
    """Add this process's gradients of a global batch; the last micro-batch exchanges them."""
    # Gradients are averaged over processes where a sum is wanted.
    factor = accelerator.num_processes * (scaler.factor if scaler else 1.0)
    collected = []
    for i, (number, arrays) in enumerate(batch.micro_batches):
        micro_batch = MicroBatch(
            to_tensors(arrays, accelerator.device),
            objective,
            accelerator,
            denominators=denominators,
            factor=factor,
            last=i == len(batch.micro_batches) - 1,
            silent=i >= len(batch.micro_batches) - batch.silent,
            draws=partial(_draws, seed, batch.position.step, number),
        )
        collected.append(learn(micro_batch))
    if scaler is not None:
        scaler.unscale(objective.parameters())
    return collected


def _draws(seed: int, step: int, micro_batch: int, purpose: str) -> int:
    return keyed.key(seed, f"{purpose} {micro_batch}", step) >> 1


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
