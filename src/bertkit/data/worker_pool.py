"""Work dealt to processes and gathered in order: the same results for any number of workers, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import connection, get_context, parent_process
from os import _exit
from threading import Thread
from typing import Any, TypeVar

from bertkit.errors import HostError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Starting workers takes longer than this many items of a second's fraction each do.
IN_PROCESS = 20


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], num_workers: int, *, in_process: int = IN_PROCESS
) -> Iterator[Result]:
    """`map(function, items)` over processes: results in order, and few items read ahead.

    `Pool.imap` would read all items at once, and hang when a worker is killed.

    Args:
        function: can be pickled when `num_workers` is above 1, and so can items and results.
        num_workers: processes; 0 or 1 for none beside this one.
        in_process: so many items are done here before workers are started.

    Raises:
        HostError: a worker was killed.
    """
    items = iter(items)
    if num_workers <= 1:
        yield from map(function, items)
        return
    yield from map(function, islice(items, in_process))
    for item in items:
        yield from _in_workers(function, chain([item], items), num_workers)


def _in_workers(function: Callable[[Any], Any], items: Iterator[Any], num_workers: int) -> Iterator[Any]:
    pending: deque[Future[Any]] = deque()
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 2 * num_workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise HostError(
                "a worker process ended without a word; the system may have run out of memory",
                remedy="Run again with num_workers=1, or on a machine with more memory.",
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """Without this, workers would wait for ever after their parent is killed."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        connection.wait([parent.sentinel])
        _exit(1)

    Thread(target=wait, daemon=True).start()
