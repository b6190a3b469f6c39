"""The motion that a video file holds: right for every way of coding, or said to be unknown."""

from __future__ import annotations

from contextlib import closing

import av
import numpy as np
import pytest
from motion_files import inner_error, moving, write

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import UnreadableFrame
from dvsnet_jax.media.motion import codec as codec_module
from dvsnet_jax.media.motion.attached import with_motion
from dvsnet_jax.media.motion.codec import coded_frames
from dvsnet_jax.media.motion.encoder import EncoderMotion
from dvsnet_jax.media.motion.inspection import inspect
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.media.video_reader import decode_video

FRAMES = moving(18)
PLAIN = {"bf": 0, "refs": 1}


def known(motions) -> list[bool]:
    return [motion is not None for motion in motions]


def motions_of(path: str, otherwise=None) -> list:
    return [frame.motion for frame in coded_frames(path, otherwise)]


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", PLAIN),
        ("libx264", {}),  # B frames, B pyramid, three references, weighted prediction
        ("libx264", {"x264_params": "bframes=2:b-pyramid=none:b-adapt=0"}),
        ("libx264", {"x264_params": "bframes=5:b-adapt=0:b-pyramid=normal"}),
        ("libx264", {"bf": 0, "refs": 5, "preset": "slow"}),
        ("libx264", {"bf": 0, "slices": 4}),
        ("libx264", {"preset": "ultrafast"}),
        ("mpeg4", {"b": 4_000_000}),
        ("mpeg2video", {"b": 4_000_000, "bf": 2}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(f"{k}={v}" for k, v in value.items()) or "default",
)
def test_a_known_motion_comes_out(tmp_path, codec, options):
    path = write(tmp_path / "a.mkv", FRAMES, codec, g=250, **options)
    images, motions, *_ = zip(*coded_frames(path, EncoderMotion()), strict=True)
    np.testing.assert_array_equal(images, list(decode_video(path)))
    assert known(motions) == [False] + [True] * 17
    assert max(inner_error(motion) for motion in motions[1:]) < 0.6
    assert inspect(path).usable


def test_a_side_that_16_does_not_divide(tmp_path):
    path = write(tmp_path / "a.mp4", moving(8, 122, 202))
    motions = motions_of(path)
    assert known(motions) == [False] + [True] * 7
    assert {motion.flow.shape for motion in motions[1:]} == {(16, 26, 2)}
    assert max(inner_error(motion) for motion in motions[1:]) < 0.5


def test_an_intra_frame_is_bridged(tmp_path):
    path = write(tmp_path / "a.mp4", FRAMES, **PLAIN, g=6)
    assert [index for index, motion in enumerate(motions_of(path)) if motion is None] == [0, 6, 12]
    bridged = motions_of(path, EncoderMotion())
    assert known(bridged) == [False] + [True] * 17 and inner_error(bridged[6]) < 0.5


@pytest.mark.parametrize("options", [PLAIN, {}], ids=["plain", "default"])
def test_at_a_cut_nothing_is_known(tmp_path, options):
    path = write(tmp_path / "a.mp4", np.concatenate([FRAMES[:9], moving(9, seed=1)]), **options)
    motions = motions_of(path, EncoderMotion())
    assert known(motions) == [False] + [True] * 8 + [False] + [True] * 8
    assert max(inner_error(motion) for motion in motions if motion is not None) < 0.5


def test_two_passes_give_the_same(tmp_path):
    path = write(tmp_path / "a.mp4", FRAMES)
    for one, other in zip(motions_of(path)[1:], motions_of(path)[1:], strict=True):
        np.testing.assert_array_equal(one.flow, other.flow)
        np.testing.assert_array_equal(one.trust, other.trust)


@pytest.mark.parametrize("options", [PLAIN, {}], ids=["plain", "default"])
def test_after_a_damaged_frame_nothing_is_known(tmp_path, options):
    path = tmp_path / "a.mp4"
    write(path, FRAMES, **options)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    place, size = places[9]
    content = bytearray(path.read_bytes())
    content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    images, motions, *_ = zip(*coded_frames(str(path), EncoderMotion()), strict=True)
    lost = [index for index, image in enumerate(images) if isinstance(image, UnreadableFrame)]
    assert lost and [str(image) for image in decode_video(str(path)) if isinstance(image, UnreadableFrame)] == [
        str(images[index]) for index in lost
    ]
    for index in lost:
        assert motions[index] is None and (index + 1 == len(motions) or motions[index + 1] is None)
    assert sum(known(motions)) >= 5


@pytest.mark.parametrize(
    ("name", "codec", "options", "usable", "reason"),
    [
        ("a.mp4", "libx264", PLAIN, True, "vectors from frame to frame (h264), and they fit"),
        ("a.mp4", "libx264", {}, True, "B frames (h264)"),
        ("a.mp4", "libx264", {"x264_params": "interlaced=1"}, False, "coded in fields"),
        ("a.mp4", "libx264", {"g": 1}, False, "no vectors come with its first frames (h264)"),
        ("a.mp4", "libx265", {"x265_params": "log-level=none"}, False, "no vectors come with its first frames (hevc)"),
        (
            "a.webm",
            "libvpx-vp9",
            {"deadline": "realtime", "cpu-used": 8},
            False,
            "no vectors come with its first frames",
        ),
        # In MPEG-4's B frames FFmpeg reports blocks of direct mode as still.
        ("a.mkv", "mpeg4", {"b": 4_000_000, "bf": 2}, False, "the pictures contradict its vectors (mpeg4)"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*is interlaced")
def test_which_files_vectors_will_do_and_why(tmp_path, name, codec, options, usable, reason):
    path = write(tmp_path / name, FRAMES, codec, **options)
    source, found = open_source(path), inspect(path)
    assert found.usable == usable and reason in found.reason
    if not usable:
        with pytest.raises(InputError, match=f"{name}: its motion vectors will not do, .*; take 'dis' or 'encoder'"):
            with_motion(source, "codec")


def test_vectors_that_the_pictures_contradict_will_not_do(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", moving(8), **PLAIN)
    vectors_of = codec_module.vectors_of

    def wrong(frame):
        vectors = vectors_of(frame)
        return vectors and vectors._replace(to=vectors.to * -4)

    monkeypatch.setattr(codec_module, "vectors_of", wrong)
    assert not any(known(motions_of(path)))
    assert inspect(path) == (False, "the pictures contradict its vectors (h264)")
    repaired = motions_of(path, EncoderMotion())
    assert known(repaired) == [False] + [True] * 7 and inner_error(repaired[3]) < 0.5


def test_a_video_goes_along_with_its_motion(tmp_path):
    source = open_source(write(tmp_path / "a.mp4", FRAMES))
    with closing(source.frames()) as frames:
        plain = list(frames)
    for kind in ("codec", "dis", "encoder"):
        with closing(with_motion(source, kind)) as pairs:
            frames, motions = zip(*pairs, strict=True)
        assert [(frame.index, frame.name, frame.where) for frame in frames] == [
            (frame.index, frame.name, frame.where) for frame in plain
        ]
        np.testing.assert_array_equal([frame.image for frame in frames], [frame.image for frame in plain])
        assert known(motions) == [False] + [True] * 17
        assert max(inner_error(motion) for motion in motions[1:]) < 0.6
