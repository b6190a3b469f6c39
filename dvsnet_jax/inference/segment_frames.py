"""A source's frames with their labels, one after the other, for a loop of your own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import Any, cast

from dvsnet_jax.inference.segment_source import segment_source
from dvsnet_jax.inference.segmented import Segmented
from dvsnet_jax.inference.segmenter import FrameStep
from dvsnet_jax.media.live.source import LiveVideo
from dvsnet_jax.media.motion.attached import Kind
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import Source

_AHEAD = 2  # frames that wait to be asked for
_END = object()


class _NoFiles:
    """An output that keeps nothing."""

    films = False

    def write_images(self, name: str, labels: Any) -> None:
        pass

    def log(self, record: Any) -> None:
        pass

    def close(self) -> None:
        pass


def segment_frames(
    source: Source,
    segmenter: FrameStep,
    *,
    motion: Kind | None = None,
    skip_unreadable: bool = False,
    num_frames: int | None = None,
) -> Generator[Segmented]:
    """Every frame of `source` with its labels, in order, as `segment_source` would write them; nothing is written.

        with contextlib.closing(segment_frames(open_source("drive.mp4"), segmenter)) as frames:
            for frame in frames:
                print(frame.frame.name, frame.labels.shape, frame.segmented.mean())

    A thread works up to two frames ahead of the loop, and waits for it; of a `LiveVideo` not one, so that each frame is
    as new as it can be. Leaving the loop, or closing the generator, ends it in good order.

    Args and errors are `segment_source`'s. What goes wrong is raised after the frames before it.
    """
    ahead = 1 if isinstance(source, LiveVideo) else _AHEAD
    room: queue.Queue[Any] = queue.Queue(ahead)
    stop = threading.Event()
    failed: list[BaseException] = []

    def give(segmented: Segmented | object) -> None:
        while not stop.is_set():
            try:
                return room.put(segmented, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            segment_source(
                source,
                segmenter,
                cast(OutputFolder, _NoFiles()),
                motion=motion,
                skip_unreadable=skip_unreadable,
                num_frames=num_frames,
                stop=stop,
                on_frame=give,
            )
        except BaseException as error:
            failed.append(error)
        finally:
            give(_END)

    worker = threading.Thread(target=work, name="dvsnet-frames", daemon=True)
    worker.start()
    try:
        while (item := room.get()) is not _END:
            yield item
        if failed:
            raise failed[0]
    finally:
        stop.set()
        worker.join()
