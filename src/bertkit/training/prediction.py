"""Run a model over rows: every row once, in its own order, whatever the batches and processes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor, nn

from bertkit.data.encoded import EncodedRows
from bertkit.models.objective import Sums, TaskObjective
from bertkit.training.loop import add_up, to_tensors

Outputs = dict[str, NDArray[Any]]


def rows_at_once(device: Any) -> int:
    """Rows for a pass without gradients: what a CPU core's cache holds (more were a third slower), many on a GPU."""
    return 8 if torch.device(device).type == "cpu" else 64


def predict_outputs(
    objective: TaskObjective, encoded: EncodedRows, *, device: Any, batch_size: int | None = None
) -> list[Outputs]:
    """The outputs of every row, item i for row i; where they run along the tokens, up to the padding of their batch."""
    objective.eval()
    batch_size = batch_size or rows_at_once(device)
    found: dict[int, Outputs] = {}
    with torch.inference_mode():
        for chosen, arrays in encoded.in_length_order(batch_size):
            found.update(_by_row(chosen, objective.outputs(to_tensors(arrays, device))))
    return [found[i] for i in range(len(found))]


def measure_and_predict(
    objective: nn.Module, encoded: EncodedRows, accelerator: Accelerator, *, batch_size: int
) -> tuple[dict[str, float], list[Outputs]]:
    """The objective's sums over all rows, and their outputs as of `predict_outputs`; the same in every process.

    `objective` is prepared by `accelerator`; it is left in training mode.
    """
    objective.eval()
    inner: TaskObjective = accelerator.unwrap_model(objective)
    sums: list[Sums] = []
    found: list[tuple[int, Outputs]] = []
    place = {"rank": accelerator.process_index, "world_size": accelerator.num_processes}
    with torch.no_grad(), accelerator.autocast():
        for chosen, arrays in encoded.share(batch_size, **place):
            batch = to_tensors(arrays, accelerator.device)
            outputs = inner.outputs(batch)
            sums.append(inner.sums(batch, outputs))
            found += _by_row(chosen, outputs)
    objective.train()
    if accelerator.num_processes > 1:
        found = gather_object(found)
    ordered = dict(found)
    return add_up(sums, accelerator), [ordered[i] for i in range(len(ordered))]


def _by_row(chosen: NDArray[np.int64], outputs: dict[str, Tensor]) -> Iterator[tuple[int, Outputs]]:
    arrays = {name: value.float().cpu().numpy() for name, value in outputs.items()}
    for place, number in enumerate(chosen.tolist()):
        yield number, {name: array[place] for name, array in arrays.items()}
