"""Kill a small pretraining run at every file operation, resume it, and compare with a run that was left alone.

    python benchmarks/kill_points.py [--every N] [--num-workers W] [--made DIR] [--json FILE]

A trial forks a process that trains and kills itself (SIGKILL) just before file operation n, or in the middle of the
write that it completes (`torn`: half of the bytes not yet synced are there); then another that does the same work without a kill.
Identical means: the bytes of model.safetensors, the optimizer's state after the last step, and every row of log.jsonl
without its timings. The same measured on peers: HF Trainer 9 of 34, an accelerate recipe with save_state 6 of 17.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "model": {
        "num_hidden_layers": 1,
        "hidden_size": 16,
        "local_heads": 0,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
    },
    "max_seq_length": 32,
    "train_batch_size": 4,
    "micro_batch_size": 2,  # accumulation; dropout is on by default
    "max_steps": 7,
    "save_steps": 2,
    "eval_steps": 4,
    "logging_steps": 3,
    "max_eval_samples": 4,
    "save_total_limit": 1,
    "num_threads": 1,
    "peak_flops": 1e9,  # given, so that no run measures it
}
TIMINGS = ("seconds", "_per_second", "utilization", "utilisation", "mfu")
_MUTATIONS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.symlink", "os.link")


class Points:
    """Counts the file operations below `folder`, and kills the process at number `kill_at`."""

    def __init__(self, folder: Path, kill_at: int | None, *, torn: bool) -> None:
        self._folder, self._kill_at, self._torn = str(folder), kill_at, torn
        self.seen: list[tuple[str, bool]] = []
        self._synced: dict[str, int] = {}  # bytes of each file that are safe

    def reach(self, name: str, path: Any, tear: Callable[[], None] | None = None) -> None:
        """An operation is about to happen; `tear` leaves half of what it completes."""
        if not str(path).startswith(self._folder):
            return
        self.seen.append((f"{name} {str(path)[len(self._folder) + 1 :]}", tear is not None))
        if len(self.seen) - 1 == self._kill_at:
            if self._torn and tear is not None:
                tear()
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        from bertkit import storage

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _MUTATIONS:
                self.reach(event, arguments[0])
                if event == "os.rename" and str(arguments[0]) in self._synced:
                    self._synced[str(arguments[1])] = self._synced.pop(str(arguments[0]))
            elif event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
                self.reach("open", arguments[0])

        fsync, appending = os.fsync, storage.appending

        def tearing_fsync(descriptor: int) -> None:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            size, safe = os.path.getsize(path), self._synced.get(path, 0)
            tears = os.path.isfile(path) and safe < size
            self.reach("fsync", path, (lambda: os.truncate(path, (safe + size) // 2)) if tears else None)
            fsync(descriptor)
            self._synced[path] = size

        @contextmanager
        def tearing_appending(path: Path) -> Iterator[Any]:
            with appending(path) as file:
                yield _Tearing(file, path, self)

        sys.addaudithook(audit)
        os.fsync = tearing_fsync
        storage.appending = tearing_appending


class _Tearing:
    def __init__(self, file: Any, path: Path, points: Points) -> None:
        self._file, self._path, self._points = file, path, points

    def write(self, text: str) -> None:
        def tear() -> None:
            self._file.write(text[: len(text) // 2])
            self._file.flush()

        self._points.reach("append", self._path, tear)
        self._file.write(text)


def train(made: Path, out: Path, more: dict[str, Any], points: Points | None = None) -> None:
    """What a launched recipe does, and the digest of the optimizer's last state beside `out`."""
    from bertkit.artifacts import PretrainData, Tokenizer
    from bertkit.config import Layer, build
    from bertkit.stages.pretrain import PretrainConfig, pretrain
    from bertkit.stages.session import Session
    from bertkit.storage import Digests
    from bertkit.training import checkpoints

    finish = Session.finish

    def noting_finish(self: Session, *arguments: Any, **more: Any) -> None:
        tensors = checkpoints.optimizer_tensors(self._optimizer, self.model)
        digest = hashlib.sha256()
        for name in sorted(tensors):
            digest.update(name.encode() + tensors[name].numpy().tobytes())
        out.with_suffix(".optimizer").write_text(digest.hexdigest())
        finish(self, *arguments, **more)

    Session.finish = noting_finish  # type: ignore[method-assign]
    config = build(PretrainConfig, Layer({**CONFIG, **more}), name="pretrain")
    inputs = {"data": PretrainData.open(made / "pretrain_data"), "tokenizer": Tokenizer.open(made / "tokenizer")}
    identity = pretrain.identity(config, {name: one.fingerprint for name, one in inputs.items()}, Digests())
    if points is not None:
        points.install()
    pretrain.run(config, inputs, out, identity)


def forked(work: Callable[[], None], log: Path) -> int:
    """Run `work` in a fork of this process, which has everything imported; returns its wait status."""
    child = os.fork()
    if child == 0:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        try:
            work()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def result(out: Path) -> dict[str, Any]:
    """What must be the same after any kills."""
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    kept = [{key: value for key, value in row.items() if not key.endswith(TIMINGS)} for row in rows]
    return {
        "weights": hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest(),
        "optimizer": out.with_suffix(".optimizer").read_text(),
        "log": kept,
    }


def trial(made: Path, folder: Path, more: dict[str, Any], point: int, torn: bool, expected: dict[str, Any]) -> str:
    """`identical`, or what went wrong."""
    out, log = folder / f"{point}{'t' * torn}", folder / f"{point}{'t' * torn}.log"
    status = forked(lambda: train(made, out, more, Points(out, point, torn=torn)), log)
    if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
        return f"was not killed: {log.read_text()[-300:]}"
    if forked(lambda: train(made, out, more), log) != 0:
        return f"resume failed: {log.read_text()[-1500:]}"
    found = result(out)
    return ", ".join(f"{key} differ" for key in expected if found[key] != expected[key]) or "identical"


def prepare(folder: Path) -> Path:
    """A tokenizer and a store of made-up text; returns the folder that holds them."""
    rng = random.Random(0)
    words = [
        "soup",
        "bread",
        "oven",
        "boat",
        "wind",
        "harbour",
        "star",
        "planet",
        "orbit",
        "captain",
        "garlic",
        "onion",
        "island",
        "comet",
        "moon",
        "rope",
    ]
    sentences = [[f"The {' '.join(rng.choices(words, k=6))}." for _ in range(rng.randint(2, 6))] for _ in range(40)]
    (folder / "corpus.txt").write_text("\n\n".join("\n".join(one) for one in sentences) + "\n")
    stages = f"""\
stages:
  corpus: {{stage: corpus, config: {{source: {{format: text, files: "{folder}/corpus.txt"}}, num_workers: 0, heldout_percentage: 10}}}}
  tokenizer: {{stage: tokenizer, inputs: {{corpus: corpus}}, config: {{vocab_size: 100}}}}
  pretrain_data: {{stage: pretrain_data, inputs: {{corpus: corpus, tokenizer: tokenizer}}}}
"""
    (folder / "made.yaml").write_text(stages)
    command = [sys.executable, "-m", "bertkit", "run", str(folder / "made.yaml"), "--root", str(folder / "root")]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1], capture_output=True)
    return folder / "root" / "latest" / "made"


def warm_up() -> None:
    """Import what training imports, so that a fork need not; no work that would start threads."""
    import torch

    import bertkit.data.loading
    import bertkit.data.pretraining
    import bertkit.stages.pretrain
    import bertkit.text.vocabulary
    import bertkit.training.ema
    import bertkit.training.journal
    import bertkit.training.memory
    import bertkit.training.nonfinite
    import bertkit.training.schedules  # noqa: F401
    from bertkit.models import bert

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:  # transformers builds its tables at the first save
        sizes = dict(CONFIG["model"])
        bert.save(bert.new_pretraining_model(sizes, vocab_size=8, pad_token_id=0, seed=0), Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="try every N-th point")
    parser.add_argument("--num-workers", type=int, default=0)
    parser.add_argument("--made", type=Path, help="a folder with `pretrain_data` and `tokenizer`")
    parser.add_argument("--json", type=Path, help="write the results there")
    arguments = parser.parse_args()
    more = {"num_workers": arguments.num_workers}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        made = arguments.made or prepare(folder)
        warm_up()
        counts = folder / "points.json"

        def reference() -> None:
            points = Points(folder / "reference", None, torn=False)
            train(made, folder / "reference", more, points)
            counts.write_text(json.dumps(points.seen))

        if forked(reference, folder / "reference.log") != 0:
            raise SystemExit((folder / "reference.log").read_text())
        expected = result(folder / "reference")
        seen = json.loads(counts.read_text())
        trials = [(i, torn) for i, (_, tears) in enumerate(seen) for torn in ([False, True] if tears else [False])]
        trials = trials[:: arguments.every]
        started = time.perf_counter()
        wrong = {}
        for point, torn in trials:
            if (said := trial(made, folder, more, point, torn, expected)) != "identical":
                wrong[f"{point} {seen[point][0]}{' (torn)' * torn}"] = said
                print(f"{point} {seen[point][0]}{' (torn)' * torn}: {said}")
        seconds = time.perf_counter() - started
    summary = {"points": len(trials), "identical": len(trials) - len(wrong), "wrong": wrong, "operations": len(seen)}
    print(f"{summary['identical']} of {len(trials)} kill points resumed bit-identically ({seconds:.0f} s)")
    if arguments.json:
        arguments.json.write_text(json.dumps(summary))
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
