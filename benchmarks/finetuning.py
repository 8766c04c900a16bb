"""Fine-tuning by bertkit and by plain `transformers.Trainer` code, taking turns: seconds, scores, and the ratio.

    python benchmarks/finetuning.py --start FOLDER [--task sst2 mrpc conll2003 squad] [--steps 40] [--pairs 5]
    python benchmarks/finetuning.py --start FOLDER --task mrpc --scores --seeds 1 2 3     # whole trainings, scored

Two peers with the same hyper-parameters: `max` pads every row to the maximum (what the example scripts do by default),
`dynamic` each batch to its longest row. Speed is sequences a second from the sixth step on, each side a fresh process;
a window of a longer text is a sequence. Scores are of the last weights, on the split that has labels, by the same
metric. FOLDER is any Hugging Face BERT folder.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "../shared/data"
WARM_UP = 5  # steps before the clock counts
SIDES = ("max", "dynamic", "bertkit")


@dataclass(frozen=True)
class Case:
    """A task, how it is trained, and the speeds that are asked for against each peer."""

    epochs: int
    bars: dict[str, float]
    length: int = 128
    batch: int = 32
    rate: float = 5e-5
    stride: int = 128
    data: tuple[str, ...] = ()
    config: tuple[str, ...] = field(default=())


FAST = {"max": 3.0, "dynamic": 1.25}
CASES = {
    "sst2": Case(epochs=1, bars=FAST, data=("max_train_samples=10000",)),
    "mrpc": Case(epochs=4, bars=FAST),
    "conll2003": Case(epochs=3, bars=FAST, rate=1e-4),
    "squad": Case(epochs=2, bars={"max": 1.3, "dynamic": 1.1}, length=384, batch=16),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True, help="a Hugging Face BERT folder")
    parser.add_argument("--task", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--steps", type=int, default=40, help="steps of each turn")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--scores", action="store_true", help="whole trainings of bertkit and `dynamic`, scored")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--group-by-length", action="store_true", help="the peers' batches are of like rows, as bertkit's"
    )
    parser.add_argument("--mixed-precision", choices=["no", "bf16"], default="no", help="of all sides")
    parser.add_argument("--num-threads", type=int, help="of all sides; by default all cores")
    parser.add_argument("--data-dir", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, help="where the encoded tasks are kept between runs")
    parser.add_argument("--turn", nargs=3, metavar=("SIDE", "TASK", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        print(json.dumps(take_turn(options, *options.turn)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        options.work = options.work or Path(scratch)
        judge = compare_scores if options.scores else compare_speed
        return max([judge(options, name) for name in options.task if has_data(options, name)], default=0)


# --- the judge -------------------------------------------------------------------------------------------------


def compare_speed(options: argparse.Namespace, name: str) -> int:
    """Print how many times as many sequences a second; 1 when a ratio is under its bar."""
    turns: dict[str, list[float]] = {side: [] for side in SIDES}
    for pair in range(options.pairs):
        for side in SIDES:
            turns[side].append(in_process(options, side, name, pair + 1)["sequences_per_second"])
    missed = False
    for peer, bar in CASES[name].bars.items():
        ratios = [ours / theirs for ours, theirs in zip(turns["bertkit"], turns[peer], strict=True)]
        ratio = statistics.median(ratios)
        missed |= ratio < bar
        shown = ", ".join(f"{one:.2f}" for one in ratios)
        print(f"{name}: {ratio:.2f}x the sequences/s of padding `{peer}` ({shown}; asked for: {bar})", flush=True)
    rates = ", ".join(f"{side} {statistics.median(found):.1f}" for side, found in turns.items())
    print(f"  sequences/s: {rates}", flush=True)
    return int(missed)


def compare_scores(options: argparse.Namespace, name: str) -> int:
    """Print each side's scores over the seeds, and the ratio of their training seconds; 1 when bertkit's is worse by
    more than the seeds differ."""
    found: dict[str, list[dict[str, Any]]] = {"dynamic": [], "bertkit": []}
    for seed in options.seeds:
        for side, turns in found.items():
            turns.append(in_process(options, side, name, seed))
            print(f"  {name}, seed {seed}, {side}: {turns[-1]}", flush=True)
    scores = {side: [turn["score"] for turn in turns] for side, turns in found.items()}
    means = {side: statistics.mean(values) for side, values in scores.items()}
    spread = max(statistics.pstdev(values) for values in scores.values()) * math.sqrt(2 / len(options.seeds)) * 2
    pairs = zip(found["dynamic"], found["bertkit"], strict=True)
    faster = statistics.median(theirs["seconds"] / ours["seconds"] for theirs, ours in pairs)
    print(
        f"{name}: {found['bertkit'][0]['metric']} {means['bertkit']:.4f} against {means['dynamic']:.4f} "
        f"(seeds differ by {spread:.4f}), {faster:.2f}x as fast",
        flush=True,
    )
    return int(means["bertkit"] < means["dynamic"] - spread)


def has_data(options: argparse.Namespace, name: str) -> bool:
    if (options.data_dir / name).is_dir():
        return True
    print(f"skipped {name}: {options.data_dir / name} is not there")
    return False


def in_process(options: argparse.Namespace, side: str, name: str, seed: int) -> dict[str, Any]:
    make_task(options, name)
    command = [sys.executable, __file__, "--start", str(options.start), "--steps", str(options.steps)]
    command += [
        "--work",
        str(options.work),
        "--data-dir",
        str(options.data_dir),
        "--mixed-precision",
        options.mixed_precision,
        *(["--scores"] if options.scores else []),
        *(["--group-by-length"] if options.group_by_length else []),
        *(["--num-threads", str(options.num_threads)] if options.num_threads else []),
    ]
    done = subprocess.run([*command, "--turn", side, name, str(seed)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def task_folder(options: argparse.Namespace, name: str) -> Path:
    found: Path = options.work / (name if options.scores else f"{name}-speed")
    return found


def make_task(options: argparse.Namespace, name: str) -> None:
    out = task_folder(options, name)
    if (out / "manifest.json").is_file():
        return
    source = [f"source.dataset={name}", f"data_dir={options.data_dir.resolve()}", *CASES[name].data]
    # A training measures its last weights: of speed alone, on few rows.
    source += [] if options.scores else ["max_eval_samples=32"]
    subprocess.run([sys.executable, ROOT / "recipes/task_data.py", "--out", out, *source], check=True)


# --- one turn --------------------------------------------------------------------------------------------------


def take_turn(options: argparse.Namespace, side: str, name: str, seed: str) -> dict[str, Any]:
    """`sequences_per_second`, or with --scores the `score`, its `metric` and the `seconds` of the training."""
    with tempfile.TemporaryDirectory(dir=options.work) as out:
        turn = bertkit_turn if side == "bertkit" else peer_turn
        return turn(options, name, int(seed), Path(out), side)


def bertkit_turn(options: argparse.Namespace, name: str, seed: int, out: Path, side: str) -> dict[str, Any]:
    case, data = CASES[name], task_folder(options, name)
    limit = [] if options.scores else [f"max_steps={options.steps}"]
    values = [
        f"num_train_epochs={case.epochs}",
        f"max_seq_length={case.length}",
        f"train_batch_size={case.batch}",
        f"learning_rate={case.rate}",
        f"seed={seed}",
        f"mixed_precision={options.mixed_precision}",
        "adam_epsilon=1e-8",
        "warmup_steps=0",
        "weight_decay=0",
        "eval_steps=1000000",  # at the last step alone, as the peer
        "early_stopping_patience=null",
        "logging_steps=1",
        *case.config,
        *limit,
        *([f"num_threads={options.num_threads}"] if options.num_threads else []),
    ]
    inputs = ["--input", f"data={data}", "--input", f"start={options.start}"]
    run_recipe("finetune", *inputs, "--out", out / "model", *values)
    log = [json.loads(line) for line in (out / "model/log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [row for row in log if "sequences_per_second" in row]
    if not options.scores:
        seconds = [after["seconds"] - before["seconds"] for before, after in pairwise(steps)][WARM_UP - 1 :]
        sequences = sum(row["sequences_per_second"] * t for row, t in zip(steps[WARM_UP:], seconds, strict=True))
        return {"sequences_per_second": sequences / sum(seconds)}
    run_recipe("evaluate", "--input", f"data={data}", "--input", f"model={out / 'model'}", "--out", out / "scores")
    scores = json.loads((out / "scores/metrics.json").read_text(encoding="utf-8"))
    metric = scores["primary"]
    return {"score": scores["metrics"][metric], "metric": metric, "seconds": steps[-1]["seconds"]}


def run_recipe(stage: str, *arguments: Any) -> None:
    command = [sys.executable, ROOT / f"recipes/{stage}.py", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def peer_turn(options: argparse.Namespace, name: str, seed: int, out: Path, side: str) -> dict[str, Any]:
    import torch
    from trainer_peer import PEERS

    from bertkit.artifacts import TaskData
    from bertkit.kinds import kind_of

    case, data = CASES[name], TaskData.open(task_folder(options, name))
    task = data.task
    peer = PEERS[task["kind"]](
        options.start, task, max_length=case.length, stride=case.stride, pad_to_max=side == "max"
    )
    more: dict[str, Any] = {} if options.scores else {"max_steps": options.steps}
    if options.group_by_length:
        more["train_sampling_strategy"] = "group_by_length"
    if options.num_threads:
        torch.set_num_threads(options.num_threads)
    started = time.perf_counter()
    trainer, seconds = peer.train(
        data.rows("train"),
        seed=seed,
        out=out,
        num_train_epochs=case.epochs,
        per_device_train_batch_size=case.batch,
        learning_rate=case.rate,
        bf16=options.mixed_precision == "bf16",
        **more,
    )
    if not options.scores:
        return {"sequences_per_second": case.batch * len(seconds[WARM_UP:]) / sum(seconds[WARM_UP:])}
    split = "test" if task["counts"].get("test") else "validation"
    rows = data.rows(split)
    kind = kind_of(task, {}, where=str(data.path))
    metric, lines = task["primary"], peer.predict(trainer, rows)
    print(f"{side}: {time.perf_counter() - started:.0f} s in all", file=sys.stderr)
    return {"score": kind.score(lines)["metrics"][metric], "metric": metric, "seconds": sum(seconds)}


if __name__ == "__main__":
    raise SystemExit(main())
