"""Many clips as streams: they step together, of any lengths, and where one ends the next takes its place.

    for event in stream_clips(params, clips, config=config, streams=8):
        match event:
            case SegmentedFrame(): ...
            case ClipEnd(): ...

The streams are dealt out over this process's devices (`jax.shard_map`): each runs the frame step on its own streams and
waits for no other, so its loop over regions to segment is as long as its own streams need. Frames are read ahead in
threads; while the devices work on a frame, the caller is given the one before it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.prefetch import run_ahead
from dvsnet_jax.video import VideoState, init_state, segment_frame

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8

_AHEAD = 2  # frames of each stream that are read before they are needed


class SegmentedFrame(NamedTuple):
    """A frame of a clip, and what became of it."""

    clip: int
    """The clip's place in the list."""
    number: int
    """The frame's place in the clip."""
    sample: LabelledImage
    labels: UInt8[np.ndarray, "height width"]
    """This and the next are as in `FrameResult`, of this frame alone."""
    scores: Float[np.ndarray, "regions"]
    targets: Float[np.ndarray, "regions"]
    segmented: Bool[np.ndarray, "regions"]
    whole: UInt8[np.ndarray, "height width"] | None
    """Labels where every region is segmented, if that was asked for."""
    seconds: float | None
    """Its part of what the devices' work on this step took, without reading, compiling and `whole`. None where the step
    does not count."""


class ClipEnd(NamedTuple):
    """A clip has no further frame, or cannot be read on."""

    clip: int
    frames: int
    """That were segmented."""
    error: str | None
    """What was wrong with it, one line."""


@dataclass
class _Slot:
    """A stream and the clip that it is at."""

    clip: int = -1
    number: int = 0
    frames: Iterator[LabelledImage] | None = None
    sample: LabelledImage | None = None
    """The next to be segmented; None where the stream is idle."""


class _Stepped(NamedTuple):
    """A step on its way."""

    who: list[tuple[int, int, int, LabelledImage]]
    """Of each frame in it: stream, clip, number, sample."""
    result: Any
    whole: Any
    seconds: Future[float]
    """What it took."""
    counts: bool
    ends: list[ClipEnd]
    """Of clips whose last frame this was."""


def stream_clips(
    params: networks.Params,
    clips: Sequence[Iterable[LabelledImage]],
    *,
    config: DVSNetConfig,
    streams: int,
    devices: Sequence[Any] | None = None,
    every_frame: bool = False,
    first_counts: bool = True,
) -> Iterator[SegmentedFrame | ClipEnd]:
    """Segments every frame of every clip; the frames of a clip come in order, those of several clips mixed.

    Args:
      clips: each is iterated over once, in a thread. A clip of another size than those before it waits until they are
        through: the frame step is compiled once for each size.
      streams: how many step together; rounded up to a multiple of the devices, and down to what the clips need.
      devices: of this process; default all of them.
      every_frame: segment every frame whole besides, for comparison.
      first_counts: whether steps in which a clip begins have `seconds`; by the paper's protocol they have none.

    What is wrong with a clip (InputError, OSError: a damaged file, a frame of another size) ends this clip with an
    error and no other. A clip's results are the same whatever the streams and devices, but for the rounding of float32.
    Raises InputError for less than one stream.
    """
    if streams < 1:
        raise InputError(f"{streams} streams: expected 1 or more")
    local = list(devices or jax.local_devices())
    waiting = deque(range(len(clips)))
    while waiting:
        count = min(streams, len(waiting))
        rounded = -(-count // len(local)) * len(local)
        group = _Group(params, clips, config, rounded, local, every_frame, first_counts)
        yield from group.run(waiting)
        waiting = group.later


@dataclass
class _Group:
    """Clips of one frame size."""

    params: networks.Params
    clips: Sequence[Iterable[LabelledImage]]
    config: DVSNetConfig
    streams: int
    devices: list[Any]
    every_frame: bool
    first_counts: bool
    later: deque[int] = field(default_factory=deque)
    """Clips of other sizes."""
    size: tuple[int, ...] = ()
    ready: float = 0.0
    """When the devices were done with the last step."""

    def run(self, waiting: deque[int]) -> Iterator[SegmentedFrame | ClipEnd]:
        slots = [_Slot() for _ in range(self.streams)]
        before: _Stepped | None = None
        with ThreadPoolExecutor(1, "dvsnet-wait") as waiter:
            try:
                while True:
                    for slot in slots:
                        yield from self._refill(slot, waiting)
                    if not any(slot.sample for slot in slots):
                        break
                    stepped = self._step(slots, waiter)
                    if before:
                        yield from self._delivered(before)
                    before = stepped
                if before:
                    yield from self._delivered(before)
            finally:
                for slot in slots:
                    _close(slot)

    def _refill(self, slot: _Slot, waiting: deque[int]) -> Iterator[ClipEnd]:
        """Gives an idle stream the next clip of this size, if there is one."""
        while slot.sample is None and waiting:
            slot.clip, slot.number = waiting.popleft(), 0
            slot.frames = run_ahead(iter(self.clips[slot.clip]), window=_AHEAD)
            try:
                slot.sample = next(slot.frames, None)
                if slot.sample is None:
                    raise InputError("has no frame")
                if not self.size:
                    self._start(slot.sample.image)
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
        mesh = Mesh(np.asarray(self.devices), ("streams",))
        self._dealt = NamedSharding(mesh, PartitionSpec("streams"))
        self._params = jax.device_put(self.params, NamedSharding(mesh, PartitionSpec()))
        frames = jax.ShapeDtypeStruct((self.streams, *self.size), np.uint8, sharding=self._dealt)
        restart = jax.ShapeDtypeStruct((self.streams,), bool, sharding=self._dealt)
        self._state = self._blank()
        step = sharded_step(mesh, self.config)
        self._compiled = step.lower(self._params, self._state, frames, restart).compile()
        # Segmented whole every time, its state never matters; but it is donated, so it is another one.
        self._whole_state = self._blank() if self.every_frame else None

    def _blank(self) -> VideoState:
        frames = jax.ShapeDtypeStruct((self.streams, *self.size), np.uint8)
        return jax.device_put(init_state(self.params, frames, config=self.config), self._dealt)

    def _step(self, slots: list[_Slot], waiter: ThreadPoolExecutor) -> _Stepped:
        frames = np.zeros((self.streams, *self.size), np.uint8)
        restart = np.zeros(self.streams, bool)
        who = []
        for stream, slot in enumerate(slots):
            if slot.sample is not None:
                frames[stream] = slot.sample.image
                restart[stream] = slot.number == 0
                who.append((stream, slot.clip, slot.number, slot.sample))
        dispatched = time.perf_counter()
        on_devices = jax.device_put((frames, restart), self._dealt)
        self._state, result = self._compiled(self._params, self._state, *on_devices)
        seconds = waiter.submit(self._wait, result, dispatched)
        whole = None
        if self.every_frame:
            seconds.result()  # else it would be in the next step's time
            all_streams = jax.device_put(np.ones(self.streams, bool), self._dealt)
            self._whole_state, all_whole = self._compiled(self._params, self._whole_state, on_devices[0], all_streams)
            whole = jax.block_until_ready(all_whole.labels)
        ends = [end for slot in slots if slot.sample is not None and (end := self._advance(slot))]
        return _Stepped(who, result, whole, seconds, self.first_counts or not restart.any(), ends)

    def _wait(self, result: Any, dispatched: float) -> float:
        """What the step took, from the end of the one before it where it had to wait for that."""
        jax.block_until_ready(result)
        begun, self.ready = max(dispatched, self.ready), time.perf_counter()
        return self.ready - begun

    def _advance(self, slot: _Slot) -> ClipEnd | None:
        """Reads a stream's next frame; what it tells of, if there is none."""
        slot.number += 1
        error = None
        assert slot.frames is not None
        try:
            slot.sample = next(slot.frames, None)
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

    def _delivered(self, stepped: _Stepped) -> Iterator[SegmentedFrame | ClipEnd]:
        seconds = stepped.seconds.result() / len(stepped.who) if stepped.counts else None
        result, whole = jax.device_get((stepped.result, stepped.whole))
        for stream, clip, number, sample in stepped.who:
            labels, scores, targets, segmented = (values[stream] for values in result)
            every = None if whole is None else whole[stream]
            yield SegmentedFrame(clip, number, sample, labels, scores, targets, segmented, every, seconds)
        yield from stepped.ends


def sharded_step(mesh: Mesh, config: DVSNetConfig) -> Any:
    """`segment_frame` with its streams dealt out over the mesh's axis `streams`, jitted: `(params, state, frames,
    restart) → (state, result)`."""
    whole, dealt = PartitionSpec(), PartitionSpec("streams")
    return jax.jit(
        jax.shard_map(
            partial(segment_frame, config=config), mesh=mesh, in_specs=(whole, dealt, dealt, dealt),
            out_specs=(dealt, dealt), check_vma=False,
        ),
        donate_argnums=1,
    )  # fmt: skip


def _close(slot: _Slot) -> None:
    slot.sample = None
    if slot.frames is not None:
        slot.frames.close()  # type: ignore[attr-defined]
        slot.frames = None
