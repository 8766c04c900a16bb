"""How a batch is divided among processes and micro-batches changes nothing but rounding."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LAYOUTS = ["8x1", "2x1", "4x2", "2x2", "2x4"]


@pytest.fixture(scope="module")
def found() -> Any:
    program = Path(__file__).with_name("several_processes.py")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("layout", range(1, 5), ids=LAYOUTS[1:])
def test_losses_gradients_and_weights_are_those_of_one_process(found: Any, layout: int) -> None:
    (alone,), several = found["layouts"][0], found["layouts"][layout]
    assert len(several) == int(LAYOUTS[layout][-1])
    for one in several:
        assert [float(row[0]) for row in one["steps"]] == pytest.approx([float(row[0]) for row in alone["steps"]])
        assert [row[1:3] for row in one["steps"]] == [[4.0, 40]] * 3
        for a, b in zip(one["gradients"], alone["gradients"], strict=True):
            assert np.concatenate(a) == pytest.approx(np.concatenate(b), rel=1e-4, abs=1e-6)
        assert np.concatenate(one["weights"]) == pytest.approx(np.concatenate(alone["weights"]), rel=1e-5, abs=1e-6)
        assert one["weights"] == several[0]["weights"]


def test_a_bad_number_in_one_process_is_skipped_in_all(found: Any) -> None:
    for one in found["disturbed"]:
        assert one["skipped"] == [2]
        assert [row[3] for row in one["steps"]] == [False, True, False]
        assert one["weights"] == found["disturbed"][0]["weights"]
        assert np.isfinite(np.concatenate(one["weights"])).all()


def test_a_stop_asked_of_one_process_is_heard_by_all_at_the_same_step(found: Any) -> None:
    for one in found["disturbed"]:
        assert [row[4] for row in one["steps"]] == [False, True, False]
