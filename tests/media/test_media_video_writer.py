"""Overlay videos and JSON lines: whole and playable, or not there."""

from __future__ import annotations

import errno
import json
import resource
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np
import pytest

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.json_lines import JsonLinesWriter
from dvsnet_jax.media.video_reader import decode_video, probe_video
from dvsnet_jax.media.video_writer import VideoWriter

COLORS = [(128, 64, 128), (244, 35, 232), (220, 20, 60), (0, 0, 142), (107, 142, 35), (70, 130, 180), (250, 170, 30)]


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, 64, 96, 3), np.uint8)


@contextmanager
def full_disk(limit):
    """No file of this process grows past so many bytes; the same error path as a full disk. pytest's own log is such a
    file too: so nothing but the code under test belongs inside."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_colours_survive(tmp_path):
    frame = np.repeat(np.repeat(np.array([COLORS], np.uint8), 64, 0), 24, 1)
    with VideoWriter(tmp_path / "v.mp4", frame_rate=25) as video:
        for _ in range(3):
            video.write(frame)
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].codec_context.colorspace == 1  # BT.709, said so
    for read in decode_video(str(tmp_path / "v.mp4")):
        assert np.abs(read[32, 12::24].astype(int) - COLORS).max() <= 4


@pytest.mark.parametrize("rate", [25, 29.97, Fraction(30000, 1001), 17.5])
def test_frames_and_rate(tmp_path, rate):
    with VideoWriter(tmp_path / "v.mp4", frame_rate=rate) as video:
        for frame in noise(7):
            video.write(frame)
    count, read = probe_video(str(tmp_path / "v.mp4"))
    assert count == 7 and float(read) == pytest.approx(float(rate), rel=1e-4)


@pytest.mark.parametrize("rate", [Fraction(1, 1_000_000), Fraction(2**31 - 1, 1), 1e12])
def test_rates_that_headers_may_have_and_no_video(tmp_path, rate):
    with VideoWriter(tmp_path / "v.mp4", frame_rate=rate) as video:
        for time in (0.0, 0.5, 1.0):
            video.write(np.zeros((64, 64, 3), np.uint8), time)
    assert len(list(decode_video(str(tmp_path / "v.mp4")))) == 3


@pytest.mark.parametrize(("suffix", "kind"), [(".mp4", "mp4"), (".mov", "mov"), (".mkv", "matroska"), (".AVI", "avi")])
@pytest.mark.parametrize("rate", [25, Fraction(30000, 1001)])
def test_the_suffix_is_what_is_in_the_file(tmp_path, suffix, kind, rate):
    place, frames = tmp_path / f"v{suffix}", [np.full((64, 96, 3), 20 * number, np.uint8) for number in range(9)]
    with VideoWriter(place, frame_rate=rate) as video:
        for frame in frames:
            video.write(frame)
    with av.open(str(place)) as container:
        assert kind in container.format.name
    assert (place.read_bytes()[4:8] == b"ftyp") == (kind in ("mp4", "mov"))
    read = list(decode_video(str(place)))
    assert [round(float(image.mean()) / 20) for image in read] == list(range(9))
    assert float(probe_video(str(place))[1]) == pytest.approx(float(rate), rel=1e-3)


def test_odd_sizes_are_padded(tmp_path):
    frame = np.full((63, 95, 3), 200, np.uint8)
    with VideoWriter(tmp_path / "v.mp4", frame_rate=25) as video:
        video.write(frame)
    (read,) = decode_video(str(tmp_path / "v.mp4"))
    assert read.shape == (64, 96, 3) and np.abs(read.astype(int) - 200).max() <= 3


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_playable_after_an_error(tmp_path, error):
    with pytest.raises(error), VideoWriter(tmp_path / "v.mp4", frame_rate=25) as video:
        for frame in noise(5):
            video.write(frame)
        raise error
    assert len(list(decode_video(str(tmp_path / "v.mp4")))) == 5


def test_no_frame_no_file(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", frame_rate=25):
        pass
    with JsonLinesWriter(tmp_path / "r.jsonl"):
        pass
    assert not list(tmp_path.iterdir())


def test_one_size(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", frame_rate=25) as video:
        video.write(noise(1)[0])
        with pytest.raises(ValueError, match=r"v\.mp4: a frame of \(32, 96\) came into a video of \(64, 96\)"):
            video.write(noise(1)[0, :32])


@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])  # while encoding, while finishing, in the very last bytes
def test_nothing_is_left_when_the_disk_is_full(tmp_path, share):
    def write(path):
        with VideoWriter(path, frame_rate=25) as video:
            for frame in noise(30):
                video.write(frame)

    write(tmp_path / "whole.mp4")
    limit = int(share * (tmp_path / "whole.mp4").stat().st_size)
    refused = pytest.raises(InputError, match=r"v\.mp4: cannot be written \(File too large\)")
    with refused, full_disk(limit):
        write(tmp_path / "v.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.mp4"]


def test_a_video_that_failed_takes_no_more_frames(tmp_path, monkeypatch):
    """Else those after the gap would stand under its name as if they were all."""
    video = VideoWriter(tmp_path / "v.mp4", frame_rate=25)
    video.write(noise(1)[0])
    with monkeypatch.context() as broken:

        class Broken:
            def encode(self, frame):
                raise OSError(errno.ENOSPC, "No space left on device")

        broken.setattr(video, "_stream", Broken())
        with pytest.raises(InputError, match="No space left"):
            video.write(noise(1)[0])
    with pytest.raises(InputError, match=r"v\.mp4: was given up, writing it failed before"):
        video.write(noise(1)[0])
    video.close()
    assert not list(tmp_path.iterdir())


def test_json_lines_take_half_a_line_back(tmp_path):
    refused = pytest.raises(InputError, match=r"r\.jsonl: cannot be written")
    with refused, full_disk(2500), JsonLinesWriter(tmp_path / "r.jsonl") as log:
        for number in range(100):
            log.write({"number": number, "filler": "x" * 100})
    lines = (tmp_path / "r.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(len(lines))) and len(lines) > 15


def test_an_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"v\.mp4: cannot be written"):
        VideoWriter(tmp_path / "file" / "v.mp4", frame_rate=25).write(noise(1)[0])


def test_encoder_errors_name_the_file(tmp_path, monkeypatch):
    video = VideoWriter(tmp_path / "v.mp4", frame_rate=25)
    video.write(noise(1)[0])

    class Broken:
        def encode(self, frame):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(video, "_stream", Broken())
    with pytest.raises(InputError, match=r"v\.mp4: cannot be written \(No space left on device\)"):
        video.close()
    assert not list(tmp_path.iterdir())


def test_a_growing_video_plays_at_any_moment(tmp_path):
    """As SIGKILL would leave it; a torn last fragment costs no more than its own frames."""
    path, counts = tmp_path / "v.mp4", []
    with VideoWriter(path, frame_rate=25, growing=True) as video:
        for number, frame in enumerate(noise(90)):
            video.write(frame)
            if number in (60, 89):
                (tmp_path / "killed.mp4").write_bytes(path.read_bytes())
                counts.append(len(list(decode_video(str(tmp_path / "killed.mp4")))))
                (tmp_path / "killed.mp4").write_bytes(path.read_bytes()[:-100])
                torn = [isinstance(frame, np.ndarray) for frame in decode_video(str(tmp_path / "killed.mp4"))]
                assert sum(torn) >= counts[-1] - 13
    assert 20 <= counts[0] <= 61 and counts[0] < counts[1] <= 90
    assert all(isinstance(frame, np.ndarray) for frame in decode_video(str(path)))
    assert probe_video(str(path)) == (90, 25)
    assert b"moof" not in path.read_bytes()[:4096].partition(b"mdat")[0]  # an ordinary MP4 in the end


@pytest.mark.parametrize("limit", [10, 100_000, 200_000])
def test_a_full_disk_leaves_whole_fragments(tmp_path, limit):
    path = tmp_path / "v.mp4"
    refused = pytest.raises(InputError, match=r"v\.mp4: cannot be written \(File too large\)")
    with refused, full_disk(limit), VideoWriter(path, frame_rate=25, growing=True) as video:
        for frame in noise(60):
            video.write(frame)
    assert path.exists() == (limit > 1000)
    if path.exists():
        frames = list(decode_video(str(path)))
        assert len(frames) > 5 and all(isinstance(frame, np.ndarray) for frame in frames)


def test_growing_lines_are_there_once_they_are_written(tmp_path):
    path = tmp_path / "r.jsonl"
    with JsonLinesWriter(path, growing=True) as log:
        for number in range(3):
            log.write({"number": number})
            assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == list(range(number + 1))
