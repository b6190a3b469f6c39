"""Going on within an input: from the last bookmark that holds, with the files of an undisturbed run."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny import CARRIED, SIMPLE, carried_params, marked, simple_params
from tiny_files import clip, write_images, write_video

from dvsnet_jax import Budget
from dvsnet_jax.errors import InputError
from dvsnet_jax.inference.bookmarking import Bookmarking
from dvsnet_jax.inference.segment_many import segment_many
from dvsnet_jax.inference.segment_source import Segmenter, segment_source
from dvsnet_jax.inference.source_identity import identity
from dvsnet_jax.media import output_folder
from dvsnet_jax.media.durable.bookmarks import read_bookmarks, remove_bookmarks, write_bookmark
from dvsnet_jax.media.durable.fragments import Fragments
from dvsnet_jax.media.durable.overlay_video import OverlayVideo, playable_frames
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import ImageSequence, open_source
from dvsnet_jax.media.video_reader import decode_video
from dvsnet_jax.media.written_files import RECORD, WrittenFiles
from dvsnet_jax.visualize import label_palette

FRAMES, PART = 23, 5


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(output_folder, "PART", PART)


@pytest.fixture(scope="module")
def made() -> dict[str, Segmenter]:
    audited = Segmenter(simple_params(), SIMPLE.replace(policy=Budget(0.4, regions=2)), audit=True, recalibrate=True)
    return {"plain": audited, "carried": Segmenter(carried_params(), CARRIED)}


def run(folder: Path, source, made, *, resume=False, until=None, frames=None, skip=False):
    """A run as the command makes it; or one that is ended when so many frames are delivered, before it can say so."""
    written = WrittenFiles(folder, resume=resume)
    written.settle({"a": 1})
    output = OutputFolder(folder, palette=label_palette(3), frame_rate=25, written=written)
    bookmarks = Bookmarking(output, identity(source), resume=resume)
    stop, seen = threading.Event(), []

    def on_frame(segmented):
        seen.append(segmented)
        if len(seen) == until:
            stop.set()

    try:
        summary = segment_source(
            source, made, output, stop=stop, on_frame=on_frame, bookmarks=bookmarks, skip_unreadable=skip,
            num_frames=frames,
        )  # fmt: skip
        if until is None:
            output.finish(identity(source))
            bookmarks.remove()
    finally:
        written.close()
    return summary, bookmarks


def same(out: Path, expected: Path) -> bool:
    """Labels, colours, routes and classes to the byte, of the record what is in it, of videos nearly all."""
    names = {path.relative_to(expected) for path in expected.rglob("*") if path.is_file()}
    assert {path.relative_to(out) for path in out.rglob("*") if path.is_file()} == names
    for name in names:
        if name.suffix == ".mp4":
            pairs = zip(decode_video(str(out / name)), decode_video(str(expected / name)), strict=True)
            assert all(np.abs(ours.astype(int) - theirs).mean() < 5 for ours, theirs in pairs)
        elif name.name == RECORD:
            ours, theirs = (set((folder / name).read_text().splitlines()) for folder in (out, expected))
            assert ours == theirs
        else:
            assert (out / name).read_bytes() == (expected / name).read_bytes(), name
    return True


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("in")
    pictures = marked(FRAMES)[:, 0]
    write_images(folder / "images", pictures)
    (folder / "images" / "street_007.png").write_bytes(b"none")
    return {"images": str(folder / "images"), "video": str(write_video(folder / "a.mp4", pictures))}


@pytest.mark.parametrize(("kind", "network"), [("images", "plain"), ("video", "carried")])
def test_a_run_that_ends_goes_on_after_its_last_bookmark(inputs, made, tmp_path, kind, network):
    source, skip = open_source(inputs[kind]), kind == "images"
    whole, _ = run(tmp_path / "whole", source, made[network], skip=skip)
    # Four more are on their way; of the second run, which keeps five frames, the unreadable one was passed over too.
    for until, start in ((1, 5), (4, 5), (12, 15), (16, 20)):
        out = tmp_path / f"out{until}"
        run(out, source, made[network], until=until, skip=skip)
        summary, bookmarks = run(out, source, made[network], resume=True, skip=skip)
        assert (bookmarks.start and bookmarks.start.frames) == start
        assert same(out, tmp_path / "whole")
        for name in ("frames", "regions", "segmented", "untrusted", "skipped", "audited", "recalibrated", "unknown"):
            assert getattr(summary, name) == getattr(whole, name), name
        assert (summary.before, whole.before) == (start, 0)  # whose time is not in this run's


@pytest.mark.parametrize("stepping", ["together", "apart"])
def test_streams_go_on_however_they_step(inputs, made, tmp_path, stepping):
    """A stream that is gone on with beside one that begins; frames are skipped ahead of what is written."""
    sources, segmenter = [open_source(inputs[kind]) for kind in ("images", "video")], made["plain"]

    def many(folder, *, resume=False, until=None):
        outputs, bookmarks, seen, stop = {}, {}, [], threading.Event()
        written = WrittenFiles(folder, resume=resume)
        written.settle({"a": 1})

        def output(number):
            place = folder / sources[number].name
            outputs[number] = OutputFolder(place, palette=label_palette(3), frame_rate=25, written=written)
            return outputs[number]

        def kept(number, output):
            bookmarks[number] = Bookmarking(output, identity(sources[number]), resume=resume)
            return bookmarks[number]

        def on_frame(number, segmented):
            seen.append(number)
            if until is not None and seen.count(0) == until:
                stop.set()

        ends = segment_many(
            sources, segmenter, output, streams=2, stepping=stepping, skip_unreadable=True, stop=stop,
            open_bookmarks=kept, on_frame=on_frame,
        )  # fmt: skip
        summaries = {}
        for number, summary, error in ends:
            assert error is None
            summaries[number] = summary
            if until is None:
                outputs[number].finish(identity(sources[number]))
                bookmarks[number].remove()
        written.close()
        return summaries, {number: each.start and each.start.frames for number, each in bookmarks.items()}

    whole, _ = many(tmp_path / "whole")
    many(tmp_path / "out", until=1)
    remove_bookmarks(tmp_path / "out" / sources[1].name)
    resumed, starts = many(tmp_path / "out", resume=True)
    assert starts[0] in (5, 10) and starts[1] is None
    assert same(tmp_path / "out", tmp_path / "whole")
    for number, name in ((0, "frames"), (0, "skipped"), (0, "segmented"), (0, "unknown"), (1, "frames")):
        assert getattr(resumed[number], name) == getattr(whole[number], name), name


def test_again_and_again_and_where_nothing_is_left(inputs, made, tmp_path):
    source = open_source(inputs["video"])
    run(tmp_path / "whole", source, made["plain"], frames=20)
    for until in (3, 3, 6):  # 5 and 10 frames are kept; the last of these runs writes all twenty, and is killed then
        run(tmp_path / "out", source, made["plain"], resume=True, until=until, frames=20)
    assert [each.frames for each in read_bookmarks(tmp_path / "out")] == [20, 15]
    summary, bookmarks = run(tmp_path / "out", source, made["plain"], resume=True, frames=20)
    assert bookmarks.start.frames == 20 and summary.frames == 20
    assert same(tmp_path / "out", tmp_path / "whole")


def test_a_bookmark_that_does_not_hold_is_not_gone_on_from(inputs, made, tmp_path):
    """Labels, lines or pictures are missing, another input came, another version wrote it, half of it is there."""
    source = open_source(inputs["video"])
    run(tmp_path / "out", source, made["plain"], until=17)
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "out", before)

    def start(out, came=None, **about):
        output = OutputFolder(out, palette=label_palette(3), frame_rate=25, written=WrittenFiles(out, resume=True))
        found = Bookmarking(output, came or identity(source), resume=True).start
        return found and found.frames

    lines = (before / "routes.jsonl").read_bytes().splitlines(keepends=True)
    for number, (spoil, expected) in enumerate([
        (lambda out: None, 20),
        (lambda out: (out / "labels" / "frame_000003.png").unlink(), None),
        (lambda out: (out / "labels" / "frame_000017.png").unlink(), 15),
        (lambda out: (out / "routes.jsonl").write_bytes(b"".join(lines[:17]) + lines[17][:-1]), 15),
        (lambda out: (out / "overlay.mp4").write_bytes(b"none"), None),
        (lambda out: _cut(out, max), 15),
        (lambda out: (_cut(out, max), _cut(out, min)), None),
    ]):  # fmt: skip
        out = tmp_path / f"{number}"
        shutil.copytree(before, out)
        spoil(out)
        assert start(out) == expected, number
    assert start(before, came={"another": 1}) is None
    found = read_bookmarks(before)[0]
    write_bookmark(before, {**found.about, "by": ["0.0", "0.0"]}, found.arrays)
    assert start(before) == 20  # in the place of the older one, and not ours
    remove_bookmarks(before)
    assert start(before) is None


def _cut(out: Path, which) -> None:
    path = which(out.glob("dvsnet-bookmark-*.npz"), key=lambda path: _said(path)["frames"])
    path.write_bytes(path.read_bytes()[:-200])


def _said(path: Path) -> dict:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            return json.loads(content["about"].tobytes())
    except zipfile.BadZipFile:  # cut before
        return {"frames": 100}


def test_what_comes_out_of_a_pipe_is_never_what_came_before(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    pipe = open_source(tmp_path / "pipe")
    assert identity(pipe) != identity(pipe)
    (tmp_path / "a.mp4").write_bytes(b"a file")
    assert identity(open_source(tmp_path / "a.mp4")) == identity(open_source(tmp_path / "a.mp4"))


def test_images_in_another_order_are_another_input(tmp_path):
    """Wherever the folder of all is: what was moved is the same."""
    for folder in ("a", "b"):
        write_images(tmp_path / "data" / folder, clip(2))
    first, *rest = sorted(path.relative_to(tmp_path / "data") for path in (tmp_path / "data").rglob("*.png"))

    def listed(*names):
        (tmp_path / "list.txt").write_text("\n".join(map(str, names)))
        return identity(open_source(tmp_path / "list.txt", data_dir=tmp_path / "data"))

    before = listed(first, *rest)
    assert listed(first, *rest) == before != listed(first, *reversed(rest))
    assert listed(rest[1], first, rest[0], rest[2]) != listed(first, rest[1], rest[0], rest[2])  # of one name
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = [tmp_path / "moved" / name for name in (first, *rest)]
    assert identity(ImageSequence("list", moved)) == before


def test_a_state_of_another_kind_is_refused(inputs, made, tmp_path):
    source = open_source(inputs["video"])
    run(tmp_path / "out", source, made["plain"], until=7)
    with pytest.raises(InputError, match="was begun by a frame step with another state; pass --overwrite"):
        run(tmp_path / "out", source, Segmenter(simple_params(), SIMPLE), resume=True)


def test_what_is_written_meanwhile_is_kept_only_when_it_is_on_the_disk(inputs, made, tmp_path, monkeypatch):
    """Labels come to the disk before the bookmark that tells of them."""
    order = []
    monkeypatch.setattr(output_folder, "sync_files", lambda paths: order.append({path.name for path in paths}))
    monkeypatch.setattr(
        "dvsnet_jax.inference.bookmarking.write_bookmark", lambda folder, about, arrays: order.append(about["frames"])
    )
    run(tmp_path / "out", open_source(inputs["video"]), made["plain"], frames=11)
    assert [each for each in order if isinstance(each, int)] == [5, 10]
    assert {f"frame_{index:06d}.png" for index in range(5)} | {"routes.jsonl"} <= order[0] and order[1] == 5
    assert "frame_000004.png" not in order[2]


def test_an_overlay_goes_on_after_a_kill_with_the_same_times(tmp_path):
    """Frames that are not evenly spaced; the file is taken as it is while it grows."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (64, 96, 3), np.uint8)

    def frame(index):
        return np.roll(picture, index, 1), 5 + (0.04 * index if index < 13 else 0.3 * index - 3)

    whole = OverlayVideo(tmp_path / "whole.mp4", frame_rate=25, part=10)
    for index in range(37):
        whole.write(*frame(index))
        if index == 33:
            shutil.copy(tmp_path / "whole.mp4", tmp_path / "killed.mp4")
    mark = whole.mark(20)
    whole.close()
    assert 20 <= playable_frames(tmp_path / "killed.mp4") < 34
    again = OverlayVideo(tmp_path / "killed.mp4", frame_rate=25, part=10)
    again.go_on(mark)
    for index in range(20, 37):
        again.write(*frame(index))
    again.close()
    ours, theirs = (list(open_source(tmp_path / name).frames()) for name in ("killed.mp4", "whole.mp4"))
    assert [frame.time for frame in ours] == [frame.time for frame in theirs] and len(ours) == 37
    assert ours[13].time == pytest.approx(0.9, abs=1e-3)
    for one, other in zip(ours, theirs, strict=True):
        assert np.abs(one.image.astype(int) - other.image).mean() < 5
    assert playable_frames(tmp_path / "none.mp4") == 0 and not list(tmp_path.glob(".partial*"))


def test_an_overlay_whose_header_cannot_be_written_is_given_up(tmp_path, monkeypatch):
    def full(file, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Fragments, "write", full)
    video, frame = OverlayVideo(tmp_path / "overlay.mp4", frame_rate=25, part=10), np.zeros((32, 48, 3), np.uint8)
    with pytest.raises(InputError, match=r"overlay\.mp4: cannot be written"):
        video.write(frame)
    with pytest.raises(InputError, match="was given up"):
        video.write(frame)  # the muxer would take it for begun
    video.close()
