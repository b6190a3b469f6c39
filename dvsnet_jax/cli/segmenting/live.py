"""Options of live sources and of the page, and what a run tells of itself meanwhile."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Amount, option
from dvsnet_jax.cli.screen import tell

if TYPE_CHECKING:
    from dvsnet_jax.inference.segment_source import Summary
    from dvsnet_jax.media.live.tally import Tally
    from dvsnet_jax.media.sources import Source
    from dvsnet_jax.serving.board import Board

EVERY = 60.0
"""Seconds between the lines about a live source."""
TOKEN = "DVSNET_SERVE_TOKEN"


@dataclass(frozen=True, kw_only=True)
class Live:
    """Cameras and streams, and looking on."""

    drop: Literal["auto", "on", "off"] = "auto"
    """Of a live source leave out frames that are too late, so that the newest wins: auto does wherever the stream has
    no end. Files are never dropped from."""
    reconnect: Amount = 600.0
    """Seconds for which a lost stream is tried again, with growing pauses; 0: its end is the end."""
    serve: Annotated[str | None, option("[HOST:]PORT")] = None
    """Show the overlay and numbers as a page at http://127.0.0.1:PORT. With a HOST that others reach (0.0.0.0) a token
    is made and told, which they need; nothing is encrypted."""


def make_live(source: Source, options: Live, motion: str) -> Source:
    """A stream or camera as one whose newest frame wins and that comes back; any other source as it is."""
    from dvsnet_jax.media.live.connection import Reconnect
    from dvsnet_jax.media.live.source import LiveVideo, as_live

    if motion == "codec":  # a file's vectors lead from each frame to the one before it: none may be missing
        if options.drop == "on":
            raise UsageError("--drop on leaves out frames, and --motion codec needs them all; take --motion dis")
        if source is not as_live(source):
            tell(
                f"dvsnet: {source.name}: with --motion codec every frame is taken, and a lost stream is not tried again"
            )
        return source
    live = as_live(
        source,
        drop={"auto": None, "on": True, "off": False}[options.drop],
        reconnect=Reconnect(give_up=options.reconnect),
        on_event=lambda what: tell(f"dvsnet: {source.name}: {what}"),
    )
    if options.drop == "on" and not isinstance(live, LiveVideo):
        raise UsageError(f"--drop on is for cameras and streams, and {source.name} is none; leave it out")
    return live


@contextmanager
def served(address: str | None) -> Iterator[Board | None]:
    """The board that is shown at an address while the block runs, and tells where; None where none is asked for."""
    if address is None:
        yield None
        return
    from dvsnet_jax.serving.board import Board
    from dvsnet_jax.serving.server import LiveServer, is_loopback, parse_address

    host, port = parse_address(address)
    token = os.environ.get(TOKEN) or None
    if token is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,}", token):
        raise UsageError(f"{TOKEN} must be 16 or more letters, digits, - and _; unset it to have one made")
    board = Board()
    with LiveServer(board, host, port, token=token) as server:
        any_of = f" (with this machine's name or address in place of {host})" if host in ("0.0.0.0", "::") else ""
        open_to = "" if is_loopback(host) else f", to whoever has this address{any_of}; nothing is encrypted"
        tell(f"dvsnet: shown at {server.url}{open_to}")
        yield board


@contextmanager
def told_every_minute(tallies: Mapping[str, Tally], *, every: float | None = None) -> Iterator[None]:
    """A line about each of these sources once a minute, while the block runs."""
    stop = threading.Event()
    every = EVERY if every is None else every

    def run() -> None:
        before = {name: (time.monotonic(), tally.now.done) for name, tally in tallies.items()}
        while not stop.wait(every):
            for name, tally in tallies.items():
                now, (at, done) = time.monotonic(), before[name]
                tell(f"dvsnet: {name}: {state_line(tally, (tally.now.done - done) / (now - at))}")
                before[name] = now, tally.now.done

    thread = threading.Thread(target=run, name="dvsnet-tell", daemon=True)
    if tallies:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if tallies:
            thread.join()


def state_line(tally: Tally, rate: float) -> str:
    """A live source's state in a line."""
    counts = tally.now
    back = f", connected again {counts.reconnected} times" if counts.reconnected else ""
    lag = f", lag {counts.lag:.2f} s (mean {counts.mean_lag:.2f}, worst {counts.worst_lag:.2f})" if counts.done else ""
    return (
        f"{counts.phase}, {counts.came} frames came, {counts.done} segmented ({rate:.1f}/s), {counts.dropped} dropped"
        f"{lag}{back}"
    )


def tell_live(name: str, summary: Summary) -> None:
    """What became of a live source; nothing of any other."""
    if summary.live is not None:
        rate = summary.frames / summary.seconds if summary.seconds > 0 else 0.0
        tell(f"{name}: {state_line(summary.live, rate)}")


@contextmanager
def beside(jobs: Mapping[str, Callable[[], object]], stop: threading.Event) -> Iterator[None]:
    """Runs jobs that handle their own failures, each in a thread, beside the block and on after it to their ends: of
    several cameras none waits for another, nor for a file. `stop` is what ends them, and is set where the block
    fails."""
    threads = [threading.Thread(target=job, name=f"dvsnet-source-{name}") for name, job in jobs.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    except BaseException:
        stop.set()
        raise
    finally:
        for thread in threads:
            while thread.is_alive():  # in pieces, so that Ctrl-C is heard
                thread.join(0.2)
