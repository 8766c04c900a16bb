"""Run as a program, with a folder of made-up text and one to write to: runs in one process, and in two that share weights.

The processes are forks of this one, so torch is imported once.
"""

import faulthandler
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch._dynamo  # what each fork would import anew
import torch.distributed.fsdp  # noqa: F401

import bertkit.models.bert
import bertkit.training.loop
import bertkit.training.recipes  # noqa: F401
from bertkit import storage
from bertkit.artifacts import Checkpoint, Corpus, PretrainData, TaskData, Tokenizer
from bertkit.config import build, parse_overrides
from bertkit.errors import BertkitError
from bertkit.stage import Group
from bertkit.stages import load
from bertkit.stages.session import Session
from bertkit.training.processes import join, leave

PRETRAIN = [
    *("model.num_hidden_layers=2", "model.hidden_size=32", "model.intermediate_size=64", "model.initializer_range=0.1"),
    *(
        "max_seq_length=32",
        "train_batch_size=8",
        "micro_batch_size=2",
        "max_steps=6",
        "eval_steps=3",
        "logging_steps=1",
    ),
    *("max_eval_samples=14", "learning_rate=5e-3", "num_threads=1", "peak_flops=1e11", "save_steps=2", "ema_decay=0.9"),
    "log_layer_norms=true",
]
FINETUNE = [
    *("max_seq_length=32", "train_batch_size=8", "micro_batch_size=2", "max_steps=12", "eval_steps=4", "num_threads=1"),
    *("logging_steps=1", "learning_rate=3e-3", "peak_flops=1e11"),
]


def run(stage: str, out: Path, overrides: list[str], **inputs: Any) -> None:
    declared = load(stage)
    config = build(declared.config, parse_overrides(overrides))
    identity = declared.identity(config, {k: v.fingerprint for k, v in inputs.items()}, storage.Digests())
    group = None
    if "WORLD_SIZE" in os.environ:
        processes = join()
        group = Group(processes.process_index, processes.num_processes, processes.wait_for_everyone)
    declared.run(config, inputs, out, identity, group=group)


def prepare(text: Path, out: Path) -> None:
    source = ["source.format=text", f"source.files={text / 'corpus.txt'}", "num_workers=0", "heldout_percentage=10"]
    run("corpus", out / "corpus", source)
    corpus = Corpus.open(out / "corpus")
    run("tokenizer", out / "tokenizer", ["vocab_size=151"], corpus=corpus)
    run("pretrain_data", out / "data", [], corpus=corpus, tokenizer=Tokenizer.open(out / "tokenizer"))
    files = ["source.format=jsonl", f"source.train={text / 'train.jsonl'}", "name=topic"]
    run("task_data", out / "task", files)


def pretrain(made: Path, out: Path, *more: str) -> None:
    inputs = {"data": PretrainData.open(made / "data"), "tokenizer": Tokenizer.open(made / "tokenizer")}
    run("pretrain", out, [*PRETRAIN, *more], **inputs)


def finetune(made: Path, out: Path, *more: str) -> None:
    inputs = {"data": TaskData.open(made / "task"), "start": Checkpoint.open(made / "one")}
    run("finetune", out, [*FINETUNE, *more], **inputs)


def kill_after_save(step: int) -> None:
    save = Session.save

    def deadly(session: Session) -> None:
        save(session)
        if session.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    Session.save = deadly  # type: ignore[method-assign]


def in_forks(work: Callable[[], None], *, sharded: int = 0, kill_at: int = 0) -> list[int]:
    """Do `work` in one process or in `sharded` ones; gives what became of each."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    children = []
    for rank in range(sharded or 1):
        child = os.fork()
        if child == 0:
            code = 1
            faulthandler.dump_traceback_later(100, exit=True)
            try:
                if sharded:
                    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(sharded))
                    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), ACCELERATE_USE_CPU="true")
                    os.environ.update(ACCELERATE_USE_FSDP="true", FSDP_VERSION="2")
                kill_after_save(kill_at)
                work()
                leave()
                code = 0
            except BertkitError as e:
                print(e, file=sys.stderr)  # noqa: T201
                code = 2
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def main(text: Path, made: Path) -> None:
    assert in_forks(lambda: prepare(text, made)) == [0]
    assert in_forks(lambda: pretrain(made, made / "one")) == [0]
    assert in_forks(lambda: pretrain(made, made / "two"), sharded=2) == [0, 0]
    recomputed = made / "recomputed"
    assert in_forks(lambda: pretrain(made, recomputed, "gradient_checkpointing=true"), sharded=2) == [0, 0]
    for name, first, then in (("killed", 2, 2), ("left", 2, 0), ("entered", 0, 2)):
        codes = in_forks(lambda: pretrain(made, made / name), sharded=first, kill_at=4)  # noqa: B023
        assert codes == [-signal.SIGKILL] * (first or 1), codes
        assert in_forks(lambda: pretrain(made, made / name), sharded=then) == [0] * (then or 1)  # noqa: B023
    assert in_forks(lambda: finetune(made, made / "fine-one")) == [0]
    assert in_forks(lambda: finetune(made, made / "fine-two"), sharded=2) == [0, 0]
    tricks = ["regularization.mixout=0.1", "adversarial.method=fgm"]
    assert in_forks(lambda: finetune(made, made / "tricks", *tricks), sharded=2) == [2, 2]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
