"""Cameras and streams: the newest frame wins, nothing waits longer than it must, and what was lost comes back."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from fractions import Fraction
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from live_camera import Camera, grey, number_of, part, transport_stream
from made_videos import TURNS, encode, frames_of, mark
from tiny_files import clip, write_video

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.live import connection
from dvsnet_jax.media.live.backlog import Arrived, Backlog, End
from dvsnet_jax.media.live.connection import Reconnect
from dvsnet_jax.media.live.source import LiveFrame, LiveVideo, as_live, live_note
from dvsnet_jax.media.reading import opened
from dvsnet_jax.media.reading.opened import Reading
from dvsnet_jax.media.sources import open_source

SOON = Reconnect(first=0.01, longest=0.05, give_up=20)


@pytest.fixture
def cameras():
    """Makes cameras, and ends them with the test."""
    made = []

    def camera(*arguments, **options):
        made.append(Camera(*arguments, **options))
        return made[-1]

    yield camera
    for each in made:
        each.close()
    for _ in range(200):  # threads that waited for the network
        if not [thread for thread in threading.enumerate() if thread.name.startswith("dvsnet-live")]:
            return
        time.sleep(0.05)
    raise AssertionError("threads are left")


def wait_for(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("nothing came of it")


def test_the_newest_frame_wins(cameras):
    camera = cameras()
    source = LiveVideo("yard", camera.url, reconnect=SOON)
    camera.show(0)
    with closing(source.frames()) as frames:
        first = next(frames)
        assert (first.index, first.dropped, number_of(first.image)) == (0, 0, 0)
        camera.show(*range(1, 8))
        wait_for(lambda: source.tally.now.came == 8)
        newest = next(frames)
        assert (newest.index, newest.name, newest.dropped, number_of(newest.image)) == (7, "frame_000007", 6, 7)
        camera.show(8)
        assert (frame := next(frames)).index == 8 and frame.dropped == 0
        assert frame.gap is None and 0 <= frame.lag() < 60
    counts = source.tally.now
    assert (counts.came, counts.taken, counts.dropped, counts.reconnected) == (9, 3, 6, 0)


def test_without_dropping_every_frame_is_taken(cameras):
    camera = cameras()
    camera.show(*range(20))
    source = LiveVideo("yard", camera.url, drop=False, reconnect=SOON)
    with closing(source.frames()) as iterator:
        frames = list(islice(iterator, 20))
    camera.hang_up()
    assert [number_of(frame.image) for frame in frames] == list(range(20))
    assert [frame.index for frame in frames] == list(range(20)) and source.tally.now.dropped == 0


def test_a_file_behind_an_address_is_gone_through_to_its_end(cameras, tmp_path):
    file = write_video(tmp_path / "a.mp4", clip(12), options={"movflags": "faststart"})
    camera = cameras("video/mp4", whole=file)
    source = LiveVideo("file", camera.url, reconnect=SOON)
    frames = list(source.frames())
    assert len(frames) == 12 and source.tally.now.dropped == 0 and camera.connections == 1
    assert source.tally.now.phase == "ended"


def test_the_first_picture_comes_with_the_first_packets(cameras, monkeypatch):
    """FFmpeg by itself looks at 20 frames first; the camera sends three, and then nothing."""
    for module in (opened, connection):
        monkeypatch.setattr(module, "TIMEOUT", 600.0)
    camera = cameras("video/mp2t")
    camera.send(*transport_stream([grey(n) for n in range(3)]))
    source = LiveVideo("yard", camera.url, drop=False, reconnect=SOON)
    given_up = threading.Timer(30, source.stop.set)
    given_up.start()
    with closing(source.frames()) as frames:
        assert number_of(next(frames).image) == 0
    given_up.cancel()


def test_a_stream_that_begins_between_key_frames(cameras):
    camera = cameras("video/mp2t")
    stream = transport_stream([grey(n) for n in range(25)], every=5)
    camera.send(*stream[2:])
    with closing(LiveVideo("yard", camera.url, drop=False, reconnect=SOON).frames()) as frames:
        seen = [number_of(next(frames).image) for _ in range(6)]
    assert seen == [5, 6, 7, 8, 9, 10]  # from the first key frame on


def test_what_was_lost_comes_back(cameras):
    camera, told = cameras(), []
    source = LiveVideo("yard", camera.url, reconnect=SOON, on_event=told.append)
    with closing(source.frames()) as frames:
        for number in range(3):
            camera.show(number)
            assert number_of(next(frames).image) == number
            camera.hang_up()
        camera.show(3)
        last = next(frames)
    assert isinstance(last, LiveFrame) and last.index == 3 and last.dropped == 0 and last.gap > 0
    assert live_note(last)["live"].keys() == {"came", "lag", "dropped", "gap"}
    assert source.tally.now.reconnected == 3 and camera.connections == 4
    assert told[0].startswith("the stream ended; trying again in 0.0 s") and told[1].startswith("back after ")
    assert len(told) == 6


def test_a_camera_that_comes_back_in_another_size_goes_on_in_the_first_one(cameras):
    camera, told = cameras(), []
    source = LiveVideo("yard", camera.url, reconnect=SOON, on_event=told.append)
    bigger = part(grey(1).repeat(2, 0).repeat(2, 1))
    with closing(source.frames()) as frames:
        camera.show(0)
        assert next(frames).image.shape == (64, 96, 3)
        camera.hang_up()
        camera.send(bigger)
        second = next(frames)
        assert second.image.shape == (64, 96, 3) and number_of(second.image) == 1 and second.gap > 0
        assert second.came_as == (128, 192) and live_note(second)["live"]["size"] == [128, 192]
        camera.send(part(grey(2)[:, :64]))
        assert next(frames).came_as == (64, 64)
        camera.show(3)
        last = next(frames)
        assert number_of(last.image) == 3 and last.came_as is None and "size" not in live_note(last)["live"]
    sizes = [line for line in told if "pictures" in line]
    assert sizes[0] == (
        "its pictures are 128×192 now; they are resized to 64×96, in which it began; begin anew, with another --out, "
        "to have them in their own size"
    )
    assert "64×64 now; they are resized to 64×96, in which it began, which squeezes or stretches them" in sizes[1]
    assert sizes[2] == "its pictures are 64×96 again" and len(sizes) == 3


def test_a_stream_that_falls_silent_counts_as_lost(cameras, monkeypatch):
    for module in (opened, connection):
        monkeypatch.setattr(module, "TIMEOUT", 0.5)
    camera, told = cameras(), []
    source = LiveVideo("yard", camera.url, reconnect=SOON, on_event=told.append)
    with closing(source.frames()) as frames:
        camera.show(0)
        next(frames)
        wait_for(lambda: told)
        camera.show(*[1] * 2)  # one to the old connection, whose client is gone
        wait_for(lambda: source.tally.now.reconnected or camera.show(1))
        assert number_of(next(frames).image) == 1
    assert told[0].startswith("sends nothing any more; trying again")


def test_pauses_grow_to_a_bound():
    pauses = Reconnect(first=1, longest=10).pauses()
    assert [next(pauses) for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_a_source_that_does_not_come_back_has_failed(cameras):
    camera, told = cameras(), []
    patience = Reconnect(first=0.01, longest=0.05, give_up=0.3)
    source = LiveVideo("yard", camera.url, reconnect=patience, on_event=told.append)
    camera.show(0)
    with closing(source.frames()) as frames:
        next(frames)
        camera.switch_off()
        with pytest.raises(InputError, match=r"cannot be opened .* did not come back within 0\.3 s, after 1 frames"):
            next(frames)
    assert len(told) > 3


def test_without_patience_the_end_of_the_stream_is_the_end(cameras):
    camera = cameras("video/mp2t")
    camera.send(*transport_stream([grey(n) for n in range(3)]))
    camera.hang_up()
    assert len(list(LiveVideo("yard", camera.url, drop=False, reconnect=Reconnect(give_up=0)).frames())) == 3
    assert camera.connections == 1


def test_times_go_on_by_the_clock_after_a_loss(cameras):
    camera = cameras("video/mp2t")
    source = LiveVideo("yard", camera.url, drop=False, reconnect=SOON)
    with closing(source.frames()) as iterator:
        frames = []
        for _ in range(2):  # the second connection's times are those of the first one
            camera.send(*transport_stream([grey(n) for n in range(3)]))
            camera.hang_up()
            frames += islice(iterator, 3)
    steps = np.diff([frame.time for frame in frames])
    assert steps[[0, 1, 3, 4]] == pytest.approx(0.2, abs=1e-3)
    assert steps[2] == pytest.approx(frames[3].arrived - frames[2].arrived) and frames[3].gap > 0


def test_frames_are_shown_as_those_of_files_are(cameras, tmp_path):
    """Turned as the file says, in its colours, at its times; or as it is stored."""
    stored, matrix = TURNS["left"]
    pts = [0, 1, 5, 6]
    options = {"pts": pts, "time_base": Fraction(1, 20), "container_options": {"movflags": "faststart"}}
    path = mark(encode(tmp_path / "a.mp4", [stored(frame) for frame in clip(4)], **options), matrix)
    address = cameras("video/mp4", whole=path).url
    frames = list(LiveVideo("phone", address).frames())
    for frame, expected in zip(frames, frames_of(path), strict=True):
        np.testing.assert_array_equal(frame.image, expected.image)
        assert frame.image.shape == (64, 96, 3) and frame.time == expected.time
    (first, *_) = LiveVideo("phone", address, Reading(rotate=False)).frames()
    assert first.image.shape == (96, 64, 3)


def test_what_cannot_be_opened_is_an_error_at_once(cameras):
    camera = cameras()
    camera.close()
    with pytest.raises(InputError, match="cannot be opened"):
        next(LiveVideo("yard", camera.url).frames())


def test_what_comes_while_the_first_is_prepared_for_is_newer(cameras):
    camera, sizes = cameras(), []
    source = LiveVideo("yard", camera.url)

    def prepare(*size):
        sizes.append(size)
        camera.show(*range(1, 6))
        wait_for(lambda: source.tally.now.came == 6)

    source.prepare = prepare
    camera.show(0)
    with closing(source.frames()) as frames:
        first = next(frames)
    assert sizes == [(64, 96)] and (first.index, first.dropped, number_of(first.image)) == (5, 5, 5)


def test_stopping_ends_a_wait(cameras):
    camera = cameras()
    source = LiveVideo("yard", camera.url)
    camera.show(0)
    with closing(source.frames()) as frames:
        next(frames)
        threading.Timer(0.05, source.stop.set).start()
        assert next(frames, None) is None
    camera.hang_up()


def test_only_streams_and_cameras_become_live(tmp_path):
    video = open_source(write_video(tmp_path / "a.mp4", clip(3)))
    assert as_live(video) is video
    live = as_live(open_source("rtsp://camera/yard"), drop=False)
    assert isinstance(live, LiveVideo) and (live.name, live.location) == ("yard", "rtsp://camera/yard")
    assert live_note(next(iter(video.frames()))) == {}


# --- packets ----------------------------------------------------------------------------------------------------------


def packet(number, key=False, size=100):
    return SimpleNamespace(number=number, is_keyframe=key, size=size)


def numbers(backlog):
    backlog.end(None)
    taken = []
    while isinstance(item := backlog.get(), Arrived):
        taken.append(item.packet.number)
    assert item == End(None)
    return taken


def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("dvsnet_jax.media.live.backlog.time.monotonic", lambda: now[0])
    return now


def test_a_decoder_that_is_too_slow_goes_on_at_the_newest_key_frame(monkeypatch):
    now, backlog = clock(monkeypatch), Backlog(most_seconds=1.0, drop=True)
    for number in range(12):
        backlog.put(packet(number, key=number % 5 == 0))
        now[0] += 0.1
    assert backlog.dropped == 10 and numbers(backlog) == [10, 11]


def test_without_a_key_frame_it_waits_for_one(monkeypatch):
    now, backlog = clock(monkeypatch), Backlog(most_seconds=1.0, drop=True)
    for number in range(9):
        backlog.put(packet(number, key=number == 0))
        now[0] += 0.2
    assert backlog.dropped == 9
    backlog.put(packet(9, key=True))
    backlog.put(packet(10))
    assert backlog.dropped == 9 and numbers(backlog) == [9, 10]


def test_what_is_held_is_bounded_in_bytes_too(monkeypatch):
    clock(monkeypatch)
    backlog = Backlog(most_seconds=1.0, drop=True)
    for number in range(9):
        backlog.put(packet(number, key=True, size=30 << 20))
    assert numbers(backlog) == [8]


def test_where_none_may_go_the_sender_waits():
    backlog = Backlog(most_seconds=0.0, drop=False)
    sender = threading.Thread(target=lambda: [backlog.put(packet(number)) for number in range(30)], daemon=True)
    sender.start()
    taken = [backlog.get().packet.number for _ in range(30)]
    sender.join()
    assert taken == list(range(30)) and backlog.dropped == 0


def test_closing_wakes_whoever_waits():
    backlog = Backlog(most_seconds=1.0, drop=False)
    for number in range(8):
        backlog.put(packet(number))
    results = []
    threads = [threading.Thread(target=lambda: results.append(backlog.put(packet(8))))]
    for thread in threads:
        thread.start()
    backlog.close()
    for thread in threads:
        thread.join(10)
    assert results == [False] and backlog.get() is None
    assert np.isnan(LiveVideo("a", "rtsp://a").tally.now.mean_lag)
