"""Working ahead in threads, bounded and in order, so that whoever consumes is not kept waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_END = object()


def map_ahead(function: Callable[[T], R], items: Iterable[T], *, workers: int, window: int) -> Generator[R]:
    """`map(function, items)` in order, by `workers` threads that run at most `window` items ahead of the consumer.

    What `function` raises is raised at its item's place. Closing the iterator stops the threads.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="dvsnet-read") as pool:
        pending: deque[Future[R]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > window:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def run_ahead(iterator: Iterator[T], *, window: int) -> Iterator[T]:
    """`iterator`, advanced by one thread of its own, at most `window` items ahead of the consumer.

    Closing it stops the thread and closes `iterator` (if it can be closed).
    """
    with ThreadPoolExecutor(1, thread_name_prefix="dvsnet-read") as pool:
        pending: deque[Future[Any]] = deque(pool.submit(next, iterator, _END) for _ in range(window))
        try:
            while (item := pending.popleft().result()) is not _END:
                pending.append(pool.submit(next, iterator, _END))
                yield item
        finally:
            for future in pending:
                future.cancel()
            # After what the thread is doing: a generator cannot be closed while it runs. And not by the thread: where
            # all of this is garbage, the pool has sent it home already, and would wait for it for ever.
            pool.shutdown(cancel_futures=True)
            getattr(iterator, "close", lambda: None)()
