"""What became of a live source so far: counted by its threads, read by whoever shows it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Literal

Phase = Literal["connecting", "running", "lost", "ended"]


@dataclass(frozen=True)
class Counts:
    """A live source's state at one moment."""

    phase: Phase = "connecting"
    came: int = 0
    """Frames that came, whatever became of them."""
    taken: int = 0
    """Frames that were asked for, the newest each time."""
    dropped: int = 0
    """Frames that a newer one took the place of, or that were passed over to catch up."""
    reconnected: int = 0
    """How often the connection was lost and came back."""
    lag: float = float("nan")
    """Seconds from a frame's coming to its labels, of the last one."""
    worst_lag: float = 0.0
    done: int = 0
    """Frames whose labels are there."""
    lag_sum: float = 0.0

    @property
    def mean_lag(self) -> float:
        return self.lag_sum / self.done if self.done else float("nan")


@dataclass
class Tally:
    """`Counts` that threads may add to at once."""

    _counts: Counts = field(default_factory=Counts)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def now(self) -> Counts:
        return self._counts

    def add(self, *, came: int = 0, taken: int = 0, dropped: int = 0, reconnected: int = 0) -> None:
        with self._lock:
            c = self._counts
            self._counts = replace(
                c,
                came=c.came + came,
                taken=c.taken + taken,
                dropped=c.dropped + dropped,
                reconnected=c.reconnected + reconnected,
            )

    def enter(self, phase: Phase) -> None:
        with self._lock:
            self._counts = replace(self._counts, phase=phase)

    def delivered(self, lag: float) -> None:
        """Labels are there, so many seconds after their frame came."""
        with self._lock:
            c = self._counts
            self._counts = replace(
                c, lag=lag, worst_lag=max(c.worst_lag, lag), done=c.done + 1, lag_sum=c.lag_sum + lag
            )
