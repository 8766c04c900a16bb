"""Every recipe takes the same steps in two processes as in one that has the same micro-batches."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NAMES = ["penalties", "fgm", "freelb", "all", "left over"]


@pytest.fixture(scope="module")
def found() -> Any:
    program = Path(__file__).with_name("recipes_in_processes.py")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_take_the_steps_of_one(found: Any, name: str) -> None:
    (alone,), several = found
    assert list(alone) == NAMES
    assert len(several) == 2
    for one in several:
        for ours, theirs in zip(one[name]["steps"], alone[name]["steps"], strict=True):
            assert ours == pytest.approx(theirs, rel=2e-3)
        assert one[name]["weights"] == several[0][name]["weights"]
        a, b = (np.concatenate(side[name]["weights"]) for side in (one, alone))
        # Adam's first steps are about the learning rate, 0.01, whatever the gradient's size.
        assert np.abs(a - b).mean() < 1e-5


def test_the_recipes_differ(found: Any) -> None:
    (alone,), _ = found
    assert len({round(alone[name]["steps"][2][0], 6) for name in NAMES}) == len(NAMES)
