"""The processes of a launch, their device and threads."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.tracking import get_available_trackers
from accelerate.utils import DistributedType, GradScalerKwargs
from torch import nn

from bertkit.errors import HostError

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "no", "bf16", "fp16"]


def join() -> PartialState:
    """Meet the other processes of this launch: on GPUs where there are any, else on CPUs through gloo."""
    return PartialState(cpu=not torch.cuda.is_available())


def leave() -> None:
    """Part from the other processes, so that none is waited for when this one ends."""
    PartialState().destroy_process_group()


def make_accelerator(
    device: Device, precision: Precision, *, trackers: list[str] | None = None, out: Path | None = None
) -> Accelerator:
    """The accelerator of a stage.

    Raises:
        HostError: a GPU is asked for and there is none, a precision that the hardware does not compute in, a launch
            by DeepSpeed, Megatron or FSDP version 1, or a tracker whose package is not installed, which accelerate would
            leave out.
    """
    _check_trackers(trackers or [])
    if device == "cuda" and not torch.cuda.is_available():
        raise HostError(
            "device is cuda, but torch finds no GPU", remedy="Set device=auto, or install a CUDA build of torch."
        )
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    wanted = _precision(precision, on_cpu)
    # A pipeline runs stages of different precision in one process; accelerate keeps the first one's otherwise.
    AcceleratorState._reset_state()
    # The loop scales fp16 losses itself, with a state that a checkpoint can hold.
    ours = [GradScalerKwargs(enabled=False)] if wanted == "fp16" else None
    with _fsdp_is_ours():
        accelerator = Accelerator(
            cpu=on_cpu, mixed_precision=wanted, log_with=trackers or None, project_dir=out, kwargs_handlers=ours
        )
    _check_launch(accelerator.distributed_type)
    return accelerator


def _precision(precision: Precision, on_cpu: bool) -> str:
    """What accelerate is told; hardware without a precision would emulate it, tens of times slower than fp32."""
    able = {"no"} | (_cpu_precisions() if on_cpu else _gpu_precisions())
    if precision == "auto":
        # On a CPU bf16 must be asked for by name: which CPU a run meets should not decide its arithmetic.
        return "bf16" if "bf16" in able and not on_cpu else "no"
    if precision not in able:
        where = "CPUs have not" if on_cpu and precision == "fp16" else "this hardware does not have"
        raise HostError(f"mixed_precision is {precision}, which {where}", remedy="Set mixed_precision=auto.")
    return precision


def _gpu_precisions() -> set[str]:
    # Not `is_bf16_supported`, which counts emulation: bf16 came with compute capability 8.
    return {"fp16", "bf16"} if torch.cuda.get_device_capability() >= (8, 0) or torch.version.hip else {"fp16"}


def _cpu_precisions() -> set[str]:
    """bf16 where the processor multiplies it: AVX512_BF16 or AMX."""
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return {"bf16"} if any(check is not None and check() for check in checks) else set()


def wants_sharding() -> bool:
    """Whether the launch asks for weights divided among processes (FSDP)."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


@contextmanager
def _fsdp_is_ours() -> Iterator[None]:
    """Keep FSDP from accelerate, which does it on GPUs alone; `sharding` does it.

    Raises:
        HostError: another version than 2 is asked for.
    """
    if not wants_sharding():
        yield
        return
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise HostError(
            f"the launch asks for FSDP version {version}, which training does not support",
            remedy="Set fsdp_version: 2 in the launch's fsdp_config, as recipes/accelerate/fsdp.yaml does.",
        )
    asked = os.environ.pop("ACCELERATE_USE_FSDP")
    try:
        yield
    finally:
        os.environ["ACCELERATE_USE_FSDP"] = asked


def _check_launch(kind: Any) -> None:
    """Only launches in which accelerate leaves the whole model to every process."""
    if kind not in (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU):
        raise HostError(
            f"the launch's distributed_type is {kind.value}, which training does not support",
            remedy="Launch with a file of recipes/accelerate: one_node_gpus.yaml, several_nodes.yaml or fsdp.yaml.",
        )


def compile_in_place(module: nn.Module) -> None:
    """Have torch.compile generate a module's forward and backward, for every batch shape; names stay as they are.

    Raises:
        HostError: there is no C++ compiler, which CPUs need.
    """
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        raise HostError(f"torch_compile needs a C++ compiler, and there is no {compiler}", remedy="Install g++.")
    module.compile(dynamic=True)


def _check_trackers(names: list[str]) -> None:
    installed = {tracker.value for tracker in get_available_trackers()}
    if missing := sorted(set(names) - installed):
        raise HostError(
            f"report_to names {', '.join(missing)}: not a tracker that is installed here",
            remedy=f"Install its package, or take it out of report_to. Installed: {', '.join(sorted(installed)) or 'none'}.",
        )


def pin_threads(num_threads: int | None, world_size: int) -> int:
    """Fix the number of compute threads, which rounding depends on; by default this machine's share of cores."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))
    threads = num_threads or max(1, len(os.sched_getaffinity(0)) // local)
    torch.set_num_threads(threads)
    return threads


def instructions() -> str:
    """The vector instructions that torch computes with, as `AVX2` or `AVX512`: rounding depends on them too."""
    return str(torch.backends.cpu.get_cpu_capability())
