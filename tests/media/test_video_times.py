"""When each frame is shown, which frames a file lacks, and what is said of a stream that ends."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from loopback_rtsp import camera
from made_videos import distance, encode, frames_of
from motion_files import moving

from dvsnet_jax.datasets.unlabelled import UnlabelledClip
from dvsnet_jax.errors import DamagedInput, InputError, InputNotice
from dvsnet_jax.media.images import MissingFrame
from dvsnet_jax.media.reading import opened
from dvsnet_jax.media.reading.packets import Packets
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.media.video_reader import decode_video, probe_video
from dvsnet_jax.media.video_writer import VideoWriter

FRAMES = moving(16, 96, 160)
UNEVEN = [3000 * i for i in range(8)] + [24000 + 45000 * i for i in range(8)]


def times(path) -> list[float | None]:
    return [frame.time for frame in frames_of(path)]


def packets_from(source, target, first, format):
    """Copies the packets of a video from one of them on."""
    with av.open(str(source)) as container, av.open(str(target), "w", format=format) as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for number, packet in enumerate(container.demux(video=0)):
            if number >= first and packet.size:
                packet.stream = stream
                output.mux(packet)
    return target


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_of_a_variable_rate_have_their_times(tmp_path, name):
    path = encode(tmp_path / name, FRAMES, time_base=Fraction(1, 90000), pts=UNEVEN, bf=2)
    assert times(path) == pytest.approx([pts / 90000 for pts in UNEVEN], abs=0.001)
    nearest = [np.argmin([distance(frame.image, truth) for truth in FRAMES]) for frame in frames_of(path)]
    assert nearest == list(range(16))  # each once, where FFmpeg's command would repeat some


def test_the_overlay_keeps_them(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", frame_rate=5.58) as video:
        for frame, pts in zip(FRAMES, UNEVEN, strict=True):
            video.write(frame, 1.4 + pts / 90000)
    assert times(tmp_path / "v.mp4") == pytest.approx([pts / 90000 for pts in UNEVEN], abs=0.0001)


def test_frames_without_a_time_or_with_an_earlier_one_follow_at_the_rate(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", frame_rate=20) as video:
        for frame, time in zip(FRAMES, (None, 7.0, None, 6.0, 7.5), strict=False):
            video.write(frame, time)
    assert times(tmp_path / "v.mp4") == pytest.approx([0, 0.05, 0.1, 0.15, 0.55])
    assert probe_video(str(tmp_path / "v.mp4"))[0] == 5


def test_times_before_zero_and_after_a_delay(tmp_path):
    early = encode(
        tmp_path / "a.mkv", FRAMES, pts=range(-3, 13), bf=0, container_options={"avoid_negative_ts": "disabled"}
    )
    with av.open(str(early)) as container:
        stored = [frame.time for frame in container.decode(video=0)]
    assert times(early) == stored
    late = encode(tmp_path / "a.mp4", FRAMES, pts=range(10, 26))  # an edit list with nothing at its beginning
    assert times(late) == pytest.approx([0.05 * i for i in range(10, 26)])


def test_what_an_edit_list_leaves_out_is_not_missed(tmp_path):
    """The first four frames are there, and not shown, as in a clip that a phone has trimmed."""
    path = encode(tmp_path / "a.mp4", FRAMES, bf=0)
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 4
    assert int.from_bytes(content[place + 4 : place + 8], "big") == 1  # one edit: duration, first moment
    content[place + 8 : place + 12] = (600).to_bytes(4, "big")
    with av.open(str(path)) as container:
        ticks = int(1 / container.streams.video[0].time_base)
    content[place + 12 : place + 16] = (ticks // 5).to_bytes(4, "big")
    path.write_bytes(content)
    frames = frames_of(path)
    assert not [frame.error for frame in frames if frame.error] and len(frames) == 12
    assert frames[0].time == pytest.approx(0) and distance(frames[0].image, FRAMES[4]) < 8


@pytest.mark.filterwarnings("ignore:.*begins between")
def test_a_recording_that_begins_between_key_frames(tmp_path):
    whole = encode(tmp_path / "whole.ts", FRAMES, g=8, bf=0)
    path = packets_from(whole, tmp_path / "a.ts", 3, "mpegts")
    with pytest.warns(InputNotice, match=r"a\.ts: begins between two key frames: .* 5 frames cannot be decoded"):
        frames = frames_of(path)
    assert [frame.name for frame in frames] == [f"frame_{i:06d}" for i in range(5, 13)]
    assert all(distance(frame.image, FRAMES[3 + frame.index]) < 8 for frame in frames)
    items = list(decode_video(str(path)))
    assert [isinstance(item, MissingFrame) for item in items] == 5 * [True] + 8 * [False]


@pytest.mark.filterwarnings("ignore:.*begins between")
def test_training_leaves_frames_out_that_are_not_there(tmp_path):
    whole = encode(tmp_path / "whole.ts", FRAMES, g=8, bf=0)
    path = packets_from(whole, tmp_path / "a.ts", 3, "mpegts")
    with pytest.warns(DamagedInput, match=r"5 of its 13 frames cannot be read"):
        clip = UnlabelledClip(str(path))
    assert [*clip.unreadable] == [0, 1, 2, 3, 4] and distance(clip[5].image, FRAMES[8]) < 8


@pytest.mark.parametrize(("codec", "pix_fmt"), [("mjpeg", "yuvj420p"), ("mpeg4", "yuv420p")])
def test_empty_chunks_of_an_avi_keep_their_numbers(tmp_path, codec, pix_fmt):
    pts = [*range(8), *range(11, 19)]
    path = encode(tmp_path / "a.avi", FRAMES, codec, pix_fmt=pix_fmt, pts=pts, time_base=Fraction(1, 20), b=4_000_000)
    with pytest.warns(InputNotice, match=r"a\.avi: has 3 frames without content"):
        frames = frames_of(path)
    assert [frame.index for frame in frames] == pts and not any(frame.error for frame in frames)
    assert [frame.time for frame in frames] == pytest.approx([0.05 * each for each in pts])
    assert open_source(path).count == 19


@pytest.mark.filterwarnings("ignore:.*marks .* as damaged")
def test_recordings_that_were_joined_go_on(tmp_path):
    """Their counters begin anew, and the last frames before it are marked as damaged that are not."""
    pts = [*range(8), *range(10, 18)]  # with a pause in it
    one = encode(tmp_path / "one.ts", FRAMES, pts=pts, g=8, bf=0)
    path = tmp_path / "a.ts"
    path.write_bytes(2 * one.read_bytes())
    frames = frames_of(path)
    assert not [frame.error for frame in frames if frame.error] and len(frames) == 32
    steps = [*np.diff(pts), 1, *np.diff(pts)]
    assert np.diff([frame.time for frame in frames]) == pytest.approx([0.05 * step for step in steps])
    assert all(distance(frame.image, FRAMES[frame.index % 16]) < 8 for frame in frames)


def test_a_transport_stream_that_lacks_data_is_told(tmp_path):
    path = encode(tmp_path / "a.ts", FRAMES, g=8, bf=0, crf=10)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 188 * 188
    del content[middle : middle + 3 * 188]
    path.write_bytes(content)
    with pytest.warns(InputNotice, match=r"a\.ts: marks 1 frame as damaged"):
        frames = frames_of(path)
    assert 8 < len(frames) < 16 and np.diff([frame.time for frame in frames]).max() > 0.1


def test_an_mp4_without_its_index_is_called_that(tmp_path):
    path = encode(tmp_path / "a.mp4", FRAMES)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"a\.mp4: cannot be opened .*an MP4 without its index .*untrunc"):
        frames_of(path)


def test_a_camera_that_udp_does_not_reach_is_asked_for_tcp():
    with camera(FRAMES) as address:
        frames = frames_of(address)
    assert len(frames) > 12 and all(distance(f.image, FRAMES[f.index]) < 12 for f in frames if f.image is not None)


def test_a_silent_stream_is_waited_for_once(monkeypatch):
    """When the time is over FFmpeg gives the frame that it still held, as if all were well."""
    now = iter([0.0, 0.1, 0.1, 10.1])
    monkeypatch.setattr("dvsnet_jax.media.reading.packets.time", SimpleNamespace(monotonic=lambda: next(now)))

    def demux():
        for _ in range(2):
            yield SimpleNamespace(pts=None, stream=None, size=1)
        pytest.fail("asked again")

    given = list(Packets(SimpleNamespace(demux=demux), SimpleNamespace(), patience=10.0))
    assert len(given) == 1 and opened.is_silence(given[0])


def test_a_stream_that_falls_silent(monkeypatch):
    monkeypatch.setattr(opened, "TIMEOUT", 1.0)
    monkeypatch.setattr("dvsnet_jax.media.video_reader.TIMEOUT", 1.0)
    with camera(FRAMES, stop_after=9, udp=False) as address:
        frames = frames_of(address)
    assert [frame.image is None for frame in frames] == 9 * [False] + [True]
    error = frames[-1].error
    assert error is not None and f"{address}: sent nothing for" in str(error) and "frame 9" in str(error)
    assert "still sends" in error.advice
