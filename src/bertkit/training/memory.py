"""How the process keeps its memory between steps."""

import ctypes

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def reuse_freed_memory() -> bool:
    """Keep what tensors free for the tensors of the next step, instead of giving it back to the system.

    glibc maps large blocks anew each time, and every page of them is cleared and faulted in again: up to a fifth of a
    small model's step on a CPU. Returns whether the C library can be told so; elsewhere nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1) and mallopt(_TOP_PAD, 64 * 2**20))


def release_freed_memory() -> None:
    """Give back what is free between blocks in use, which batches of ever new shapes make more and more of.

    Costs the faults of one step; call it once in hundreds of them.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        return
