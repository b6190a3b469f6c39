"""A source's frames with their labels, in a loop of one's own."""

from __future__ import annotations

import threading
from contextlib import closing

import numpy as np
import pytest
from live_camera import Camera, grey
from tiny import TINY, tiny_params
from tiny_files import clip, compile_once, write_images  # noqa: F401

from dvsnet_jax import DynamicTarget, segment_frames
from dvsnet_jax.errors import InputError
from dvsnet_jax.inference.segment_source import Segmenter
from dvsnet_jax.media.live.source import LiveVideo
from dvsnet_jax.media.sources import open_source

pytestmark = pytest.mark.usefixtures("compile_once")
CONFIG = TINY.replace(policy=DynamicTarget(51.5, fall=0.2, rise=0.1))


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("dvsnet")]


@pytest.fixture
def source(tmp_path):
    write_images(tmp_path / "drive", clip(8))
    return open_source(tmp_path / "drive")


def test_frames_come_in_order_with_what_the_step_gives(source):
    step = Segmenter(tiny_params(), CONFIG)
    results = list(segment_frames(source, step))
    assert [result.frame.index for result in results] == list(range(8))
    state, own = step.start(64, 96)
    for result, image in zip(results, clip(8), strict=True):
        state, expected = own(step.params, state, image[None])
        np.testing.assert_array_equal(result.labels, expected.labels[0])
        np.testing.assert_array_equal(result.scores, expected.scores[0])
        np.testing.assert_array_equal(result.segmented, expected.segmented[0])
        np.testing.assert_array_equal(result.frame.image, image)
        assert result.record["frame"] == result.frame.index
    assert (results[0].ages == 0).all() and max(result.ages.max() for result in results) > 0
    assert not threads()


def test_arrays_are_the_loop_s_own(source):
    """They may be written into, and what is written is nobody else's."""
    step = Segmenter(tiny_params(), CONFIG, every_score=True)
    expected = [result.ages.copy() for result in segment_frames(source, step)]
    with closing(segment_frames(source, step)) as frames:
        for result, ages in zip(frames, expected, strict=True):
            np.testing.assert_array_equal(result.ages, ages)
            for array in result:
                if isinstance(array, np.ndarray):
                    array[:] = 7


def test_a_path_or_no_frame_at_all_is_told_before_anything_is_opened(source, tmp_path):
    step = Segmenter(tiny_params(), CONFIG)
    with pytest.raises(TypeError, match="open_source"):
        list(segment_frames(str(tmp_path / "drive"), step))  # type: ignore[arg-type]
    for count in (0, -1):
        with pytest.raises(ValueError, match=f"num_frames is {count}, but it counts frames: 1 or more"):
            list(segment_frames(source, step, num_frames=count))


def test_a_loop_may_be_left(source):
    with closing(segment_frames(source, Segmenter(tiny_params(), CONFIG))) as frames:
        next(frames)
    assert not threads()


def test_what_goes_wrong_comes_after_the_frames_before_it(source, tmp_path):
    (tmp_path / "drive" / "street_004.png").write_bytes(b"no picture")
    seen = []
    with pytest.raises(InputError, match=r"street_004\.png"):
        for result in segment_frames(source, Segmenter(tiny_params(), CONFIG)):
            seen.append(result.frame.index)
    assert seen == [0, 1, 2, 3] and not threads()
    passed = list(segment_frames(source, Segmenter(tiny_params(), CONFIG), skip_unreadable=True))
    assert len(passed) == 7


def test_of_a_camera_the_newest_frame_comes():
    camera = Camera()
    try:
        camera.show(0)
        source = LiveVideo("yard", camera.url)
        with closing(segment_frames(source, Segmenter(tiny_params(), CONFIG))) as frames:
            assert next(frames).frame.index == 0
            camera.show(*range(1, 20))
            last = 0
            while last < 19:
                last = (result := next(frames)).frame.index
            assert result.record["live"]["lag"] >= 0
        counts = source.tally.now
        assert counts.came == 20 and counts.done >= 2
        assert grey(0).shape == result.frame.image.shape
    finally:
        camera.close()
