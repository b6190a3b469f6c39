"""Videos and folders as clips without labels: any length, damaged or not, in bounded memory."""

from __future__ import annotations

import tracemalloc
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import encode, frames_of
from tiny_files import clip, cut, write_images, write_video

from dvsnet_jax.datasets import unlabelled
from dvsnet_jax.datasets.augment.key_pairs import draw_key_pair
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
from dvsnet_jax.datasets.clips import Part, Places, clip_set, clip_sets
from dvsnet_jax.datasets.flow.flying import FlyingPairs
from dvsnet_jax.datasets.labelled_sets import labelled_set
from dvsnet_jax.datasets.unlabelled import KeptFrames, UnlabelledClip
from dvsnet_jax.errors import DamagedInput, InputError
from dvsnet_jax.evaluation.clips.sources import evaluated_clips
from dvsnet_jax.media import numbered_frames
from dvsnet_jax.media.images import UnreadableFrame, write_png
from dvsnet_jax.media.reading.opened import Reading
from dvsnet_jax.media.video_reader import decode_video
from dvsnet_jax.training.decision.clip_pairs import clip_pairs

FRAME = 64 * 96 * 3  # bytes of one


@pytest.fixture
def small_memory(monkeypatch):
    """Four frames may be kept, and two of a video are read together."""
    monkeypatch.setattr(unlabelled._KEPT, "most_bytes", unlabelled._KEPT.bytes + 4 * FRAME)
    monkeypatch.setattr(numbered_frames, "_BLOCK", 2)


def with_hole(path, frames=40):
    """A video with a frame in it that cannot be decoded, a B frame, which no other leans on; its number."""
    write_video(path, clip(frames))
    with av.open(str(path)) as container:
        packets = [(packet.pts, packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    number = next(i for i in range(20, frames) if packets[i][0] > packets[i + 1][0])
    _, place, size = packets[number]
    content = bytearray(path.read_bytes())
    content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    return [i for i, frame in enumerate(decode_video(str(path))) if isinstance(frame, UnreadableFrame)]


@pytest.mark.parametrize("kind", ["frames", "video"])
def test_frames_of_another_size_make_no_pairs(tmp_path, kind):
    """As in a folder of unlike pictures, or a video whose size changes: two of them cannot be held against each other,
    and training would have ended there, hours later."""
    frames, larger = clip(6), clip(6).repeat(2, 1).repeat(2, 2)
    if kind == "frames":
        place = tmp_path / "drive"
        write_images(place, frames[:4])
        for number in (4, 5):
            write_png(place / f"z{number}.png", larger[number])
    else:  # two streams, one after the other
        place = tmp_path / "drive.h264"
        parts = [encode(tmp_path / f"{n}.h264", each, g=1) for n, each in enumerate((frames[:4], larger[4:]))]
        place.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.warns(
        DamagedInput, match=r"2 of its 6 frames .*\(frames 4, 5; .*: is 128×192, but the first .* 64×96\)"
    ):
        [found] = clip_set(f"{kind}:{place}")
    assert len(found) == 6 and found[3].image.shape == (64, 96, 3)
    assert {place.position for place in Places([found], (1, 3))} == {0, 1, 2, 3}
    with pytest.raises(UnreadableFrame, match="is 128×192, but the first frame is 64×96"):
        found[4]
    [pictures] = clip_sets([f"{kind}:{place}"], one_size=False)  # as for pairs of one picture
    assert pictures[4].image.shape == (128, 192, 3)


def test_every_frame_of_a_video_longer_than_memory_is_there(tmp_path, small_memory):
    path = write_video(tmp_path / "drive.mp4", clip(60))
    whole = list(decode_video(str(path)))
    [video] = clip_set(f"video:{path}")
    assert len(video) == 60  # in place of every second window of 30, once 30 were too many
    for number in np.random.default_rng(0).permutation(60).tolist():
        np.testing.assert_array_equal(video[number].image, whole[number])
    assert (video[59].labels == 255).all()
    assert unlabelled._KEPT.bytes <= unlabelled._KEPT.most_bytes


def test_colours_are_by_the_matrix_that_the_spec_names(tmp_path, small_memory):
    """When it is gone through, after a seek, and in a folder of clips to evaluate; what names its matrix keeps that."""
    (tmp_path / "clips").mkdir()
    path = encode(tmp_path / "clips" / "a.mp4", [frame for frame in clip(12)], g=4)
    own, other = ([frame.image for frame in frames_of(path, Reading(matrix=matrix))] for matrix in (None, "bt709"))
    assert np.abs(own[0].astype(int) - other[0]).max() > 5
    for spec, wanted in ((f"video:{path}", own), (f"video:{path}@bt601", own), (f"video:{path}@bt709", other)):
        [video] = clip_set(spec)
        for number in (0, 11, 3, 7):
            np.testing.assert_array_equal(video[number].image, wanted[number])
    [half] = clip_set(f"video:{path}@bt709@0.5")
    [same] = clip_set(f"video:{path}@0.5@bt709")
    np.testing.assert_array_equal(half[0].image, same[0].image)
    assert half[0].image.shape == (32, 48, 3)
    [named] = evaluated_clips([f"clips:{tmp_path / 'clips'}@bt709"])
    for sample, wanted in zip(named.frames, other, strict=True):
        np.testing.assert_array_equal(sample.image, wanted)
    for refused in (f"frames:{tmp_path}@bt709", "camvid:x:val@bt601@0.5"):
        with pytest.raises(InputError, match=r"says how the colours of videos are read, and .* has none here"):
            clip_set(refused)
    with pytest.raises(InputError, match="camvid has none here"):
        labelled_set("camvid:x:val@bt601")
    with pytest.raises(InputError, match="'bt602' is no number"):
        clip_set(f"video:{path}@bt602")


def test_a_video_that_does_not_tell_its_length_is_not_held_whole(tmp_path, monkeypatch):
    class Frame:  # PyAV's are not seen by tracemalloc
        key_frame, size = True, (256, 256)

        def __init__(self, pts):
            self.pts = pts

        def to_ndarray(self, format):
            return np.zeros((256, 256, 3), np.uint8)

    path = write_video(tmp_path / "drive.ts", clip(2))
    monkeypatch.setattr(numbered_frames, "decode_frames", lambda path, **_: map(Frame, range(500)))
    monkeypatch.setattr(unlabelled._KEPT, "most_bytes", unlabelled._KEPT.bytes + 10 * 256 * 256 * 3)
    tracemalloc.start()
    [video] = clip_set(f"video:{path}")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(video) == 500 and 10 * 256 * 256 * 3 < most < 20 * 256 * 256 * 3


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"g": "12", "x264-params": "open-gop=1"}),
        ("a.mkv", "libx264", {"g": "250"}),
        ("a.ts", "libx264", {"g": "10"}),
        ("a.avi", "mpeg4", {"g": "12", "bf": "2"}),
        ("a.avi", "libx264", {"g": "12", "bf": "0"}),
        ("a.webm", "libvpx", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10"}),
        ("a.mpg", "mpeg2video", {"g": "12", "bf": "2"}),
        ("a.h264", "libx264", {"g": "10"}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*no times to find them by")
def test_frames_found_by_seeking_are_those_of_reading_on(tmp_path, small_memory, monkeypatch, name, codec, options):
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for frame in clip(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    whole = list(decode_video(str(tmp_path / name)))
    video = UnlabelledClip(str(tmp_path / name))
    assert len(video) == len(whole) and not video.unreadable
    if name not in ("a.h264", "a.mkv"):  # from the beginning only where that is not far; one key frame, and no times
        real = numbered_frames.decode_frames
        monkeypatch.setattr(numbered_frames, "decode_frames", lambda path, **_: islice(real(path), 14))
    for number in np.random.default_rng(1).permutation(len(whole)).tolist():
        np.testing.assert_array_equal(video[number].image, whole[number])


def test_a_seek_decodes_from_the_key_frame_alone(tmp_path, small_memory, monkeypatch):
    video = UnlabelledClip(str(write_video(tmp_path / "drive.mp4", clip(60))))  # one key frame in ten
    decoded = []
    real = numbered_frames.decode_from

    def counting(path, time, **how):
        for frame in real(path, time, **how):
            decoded.append(frame)
            yield frame

    monkeypatch.setattr(numbered_frames, "decode_from", counting)
    monkeypatch.setattr(numbered_frames, "decode_frames", lambda path, **_: pytest.fail("from the beginning"))
    video[57]
    assert 0 < len(decoded) <= 10


def test_frames_without_times_are_told_and_found_all_the_same(tmp_path, small_memory):
    path = write_video(tmp_path / "a.h264", clip(20), format="h264")
    whole = list(decode_video(str(path)))
    with pytest.warns(DamagedInput, match=r"a\.h264: .*no times to find them by.*ffmpeg"):
        video = UnlabelledClip(str(path))
    for number in (17, 3):
        np.testing.assert_array_equal(video[number].image, whole[number])


def test_unreadable_frames_keep_their_place_and_are_told(tmp_path):
    lost = with_hole(tmp_path / "drive.mp4")
    whole = list(decode_video(str(tmp_path / "drive.mp4")))
    with pytest.warns(DamagedInput, match=rf"drive\.mp4: {len(lost)} of its 40 frames .*frames {lost[0]}"):
        [video] = clip_set(f"video:{tmp_path / 'drive.mp4'}")
    assert len(video) == 40 and list(video.unreadable) == lost
    np.testing.assert_array_equal(video[lost[-1] + 1].image, whole[lost[-1] + 1])
    with pytest.raises(UnreadableFrame, match=f"frame {lost[0]} "):
        video[lost[0]]


def test_an_image_that_cannot_be_read_keeps_its_place_too(tmp_path):
    frames = clip(6)
    cut(write_images(tmp_path / "images", frames)[2], 0.5)
    with pytest.warns(DamagedInput, match=r"images: 1 of its 6 frames .*street_002\.png"):
        [images] = clip_set(f"frames:{tmp_path / 'images'}")
    assert len(images) == 6 and (images[4].image == frames[4]).all()


def numbered(tmp_path, lost, count=12):
    """A folder of pictures that tell their number, some of them damaged, as a clip."""
    frames = np.stack([np.full((64, 96, 3), 10 * n, np.uint8) for n in range(count)])
    paths = write_images(tmp_path / "numbered", frames)
    for number in lost:
        cut(paths[number], 0.3)
    with pytest.warns(DamagedInput):
        return UnlabelledClip(str(tmp_path / "numbered"))


def test_no_pair_touches_an_unreadable_frame_and_distances_are_true(tmp_path):
    video = numbered(tmp_path, lost := {3, 4, 8})
    plain = LabelledAugmentation(crop=(64, 96), scale=(1, 1), stretch=0, flip=0)
    plain = LabelledAugmentation(crop=(64, 96), scale=(1, 1), stretch=0, flip=0, color=plain.color.scaled(0))
    places = Places([video, Part(video, 2, 9)], (1, 3))
    assert {places[i].position for i in range(len(places))} >= {0, 1, 2, 5, 6, 7, 9, 10, 11}
    for index in range(len(places)):
        place = places[index]
        for seed in range(8):
            pair = draw_key_pair(place, np.random.default_rng(seed), plain, distances=(1, 3))
            key, current = (int(image[0, 0, 0]) // 10 for image in (pair.key, pair.current))
            assert not {key, current} & lost
            assert key == current or 1 <= current - key <= 3 or place.position == 0
    pairs, read = clip_pairs([video], 200, (1, 3), seed=0)
    for pair in pairs:
        numbers = [int(path.name) for path in (pair.key, pair.current)]
        assert [int(image[0, 0, 0]) // 10 for image in read(pair)[:2]] == numbers
        assert not {*numbers} & lost and (1 <= numbers[1] - numbers[0] <= 3)
    flying = FlyingPairs(1, 64, 96, seed=0, pictures=[video])
    assert sorted(index for _, index in flying._places) == [n for n in range(12) if n not in lost]


def test_a_clip_of_which_no_pair_is_left_is_refused(tmp_path):
    video = numbered(tmp_path, {1, 3}, count=4)
    with pytest.raises(InputError, match="none of 1 clips has two frames"):
        clip_pairs([Part(video, 1, 2)], 3, (1, 1), seed=0)
    with pytest.raises(InputError, match="none of 1 clips has two frames"):
        Places([Part(video, 1, 2)], (1, 1))
    alone, two = [video[0]], [video[0], video[2]]
    with pytest.raises(InputError, match="none of 1 clips has two frames"):
        clip_pairs([alone], 3, (1, 4), seed=0)  # one that is its own key frame always agrees
    assert {pair.current for pair in clip_pairs([alone, two], 20, (1, 4), seed=0)[0]} == {Path("1/1")}
    assert clip_pairs([alone], 1, (0, 4), seed=0)[0][0][:2] == (Path("0/0"), Path("0/0"))


def test_what_cannot_be_a_clip_is_refused(tmp_path):
    with pytest.raises(InputError, match="record it first"):
        clip_set("video:rtsp://camera/1")
    cut(write_images(tmp_path, clip(1))[0], 0.3)
    with pytest.raises(InputError, match="none of its 1 frames can be read"):
        clip_set(f"frames:{tmp_path}")


def test_kept_frames_are_the_last_ones_wanted():
    kept = KeptFrames(3 * 10)
    for number in range(3):
        kept.put(0, number, np.full(10, number, np.uint8))
    kept.get(0, 0)
    kept.put(1, 0, np.zeros(10, np.uint8))
    assert [kept.get(0, number) is not None for number in range(3)] == [True, False, True] and kept.bytes == 30


def test_images_past_what_is_kept_are_read_anew(tmp_path, small_memory):
    write_images(tmp_path / "images", frames := clip(8))
    images = UnlabelledClip(str(tmp_path / "images"))
    for number in (7, 0, 5):
        np.testing.assert_array_equal(images[number].image, frames[number])


def test_a_video_that_was_changed_since_is_told(tmp_path, small_memory):
    video = UnlabelledClip(str(write_video(tmp_path / "drive.mp4", clip(40))))
    write_video(tmp_path / "drive.mp4", clip(20))
    with pytest.raises(UnreadableFrame, match=r"drive\.mp4: frame 39 cannot be read again; did the file change\?"):
        video[39]
