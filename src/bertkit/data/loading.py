"""Batches made ahead of time by other processes: the same ones in the same order, however many processes there are.

Worker w of n makes every n-th batch, for a batch is a function of its position, and they are taken in turn. A worker is
one batch ahead and one in its pipe, so memory stays bounded.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from bertkit.data.batching import GlobalBatch
from bertkit.errors import BertkitError, HostError

Batches = Callable[..., Iterator[GlobalBatch]]


def prefetched(batches: Batches, *, num_workers: int) -> Generator[GlobalBatch]:
    """The batches of `batches()`, made by `num_workers` processes, or by this one when there are none.

    Args:
        batches: picklable; takes `turn` and `turns`, and leaves out the batches of other turns.

    Raises:
        BertkitError: what a worker raised.
        HostError: a worker was killed.
    """
    if num_workers == 0:
        yield from batches()
        return
    # Spawned, not forked: the training process has threads of torch, and maybe a GPU.
    context = get_context("spawn")
    workers: list[tuple[SpawnProcess, Connection]] = []
    try:
        for turn in range(num_workers):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(batches, turn, num_workers, sender), daemon=True)
            process.start()
            sender.close()  # or the end of the worker would not be the end of the pipe
            workers.append((process, receiver))
        while True:
            for process, receiver in workers:
                yield _received(process, receiver)
    finally:
        for process, receiver in workers:
            receiver.close()
            process.kill()
            process.join()


def _received(process: SpawnProcess, receiver: Connection) -> GlobalBatch:
    try:
        found: Any = receiver.recv()
    except EOFError:
        process.join()
        raise HostError(
            f"a data worker (pid {process.pid}) ended early, with exit code {process.exitcode}"
            + ("; the system may have run out of memory" if process.exitcode == -signal.SIGKILL else ""),
            remedy="Run again, with a lower num_workers if it was memory: the last checkpoint is kept.",
        ) from None
    if isinstance(found, GlobalBatch):
        return found
    kind, what, where, remedy = found
    raise kind(what, where=where, remedy=remedy)


def _work(batches: Batches, turn: int, turns: int, sender: Connection) -> None:
    """Send every batch of this turn; the pipe holds the worker back, and breaks when the parent ends."""
    for number in (signal.SIGTERM, signal.SIGINT):  # sent to the whole group; the parent decides when to end
        signal.signal(number, signal.SIG_IGN)
    try:
        for batch in batches(turn=turn, turns=turns):
            sender.send(batch)
    except BrokenPipeError:
        os._exit(1)
    except BertkitError as e:
        sender.send((type(e), e.what, e.where, e.remedy))
