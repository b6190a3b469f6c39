"""Motion that is searched for: what DIS and the encoder find, and where they say that nothing is known."""

from __future__ import annotations

import sys
from contextlib import closing

import numpy as np
import pytest
from motion_files import inner_error, moving, picture, write
from tiny_files import write_images

from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_motion import motion_shape
from dvsnet_jax.media.live.source import LiveVideo
from dvsnet_jax.media.motion.attached import with_motion
from dvsnet_jax.media.motion.dis import DisMotion
from dvsnet_jax.media.motion.encoder import EncoderMotion
from dvsnet_jax.media.motion.field import Motion, compose
from dvsnet_jax.media.motion.following import Follower
from dvsnet_jax.media.motion.likeness import grey
from dvsnet_jax.media.sources import open_source

ESTIMATORS = pytest.mark.parametrize("estimator", [DisMotion, EncoderMotion])
FRAMES = moving(6)


def followed(estimator, frames) -> list[Motion | None]:
    follower = Follower(estimator())
    return [follower.step(frame) for frame in frames]


def known(motions) -> list[bool]:
    return [motion is not None for motion in motions]


@ESTIMATORS
@pytest.mark.parametrize("size", [(144, 240), (131, 181), (760, 760)], ids=str)  # the last is looked at at half size
def test_a_known_motion_is_found(estimator, size):
    frames = moving(4, *size)
    motions = followed(estimator, frames)
    assert known(motions) == [False, True, True, True]
    for motion in motions[1:]:
        assert motion.flow.shape == (*motion_shape(*size), 2) and motion.trust.shape == motion_shape(*size)
        assert motion.flow.dtype == motion.trust.dtype == np.float32
        assert inner_error(motion) < 0.5
        assert motion.trust.min() >= 0 and motion.trust.max() <= 1 and motion.trust.mean() > 0.7


def test_the_work_pictures_have_whole_cells_and_few_pixels():
    image = np.random.default_rng(0).integers(0, 256, (1030, 2050, 3), np.uint8)
    small = grey(image)
    assert small.cells.shape == motion_shape(1030, 2050) == (129, 257)
    assert small.fine.shape == (129 * 2, 257 * 2) and small.scale == 4
    assert small.coarse.shape == (129, 257)  # no fewer than cells
    block = image[800:808, 160:168, 1]
    assert small.cells[100, 20] == pytest.approx(block.mean(), abs=0.9)  # rounded on the way
    middle = grey(image[:360, :480])
    assert middle.fine.shape == (360, 480) and middle.coarse.shape == (90, 120)
    assert middle.cells[20, 10] == pytest.approx(image[160:168, 80:88, 1].mean(), abs=0.6)


@ESTIMATORS
def test_at_a_cut_nothing_is_known_and_after_it_all_is(estimator):
    after = moving(4, seed=1)
    motions = followed(estimator, [*FRAMES[:3], *after])
    assert known(motions) == [False, True, True, False, True, True, True]
    assert inner_error(motions[-1]) < 0.5


@ESTIMATORS
def test_a_still_picture_has_no_motion(estimator):
    motion = followed(estimator, [FRAMES[0], FRAMES[0]])[1]
    assert np.abs(motion.flow).max() < 0.02 and motion.trust.min() > 0.99


@ESTIMATORS
def test_after_an_unreadable_frame_nothing_is_known(estimator):
    motions = followed(estimator, [*FRAMES[:2], None, *FRAMES[2:]])
    assert known(motions) == [False, True, False, False, True, True, True]
    assert inner_error(motions[4]) < 0.5


@ESTIMATORS
def test_a_frame_of_another_size_begins_anew(estimator):
    motions = followed(estimator, [*FRAMES[:2], *moving(2, 96, 120), *FRAMES[2:]])
    assert known(motions) == [False, True, False, True, False, True, True, True]
    assert motions[3].trust.shape == motion_shape(96, 120)
    assert inner_error(motions[-1]) < 0.5


@ESTIMATORS
def test_something_that_appears_is_not_trusted(estimator):
    frames = FRAMES[:3].copy()
    frames[2, 48:96, 80:160] = picture(48, 80, seed=5)
    motion = followed(estimator, frames)[2]
    assert motion.trust[7:11, 11:19].mean() < 0.4 < 0.7 < motion.trust[:, 22:].mean()


@ESTIMATORS
def test_the_same_frames_give_the_same_motion(estimator):
    first, second = followed(estimator, FRAMES), followed(estimator, FRAMES)
    for one, other in zip(first[1:], second[1:], strict=True):
        np.testing.assert_array_equal(one.flow, other.flow)
        np.testing.assert_array_equal(one.trust, other.trust)


def test_composed_motions_lead_over_two_frames():
    rows, columns = 12, 20
    ramp = np.arange(columns, dtype=np.float32)[None].repeat(rows, 0)
    earlier = Motion(np.stack([ramp / 10, 0 * ramp], -1), np.full((rows, columns), 0.5, np.float32))
    later = Motion(np.full((rows, columns, 2), (2, -1), np.float32), np.full((rows, columns), 0.8, np.float32))
    both = compose(later, earlier)
    np.testing.assert_allclose(both.flow[5, 4], (2 + 0.6, -1), rtol=1e-6)
    np.testing.assert_allclose(both.flow[5, 19], (2 + 1.9, -1), rtol=1e-6)  # past the edge: the edge's
    np.testing.assert_allclose(both.trust, 0.4, rtol=1e-6)
    assert compose(None, earlier) is None and compose(later, None) is None


def test_images_go_along_with_their_motion(tmp_path):
    paths = write_images(tmp_path / "street", FRAMES)
    paths[3].write_bytes(b"no image")
    source = open_source(tmp_path / "street")
    for kind in ("dis", "encoder"):
        with closing(with_motion(source, kind)) as pairs:
            frames, motions = zip(*pairs, strict=True)
        assert [frame.index for frame in frames] == list(range(6)) and frames[3].image is None
        np.testing.assert_array_equal(frames[5].image, FRAMES[5])
        assert known(motions) == [False, True, True, False, False, True]
    with pytest.raises(InputError, match="street: images have no motion vectors of their own; take 'dis' or 'encoder'"):
        with_motion(source, "codec")
    with pytest.raises(InputError, match=r"yard: a live source leaves frames out, .* take 'dis' or 'encoder'"):
        with_motion(LiveVideo("yard", "rtsp://yard/1"), "codec")


@pytest.mark.parametrize("kind", ["dis", "encoder"])
def test_without_opencv_there_is_a_clear_error(tmp_path, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "cv2", None)
    source = open_source(write_images(tmp_path / "street", FRAMES[:1])[0])
    with pytest.raises(InputError, match="needs OpenCV"), closing(with_motion(source, kind)) as frames:
        next(frames)


def test_closing_stops_the_threads(tmp_path):
    source = open_source(write(tmp_path / "a.mp4", FRAMES))
    pairs = with_motion(source, "dis")
    next(pairs)
    pairs.close()
    with pytest.raises(StopIteration):
        next(pairs)
