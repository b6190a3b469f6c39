"""One budget or frame rate over several streams: the host's part of `SharedBudget` and `SharedFrameRate`.

    dealer = Dealer(config.policy)
    for stream in ("left", "right"):
        dealer.join(stream)
    for frames in videos:
        state = state._replace(policy=dealt(state.policy, dealer.deal(["left", "right"])))
        state, result = segment_frame(params, state, frames, config=config)
        dealer.saw({"left": (result.scores[0], result.segmented[0]), "right": …}, seconds)

What may be segmented is a credit that all streams' frames earn and that is handed out from before each frame. A stream
gets as much of it as its regions are among those that have lost the most in all streams. How much that is one frame
later, the dealer expects of what it saw: it keeps what each region has lost, as the policy does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from dvsnet_jax.inference.pacing import Pace, Pacer
from dvsnet_jax.policies import Budget, FrameRate, Shared, SharedBudget, SharedState
from dvsnet_jax.policies.shared import LEAST_LOSS

_ROUNDING = 1e-4  # of a credit: thirds add up to a whole
_FORGOTTEN = 8  # frames of each other stream: whoever has dealt none for so long does not keep others waiting


class Deal(NamedTuple):
    """A stream's part in its next frame; see `SharedState`."""

    limit: float
    due: int
    most: int


@dataclass
class _Stream:
    """What the dealer knows of one."""

    loss: np.ndarray
    """Of each region, after the last frame that was seen."""
    last: np.ndarray
    """What each lost in it."""
    fresh: bool = True
    """Whether the next frame is its first."""
    turn: int = 0
    """When it had its last deal."""
    out: deque[int] = field(default_factory=deque)
    """What was handed out for frames that were not seen yet."""

    @property
    def expected(self) -> np.ndarray:
        """What each will have lost in the next frame, if those on their way segment what was handed out for them."""
        loss = self.loss + self.last
        for count in self.out:
            loss[np.argsort(-loss, kind="stable")[:count]] = 0
            loss = loss + self.last
        return loss


class Dealer:
    """Deals from one credit to several streams, which may be asked for together or each in its time, from threads.

    Streams that step together come into one `deal` and one `saw`; what comes of equal frames is then equal. `saw` is
    to come before the next `deal` of the same streams, or what is out is missing there.
    """

    def __init__(self, policy: Shared, *, together: bool) -> None:
        """`together`: whether one step takes a frame of each stream, so that its time is all of theirs."""
        self.policy, self.together = policy, together
        rate = None if isinstance(policy, SharedBudget) else FrameRate(policy.fps, policy.regions, policy.least)
        self._pacer = Pacer(rate) if rate else None
        self._streams: dict[Hashable, _Stream] = {}
        self._credit, self._before, self._turn = 0.0, 0.0, 0
        self._limit = policy.limit if isinstance(policy, SharedBudget) else LEAST_LOSS
        self._lock = threading.Lock()

    def join(self, stream: Hashable) -> None:
        """A stream begins, with a full credit of its own, which its first frame is paid from."""
        with self._lock:
            if stream in self._streams:
                raise ValueError(f"stream {stream!r} has joined before")
            nothing = np.zeros(self.policy.regions, np.float32)
            self._streams[stream] = _Stream(nothing, nothing, turn=self._turn)
            more = self._full(len(self._streams)) - self._full(len(self._streams) - 1)
            self._credit += more
            self._before += more

    def leave(self, stream: Hashable) -> None:
        """A stream has ended, and takes its part of the credit, or of what is owed, with it."""
        with self._lock:
            left = self._streams.pop(stream)
            self._credit += sum(left.out)
            count = len(self._streams)
            self._credit *= count / (count + 1)
            self._before *= count / (count + 1)

    def deal(self, streams: Sequence[Hashable]) -> list[Deal]:
        """What each of these has for its next frame, which has not been begun."""
        with self._lock:
            self._turn += 1
            asking = [self._streams[stream] for stream in streams]
            for each in asking:
                each.turn = self._turn
            earned = self._share(len(asking)) * self.policy.regions
            due = self._settled(len(asking), earned)
            self._credit += len(asking) * earned
            parts = self._ranked(asking, max(int(self._credit + _ROUNDING), 0), max(due, 0))
            deals = []
            for each, (part, must) in zip(asking, parts, strict=True):
                part = 0 if each.fresh else part
                self._credit -= part
                each.out.append(part)
                deals.append(Deal(self._limit, must, part))
            return deals

    def saw(self, seen: Mapping[Hashable, tuple[Any, Any]], seconds: float) -> None:
        """Takes `(scores, segmented)` of the next frame of each of these streams, `[regions]`, and the step's time."""
        with self._lock:
            shares = []
            for stream, (scores, segmented) in seen.items():
                if stream not in self._streams:
                    continue  # it has left meanwhile
                each, segmented = self._streams[stream], np.asarray(segmented, bool)
                self._credit += each.out.popleft()
                if not (each.fresh and self._pacer):  # a rate does not look at first frames, which no share was for
                    self._credit -= segmented.sum()
                shares.append(segmented.mean())
                scores = np.asarray(scores, np.float32)
                finite = np.isfinite(scores)
                lost = np.where(finite, np.maximum(100 - scores, 0), 0).astype(np.float32)
                each.last = np.where(finite, lost, each.last)
                each.loss = np.where(segmented, 0, each.loss + lost).astype(np.float32)
                each.fresh = False
            self._credit = max(self._credit, -float(len(self._streams) * self.policy.regions))
            if self._pacer is not None and shares and seconds > 0:
                self._pacer.at_once = len(seen) if self.together else 1
                self._pacer.saw(float(np.mean(shares)), seconds / len(seen))

    def pace(self) -> Pace | None:
        """What became of the frame rate; None of a budget."""
        with self._lock:
            return self._pacer.pace() if self._pacer is not None else None

    def _share(self, at_once: int) -> float:
        if isinstance(self.policy, SharedBudget):
            return self.policy.share
        assert self._pacer is not None
        self._pacer.at_once = at_once if self.together else 1
        return self._pacer.share

    def _full(self, streams: int) -> float:
        """The most credit that so many have: a tenth of what 50 frames of each may segment, and a region at least."""
        if not isinstance(self.policy, SharedBudget) or not streams:
            return 0.0
        return max(1.0, 5 * self.policy.share * self.policy.regions * streams)

    def _settled(self, asking: int, earned: float) -> int:
        """Bounds the credit, and has the limit follow it, as `Budget` does once a frame. Gives how many regions must be
        segmented, or credit would be lost, where each stream's frame earns so much."""
        if not isinstance(self.policy, SharedBudget):
            self._credit = min(self._credit, 1.0)
            return 0
        count = len(self._streams)
        full = self._full(count)
        out = sum(sum(each.out) for each in self._streams.values())
        owned = min(self._credit + out, full)
        self._credit = owned - out
        used, self._before = max(self._before, 0.0) - max(owned, 0.0), owned
        over = max(owned, 0.0) / full - 0.8
        over = over / (0.2 if over > 0 else 0.8)
        change = 2 * used / full - over / 20 * asking / count
        self._limit = float(np.clip(self._limit * np.exp(change), *Budget.LIMITS))
        return int(np.ceil(owned + count * earned - full - _ROUNDING))

    def _ranked(self, asking: Sequence[_Stream], most: int, due: int) -> list[tuple[int, int]]:
        """Of each of these streams, how many regions are among the `most`, and the `due`, that are expected to have
        lost the most in all streams."""
        longest = _FORGOTTEN * len(self._streams)
        others = [
            each for each in self._streams.values()
            if all(each is not one for one in asking) and self._turn - each.turn < longest
        ]  # fmt: skip
        expected = np.concatenate([each.expected for each in (*asking, *others)])
        place = np.argsort(np.argsort(-expected, kind="stable"))
        of_stream = place.reshape(-1, self.policy.regions)[: len(asking)]
        return [(int((own < most).sum()), int((own < due).sum())) for own in of_stream]


class Part:
    """One stream's part in a dealer, for a source that goes by itself."""

    def __init__(self, dealer: Dealer, stream: Hashable) -> None:
        self._dealer, self._stream = dealer, stream
        self._joined = False

    def steer(self, state: Any) -> Any:
        """The `VideoState` of this stream alone with its next deal in it."""
        if not self._joined:
            self._dealer.join(self._stream)
            self._joined = True
        return state._replace(policy=dealt(state.policy, self._dealer.deal([self._stream])))

    def saw(self, scores: Any, segmented: Any, seconds: float) -> None:
        """Takes what became of a frame, in order."""
        self._dealer.saw({self._stream: (scores, segmented)}, seconds)

    def pace(self) -> Pace | None:
        """As of the dealer."""
        return self._dealer.pace()

    def close(self) -> None:
        """The stream has ended. Further calls do nothing."""
        if self._joined:
            self._dealer.leave(self._stream)
            self._joined = False


def dealt(policy: SharedState, deals: Sequence[Deal | None]) -> SharedState:
    """A policy's state with the deals of its streams in it, in their order; None for an idle one."""
    regions = len(policy.loss) // len(deals)
    idle = Deal(0.0, 0, 0)
    rows = np.array([each or idle for each in deals], np.float32).repeat(regions, axis=0)
    # Where the old ones are: another place would be another program.
    limit, due, most = (
        jax.device_put(np.ascontiguousarray(column), old.sharding)
        for column, old in zip(rows.T, (policy.limit, policy.due, policy.most), strict=True)
    )
    return policy._replace(limit=limit, due=due, most=most)
