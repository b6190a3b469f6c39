"""Recordings that were joined byte by byte, as by `cat`: all are read, or it is told where the next one begins."""

from __future__ import annotations

import re

import pytest
from made_videos import distance, encode, frames_of
from motion_files import moving

FRAMES = moving(16, 96, 160)
FRAGMENTS = {"container_options": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}}
FAST = {"container_options": {"movflags": "faststart"}}


def halves(folder, suffix: str, codec: str, more: dict) -> list[bytes]:
    parts = (FRAMES[:8], FRAMES[8:])
    return [encode(folder / f"{n}.{suffix}", part, codec, g=4, **more).read_bytes() for n, part in enumerate(parts)]


def is_like(frames, truth) -> bool:
    return all(distance(frame.image, each) < 12 for frame, each in zip(frames, truth, strict=True))


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mkv", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4"), ("mpg", "mpeg2video"), ("h264", "libx264")],
)
def test_all_are_read_where_the_next_is_found(tmp_path, suffix, codec):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"".join(halves(tmp_path, suffix, codec, {})))
    assert is_like(frames_of(path), FRAMES)


@pytest.mark.parametrize(
    ("suffix", "codec", "more"),
    [
        ("mp4", "libx264", {}), ("mp4", "libx264", FAST), ("mp4", "libx264", FRAGMENTS), ("mov", "mpeg4", {}),
        ("m4v", "mpeg4", {}), ("flv", "libx264", {}), ("wmv", "wmv2", {}),
    ],
)  # fmt: skip
def test_it_is_told_where_the_next_begins_that_is_not_found(tmp_path, suffix, codec, more):
    one, other = halves(tmp_path, suffix, codec, more)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(one + other)
    *frames, last = frames_of(path)
    assert is_like(frames[:8], FRAMES[:8])
    assert last.error is not None and "holds another recording, joined to this one" in str(last.error)
    begin = int(re.search(r"tail -c \+(\d+) FILE", last.error.advice)[1]) - 1
    rest = tmp_path / f"rest.{suffix}"
    rest.write_bytes(path.read_bytes()[begin:])
    assert is_like(frames_of(rest), FRAMES[8:])


def test_three_are_found_one_by_one(tmp_path):
    one, other = halves(tmp_path, "mp4", "libx264", {})
    (tmp_path / "a.mp4").write_bytes(one + other + one)
    assert str(len(one) + 1) in frames_of(tmp_path / "a.mp4")[-1].error.advice
    (tmp_path / "b.mp4").write_bytes(other + one)
    assert str(len(other) + 1) in frames_of(tmp_path / "b.mp4")[-1].error.advice


def boxes(content: bytes) -> list[bytes]:
    found = []
    while content:
        size = int.from_bytes(content[:4], "big")
        found.append(content[:size])
        content = content[size:]
    return found


def test_what_is_no_other_recording(tmp_path):
    """Fragments with the file's beginning before each, as HLS has them; boxes and bytes after the end."""
    path = encode(tmp_path / "a.mp4", FRAMES, g=4, **FRAGMENTS)
    first, index, *rest = boxes(path.read_bytes())
    repeated, plain = tmp_path / "b.mp4", encode(tmp_path / "c.mp4", FRAMES)
    repeated.write_bytes(b"".join(first + index + box if box[4:8] == b"moof" else box for box in rest[:-1]))
    plain.write_bytes(plain.read_bytes() + b"\0\0\0\x10free" + bytes(8) + b"something else")
    for each in (path, repeated, plain):
        assert is_like(frames_of(each), FRAMES)
