"""What is told to the C library keeps memory between steps, and gives it back when asked."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from bertkit.training.memory import release_freed_memory, reuse_freed_memory

def resident():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) // 1024

def use_and_free():
    blocks = [np.ones(2**21) for _ in range(20)]  # 16 MB each
    keep = np.ones(2**18)  # stands after them, so that they are not the end of the heap
    return keep

assert reuse_freed_memory()
kept = use_and_free()
held = resident()
release_freed_memory()
print(held, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_memory_is_kept_until_it_is_released() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    held, released = map(int, done.stdout.split())
    assert held > 320
    assert released < held - 250
