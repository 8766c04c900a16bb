"""How the process keeps its memory between steps."""

import ctypes

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def reuse_freed_memory() -> bool:
    """Keep what tensors free for the tensors of the next step, instead of giving it back to the system.

    glibc gives back what is free at the end of its heap, and every page is cleared and faulted in again when it grows.
    Blocks of 32 MiB and more, the most it can be told, are mapped apart all the same: kept, they would split and the
    heap would grow for hours. Returns whether the C library can be told so; elsewhere nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 32 * 2**20) and mallopt(_TRIM_THRESHOLD, -1) and mallopt(_TOP_PAD, 64 * 2**20))


def release_freed_memory() -> None:
    """Give back what is free between blocks in use, which batches of ever new shapes make more and more of.

    Costs the faults of one step; call it once in hundreds of them.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        return
