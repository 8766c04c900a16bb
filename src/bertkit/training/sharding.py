"""Weights, gradients and optimizer state divided among processes (FSDP; Zhao et al. 2023), by torch's `fully_shard`.

accelerate would leave FSDP out on CPUs. Here it gives the processes, the device and the precision, and the division is
the same everywhere: what two CPU processes are tested to learn is what GPUs compute. Each layer of the encoder is
gathered when its turn comes; what lies outside the layers (embeddings, heads, and the decoder tied to them) is gathered
for the whole of the objective's forward and backward pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from bertkit.errors import HostError

Tensors = dict[str, Tensor]


def shard(objective: nn.Module, device: torch.device, world_size: int) -> nn.Module:
    """Divide the parameters of an objective with a BERT as `.model.bert` among all processes; it stays the same object.

    Raises:
        HostError: its model has no layers that could be gathered one by one.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model: Any = objective.model
    layers = getattr(getattr(getattr(model, "bert", None), "encoder", None), "layer", None)
    if layers is None:
        raise HostError(
            "the launch divides the weights among processes (FSDP), and this model is no BERT",
            remedy="Launch with recipes/accelerate/one_node_gpus.yaml: each process holds a model this small.",
        )
    objective.to(device)
    mesh = init_device_mesh(device.type, (world_size,))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    # The objective is the root, not the model: it uses weights of the heads without calling their modules.
    return cast(nn.Module, fully_shard(objective, mesh=mesh))


def is_sharded(module: nn.Module) -> bool:
    return hasattr(module, "set_requires_gradient_sync")


@contextmanager
def no_exchange(objective: Any) -> Iterator[None]:
    """Backward passes inside the block add up gradients in this process alone, as DDP's `no_sync` has it."""
    objective.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        objective.set_requires_gradient_sync(True)


@contextmanager
def held_whole(objective: Any) -> Iterator[None]:
    """Inside the block every process keeps the weights it has gathered.

    So only the first forward pass waits for the other processes, and numbers of passes may differ. Every process must
    make at least one.
    """
    layers = [module for module in objective.modules() if is_sharded(module) and module is not objective]
    for layer in layers:
        layer.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for layer in layers:
            layer.set_reshard_after_forward(True, recurse=False)
            layer.reshard()
        objective.reshard()


def whole(tensor: Tensor) -> Tensor:
    """The tensor that processes hold parts of; every process must ask. Others come back as they are."""
    found: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return found


def gathered(tensors: Tensors, *, keep: bool = True) -> Tensors:
    """`whole` of each on the CPU, one after the other; only where `keep`, else nothing is left."""
    found = {}
    for name, tensor in tensors.items():
        full = whole(tensor.detach())
        if keep:
            found[name] = full.cpu()
    return found


def like(tensor: Tensor, other: Tensor) -> Tensor:
    """This process's part of a whole tensor, divided as `other` is; `tensor` itself where it is not."""
    if not hasattr(other, "full_tensor") or hasattr(tensor, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    divided: Any = other
    # No source rank: every process has the whole, and none needs to send it.
    return distribute_tensor(tensor.to(divided.device), divided.device_mesh, divided.placements, src_data_rank=None)
