"""The speed a device reaches in plain matrix products: the ceiling that a model's speed is measured against."""

import time

import torch

_TYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def peak_flops(device: torch.device, mixed_precision: str, *, seconds: float = 0.2) -> float:
    """Floating-point operations a second of square matrix products: the fastest repeat of this and earlier calls.

    Other programs may hold the cores for a while, so a run measures again on its way.
    """
    key = (device.type, device.index, mixed_precision, torch.get_num_threads())
    _fastest[key] = max(_fastest.get(key, 0.0), _measure(device, mixed_precision, seconds))
    return _fastest[key]


_fastest: dict[tuple[str, int | None, str, int], float] = {}


def _measure(device: torch.device, mixed_precision: str, seconds: float) -> float:
    size = 1024 if device.type == "cpu" else 8192
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
