"""Two processes that divide the weights (FSDP) learn what one process learns, and go on from each other's checkpoints."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

TIMINGS = ("seconds", "_per_second", "mfu")


@pytest.fixture(scope="module")
def done(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of runs, and what was said."""
    out = tmp_path_factory.mktemp("sharded")
    program = Path(__file__).with_name("sharded_runs.py")
    found = subprocess.run([sys.executable, str(program), str(made_up), str(out)], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return out, found.stderr


@pytest.fixture(scope="module")
def out(done: Any) -> Path:
    folder: Path = done[0]
    return folder


def log(run: Path) -> list[dict[str, Any]]:
    """The figures of every step and measurement, without timings."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if not key.endswith(TIMINGS)} for row in rows]


def assert_same_to_rounding(run: Path, other: Path) -> None:
    rows, wanted = log(run), log(other)
    assert [row.keys() for row in rows] == [row.keys() for row in wanted]
    for row, expected in zip(rows, wanted, strict=True):
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-6)
    weights, expected_weights = (load_file(folder / "model.safetensors") for folder in (run, other))
    assert weights.keys() == expected_weights.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, expected_weights[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["two", "recomputed"])
def test_pretraining_and_its_measurements_are_those_of_one_process(out: Path, name: str) -> None:
    assert len(log(out / name)) >= 9  # six steps, three measurements
    assert json.loads((out / name / "trainer_state.json").read_text())["num_processes"] == 2
    assert_same_to_rounding(out / name, out / "one")


def test_a_kill_changes_no_bit(out: Path) -> None:
    assert log(out / "killed") == log(out / "two")
    killed, two = ((out / name / "model.safetensors").read_bytes() for name in ("killed", "two"))
    assert killed == two


@pytest.mark.parametrize("name", ["left", "entered"])
def test_a_run_goes_on_from_a_checkpoint_of_the_other_kind(out: Path, name: str) -> None:
    assert_same_to_rounding(out / name, out / "one")


def test_fine_tuning_finds_the_same_scores_and_weights(out: Path) -> None:
    assert_same_to_rounding(out / "fine-two", out / "fine-one")
    one, two = (json.loads((out / name / "predictor.json").read_text()) for name in ("fine-one", "fine-two"))
    assert (two["best_step"], two["best_metric"]) == (one["best_step"], pytest.approx(one["best_metric"]))
    assert two["parameters"] == one["parameters"]


def test_what_needs_whole_weights_is_refused_by_name(done: Any) -> None:
    assert "regularization.mixout, adversarial: not possible with weights divided among processes" in done[1]
