"""Run as a program: the same steps by each recipe in one process and in two, with the same micro-batches, as JSON."""

import json
import os
import socket
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # what the first data-parallel model would import, in each fork anew
from accelerate import Accelerator
from conftest import TinyClassifier, eight_texts

from bertkit.training.loop import train_steps
from bertkit.training.optimizers import make_optimizer
from bertkit.training.processes import leave
from bertkit.training.recipes import make_recipe, with_r_drop

PENALTIES = {"l1": 0.01, "l2_sp": 0.1, "input_noise": 0.1, "weight_noise": 0.05, "mixout": 0.3, "max_norm": 0.5}
OFF = {**dict.fromkeys(PENALTIES, 0.0), "max_norm": None}
LAYERS = {"learning_rate_decay": 0.5, "head_learning_rate": 0.1, "freeze_layers": None, "unfreeze_steps": 1}
PLAIN = {"learning_rate_decay": 1.0, "head_learning_rate": None, "freeze_layers": None, "unfreeze_steps": None}
MOVES = {"epsilon": 1.0, "alpha": 0.4, "steps": 2}
RECIPES: dict[str, dict[str, Any]] = {
    "penalties": {"regularization": PENALTIES},
    "fgm": {"adversarial": {"method": "fgm", **MOVES}},
    "freelb": {"adversarial": {"method": "freelb", **MOVES}, "layers": PLAIN | {"freeze_layers": 1}},
    "all": {
        "regularization": PENALTIES,
        "adversarial": {"method": "pgd", **MOVES},
        "layers": LAYERS,
        "r_drop": 1.0,
    },
    # Of eight texts one is left over, which one process of two learns from.
    "left over": {"batch_size": 7, "adversarial": {"method": "fgm", **MOVES}, "r_drop": 1.0},
}


def work(recipe: dict[str, Any], rank: int, world_size: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    objective = with_r_drop(TinyClassifier(dropout=0.2), recipe.get("r_drop", 0.0))
    made = make_recipe(
        objective.model,
        regularization=recipe.get("regularization", OFF),
        adversarial=recipe.get("adversarial"),
        layers=recipe.get("layers", PLAIN),
        learning_rate=0.01,
        seed=4,
    )
    prepared = accelerator.prepare(objective)
    optimizer = make_optimizer(prepared, "adamw", learning_rate=0.01, weight_decay=0.01, lr_factor=made.lr_factor)
    if made.after_update is not None:
        optimizer.register_step_post_hook(lambda *_: made.after_update())
    results = train_steps(
        prepared,
        eight_texts().batches(recipe.get("batch_size", 8), 2, seed=3, rank=rank, world_size=world_size),
        optimizer,
        accelerator,
        learning_rate=lambda step: 0.01,
        max_grad_norm=1.0,
        seed=4,
        recipe=made,
    )
    steps = [[r.loss, r.grad_norm, r.sums["count"]] for r in islice(results, 3)]
    return {"steps": steps, "weights": [p.detach().flatten().tolist() for p in objective.model.parameters()]}


def together(world_size: int) -> list[dict[str, Any]]:
    """What each process found, by recipe."""
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
                found = {name: work(recipe, rank, world_size) for name, recipe in RECIPES.items()}
                Path(folder, str(rank)).write_text(json.dumps(found))
                leave()
                os._exit(0)
            children.append(child)
        codes = [os.waitpid(child, 0)[1] for child in children]
        assert not any(codes), codes
        return [json.loads(Path(folder, str(rank)).read_text()) for rank in range(world_size)]


if __name__ == "__main__":
    json.dump([together(1), together(2)], sys.stdout)
