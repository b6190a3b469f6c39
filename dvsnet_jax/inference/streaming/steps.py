"""How streams step: all of them in one program, or each in its own.

`Together` is for accelerators, which one stream leaves mostly idle: streams are dealt out over the devices
(`jax.shard_map`), and each device runs the frame step on its own, so its loop over regions to segment is as long as its
own streams need and no device waits for another's.

`Apart` is for CPUs, where a batch gains nothing and large arrays leave the caches: a program for each stream, as many
at once as there are cores. What is serial in one then fills the gaps of another, an idle stream costs nothing, and a
stream's numbers are the same bit for bit whatever the others do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Bool, UInt8

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.frame_motion import FrameMotion
from dvsnet_jax.inference.devices import dealt_out
from dvsnet_jax.inference.sharing import Deal, dealt
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.video import Result, VideoState, init_state, segment_frame

Stepping = Literal["auto", "together", "apart"]


class Asked(NamedTuple):
    """What a step is to give besides."""

    audit: bool = False
    """As of `segment_frame`."""
    every_score: bool = False
    """The same."""
    recalibrate: bool = False
    """As of `init_state`."""


_NOTHING = Asked()


class Stepped(NamedTuple):
    """One step of all streams, done."""

    results: list[Result | None]
    """By stream, without the axis of streams, numpy; None for an idle one that was not stepped."""
    seconds: float
    """What it took, from the end of the step before it where it had to wait for that."""


class Together:
    """One program over all streams."""

    def __init__(
        self,
        params: networks.Params,
        config: DVSNetConfig,
        streams: int,
        size: tuple[int, ...],
        devices: Sequence[Any],
        asked: Asked = _NOTHING,
    ) -> None:
        self._streams = streams
        mesh = Mesh(np.asarray(devices), ("streams",))
        self._dealt = NamedSharding(mesh, PartitionSpec("streams"))
        self._params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
        frames = jax.ShapeDtypeStruct((streams, *size), np.uint8, sharding=self._dealt)
        restart = jax.ShapeDtypeStruct((streams,), bool, sharding=self._dealt)
        motion = unknown_motion(config, streams, size)
        self._blank = lambda: jax.device_put(
            init_state(params, frames, config=config, recalibrate=asked.recalibrate), self._dealt
        )
        self._state = self._blank()
        self._config = config
        lowered = _sharded(mesh, asked).lower(self._params, self._state, frames, restart, motion, config)
        self._program = lowered.compile()
        self._waiter = ThreadPoolExecutor(1, "dvsnet-wait")
        self._ready = 0.0

    def step(
        self,
        frames: UInt8[np.ndarray, "streams h w 3"],
        restart: Bool[np.ndarray, "streams"],
        motion: FrameMotion | None,
        active: Sequence[bool],
        deals: Sequence[Deal | None] | None = None,
    ) -> Future[Stepped]:
        """Begins a step; `restart` and `motion` as `segment_frame` has them, `deals` what each stream has of what they
        share, if they do. Idle streams are stepped too, and their results dropped."""
        dispatched = time.perf_counter()
        if deals is not None:
            self._state = self._state._replace(policy=dealt(self._state.policy, deals))
        on_devices = jax.device_put((frames, restart, motion), self._dealt)
        self._state, result = self._program(self._params, self._state, *on_devices, self._config)
        return self._waiter.submit(self._wait, result, dispatched, list(active))

    def leaves(self, stream: int) -> list[np.ndarray]:
        """Of this stream's state after the step that was begun last; waits for it."""
        return [_rows(leaf, stream, self._streams) for leaf in jax.tree.leaves(jax.device_get(self._state))]

    def restore(self, stream: int, restored: Callable[[Any], Any]) -> None:
        """Has a stream go on with the state that is made of one of its kind, from its next frame on."""
        whole = jax.tree.map(np.array, jax.device_get(self._state))
        own = restored(jax.tree.map(partial(_rows, stream=stream, streams=self._streams), whole))
        jax.tree.map(partial(_put_rows, stream=stream, streams=self._streams), whole, jax.device_get(own))
        self._state = jax.device_put(whole, self._dealt)

    def _wait(self, result: Any, dispatched: float, active: list[bool]) -> Stepped:
        jax.block_until_ready(result)
        begun, self._ready = max(dispatched, self._ready), time.perf_counter()
        fetched = jax.device_get(result)
        own = [_of(fetched, stream) if on else None for stream, on in enumerate(active)]
        return Stepped(own, self._ready - begun)

    def close(self) -> None:
        self._waiter.shutdown()


class Apart:
    """A program for each stream, and a thread for each core."""

    def __init__(
        self,
        params: networks.Params,
        config: DVSNetConfig,
        streams: int,
        size: tuple[int, ...],
        devices: Sequence[Any],
        asked: Asked = _NOTHING,
    ) -> None:
        self._config, self._asked = config, asked
        self._devices = [devices[stream % len(devices)] for stream in range(streams)]
        self._params = {device: jax.device_put(params, device) for device in set(self._devices)}
        frames = jax.ShapeDtypeStruct((1, *size), np.uint8)
        # One for each: they are donated.
        self._states = [
            jax.device_put(init_state(params, frames, config=config, recalibrate=asked.recalibrate), device)
            for device in self._devices
        ]
        for device in self._params:  # compiled before anything is timed
            blank = np.zeros((1, *size), np.uint8), np.ones(1, bool), unknown_motion(config, 1, size)
            self._run(self._devices.index(device), blank)
        self._last: list[Future[Result] | None] = [None] * streams
        self._pool = ThreadPoolExecutor(min(streams, os.cpu_count() or 1), "dvsnet-step")
        self._waiter = ThreadPoolExecutor(1, "dvsnet-wait")
        self._ready = 0.0

    def step(
        self,
        frames: UInt8[np.ndarray, "streams h w 3"],
        restart: Bool[np.ndarray, "streams"],
        motion: FrameMotion | None,
        active: Sequence[bool],
        deals: Sequence[Deal | None] | None = None,
    ) -> Future[Stepped]:
        """Begins a step of the streams that are active; `restart`, `motion` and `deals` as `Together.step` has them."""
        dispatched = time.perf_counter()
        running: list[Future[Result] | None] = [None] * len(active)
        for stream, on in enumerate(active):
            if on:
                own = jax.tree.map(partial(_alone, stream=stream), (frames, restart, motion))
                before = self._last[stream]
                running[stream] = self._last[stream] = self._pool.submit(
                    self._run, stream, own, before, deals[stream] if deals else None
                )
        return self._waiter.submit(self._wait, running, dispatched)

    def leaves(self, stream: int) -> list[np.ndarray]:
        """As of `Together`."""
        if before := self._last[stream]:
            before.result()
        return jax.tree.leaves(jax.device_get(self._states[stream]))

    def restore(self, stream: int, restored: Callable[[Any], Any]) -> None:
        """As of `Together`."""
        if before := self._last[stream]:
            before.result()
        self._states[stream] = jax.device_put(restored(self._states[stream]), self._devices[stream])

    def _run(
        self,
        stream: int,
        given: tuple[UInt8[np.ndarray, "1 h w 3"], Bool[np.ndarray, "1"], FrameMotion | None],
        before: Future[Result] | None = None,
        deal: Deal | None = None,
    ) -> Result:
        if before:
            before.result()  # begun earlier, so it is under way: its state is this frame's
        if deal is not None:
            state = self._states[stream]
            self._states[stream] = state._replace(policy=dealt(state.policy, [deal]))
        device = self._devices[stream]
        arguments = jax.device_put(given, device)
        self._states[stream], result = segment_frame(
            self._params[device], self._states[stream], *arguments, config=self._config,
            audit=self._asked.audit, every_score=self._asked.every_score,
        )  # fmt: skip
        return _of(jax.device_get(result), 0)

    def _wait(self, running: list[Future[Result] | None], dispatched: float) -> Stepped:
        wait([each for each in running if each])
        begun, self._ready = max(dispatched, self._ready), time.perf_counter()
        return Stepped([each.result() if each else None for each in running], self._ready - begun)

    def close(self) -> None:
        self._waiter.shutdown()
        self._pool.shutdown()


def choose(stepping: Stepping, devices: Sequence[Any]) -> type[Together] | type[Apart]:
    """How to step on these devices."""
    if stepping == "auto":
        stepping = "apart" if devices[0].platform == "cpu" else "together"
    return Apart if stepping == "apart" else Together


def unknown_motion(config: DVSNetConfig, streams: int, size: tuple[int, ...]) -> FrameMotion | None:
    """Motion that nothing is known of, for frames of this size (height, width, …), writable; None where the
    configuration takes none."""
    if not config.takes_motion:
        return None
    return FrameMotion(*(np.repeat(values, streams, 0) for values in for_step(None, size[0], size[1])))


def _rows(leaf: np.ndarray, stream: int, streams: int) -> np.ndarray:
    """What is of one stream in a leaf of all streams' state."""
    count = len(leaf) // streams
    return leaf[stream * count : (stream + 1) * count]


def _put_rows(leaf: np.ndarray, own: np.ndarray, *, stream: int, streams: int) -> None:
    _rows(leaf, stream, streams)[:] = own


def _alone(values: np.ndarray, stream: int) -> np.ndarray:
    return values[stream : stream + 1]


def _of(result: Result, stream: int) -> Result:
    kind: Any = type(result)
    return kind(*(None if values is None else values[stream] for values in result))


@cache
def _sharded(mesh: Mesh, asked: Asked) -> Any:
    """`segment_frame` with its streams dealt out over the mesh, jitted: `(params, state, frames, restart, motion,
    config)`."""

    def step(
        params: Any, state: VideoState, frames: Any, restart: Any, motion: Any, config: DVSNetConfig
    ) -> tuple[VideoState, Result]:
        return segment_frame(
            params, state, frames, restart, motion, config=config,
            audit=asked.audit, every_score=asked.every_score,
        )  # fmt: skip

    by_stream = PartitionSpec("streams")
    return dealt_out(step, mesh, state=by_stream, frames=by_stream)
