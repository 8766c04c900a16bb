"""What a run tells while it goes: `log.jsonl`, trackers, and its progress: a bar on a terminal, some lines elsewhere."""

import json
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from tqdm import tqdm

from bertkit import storage
from bertkit.data.batching import Position
from bertkit.training.loop import StepResult
from bertkit.training.trackers import close_trackers

log = logging.getLogger(__name__)

Row = dict[str, Any]
_SILENCE = 300.0  # seconds

Summarise = Callable[[dict[str, float]], dict[str, float]]


class Journal:
    """The log of one run. Rows of training steps are means since the row before.

    `tokens_per_second` leaves padding out; `non_padding` is the share of computed tokens that are not padding; `mfu`, model
    FLOPs utilisation, is this process's share of `peak_flops`, its device's speed in plain matrix products.
    `summarise` turns an objective's sums into named figures, the same for training and held-out rows.
    """

    def __init__(
        self,
        out: Path,
        accelerator: Accelerator,
        *,
        name: str,
        max_steps: int,
        logging_steps: int,
        summarise: Summarise,
        done_steps: int = 0,
        pending: list[Row] | None = None,
        peak_flops: float = math.inf,
    ) -> None:
        self._path = out / "log.jsonl"
        self._accelerator = accelerator
        self._every, self._summarise, self.peak_flops = logging_steps, summarise, peak_flops
        self._main = accelerator.is_main_process
        self.rows = _rows_until(self._path, done_steps) if self._main else []
        if self._main:
            # Rows after the checkpoint will be written again by the steps that follow it.
            storage.write_json_lines(self._path, iter(self.rows))
        # Steps before the checkpoint that no row tells of yet.
        self._since = [_unpack(packed) for packed in pending or []]
        self.train_seconds = max((float(row.get("seconds", 0.0)) for row in self.rows), default=0.0)
        self.train_seconds += sum(result.seconds for result in self._since)
        self._name, self._max_steps = name, max_steps
        self._told, self._told_at = done_steps, time.monotonic()
        # A file would keep each of the bar's pictures; there `_tell` writes a line now and then.
        self._on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=max_steps,
            initial=done_steps,
            desc=name,
            unit="step",
            disable=not self._main or not self._on_terminal,
            mininterval=1.0,
        )

    def step(self, result: StepResult) -> None:
        """Take in one optimizer step; every `logging_steps` a row is written."""
        self._since.append(result)
        self.train_seconds += result.seconds
        self._bar.update()
        if result.step % self._every == 0:
            self.flush()

    @property
    def pending(self) -> list[Row]:
        """The steps since the last row, as JSON for a checkpoint."""
        return [_pack(result) for result in self._since]

    def sync(self) -> None:
        """Make the rows so far survive a power cut, for a checkpoint that counts on them."""
        if self._main and self._path.is_file():
            storage.sync_file(self._path)

    def flush(self) -> None:
        """Write a row over the steps since the last one, if there are any."""
        if not self._since:
            return
        steps, last = self._since, self._since[-1]
        row: Row = {"step": last.step, "epoch": round(last.epoch, 4)}
        taken = [result for result in steps if not result.skipped]
        if taken:
            sums = {name: math.fsum(r.sums[name] for r in taken) for name in taken[-1].sums}
            row |= {"loss": math.fsum(r.loss for r in taken) / len(taken), **self._summarise(sums)}
            row |= {"learning_rate": last.learning_rate, "grad_norm": taken[-1].grad_norm}
            row |= {f"grad_norm.{part}": norm for part, norm in taken[-1].layer_norms.items()}
        if len(taken) < len(steps):
            row["skipped_steps"] = len(steps) - len(taken)
        seconds = sum(r.seconds for r in steps)
        row |= {
            "sequences_per_second": round(sum(r.sequences for r in steps) / seconds, 2),
            "tokens_per_second": round(sum(r.tokens for r in steps) / seconds, 1),
            "non_padding": round(sum(r.tokens for r in steps) / max(1, sum(r.padded_tokens for r in steps)), 4),
            "mfu": round(sum(r.flops for r in steps) / seconds / self.peak_flops, 4),
            "seconds": round(self.train_seconds, 3),
        }
        self._since = []
        self._write(row)
        figures = (
            f"loss {row.get('loss', math.nan):.3f}, {row['sequences_per_second']:.0f} sequences/s, "
            f"{row['tokens_per_second']:.0f} tokens/s"
        )
        self._bar.set_postfix_str(figures)
        self._tell(last.step, figures)

    def _tell(self, step: int, figures: str) -> None:
        """A line in place of the bar: at each tenth of the run, and after minutes without one."""
        tenth = step * 10 // self._max_steps > self._told * 10 // self._max_steps
        if self._main and not self._on_terminal and (tenth or time.monotonic() - self._told_at > _SILENCE):
            log.info("%s: step %d of %d, %s", self._name, step, self._max_steps, figures)
            self._told, self._told_at = step, time.monotonic()

    def evaluation(self, step: int, epoch: float, figures: dict[str, float]) -> None:
        """Write a row of held-out figures, each named `eval_...`."""
        self.flush()
        self._write({"step": step, "epoch": round(epoch, 4), **{f"eval_{name}": v for name, v in figures.items()}})

    def close(self, facts: Row | None = None) -> None:
        """End the log; trackers also get the numbers among `facts`, what the run came to, as `final/...`."""
        self.flush()
        self._bar.close()
        final = {f"final/{name}": value for name, value in (facts or {}).items() if isinstance(value, int | float)}
        if final and self.rows:
            self._accelerator.log(final, step=self.rows[-1]["step"])
        close_trackers(self._accelerator)

    def _write(self, row: Row) -> None:
        self.rows.append(row)
        if self._main:
            with storage.appending(self._path) as file:
                file.write(json.dumps(row, allow_nan=False) + "\n")
        numbers = {name: value for name, value in row.items() if name != "step"}
        self._accelerator.log(numbers, step=row["step"])


def _pack(result: StepResult) -> Row:
    # JSON has no NaN: a skipped step is known by its mark.
    return asdict(result) | ({"loss": None, "grad_norm": None, "sums": {}} if result.skipped else {})


def _unpack(row: Row) -> StepResult:
    nan = {"loss": math.nan, "grad_norm": math.nan} if row["skipped"] else {}
    return StepResult(**{**row, "position": Position(**row["position"]), **nan})


def _rows_until(path: Path, step: int) -> list[Row]:
    """The whole rows of a log up to `step`; a torn last line is not one."""
    if step == 0 or not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        row = json.loads(line)
        if row["step"] > step:
            break
        rows.append(row)
    return rows
