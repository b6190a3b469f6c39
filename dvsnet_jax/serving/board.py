"""What the page shows of each source: its newest frame, and nothing older. Whoever looks never keeps the run waiting.

A run hands each frame over, which only stores it. Pictures are drawn when a client asks, once for each frame.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, UInt8

from dvsnet_jax import visualize
from dvsnet_jax.media.encoded import ids_png_bytes, jpeg_bytes
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.ops.regions import region_borders

_WIDEST = 1280  # pixels of a picture that is sent
_RATE_OVER = 5.0  # seconds
_SHARE_OVER = 50  # frames, as budgets are kept over
_ENDED_SHOWN = 16  # sources past their end whose pictures are kept: of thousands of inputs the memory would not do


class ShownFrame(Protocol):
    """What is shown of a frame: `inference.segmented.Segmented`."""

    @property
    def frame(self) -> Any: ...
    @property
    def labels(self) -> UInt8[np.ndarray, "height width"]: ...
    @property
    def scores(self) -> Float[np.ndarray, "regions"]: ...
    @property
    def segmented(self) -> Bool[np.ndarray, "regions"]: ...
    @property
    def record(self) -> Mapping[str, Any]: ...


class Encoded(NamedTuple):
    """A picture as it goes over the wire."""

    number: int
    """Of the frame among those shown, from 1."""
    content: bytes


class View:
    """One source. `offer` is for the run, the rest for the server's threads."""

    def __init__(
        self, name: str, regions: tuple[int, int], palette: UInt8[np.ndarray, "256 3"], overlap: int | None = None
    ) -> None:
        """`regions` is (rows, columns), which have this `overlap`, if that is known."""
        self.name, self._regions, self._palette, self._overlap = name, regions, palette, overlap
        self._changed = threading.Condition()
        self._shown: ShownFrame | None = None
        self._number = 0
        self._times: deque[float] = deque()
        self._shares: deque[float] = deque(maxlen=_SHARE_OVER)
        self._dropped = 0
        self._ended = False
        self._drawing = {"picture": threading.Lock(), "labels": threading.Lock()}
        self._drawn: dict[str, Encoded] = {}
        self._last_state: dict[str, Any] | None = None

    def offer(self, shown: ShownFrame) -> None:
        """Takes the place of the frame before."""
        now = time.monotonic()
        with self._changed:
            self._shown, self._number = shown, self._number + 1
            self._times.append(now)
            while now - self._times[0] > _RATE_OVER:
                self._times.popleft()
            self._shares.append(float(shown.segmented.mean()))
            self._dropped += shown.record.get("live", {}).get("dropped", 0)
            self._changed.notify_all()

    def end(self) -> None:
        """No further frame comes."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        return self._ended

    def let_go(self) -> None:
        """Keeps the numbers alone, of a source that has ended."""
        state = self.state()
        with self._changed:
            self._last_state, self._shown = state, None
        self._drawn.clear()

    def wait(self, after: int, seconds: float) -> bool:
        """Whether there is a frame past the number, within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._number > after or self._ended, seconds) and self._number > after

    def picture(self) -> Encoded | None:
        """The newest frame under its colours and regions, JPEG; None before the first."""
        return self._encode("picture", self._draw)

    def labels(self) -> Encoded | None:
        """Its train ids, as a PNG of one channel."""
        return self._encode("labels", lambda shown: ids_png_bytes(shown.labels))

    def state(self) -> dict[str, Any]:
        """Numbers for the page, ready for JSON."""
        if self._last_state is not None:
            return self._last_state
        with self._changed:
            shown, number, times, shares = self._shown, self._number, list(self._times), list(self._shares)
            dropped, ended = self._dropped, self._ended
        told: dict[str, Any] = {"name": self.name, "number": number, "ended": ended, "regions": list(self._regions)}
        if shown is None:
            return told
        live = shown.record.get("live", {})
        silent = time.monotonic() - times[-1]
        span = times[-1] - times[0]
        return told | {
            "frame": shown.record["frame"],
            "size": list(shown.labels.shape),
            "fps": (len(times) - 1) / span if span > 0 and silent < _RATE_OVER else None,
            "share": sum(shares) / len(shares),
            "silent": silent,
            "lag": live.get("lag"),
            "dropped": dropped if live else None,
            "scores": [float(score) if math.isfinite(score) else None for score in shown.scores],
            "segmented": shown.segmented.tolist(),
        }

    def _encode(self, kind: str, draw: Any) -> Encoded | None:
        with self._drawing[kind]:  # of many clients one has it drawn
            with self._changed:
                shown, number = self._shown, self._number
            if shown is None:
                return None
            if kind not in self._drawn or self._drawn[kind].number != number:
                self._drawn[kind] = Encoded(number, draw(shown))
            return self._drawn[kind]

    def _draw(self, shown: ShownFrame) -> bytes:
        labels = shown.labels
        step = -(-labels.shape[1] // _WIDEST)
        borders = region_borders(labels.shape[0], labels.shape[1], self._regions, self._overlap)
        if borders is not None:
            rows, columns = (tuple(-(-place // step) for place in places) for places in borders)
            borders = rows, columns
        labels = np.ascontiguousarray(labels[::step, ::step])
        picture = visualize.overlay(resize_image(shown.frame.image, labels.shape[:2]), labels, self._palette)
        visualize.outline_regions(picture, shown.segmented, self._regions, borders)
        return jpeg_bytes(picture)


class Board:
    """The sources of a run, in the order in which they came."""

    def __init__(self) -> None:
        self._views: list[View] = []
        self._kept: list[View] = []  # whose pictures are there

    def add(self, view: View) -> View:
        """A further source; of those that have ended the newest few keep their pictures."""
        self._views.append(view)
        self._kept.append(view)
        for ended in [view for view in self._kept if view.ended][:-_ENDED_SHOWN]:
            ended.let_go()
            self._kept.remove(ended)
        return view

    def view(self, place: int) -> View | None:
        return self._views[place] if 0 <= place < len(self._views) else None

    def state(self) -> dict[str, Any]:
        """Numbers of all sources, ready for JSON. Those that have ended stay, since a place is what a source is asked
        for by; `running` has the places of the others."""
        sources = [view.state() for view in list(self._views)]
        return {"running": [place for place, told in enumerate(sources) if not told["ended"]], "sources": sources}
