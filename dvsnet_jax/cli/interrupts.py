"""Ctrl-C, and a kind `kill`: the first one asks for an end in good order, the second one insists."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets; a second one raises KeyboardInterrupt. In the main thread only."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        # Not print: a handler may come in the middle of one, and streams are not reentrant. Nobody may be there to read
        # it: of `dvsnet … 2>&1 | tee log` Ctrl-C ends tee as well, and an error here would come up anywhere.
        with suppress(OSError):
            os.write(2, b"\ndvsnet: finishing the frames on their way; once more to stop at once\n")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
