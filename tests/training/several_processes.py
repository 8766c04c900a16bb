"""Run as a program: the same three steps in 1, 2 and 4 processes with several micro-batches, as JSON.

The processes are forks of this one, so torch is imported once.
"""

import json
import math
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # what the first data-parallel model would import, in each fork anew
from accelerate import Accelerator
from torch import nn

from bertkit.data.batching import GlobalBatch, Position, deal
from bertkit.training.loop import NonFinite, train_steps
from bertkit.training.processes import leave

SIZE = 8
LAYOUTS = [(8, 1), (2, 1), (4, 2), (2, 2), (2, 4)]  # rows of a micro-batch, processes


class Counting(nn.Module):
    """Squared error over the rows that count, as a sum."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Dropout(0.0), nn.Linear(7, 1))

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        error = (self.layers(batch["x"])[:, 0] - batch["y"]) ** 2
        return {"loss": (error * batch["counts"]).sum(), "count": batch["counts"].sum()}


def batches(rows: int, rank: int, world_size: int, bad_step: int) -> Iterator[GlobalBatch]:
    rng = np.random.default_rng(1)
    for step in range(1, 4):
        x = rng.normal(size=(SIZE, 5)).astype(np.float32)
        y = rng.normal(size=SIZE).astype(np.float32)
        counts = np.array([1, 0, 1, 1, 0, 0, 1, 0], dtype=np.float32)  # unlike in every process
        if step == bad_step:
            y[3] = math.inf
        micro = [
            (n, {"x": x[i], "y": y[i], "counts": counts[i]}) for n, i in deal(np.arange(SIZE), rows, rank, world_size)
        ]
        denominators = {"loss": int(sum(arrays["counts"].sum() for _, arrays in micro))}
        padded = sum(arrays["x"].size for _, arrays in micro)
        yield GlobalBatch(Position(0, step - 1, step), 0.1, micro, denominators, SIZE, 9, padded, np.arange(SIZE))


def work(rows: int, rank: int, world_size: int, *, bad_step: int, stop_rank: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == world_size
    model = Counting()
    prepared = accelerator.prepare(model)
    optimizer = torch.optim.SGD(prepared.parameters(), lr=0.1)
    seen: list[int] = []

    def skip(found: NonFinite) -> None:
        seen.append(found.batch.position.step)

    steps, gradients = [], []
    for result in train_steps(
        prepared,
        batches(rows, rank, world_size, bad_step),
        optimizer,
        accelerator,
        learning_rate=lambda step: 0.1,
        max_grad_norm=1e9,
        seed=1,
        on_nonfinite=skip,
        stop=lambda: rank == stop_rank and len(steps) == 1,
    ):
        steps.append([str(result.loss), result.sums["count"], result.padded_tokens, result.skipped, result.stop])
        gradients.append([p.grad.flatten().tolist() for p in model.parameters() if p.grad is not None])
    weights = [p.detach().flatten().tolist() for p in model.parameters()]
    return {"steps": steps, "gradients": gradients, "weights": weights, "skipped": seen}


def together(rows: int, world_size: int, **options: int) -> list[dict[str, Any]]:
    """What each process found."""
    with socket.socket() as taken, tempfile.TemporaryDirectory() as folder:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        children = []
        for rank in range(world_size):
            child = os.fork()
            if child == 0:
                if world_size > 1:
                    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world_size))
                    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), ACCELERATE_USE_CPU="true")
                found = work(rows, rank, world_size, **options)
                Path(folder, str(rank)).write_text(json.dumps(found))
                leave()
                os._exit(0)
            children.append(child)
        codes = [os.waitpid(child, 0)[1] for child in children]
        assert not any(codes), codes
        return [json.loads(Path(folder, str(rank)).read_text()) for rank in range(world_size)]


if __name__ == "__main__":
    found = {
        "layouts": [together(*layout, bad_step=0, stop_rank=-1) for layout in LAYOUTS],
        "disturbed": together(2, 2, bad_step=2, stop_rank=1),
    }
    json.dump(found, sys.stdout)
