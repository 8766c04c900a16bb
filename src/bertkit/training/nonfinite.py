"""What happens at a step whose loss or gradient is NaN or infinite: its batch is written down, then stop or skip."""

import logging
from dataclasses import astuple
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors.numpy import load_file, save

from bertkit import storage
from bertkit.data.batching import Arrays
from bertkit.errors import NumericError
from bertkit.training.loop import NonFinite

log = logging.getLogger(__name__)

_SHOWN = 8  # sequences that a message names; the file has all


class NonFiniteSteps:
    """Called by the loop before the update, in every process; returns to have it left out, or raises.

    `action` is `stop`, or `skip` up to `limit` times in a run; `skipped` are the steps left out so far. Each process
    writes its part of the batch: `nonfinite-step-N.safetensors` and `.json`.
    """

    def __init__(
        self, out: Path, action: Literal["stop", "skip"], *, limit: int, skipped: list[int], process_index: int
    ) -> None:
        self._out, self._action, self._limit, self._process = out, action, limit, process_index
        self.skipped = list(skipped)

    def __call__(self, found: NonFinite) -> None:
        """Raises:
        NumericError: the run must stop; it names step, position, sequences and the file with the batch.
        """
        path = write_batch(self._out, found, self._process)
        what = _describe(found)
        if self._action == "stop":
            raise NumericError(
                f"{what}; the weights were left as before it",
                where=str(path),
                remedy="Lower learning_rate or raise warmup_steps, or set on_nonfinite=skip; the last checkpoint is kept.",
            )
        self.skipped.append(found.batch.position.step)
        if len(self.skipped) > self._limit:
            raise NumericError(
                f"{what}; {self._limit} steps were skipped before it, at most max_skipped_steps",
                where=str(path),
                remedy="Lower learning_rate or raise warmup_steps: so many steps are no accident.",
            )
        log.warning("%s: skipped (%d of at most %d); its batch is in %s", what, len(self.skipped), self._limit, path)


def write_batch(out: Path, found: NonFinite, process_index: int) -> Path:
    """Write this process's micro-batches, for a replay, and beside them in JSON where they come from."""
    batch = found.batch
    name = f"nonfinite-step-{batch.position.step}" + (f"-process-{process_index}" if process_index else "")
    path = out / f"{name}.safetensors"
    arrays = {
        f"{number}.{key}": np.ascontiguousarray(array)
        for number, micro_batch in batch.micro_batches
        for key, array in micro_batch.items()
    }
    storage.write_bytes(path, save(arrays))
    facts = {
        "position": list(astuple(batch.position)),
        "sequences": batch.rows.tolist(),
        "loss": str(found.loss),
        "grad_norm": str(found.grad_norm),
        "micro_batches": [number for number, _ in batch.micro_batches],
    }
    storage.write_json(path.with_suffix(".json"), facts)
    return path


def read_batch(path: Path) -> list[tuple[int, Arrays]]:
    """The micro-batches that `write_batch` wrote, each with its number in the global batch."""
    found: dict[int, Arrays] = {}
    for name, array in load_file(path).items():
        number, _, key = name.partition(".")
        found.setdefault(int(number), {})[key] = array
    return sorted(found.items())


def _describe(found: NonFinite) -> str:
    position, rows = found.batch.position, found.batch.rows.tolist()
    named = ", ".join(map(str, rows[:_SHOWN])) + (f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")
    return (
        f"step {position.step}: the loss is {found.loss}, the gradient norm {found.grad_norm} "
        f"(batch {position.number} of epoch {position.epoch}, sequences {named})"
    )
