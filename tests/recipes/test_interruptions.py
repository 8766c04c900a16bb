"""A training run can be killed, stopped and moved to other processes, and comes to the same end."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bertkit import artifacts

REPOSITORY = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "accelerate_config.yaml"]
TIMINGS = ("seconds", "_per_second", "mfu")
CONFIG = [
    "model.num_hidden_layers=1", "model.hidden_size=32", "model.intermediate_size=64", "max_seq_length=48",
    "train_batch_size=8", "micro_batch_size=2", "max_steps=300", "eval_steps=50", "logging_steps=7", "save_steps=10",
    "learning_rate=5e-3", "num_threads=1",
]  # fmt: skip


class Run:
    """`recipes/pretrain.py` over the made-up text, in one process or launched in two."""

    def __init__(self, made: Path, out: Path, *more: str, processes: int = 1) -> None:
        inputs = ["--input", f"data={made / 'pretrain_data'}", "--input", f"tokenizer={made / 'tokenizer'}"]
        launch = [*LAUNCH, "--multi_gpu", "--num_processes", "2"] if processes == 2 else [sys.executable]
        self.out, self._command = out, [*launch, "recipes/pretrain.py", *inputs, "--out", str(out), *CONFIG, *more]
        self._environment = {**os.environ, **({"ACCELERATE_USE_CPU": "true"} if processes == 2 else {})}

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self._command, cwd=REPOSITORY, env=self._environment, text=True, process_group=0,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=heed_interrupts,
        )  # fmt: skip

    def finish(self) -> "Run":
        with self.start() as process:
            _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        return self

    def interrupt(self, number: int, *, after_step: int) -> tuple[int, str]:
        """Send a signal to all processes once a step is logged; returns the exit code and what was said."""
        with self.start() as process:
            while self.step() < after_step and process.poll() is None:
                time.sleep(0.005)
            for pid in [process.pid, *descendants(process.pid)]:
                os.kill(pid, number)
            _, said = process.communicate(timeout=60)
        assert not (self.out / artifacts.MANIFEST).exists(), "it was over before the signal"
        return process.returncode, said

    def step(self) -> int:
        """The last step in the log."""
        path = self.out / "log.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return max((json.loads(line)["step"] for line in lines if line.endswith("\n")), default=-1)

    def result(self) -> tuple[bytes, list[dict[str, Any]]]:
        """The weights and the log without timings."""
        rows = [json.loads(line) for line in (self.out / "log.jsonl").read_text().splitlines()]
        kept = [{key: value for key, value in row.items() if not key.endswith(TIMINGS)} for row in rows]
        return (self.out / "model.safetensors").read_bytes(), kept

    def losses(self) -> list[float]:
        return [row.get("loss", row.get("eval_mlm_loss")) for row in self.result()[1]]


def heed_interrupts() -> None:
    """A shell has what it runs in the background ignore SIGINT, and processes inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def descendants(pid: int) -> list[int]:
    """The processes below `pid`; those that a launcher starts are in no group of its own."""
    lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [found for one in lists for child in one for found in (int(child), *descendants(int(child)))]


@pytest.fixture(scope="session")
def made(whole_run: Path) -> Path:
    return whole_run / "latest" / "small"


@pytest.fixture(scope="session")
def alone(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in one process that nothing disturbed."""
    return Run(made, tmp_path_factory.mktemp("alone") / "out").finish()


@pytest.fixture(scope="session")
def together(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in two processes that nothing disturbed."""
    return Run(made, tmp_path_factory.mktemp("together") / "out", processes=2).finish()


def test_kills_at_any_file_operation_change_no_bit(made: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "benchmarks/kill_points.py", "--made", str(made), "--every", "7", "--json", str(report)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert found["identical"] == found["points"] >= 20
    assert found["operations"] > 100


def test_kills_at_random_times_change_no_bit(made: Path, alone: Run, tmp_path: Path) -> None:
    rng = random.Random()
    steps = sorted(rng.sample(range(5, 120), 3))
    print("interrupted after", steps)  # noqa: T201
    run, with_workers = Run(made, tmp_path / "out"), Run(made, tmp_path / "out", "num_workers=2")
    code, said = run.interrupt(signal.SIGINT, after_step=steps[0])
    assert code == 130, said
    assert "Traceback" not in said
    assert run.interrupt(signal.SIGKILL, after_step=steps[1])[0] == -signal.SIGKILL
    with_workers.interrupt(signal.SIGKILL, after_step=steps[2])
    assert with_workers.finish().result() == alone.result()
    assert artifacts.verify(run.out) > 5
    assert not [path.name for path in run.out.iterdir() if "checkpoint" in path.name or path.name.endswith(".tmp")]


def test_two_processes_learn_what_one_does(alone: Run, together: Run) -> None:
    assert json.loads((together.out / "trainer_state.json").read_text())["num_processes"] == 2
    assert together.losses() == pytest.approx(alone.losses(), rel=1e-4)


def test_a_kill_of_two_processes_changes_no_bit(made: Path, together: Run, tmp_path: Path) -> None:
    run = Run(made, tmp_path / "out", "num_workers=1", processes=2)
    run.interrupt(signal.SIGKILL, after_step=30)
    assert run.finish().result() == together.result()


def test_sigterm_saves_and_other_processes_go_on_with_the_same_data(made: Path, alone: Run, tmp_path: Path) -> None:
    code, said = Run(made, tmp_path / "out", "num_workers=1").interrupt(signal.SIGTERM, after_step=40)
    assert code == 143, said
    assert "ended by SIGTERM after step" in said
    assert "Traceback" not in said
    (saved,) = (p for p in (tmp_path / "out").glob("checkpoint-*") if int(p.name.split("-")[1]) % 10)
    position = json.loads((saved / "checkpoint.json").read_text())["state"]["position"]
    assert position[2] == int(saved.name.split("-")[1]) + 1
    run = Run(made, tmp_path / "out", processes=2).finish()
    assert run.losses() == pytest.approx(alone.losses(), rel=1e-4)


def test_sigterm_reaches_both_processes_of_a_launched_stage(
    pipeline: Path, whole_run: Path, together: Run, tmp_path: Path
) -> None:
    """Through `bertkit run`: both save the same step, the command ends with 143 and can be run again."""
    home, root = tmp_path / "home", tmp_path / "root"
    (home / "pipelines").mkdir(parents=True)
    (home / "recipes").symlink_to(REPOSITORY / "recipes")
    config = (REPOSITORY / "accelerate_config.yaml").read_text()
    config = config.replace('"NO"', "MULTI_GPU").replace("num_processes: 1", "num_processes: 2")
    (home / "accelerate_config.yaml").write_text(config)
    copy = home / "pipelines" / "copy.yaml"
    copy.write_text(pipeline.read_text())
    root.mkdir()
    for stage in ("corpus", "tokenizer", "pretrain_data"):
        (root / stage).symlink_to(whole_run / stage)
    overrides = [f"pretrain.{one}" for one in CONFIG]
    command = [
        sys.executable, "-m", "bertkit", "run", str(copy), "--root", str(root), "--only", "pretrain",
        "pretrain.launch=accelerate", "pretrain.model.initializer_range=0.02", *overrides,
    ]  # fmt: skip

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command, cwd=home, env={**os.environ, "ACCELERATE_USE_CPU": "true"}, text=True, process_group=0,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    with start() as process:
        while not list(root.glob("pretrain/*/checkpoint-*")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "ended by SIGTERM after step" in said
    with start() as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    (out,) = root.glob("pretrain/*")
    assert (out / "model.safetensors").read_bytes() == together.result()[0]
