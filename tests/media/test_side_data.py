"""Frames of a video are let go of, also those that were asked what came with them."""

from __future__ import annotations

import gc

import av
import numpy as np
import pytest

from dvsnet_jax.media.motion.painting import vectors_of
from dvsnet_jax.media.reading.side_data import side_data
from dvsnet_jax.media.video_reader import decode_frames
from dvsnet_jax.media.video_writer import VideoWriter


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "drive.mp4"
    with VideoWriter(path, frame_rate=25, options={"preset": "ultrafast"}) as file:
        for number in range(300):
            file.write(np.roll(np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (1, 64, 3)), number, 0))
    return path


def alive() -> int:
    # By type: isinstance asks each object for its class, and deprecated ones of other libraries answer with a warning.
    return sum(issubclass(type(each), av.VideoFrame) for each in gc.get_objects())


@pytest.mark.parametrize("vectors", [False, True])
def test_frames_are_let_go_of(video, vectors):
    gc.collect()
    gc.disable()  # as in a process so large that the collector hardly ever goes through everything
    try:
        before, seen = alive(), []  # other tests of this process may hold some
        for number, picture in enumerate(decode_frames(str(video), vectors=vectors)):
            if vectors:
                vectors_of(picture)
            if number % 60 == 59:
                seen.append(alive() - before)
        assert len(seen) == 5 and max(seen) < (150 if vectors else 20), seen
    finally:
        gc.enable()


def test_side_data_is_what_the_frame_has(video):
    frames = list(decode_frames(str(video), vectors=True))
    assert side_data(frames[0].stored, "DISPLAYMATRIX") is None
    assert len(side_data(frames[1].stored, "MOTION_VECTORS").to_ndarray()) > 0
