"""The processes of a launch, their device and threads."""

import logging
import os
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.tracking import get_available_trackers

from bertkit.errors import HostError

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "no", "bf16"]


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
        HostError: a GPU is asked for and there is none, bf16 on hardware that lacks it, or a tracker whose package is
            not installed, which accelerate would leave out.
    """
    _check_trackers(trackers or [])
    if device == "cuda" and not torch.cuda.is_available():
        raise HostError(
            "device is cuda, but torch finds no GPU", remedy="Set device=auto, or install a CUDA build of torch."
        )
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if precision == "bf16" and (on_cpu or not torch.cuda.is_bf16_supported()):
        # Emulated bf16 is tens of times slower than fp32; nobody asks for that knowingly.
        raise HostError(
            "mixed_precision is bf16, which this hardware does not have", remedy="Set mixed_precision=auto."
        )
    wanted = "bf16" if precision != "no" and not on_cpu and torch.cuda.is_bf16_supported() else "no"
    # A pipeline runs stages of different precision in one process; accelerate keeps the first one's otherwise.
    AcceleratorState._reset_state()
    return Accelerator(cpu=on_cpu, mixed_precision=wanted, log_with=trackers or None, project_dir=out)


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
