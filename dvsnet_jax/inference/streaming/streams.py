"""Many clips as streams: they step together, of any lengths, and where one ends the next takes its place.

    for event in stream_clips(params, clips, config=config, streams=8):
        match event:
            case SegmentedFrame(): ...
            case ClipEnd(): ...

How they step, together or apart, is `streaming.steps`. Frames are read ahead in threads; while the devices work on a
frame, the caller is given the one before it. `stream_frames` is the same for whatever has frames with motion.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.inference.clip_motion import moving
from dvsnet_jax.inference.sharing import Deal, Dealer
from dvsnet_jax.inference.streaming.events import ClipEnd as ClipEnd
from dvsnet_jax.inference.streaming.events import SegmentedFrame as SegmentedFrame
from dvsnet_jax.inference.streaming.events import Slot, Start, UnderWay
from dvsnet_jax.inference.streaming.steps import Apart, Asked, Stepping, Together, choose, unknown_motion
from dvsnet_jax.media.motion.attached import Kind
from dvsnet_jax.media.motion.field import Motion
from dvsnet_jax.media.prefetch import run_ahead
from dvsnet_jax.video import init_state

_AHEAD = 2  # frames of each stream that are read before they are needed


def stream_clips(
    params: networks.Params,
    clips: Sequence[Iterable[LabelledImage]],
    *,
    config: DVSNetConfig,
    streams: int,
    devices: Sequence[Any] | None = None,
    every_frame: bool = False,
    first_counts: bool = True,
    stepping: Stepping = "auto",
    motion: Kind = "dis",
) -> Iterator[SegmentedFrame | ClipEnd]:
    """Segments every frame of every clip; the frames of a clip come in order, those of several clips mixed.

    Args:
      clips: each is iterated over once, in a thread. A clip of another size than those before it waits until they are
        through: the frame step is compiled once for each size.
      streams: how many step together; rounded up to a multiple of the devices, and down to what the clips need.
      devices: of this process; default all of them.
      every_frame: segment every frame whole besides, for comparison.
      stepping: together on accelerators, apart on CPUs, if not told; see `streaming.steps`.
      first_counts: whether steps in which a clip begins have `seconds`; by the paper's protocol they have none.
      motion: what finds it where `config.takes_motion`.

    What is wrong with a clip (InputError, OSError: a damaged file, a frame of another size) ends this clip with an
    error and no other. A clip's results are the same whatever the streams and devices, but for the rounding of float32.
    Raises InputError for less than one stream.
    """
    kind = motion if config.takes_motion else None
    openings = [partial(moving, clip, kind) for clip in clips]
    return stream_frames(
        params, openings, config=config, streams=streams, devices=devices, every_frame=every_frame,
        first_counts=first_counts, stepping=stepping,
    )  # fmt: skip


def stream_frames(
    params: networks.Params,
    openings: Sequence[Callable[[], Iterator[tuple[Any, Motion | None]]]],
    *,
    config: DVSNetConfig,
    streams: int,
    devices: Sequence[Any] | None = None,
    every_frame: bool = False,
    first_counts: bool = True,
    stepping: Stepping = "auto",
    audit: bool = False,
    recalibrate: bool = False,
    every_score: bool = False,
    on_compiled: Callable[[float], None] = lambda seconds: None,
    dealer: Dealer | None = None,
    start_of: Callable[[int], Start | None] = lambda clip: None,
    keeps: Callable[[int, int], bool] = lambda clip, frames: False,
) -> Iterator[SegmentedFrame | ClipEnd]:
    """`stream_clips` of anything that opens as an iterator of `(sample, motion)`: a sample has an `image`, and motion
    is None where it is not known or not wanted. A clip of another size is closed and opened once more.

    `audit` and `every_score` are `segment_frame`'s, `recalibrate` is `init_state`'s. `on_compiled` is told how long
    compiling took, once for each size. `dealer` is for a policy that holds for all streams together: each step then
    waits for the one before. `start_of` says where a clip goes on, before it is opened, `keeps` of which clips after
    how many frames the state is to be `kept`.
    """
    if streams < 1:
        raise InputError(f"{streams} streams: expected 1 or more")
    local = list(devices or jax.local_devices())
    waiting = deque(range(len(openings)))
    while waiting:
        count = min(streams, len(waiting))
        rounded = -(-count // len(local)) * len(local)
        steps = choose(stepping, local)
        group = _Group(
            params, openings, config, rounded, local, every_frame, first_counts, steps,
            Asked(audit, every_score, recalibrate), on_compiled, dealer, start_of, keeps,
        )  # fmt: skip
        yield from group.run(waiting)
        waiting = group.later


@dataclass
class _Group:
    """Clips of one frame size."""

    params: networks.Params
    openings: Sequence[Callable[[], Iterator[tuple[Any, Motion | None]]]]
    config: DVSNetConfig
    streams: int
    devices: list[Any]
    every_frame: bool
    first_counts: bool
    steps: type[Together] | type[Apart]
    asked: Asked
    on_compiled: Callable[[float], None]
    dealer: Dealer | None
    start_of: Callable[[int], Start | None]
    keeps: Callable[[int, int], bool]
    later: deque[int] = field(default_factory=deque)
    """Clips of other sizes."""
    size: tuple[int, ...] = ()
    _steps: Together | Apart | None = None
    _whole: Together | Apart | None = None

    def run(self, waiting: deque[int]) -> Iterator[SegmentedFrame | ClipEnd]:
        slots = [Slot() for _ in range(self.streams)]
        before: UnderWay | None = None
        try:
            while True:
                for stream, slot in enumerate(slots):
                    yield from self._refill(stream, slot, waiting)
                if not any(slot.sample for slot in slots):
                    break
                if before and self.dealer:
                    self._tell(before, self.dealer)
                begun = self._step(slots)
                if before:
                    yield from self._delivered(before)
                before = begun
            if before:
                if self.dealer:
                    self._tell(before, self.dealer)
                yield from self._delivered(before)
        finally:
            for slot in slots:
                _close(slot)
            for steps in (self._steps, self._whole):
                if steps:
                    steps.close()

    def _refill(self, stream: int, slot: Slot, waiting: deque[int]) -> Iterator[ClipEnd]:
        """Gives an idle stream the next clip of this size, if there is one."""
        while slot.sample is None and waiting:
            slot.clip, slot.number = waiting.popleft(), 0
            try:
                if start := self.start_of(slot.clip):
                    slot.number = start.frames
                slot.frames = run_ahead(self.openings[slot.clip](), window=_AHEAD)
                slot.advance()
                if slot.sample is None and start:
                    _close(slot)
                    yield ClipEnd(slot.clip, slot.number, None)
                    continue
                if slot.sample is None:
                    raise InputError("has no frame")
                if not self.size:
                    self._start(slot.sample.image)
                if start and self._steps and slot.sample.image.shape == self.size:
                    self._steps.restore(stream, start.restored)
            except (InputError, OSError) as error:
                _close(slot)
                yield ClipEnd(slot.clip, 0, str(error))
                continue
            if slot.sample.image.shape != self.size:
                _close(slot)
                self.later.append(slot.clip)

    def _start(self, image: UInt8[np.ndarray, "h w 3"]) -> None:
        """State and step for the size of this first frame."""
        try:
            init_state(self.params, image[None], config=self.config)
        except ValueError as error:
            raise InputError(str(error)) from error
        self.size = image.shape
        started = time.perf_counter()
        self._steps = self.steps(self.params, self.config, self.streams, self.size, self.devices, self.asked)
        if self.every_frame:
            self._whole = self.steps(self.params, self.config, self.streams, self.size, self.devices)
        self.on_compiled(time.perf_counter() - started)

    def _step(self, slots: list[Slot]) -> UnderWay:
        assert self._steps
        frames = np.zeros((self.streams, *self.size), np.uint8)
        restart = np.zeros(self.streams, bool)
        motion = unknown_motion(self.config, self.streams, self.size)
        who = []
        for stream, slot in enumerate(slots):
            if slot.sample is not None:
                frames[stream] = slot.sample.image
                restart[stream] = slot.number == 0
                if motion is not None and slot.motion is not None:
                    motion.flow[stream], motion.trust[stream] = slot.motion
                who.append((stream, slot.clip, slot.number, slot.sample, slot.motion is not None))
        active = [slot.sample is not None for slot in slots]
        deals = self._deals(slots) if self.dealer else None
        stepped, whole = self._steps.step(frames, restart, motion, active, deals), None
        if self._whole:  # one after the other, else one would be in the other's time
            stepped.result()
            whole = self._whole.step(frames, np.ones(self.streams, bool), motion, active).result()
        kept = {
            stream: self._steps.leaves(stream)
            for stream, slot in enumerate(slots)
            if slot.sample is not None and self.keeps(slot.clip, slot.number + 1)
        }
        ends = [end for slot in slots if slot.sample is not None and (end := self._advance(slot))]
        return UnderWay(who, stepped, whole, self.first_counts or not restart.any(), ends, kept)

    def _deals(self, slots: list[Slot]) -> list[Deal | None]:
        """What each stream has for the frame that it is at; a clip joins with its first."""
        assert self.dealer
        for slot in slots:
            if slot.sample is not None and slot.number == 0:
                self.dealer.join(slot.clip)
        asking = [slot for slot in slots if slot.sample is not None]
        deals = iter(self.dealer.deal([slot.clip for slot in asking]))
        return [None if slot.sample is None else next(deals) for slot in slots]

    def _tell(self, before: UnderWay, dealer: Dealer) -> None:
        """Has the dealer see what became of a step, and who left with it."""
        done = before.stepped.result()
        seen: dict[Hashable, tuple[Any, Any]] = {}
        for stream, clip, *_ in before.who:
            own = done.results[stream]
            assert own is not None
            seen[clip] = own.scores, own.segmented
        dealer.saw(seen, done.seconds)
        for end in before.ends:
            dealer.leave(end.clip)

    def _advance(self, slot: Slot) -> ClipEnd | None:
        """Reads a stream's next frame; what it tells of, if there is none."""
        slot.number += 1
        error = None
        try:
            slot.advance()
            if slot.sample is not None and slot.sample.image.shape != self.size:
                height, width = slot.sample.image.shape[:2]
                raise InputError(
                    f"frame {slot.number} is {height}×{width}, but those before it are {self.size[0]}×{self.size[1]}"
                )
        except (InputError, OSError) as problem:
            error = str(problem)
        if slot.sample is not None and error is None:
            return None
        _close(slot)
        return ClipEnd(slot.clip, slot.number, error)

    def _delivered(self, under_way: UnderWay) -> Iterator[SegmentedFrame | ClipEnd]:
        done = under_way.stepped.result()
        seconds = done.seconds / len(under_way.who) if under_way.counts else None
        for stream, clip, number, sample, known in under_way.who:
            own, whole = done.results[stream], under_way.whole and under_way.whole.results[stream]
            assert own is not None
            fields: dict[str, Any] = {
                name: None if values is None else np.asarray(values) for name, values in own._asdict().items()
            }
            every = None if whole is None else np.asarray(whole.labels)
            yield SegmentedFrame(
                clip, number, sample, known, whole=every, seconds=seconds, kept=under_way.kept.get(stream), **fields
            )
        yield from under_way.ends


def _close(slot: Slot) -> None:
    slot.sample = None
    if slot.frames is not None:
        slot.frames.close()  # type: ignore[attr-defined]
        slot.frames = None
