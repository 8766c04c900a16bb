"""The speed a device reaches in plain matrix products: the ceiling that a model's speed is measured against."""

import time
from functools import cache

import torch

_TYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def peak_flops(device: torch.device, mixed_precision: str, *, seconds: float = 0.2) -> float:
    """Floating-point operations a second of square matrix products: the fastest of repeats that take `seconds`.

    The fastest, because what else the machine does can only slow one down; a ceiling too low would flatter a model.
    """
    return _measured(device.type, device.index, mixed_precision, torch.get_num_threads(), seconds)


@cache
def _measured(kind: str, index: int | None, mixed_precision: str, threads: int, seconds: float) -> float:
    """Measured once a process: `threads` is there because another number has another ceiling."""
    device = torch.device(kind if index is None else f"{kind}:{index}")
    size = 1024 if kind == "cpu" else 8192
    # Global generators belong to the training.
    draws = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(size, size, generator=draws).to(device=device, dtype=_TYPES[mixed_precision]) for _ in range(2)
    )
    product = left @ right
    taken: list[float] = []
    while len(taken) < 5 or sum(taken) < seconds:
        _wait(device)
        started = time.perf_counter()
        torch.matmul(left, right, out=product)
        _wait(device)
        taken.append(time.perf_counter() - started)
    return 2.0 * size**3 / min(taken)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
