"""Sources: every frame, in order, from folders, lists, videos and streams."""

from __future__ import annotations

import gc
import itertools
import os
import re
import threading
import time
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
import pytest
from tiny_files import clip, cut, write_images, write_video

from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.images import write_png
from dvsnet_jax.media.motion.attached import with_motion
from dvsnet_jax.media.prefetch import map_ahead, run_ahead
from dvsnet_jax.media.sources import open_source, open_sources
from dvsnet_jax.media.video_reader import decode_video, probe_video

FRAMES = clip(12)


def frames_of(source):
    with closing(source.frames()) as frames:
        return list(frames)


def test_a_folder_is_its_images_sorted_by_name(tmp_path):
    paths = write_images(tmp_path / "drive", FRAMES)
    (tmp_path / "drive" / "notes.txt").write_text("not a frame")
    (tmp_path / "drive" / "folder.png").mkdir()
    source = open_source(tmp_path / "drive")
    frames = frames_of(source)
    assert (source.name, source.count, source.frame_rate) == ("drive", 12, None)
    assert [frame.name for frame in frames] == [path.stem for path in paths]
    assert [frame.index for frame in frames] == list(range(12))
    np.testing.assert_array_equal([frame.image for frame in frames], FRAMES)
    np.testing.assert_array_equal([frame.image for frame in frames_of(source)], FRAMES)  # a second time


def test_a_video_whose_name_has_a_colon(tmp_path, monkeypatch):
    """FFmpeg would take what stands before it for a protocol."""
    write_video(tmp_path / "2026-11-29T12:30:05.mp4", FRAMES)
    monkeypatch.chdir(tmp_path)
    assert len(frames_of(open_source("2026-11-29T12:30:05.mp4"))) == 12


@pytest.mark.parametrize(
    ("end", "last"), [("\n", "\n"), ("\n", ""), ("\r\n", "\r\n"), ("\r\n", ""), ("\n\n", "\n  \n")], ids=repr
)
def test_lists_take_any_line_end(tmp_path, end, last):
    paths = write_images(tmp_path / "images", FRAMES[:3])
    text = end.join(f"images/{path.name}" for path in paths) + last
    (tmp_path / "val.txt").write_bytes(text.encode())
    frames = frames_of(open_source(tmp_path / "val.txt"))
    np.testing.assert_array_equal([frame.image for frame in frames], FRAMES[:3])


@pytest.mark.parametrize("line", ["{}", "/{}", "{} labels/{}", "\ufeff{}"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_lists_below_data_dir(tmp_path, line, slash):
    (path,) = write_images(tmp_path / "data" / "a b" if "labels" not in line else tmp_path / "data", FRAMES[:1])
    name = str(path.relative_to(tmp_path / "data"))
    (tmp_path / "val.txt").write_text(line.format(name, name) + "\n", encoding="utf-8")
    source = open_source(tmp_path / "val.txt", data_dir=f"{tmp_path / 'data'}{slash}")
    np.testing.assert_array_equal(frames_of(source)[0].image, FRAMES[0])


def test_absolute_paths_and_equal_names_in_a_list(tmp_path):
    first = write_images(tmp_path / "a", FRAMES[:2])
    second = write_images(tmp_path / "b", FRAMES[2:4])
    (tmp_path / "val.txt").write_text("".join(f"{path}\n" for path in first + second))
    frames = frames_of(open_source(tmp_path / "val.txt"))
    assert [frame.name for frame in frames] == [f"{i:06d}_street_{i % 2:03d}" for i in range(4)]
    np.testing.assert_array_equal([frame.image for frame in frames], FRAMES[:4])


def test_bad_images_keep_their_place_and_name_their_line(tmp_path):
    paths = write_images(tmp_path, FRAMES[:4])
    cut(paths[1], 0.5)
    paths[2].unlink()
    (tmp_path / "val.txt").write_text("".join(f"{path.name}\n" for path in paths))
    frames = frames_of(open_source(tmp_path / "val.txt"))
    assert [frame.error is None for frame in frames] == [True, False, False, True]
    assert "street_001.png" in str(frames[1].error) and "line 2 of" in str(frames[1].error)
    assert "No such file" in str(frames[2].error) and "line 3 of" in str(frames[2].error)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.mp4", None, "no such file"),
        ("empty.txt", b"", "the list is empty"),
        ("blank.txt", b"\n \r\n", "the list is empty"),
        ("binary.txt", b"\xff\xfe\x00\x01", "not a text file"),
    ],
)
def test_sources_that_are_none(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: {message}"):
        open_source(tmp_path / name)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"no images in this folder; names must end in .*\.png"):
        open_source(tmp_path)
    (tmp_path / "front").mkdir()
    with pytest.raises(InputError, match=rf"folders in it are not entered; name these, such as {tmp_path}/front"):
        open_source(tmp_path)
    for name in ("10.MP4", "9.MP4", "._9.MP4"):
        (tmp_path / name).write_bytes(b"a dash camera's")
    with pytest.raises(InputError, match=rf"but videos, 2 of them; name these: {tmp_path}/\*\.MP4"):
        open_source(tmp_path)
    (tmp_path / "a.txt").write_text("a.png")
    with pytest.raises(InputError, match=r"no such folder for the images of .*--data-dir"):
        open_source(tmp_path / "a.txt", data_dir=tmp_path / "gone")


def test_several_sources(tmp_path):
    images = write_images(tmp_path / "a", FRAMES[:3])
    (tmp_path / "b").mkdir()
    write_images(tmp_path / "b" / "a", FRAMES[:1])
    sources = open_sources([tmp_path / "a", tmp_path / "b" / "a", images[0]])
    assert [source.name for source in sources] == ["a", "a-2", "street_000"]
    (one,) = open_sources(images[::-1])  # an order of one's own
    np.testing.assert_array_equal([frame.image for frame in frames_of(one)], FRAMES[2::-1])


@pytest.mark.parametrize("names", [["f_1", "f_10", "f_2", "f_9"], ["2/9", "10/1", "10/10", "10/2"]])
def test_numbers_count_as_numbers_in_a_shell_s_order(tmp_path, names):
    paths = [tmp_path / f"{name}.png" for name in names]
    for path, image in zip(paths, FRAMES, strict=False):
        path.parent.mkdir(exist_ok=True)
        write_png(path, image)
    shells = sorted(paths, key=str)
    expected = sorted(
        paths, key=lambda path: [int(word) for word in re.findall(r"\d+", str(path.relative_to(tmp_path)))]
    )
    with pytest.warns(InputNotice, match=r"images: are taken by the numbers in their names, \S+\.png before \S+\.png"):
        (source,) = open_sources(shells)
    assert source.paths == expected != shells
    (source,) = open_sources([shells[1], shells[0], *shells[2:]])  # one's own
    assert source.paths == [shells[1], shells[0], *shells[2:]]
    (source,) = open_sources(expected)
    assert source.paths == expected


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts"])
def test_a_video_gives_every_frame(tmp_path, name):
    source = open_source(write_video(tmp_path / name, FRAMES))
    frames = frames_of(source)
    assert (source.name, source.count, source.frame_rate) == ("a", 12, 20)
    assert [frame.name for frame in frames] == [f"frame_{i:06d}" for i in range(12)]
    assert not any(frame.error for frame in frames)
    # Colours are stored at half size, so they are not exact; but no other frame is as near.
    distances = [[np.abs(frame.image.astype(int) - truth).mean() for truth in FRAMES] for frame in frames]
    assert np.argmin(distances, axis=1).tolist() == list(range(12))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"movflags": "faststart"}),
        ("a.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("a.mkv", {}),
        ("a.avi", {}),
    ],
)
def test_a_truncated_video_gives_its_whole_frames_and_an_error(tmp_path, name, options):
    path = write_video(tmp_path / name, clip(40), options=options)
    whole = list(decode_video(str(path)))
    items = list(decode_video(str(cut(path, 0.6))))
    frames = list(itertools.takewhile(lambda item: isinstance(item, np.ndarray), items))
    assert 10 < len(frames) < 40
    np.testing.assert_array_equal(frames, whole[: len(frames)])
    errors = [item for item in items if not isinstance(item, np.ndarray)]
    assert errors and all(str(error).startswith(f"{path}: ") for error in errors)


def test_a_damaged_frame_comes_after_the_good_ones_before_it(tmp_path):
    path = write_video(tmp_path / "a.mp4", clip(40))
    whole = list(decode_video(str(path)))
    with av.open(str(path)) as container:
        packets = [(packet.pts, packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    # A frame that others are shown before, though they are stored after it.
    number = next(i for i in range(20, 40) if packets[i][0] > packets[i + 1][0])
    _, place, size = packets[number]
    shown = sorted(packets).index(packets[number])
    content = bytearray(path.read_bytes())
    content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    items = list(decode_video(str(path)))
    first = next(index for index, item in enumerate(items) if not isinstance(item, np.ndarray))
    assert first == shown > number and f"frame {first} " in str(items[first])
    np.testing.assert_array_equal(items[:number], whole[:number])
    assert isinstance(items[-1], np.ndarray)  # the key frame after the damage mends it


def test_no_video(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(InputError, match=r"a\.mp4: cannot be opened .*expected a video"):
        probe_video(str(tmp_path / "a.mp4"))
    path = write_video(tmp_path / "b.mp4", clip(20))
    cut(path, 0.5)  # its index is at the end
    with pytest.raises(InputError, match=r"b\.mp4: cannot be opened"):
        frames_of(open_source(path))


def test_a_network_stream(tmp_path):
    write_video(tmp_path / "a.ts", FRAMES)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_source(f"http://127.0.0.1:{server.server_port}/a.ts?user=me")
        frames = frames_of(source)
        server.shutdown()
    assert (source.name, source.count, len(frames)) == ("a", None, 12)


@pytest.mark.skipif("lavfi" not in av.formats_available, reason="this PyAV has no libavdevice")
@pytest.mark.parametrize("whole", [True, False])
def test_a_pipe_is_opened_once(tmp_path, whole):
    """As a shell's `<(…)` and /dev/stdin are; opened again it would wait for ever, or lack its beginning."""
    content = write_video(tmp_path / "a.ts", FRAMES).read_bytes() if whole else b"no video" * 100
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feeding = threading.Thread(target=pipe.write_bytes, args=[content])
    feeding.start()
    source, found = open_source(pipe), []

    def read():
        try:
            found.append((source.count, source.frame_rate, len(frames_of(source))))
        except InputError as error:
            found.append(str(error))

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(60)
    feeding.join()
    with pytest.raises(InputError, match="is no file but a pipe"):
        next(with_motion(source, "codec"))
    assert found == [(None, None, 12)] if whole else "cannot be opened" in found[0]


def test_a_device_without_end():
    with closing(open_source("lavfi:testsrc=size=96x64:rate=25").frames()) as frames:
        assert [frame.image.shape for frame in itertools.islice(frames, 5)] == [(64, 96, 3)] * 5


@pytest.mark.skipif("v4l2" in av.formats_available, reason="this PyAV can open cameras")
def test_a_camera_that_pyav_cannot_open():
    with pytest.raises(InputError, match="/dev/video0: this PyAV cannot open it"):
        frames_of(open_source("/dev/video0"))


def test_map_ahead_keeps_order_and_stays_bounded():
    started: list[int] = []

    def work(number):
        started.append(number)
        time.sleep(0.001 * (number % 3))
        return number

    with closing(map_ahead(work, itertools.count(), workers=3, window=5)) as results:
        for expected in range(20):
            assert next(results) == expected
            time.sleep(0.005)
            assert len(started) <= expected + 7


def test_map_ahead_raises_in_its_place():
    results = map_ahead(lambda number: 1 / (number - 2), range(5), workers=2, window=3)
    assert [next(results), next(results)] == [-0.5, -1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_run_ahead_ends_as_garbage_too():
    """What is part of a cycle is closed by the garbage collector, when the thread that reads has gone already."""
    closed = []

    def numbers():
        try:
            yield from range(100)
        finally:
            closed.append(True)

    def forget():
        frames = run_ahead(numbers(), window=3)
        next(frames)
        cycle = [frames]
        cycle.append(cycle)
        del frames, cycle
        gc.collect()

    collecting = threading.Thread(target=forget, daemon=True)
    collecting.start()
    collecting.join(timeout=30)
    assert closed and not collecting.is_alive()


def test_run_ahead_closes_its_iterator():
    closed = []

    def numbers():
        try:
            yield from itertools.count()
        finally:
            closed.append([t.name for t in threading.enumerate() if t.name.startswith("dvsnet-read")])

    with closing(run_ahead(numbers(), window=3)) as results:
        assert [next(results) for _ in range(10)] == list(range(10))
    assert closed == [[]]  # once, and when no thread may be in it any more


def test_threads_end_with_the_source(tmp_path):
    write_images(tmp_path, FRAMES)
    frames = open_source(tmp_path).frames()
    next(frames)
    frames.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dvsnet")]
