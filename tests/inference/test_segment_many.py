"""Many sources as streams: the files of one after the other, and one that fails costs no other."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from tiny import CARRIED, SIMPLE, carried_params, marked, simple_params
from tiny_files import check_whole, clip, cut, write_images

from dvsnet_jax import FixedInterval, FrameRate
from dvsnet_jax.errors import InputError
from dvsnet_jax.inference.segment_many import segment_many
from dvsnet_jax.inference.segment_source import Segmenter, segment_source
from dvsnet_jax.media import output_folder
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import ImageSequence, Source, open_source
from dvsnet_jax.policies import SharedBudget
from dvsnet_jax.visualize import label_palette


def segmenter(**options) -> Segmenter:
    return Segmenter(simple_params(), SIMPLE.replace(policy=FixedInterval(3)), **options)


@pytest.fixture
def sources(tmp_path) -> list[Source]:
    """Of 5, 2, 7, 1 and 4 frames."""
    for index, frames in enumerate((5, 2, 7, 1, 4)):
        write_images(tmp_path / "in" / f"{index}", marked(frames)[:, 0])
    return [open_source(tmp_path / "in" / f"{index}") for index in range(5)]


def many(sources, out: Path, made=None, **options):
    """What `segment_many` gives, by number, with an output folder for each."""

    def open_output(number: int) -> OutputFolder:
        return OutputFolder(out / f"{number}", palette=label_palette(3), frame_rate=25)

    ends = list(segment_many(sources, made or segmenter(), open_output, **options))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dvsnet")]
    return {end.number: end for end in ends}


def contents(out: Path) -> dict[str, bytes]:
    """Labels, colours and routes."""
    files = [path for path in out.rglob("*") if path.suffix == ".png" or path.name == "routes.jsonl"]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("stepping", ["together", "apart"])
@pytest.mark.parametrize("audit", [False, True])
def test_the_files_of_one_after_the_other(sources, tmp_path, stepping, audit):
    one = [
        segment_source(source, segmenter(audit=audit), OutputFolder(tmp_path / "one" / f"{number}",
                       palette=label_palette(3), frame_rate=25))
        for number, source in enumerate(sources)
    ]  # fmt: skip
    ends = many(sources, tmp_path / "many", segmenter(audit=audit), streams=2, stepping=stepping)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    for number, alone in enumerate(one):
        assert ends[number].error is None and len(check_whole(tmp_path / "many" / f"{number}")) == alone.frames
        for name in ("frames", "regions", "segmented", "untrusted", "audited", "unknown", "interrupted"):
            assert getattr(ends[number].summary, name) == getattr(alone, name)


def test_a_budget_for_all_streams_is_the_same_however_they_step(sources, tmp_path):
    """Streams that begin and end meanwhile; each step is dealt out by what came of the one before."""
    made = Segmenter(simple_params(), SIMPLE.replace(policy=SharedBudget(0.3, regions=2)))
    summaries = {}
    for stepping in ("together", "apart"):
        ends = many(sources, tmp_path / stepping, made, streams=3, stepping=stepping)
        assert not any(end.error for end in ends.values())
        summaries[stepping] = {number: end.summary.segmented for number, end in ends.items()}
    assert contents(tmp_path / "together") == contents(tmp_path / "apart")
    assert summaries["together"] == summaries["apart"]
    # Scores of 80 lose 20 points a frame, so all of it is wanted: 38 regions, of which first frames have 10.
    assert abs(sum(summaries["apart"].values()) - 0.3 * 38) <= 3 * 2 + 1


def test_motion_comes_with_the_frames(sources, tmp_path):
    made = Segmenter(carried_params(), CARRIED)
    segment_source(sources[0], made, OutputFolder(tmp_path / "one" / "0", palette=label_palette(3), frame_rate=25))
    ends = many(sources[:1], tmp_path / "many", made, streams=2)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert ends[0].summary.motion.kind == "dis" and ends[0].summary.unknown == 0


def test_one_that_fails_costs_no_other(sources, tmp_path, monkeypatch):
    """Cut off in the middle, no frame at all, another size in the middle, and a disk that is full for one of them."""
    cut(tmp_path / "in" / "0" / "street_003.png", 0.5)
    write_images(tmp_path / "in" / "2", clip(1, width=128))
    nothing = ImageSequence("nothing", [tmp_path / "gone.png"])
    write = output_folder.write_png

    def full(path, *arguments):
        if path.parts[-3:-1] == ("4", "labels") and path.stem == "street_002":
            raise InputError(f"{path}: cannot be written")
        write(path, *arguments)

    monkeypatch.setattr(output_folder, "write_png", full)
    ends = many([*sources, nothing], tmp_path / "out", streams=3)
    told = {number: str(end.error) for number, end in ends.items() if end.error}
    assert "street_003.png: cannot be read" in told[0] and "frames written before it: 3" in told[0]
    assert "is 64×96, but the frames before it are 64×128" in told[2]
    assert "street_002.png: cannot be written" in told[4]
    assert "gone.png" in told[5]
    assert sorted(told) == [0, 2, 4, 5]
    assert [len(check_whole(tmp_path / "out" / number)) for number in "0123"] == [3, 2, 1, 1]
    assert [ends[number].summary.frames for number in range(6)] == [3, 2, 1, 1, 2, 0]
    skipped = many([*sources[:4], nothing], tmp_path / "skipped", streams=3, skip_unreadable=True)
    assert [len(skipped[number].summary.skipped) for number in range(4)] == [1, 0, 6, 0]
    assert "nothing: has no frame that can be read: " in str(skipped[4].error)


def test_a_stop_ends_all_in_good_order(sources, tmp_path):
    stop, seen = threading.Event(), []

    def on_progress(number: int) -> None:
        seen.append(number)
        if len(seen) == 5:
            stop.set()

    ends = many(sources, tmp_path / "out", streams=2, stop=stop, on_progress=on_progress)
    assert 0 < sum(end.summary.frames for end in ends.values()) < 19
    assert any(end.summary.interrupted for end in ends.values()) and not any(end.error for end in ends.values())
    for number, end in ends.items():
        assert len(check_whole(tmp_path / "out" / f"{number}")) == end.summary.frames
    assert not (tmp_path / "out" / "4").exists()


def test_after_a_stop_no_further_source_is_opened(sources, tmp_path, monkeypatch):
    stop, opened, frames = threading.Event(), [], ImageSequence.frames

    def counted(self):
        opened.append(self.name)
        return frames(self)

    monkeypatch.setattr(ImageSequence, "frames", counted)
    ends = many(sources, tmp_path / "out", streams=1, stop=stop, on_progress=lambda number: stop.set())
    assert opened == ["0"] and set(ends) == {0}


def test_num_frames_and_a_clock(sources, tmp_path):
    ends = many(sources, tmp_path / "out", streams=4, num_frames=3)
    assert [ends[number].summary.frames for number in range(5)] == [3, 2, 3, 1, 3]
    clocked = Segmenter(simple_params(), SIMPLE.replace(policy=FrameRate(5.0, regions=2)))
    with pytest.raises(ValueError, match="is steered by the time of one source's frames"):
        many(sources, tmp_path / "clock", clocked, streams=2)


def test_whatever_is_raised_leaves_whole_files(sources, tmp_path):
    def on_progress(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        many(sources, tmp_path / "out", streams=3, on_progress=on_progress)
    assert np.all([len(check_whole(tmp_path / "out" / number)) > 0 for number in "02"])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dvsnet")]
