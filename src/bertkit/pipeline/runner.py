"""Run a plan: skip what is done, start the rest here or under `accelerate launch`, link the results."""

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from bertkit import storage
from bertkit.artifacts import Artifact
from bertkit.config import Config
from bertkit.errors import BertkitError, BusyError, HostError, IntegrityError, NumericError, StageError, TerminatedError
from bertkit.pipeline.graph import Node, Plan

log = logging.getLogger(__name__)

# Where a launched process leaves its error, because launchers replace exit codes by their own.
ERROR_FILE = "BERTKIT_ERROR_FILE"


def run(plan: Plan, nodes: Iterable[Node], *, wait: bool = False) -> None:
    """Run `nodes` in order; each must come after what it reads, or that must be done.

    Raises:
        StageError: a node reads something that is neither done nor among `nodes`.
    """
    for node in nodes:
        if node.state == "done":
            log.info("%-24s done already   %s", node.name, node.out)
        else:
            log.info("%-24s running        %s", node.name, node.out)
            started = time.monotonic()
            _start(plan, node, wait=wait)
            log.info("%-24s took %8.1f s  %s", node.name, time.monotonic() - started, node.out)
        storage.link_latest(latest(plan) / node.name, node.out)


def latest(plan: Plan) -> Path:
    """The folder of links to the newest results of a pipeline."""
    return plan.root / "latest" / plan.pipeline.name


def _start(plan: Plan, node: Node, *, wait: bool) -> None:
    inputs = {port: tuple(_opened(node, one) for one in found) for port, found in node.inputs.items()}
    if node.launch == "accelerate":
        _launch(plan.pipeline.home, node, inputs, wait=wait)
        return
    given = {port: found if node.stage.ports[port].many else found[0] for port, found in inputs.items()}
    node.stage.run(node.config, given, node.out, node.identity, wait=wait)


def _opened(node: Node, source: Node | Artifact) -> Artifact:
    if isinstance(source, Artifact):
        return source
    if source.state != "done":
        raise StageError(
            f"{node.name} reads {source.name}, which has not been run",
            remedy=f"Run it first: --only {source.name}, or leave --only out.",
        )
    return source.stage.output.open(source.out)


def _launch(home: Path, node: Node, inputs: dict[str, tuple[Artifact, ...]], *, wait: bool) -> None:
    # --quiet: a failed stage says for itself what happened; the launcher would add its own traceback.
    command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet"]
    command += ["--config_file", str(home / "accelerate_config.yaml"), str(home / "recipes" / f"{node.stage.name}.py")]
    for port, found in inputs.items():
        for one in found:
            command += ["--input", f"{port}={one.path}"]
    command += ["--out", str(node.out), *(["--wait"] if wait else []), *as_overrides(node.config)]
    log.info("%s", shlex.join(command))
    with tempfile.TemporaryDirectory() as folder:
        error_file = Path(folder) / "error.json"
        code, sent = _run_forwarding(command, {**os.environ, ERROR_FILE: str(error_file)})
        if error_file.is_file() and code != 0:
            raise _relayed(json.loads(error_file.read_text(encoding="utf-8")))
    if sent is not None:
        # Also after a stage that still came to its end: what follows it must not begin.
        raise KeyboardInterrupt if sent == signal.SIGINT else TerminatedError(f"{node.name}: ended by SIGTERM")
    if code != 0:
        raise StageError(f"{node.name}: the launched command ended with exit code {code}; its output is above")


def _run_forwarding(command: list[str], environment: dict[str, str]) -> tuple[int, int | None]:
    """Run a command in a process group of its own and hand on SIGTERM and SIGINT to all of it.

    A launcher of one process would leave it running. Returns the exit code and the last signal.
    """
    sent: list[int] = []
    started: list[subprocess.Popen[bytes]] = []

    def hand_on() -> None:
        if sent and started:
            with suppress(ProcessLookupError):
                os.killpg(started[0].pid, sent[-1])

    def note(number: int, frame: FrameType | None) -> None:
        sent.append(number)
        hand_on()

    with _handling((signal.SIGTERM, signal.SIGINT), note):
        started.append(subprocess.Popen(command, env=environment, process_group=0))
        hand_on()  # a signal that came before there was a process
        code = started[0].wait()
    return code, sent[-1] if sent else None


@contextmanager
def _handling(numbers: tuple[signal.Signals, ...], handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _relayed(error: dict[str, Any]) -> BertkitError:
    """The error of a launched process, as the class that has its exit code."""
    kinds = {kind.exit_code: kind for kind in (HostError, IntegrityError, NumericError, TerminatedError, BusyError)}
    kind = kinds.get(error["exit_code"], StageError)
    return kind(error["what"], where=error["where"], remedy=error["remedy"])


def as_overrides(config: Config) -> list[str]:
    """The `key.path=value` arguments that turn a config of defaults into `config`.

    What was not said is not said here either: options that nothing reads may not be, even with their defaults.
    """
    given = config.model_dump(mode="json", exclude_unset=True)
    return [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items()]
