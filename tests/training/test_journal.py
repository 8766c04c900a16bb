"""The log holds what was measured; trackers work without a key and without a network, or say what is missing."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from bertkit.data.batching import Position
from bertkit.errors import HostError
from bertkit.training.journal import Journal
from bertkit.training.loop import StepResult
from bertkit.training.processes import make_accelerator


def result(step: int, loss: float) -> StepResult:
    return StepResult(
        step, Position(0, step - 1, step), step / 10, loss, {"x": loss * 4, "n": 4.0}, 1e-3, 0.5, 4, 100, 0.5
    )


def journal(out: Path, done_steps: int = 0, pending: list[dict[str, Any]] | None = None) -> Journal:
    return Journal(
        out,
        Accelerator(cpu=True),
        name="test",
        max_steps=10,
        logging_steps=2,
        summarise=lambda sums: {"mean": sums["x"] / sums["n"]},
        done_steps=done_steps,
        pending=pending,
    )


def rows(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_rows_are_means_since_the_last_one(tmp_path: Path) -> None:
    log = journal(tmp_path)
    for step, loss in enumerate([4.0, 2.0, 1.0], start=1):
        log.step(result(step, loss))
    log.evaluation(3, 0.3, {"mlm_loss": 1.5})
    log.close()
    first, second, third = rows(tmp_path)
    assert (first["step"], first["loss"], first["mean"]) == (2, 3.0, 3.0)
    assert (first["sequences_per_second"], first["tokens_per_second"], first["seconds"]) == (8.0, 200.0, 1.0)
    assert (second["step"], second["loss"]) == (3, 1.0)
    assert third == {"step": 3, "epoch": 0.3, "eval_mlm_loss": 1.5}


def test_a_resumed_log_has_each_step_once_and_no_torn_line(tmp_path: Path) -> None:
    log = journal(tmp_path)
    for step in range(1, 7):
        log.step(result(step, 1.0))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 8, "lo')
    again = journal(tmp_path, done_steps=4)
    for step in range(5, 9):
        again.step(result(step, 1.0))
    again.close()
    assert [row["step"] for row in rows(tmp_path)] == [2, 4, 6, 8]
    assert rows(tmp_path)[-1]["seconds"] == 4.0


@pytest.mark.parametrize("cut", [3, 4, 5])
def test_a_log_cut_between_two_rows_is_the_log_of_a_whole_run(tmp_path: Path, cut: int) -> None:
    steps = [result(step, 1.0 / step) for step in range(1, 9)]
    steps[4] = replace(steps[4], loss=math.nan, grad_norm=math.inf, skipped=True)
    for out in (tmp_path / "whole", tmp_path / "cut"):
        out.mkdir()
    whole, first = journal(tmp_path / "whole"), journal(tmp_path / "cut")
    for step in steps:
        whole.step(step)
    for step in steps[:cut]:
        first.step(step)
    pending = json.loads(json.dumps(first.pending, allow_nan=False))
    second = journal(tmp_path / "cut", done_steps=cut, pending=pending)
    for step in steps[cut:]:
        second.step(step)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


def test_skipped_steps_are_counted_and_left_out_of_the_means(tmp_path: Path) -> None:
    log = journal(tmp_path)
    bad = replace(result(2, math.nan), sums={"x": math.nan, "n": 4.0}, skipped=True)
    for step in (result(1, 3.0), bad, replace(bad, step=3), replace(bad, step=4), result(5, 1.0), result(6, 2.0)):
        log.step(step)
    first, second, third = rows(tmp_path)
    assert (first["loss"], first["mean"], first["skipped_steps"]) == (3.0, 3.0, 1)
    assert "loss" not in second
    assert second["skipped_steps"] == 2
    assert (third["loss"], "skipped_steps" in third) == (1.5, False)


def test_a_tracker_that_is_not_installed_is_an_error_not_a_silence(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="report_to names clearml"):
        make_accelerator("cpu", "no", trackers=["clearml"], out=tmp_path)


def test_wandb_without_a_key_runs_offline_and_tensorboard_writes_events(tmp_path: Path) -> None:
    code = f"""
import logging, sys
from pathlib import Path
logging.basicConfig(level=logging.INFO, format="%(message)s")
from accelerate import Accelerator
from bertkit.training.trackers import close_trackers, keep_report, open_trackers
out = Path({str(tmp_path)!r})
accelerator = Accelerator(cpu=True, log_with=["wandb", "tensorboard"], project_dir=out)
open_trackers(accelerator, ["wandb", "tensorboard"], project="p", run="r", config={{"model": {{"a": 1}}, "lr": 1.0}}, out=out)
accelerator.log({{"loss": 1.0}}, step=1)
(out / "report.html").write_text("<h1>scores</h1>")
(out / "report.md").write_text("# scores of all")
keep_report(accelerator, out / "report.html", out / "report.md", {{"topic/BERT/accuracy": 0.5}})
close_trackers(accelerator)
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | {"HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "kept offline" in done.stderr
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert list(tmp_path.rglob("events.out.tfevents.*"))
    # The config as a tree where the tracker shows one, by paths where it takes plain values only.
    events = b"".join(path.read_bytes() for path in tmp_path.rglob("events.out.*")).decode("latin-1")
    assert "model.a" in events
    assert "topic/BERT/accuracy" in events
    assert "# scores of all" in events
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("wandb/offline-run-*/*.wandb")).decode("latin-1")
    assert "report.html" in kept


def test_progress_in_a_file_is_some_lines(tmp_path: Path, caplog: Any, capsys: Any) -> None:
    caplog.set_level("INFO")
    log = Journal(
        tmp_path, Accelerator(cpu=True), name="run", max_steps=200, logging_steps=2, summarise=lambda sums: {}
    )
    for step in range(1, 201):
        log.step(result(step, 1.0))
    log.close()
    lines = [record.getMessage() for record in caplog.records if record.name == "bertkit.training.journal"]
    assert [line.split(",")[0] for line in lines] == [f"run: step {step} of 200" for step in range(20, 201, 20)]
    assert "\r" not in capsys.readouterr().err


def test_padding_and_utilisation_are_shares(tmp_path: Path) -> None:
    log = Journal(
        tmp_path,
        Accelerator(cpu=True),
        name="test",
        max_steps=2,
        logging_steps=2,
        summarise=lambda sums: {},
        peak_flops=1000.0,
    )
    log.step(replace(result(1, 1.0), padded_tokens=100, flops=300.0))
    log.step(replace(result(2, 1.0), padded_tokens=150, flops=100.0))
    log.close()
    (row,) = rows(tmp_path)
    # 200 real tokens of 250 computed; 400 operations in one second of a device that makes 1,000.
    assert (row["non_padding"], row["mfu"]) == (0.8, 0.4)
