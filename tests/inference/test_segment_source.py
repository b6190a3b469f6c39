"""From a source to an output folder: the frame step's own results, in order, with everything at work at once."""

from __future__ import annotations

import errno
import itertools
import json
import threading
import time

import jax
import numpy as np
import pytest
from tiny import SIMPLE, TINY, marked, simple_params, tiny_params
from tiny_files import check_whole, clip, compile_once, write_images  # noqa: F401

from dvsnet_jax import DVSNetConfig, DynamicTarget, ExpectedConfidence, FixedInterval, checkpoints
from dvsnet_jax.cli import main
from dvsnet_jax.errors import InputError
from dvsnet_jax.inference.segment_source import Segmenter, segment_source
from dvsnet_jax.media import output_folder
from dvsnet_jax.media.images import read_image, read_labels
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import ImageSequence, open_source
from dvsnet_jax.media.video_reader import decode_video
from dvsnet_jax.visualize import label_palette

pytestmark = pytest.mark.usefixtures("compile_once")
CONFIG = TINY.replace(policy=DynamicTarget(51.5, fall=0.2, rise=0.1))  # the tiny network's scores are about 51.47


@pytest.fixture
def source(tmp_path):
    write_images(tmp_path / "drive", clip(12))
    return open_source(tmp_path / "drive")


@pytest.fixture
def output(tmp_path):
    return OutputFolder(tmp_path / "out", palette=label_palette(), frame_rate=25)


def segmenter(config: DVSNetConfig = CONFIG) -> Segmenter:
    return Segmenter(tiny_params(), config)


def by_hand(frames):
    """The same frames, one after the other."""
    own = segmenter()
    state, step = own.start(*frames.shape[1:3])
    results = []
    for frame in frames:
        state, result = step(own.params, state, frame[None])
        results.append(jax.tree.map(lambda array: np.asarray(array)[0], result))
    return results


def test_files_hold_what_the_frame_step_gives(source, output, tmp_path):
    summary = segment_source(source, segmenter(), output)
    names = check_whole(tmp_path / "out")
    assert names == [f"street_{index:03d}" for index in range(12)]
    lines = [json.loads(line) for line in (tmp_path / "out" / "routes.jsonl").read_text().splitlines()]
    expected = by_hand(clip(12))
    for index, (name, line, result) in enumerate(zip(names, lines, expected, strict=True)):
        labels = read_labels(tmp_path / "out" / "labels" / f"{name}.png")
        np.testing.assert_array_equal(labels, result.labels)
        np.testing.assert_array_equal(read_image(tmp_path / "out" / "color" / f"{name}.png"), label_palette()[labels])
        assert line["frame"] == index
        assert [region["segmented"] for region in line["regions"]] == result.segmented.tolist()
        assert [region["target"] for region in line["regions"]] == result.targets.tolist()
        scores = [region["score"] for region in line["regions"]]
        assert scores == ([None] * 4 if index == 0 else result.scores.tolist())
    segmented = sum(int(result.segmented.sum()) for result in expected)
    assert 4 < segmented < 48
    assert (summary.frames, summary.regions, summary.segmented, summary.skipped) == (12, 48, segmented, [])
    assert 0 < summary.device_seconds <= summary.seconds and not summary.interrupted


def test_the_overlay_has_the_input_on_its_left(source, output, tmp_path):
    segment_source(source, segmenter(), output)
    for picture, frame in zip(decode_video(str(tmp_path / "out" / "overlay.mp4")), clip(12), strict=True):
        assert picture.shape == (64, 192, 3)
        near = np.abs(picture[:, :96].mean(-1) - frame.mean(-1)).mean()
        assert near < 12 < np.abs(picture[:, 96:].mean(-1) - frame.mean(-1)).mean()


def test_input_size_sets_the_size_of_everything(source, output, tmp_path):
    segment_source(source, segmenter(CONFIG.replace(input_size=(64, 128))), output)
    assert len(check_whole(tmp_path / "out")) == 12
    assert read_labels(tmp_path / "out" / "labels" / "street_000.png").shape == (64, 128)
    assert next(decode_video(str(tmp_path / "out" / "overlay.mp4"))).shape == (64, 256, 3)


def test_only_the_products_asked_for(source, tmp_path):
    output = OutputFolder(tmp_path / "out", palette=label_palette(), frame_rate=25, products={"labels"})
    segment_source(source, segmenter(), output)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dvsnet-files.jsonl", "labels"]
    assert len(list((tmp_path / "out" / "labels").iterdir())) == 12


def test_num_frames(source, output, tmp_path):
    assert segment_source(source, segmenter(), output, num_frames=5).frames == 5
    assert len(check_whole(tmp_path / "out")) == 5


def test_progress(source, output):
    seen = []
    segment_source(source, segmenter(), output, on_progress=lambda *event: seen.append(event))
    assert seen == [("compiling", 0), *(("segmenting", number) for number in range(1, 13))]


def test_stop_ends_in_good_order(source, output, tmp_path):
    stop = threading.Event()
    summary = segment_source(
        source, segmenter(), output, stop=stop, on_progress=lambda _, frames: stop.set() if frames == 5 else None
    )
    assert summary.interrupted and summary.frames == 5
    assert len(check_whole(tmp_path / "out")) == 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_is_raised_leaves_whole_files(source, output, tmp_path, error):
    def fail(_, frames):
        if frames == 6:
            raise error("here")

    with pytest.raises(error, match="here"):
        segment_source(source, segmenter(), output, on_progress=fail)
    assert len(check_whole(tmp_path / "out")) == 6
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dvsnet")]


@pytest.mark.parametrize("product", ["labels", "color"])
def test_a_full_disk_while_writing_images(source, output, tmp_path, monkeypatch, product):
    write = output_folder.write_png

    def full(path, *arguments):
        if path.parent.name == product and path.stem == "street_005":
            raise InputError(f"{path}: cannot be written") from OSError(errno.ENOSPC, "No space left on device")
        write(path, *arguments)

    monkeypatch.setattr(output_folder, "write_png", full)
    with pytest.raises(InputError, match=rf"{product}/street_005\.png: cannot be written"):
        segment_source(source, segmenter(), output)
    lines = [json.loads(line) for line in (tmp_path / "out" / "routes.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2, 3, 4]
    frames = list(decode_video(str(tmp_path / "out" / "overlay.mp4")))
    assert len(frames) >= 5 and all(isinstance(frame, np.ndarray) for frame in frames)
    for path in (tmp_path / "out").rglob("*.png"):
        read_labels(path)


def test_a_failing_video_leaves_the_images(source, output, tmp_path, monkeypatch):
    film, count = output.film, iter(range(100))

    def full(picture):
        if next(count) == 5:
            raise InputError("overlay.mp4: cannot be written")
        film(picture)

    monkeypatch.setattr(output, "film", full)
    with pytest.raises(InputError, match=r"overlay\.mp4"):
        segment_source(source, segmenter(), output)
    assert len((tmp_path / "out" / "routes.jsonl").read_text().splitlines()) == 5
    assert len(list((tmp_path / "out" / "labels").iterdir())) >= 5


def test_nothing_readable(tmp_path, output):
    source = ImageSequence("gone", [tmp_path / "a.png", tmp_path / "b.png"])
    with pytest.raises(InputError, match=r"gone: has no frame that can be read: .*a\.png"):
        segment_source(source, segmenter(), output, skip_unreadable=True)
    assert check_whole(tmp_path / "out") == []


def test_reading_the_device_and_writing_overlap(source, output, monkeypatch):
    """Each takes 50 ms a frame; each two of them are at work at the same time, over and over."""
    spans = {"reading": [], "device": [], "writing": []}

    def slow(kind, function):
        def slowed(*arguments, **named):
            began = time.perf_counter()
            time.sleep(0.05)
            result = function(*arguments, **named)
            spans[kind].append((began, time.perf_counter()))
            return result

        return slowed

    once = segmenter(CONFIG.replace(policy=ExpectedConfidence(-1e9)))
    segment_source(source, once, OutputFolder(output.folder / "warm", palette=label_palette(), frame_rate=25))
    monkeypatch.setattr("dvsnet_jax.media.sources._READERS", 1)
    monkeypatch.setattr("dvsnet_jax.media.sources.read_image", slow("reading", read_image))
    monkeypatch.setattr(jax, "block_until_ready", slow("device", jax.block_until_ready))
    monkeypatch.setattr(output, "film", slow("writing", output.film))
    summary = segment_source(source, once, output)
    for first, second in itertools.combinations(spans, 2):
        together = sum(any(a < d and c < b for c, d in spans[second]) for a, b in spans[first])
        assert together > 6, (first, second, together)  # of 12
    assert summary.device_seconds >= 12 * 0.05


def test_regions_that_cannot_be_trusted_are_told(tmp_path, monkeypatch, capsys):
    """The flow network gives NaN for the first region of frame 2, the segmentation network for that of frame 4."""
    params = simple_params({"red": 104, "value": np.nan}, {"red": 102, "feature": np.nan})
    config = SIMPLE.replace(policy=FixedInterval(2))
    write_images(tmp_path / "drive", marked(6)[:, 0])
    monkeypatch.setattr(checkpoints, "load_bundled", lambda *_: (params, config))
    assert main(["segment", str(tmp_path / "drive"), "--no-overlay", "--out", str(tmp_path / "out")]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "drive: 3 of 6 frames have regions that cannot be trusted" in told and '"untrusted" in routes.jsonl' in told
    lines = [json.loads(line)["regions"] for line in (tmp_path / "out" / "routes.jsonl").read_text().splitlines()]
    assert [[region["untrusted"] for region in line] for line in lines] == [
        [False] * 2, [False] * 2, [True, False], [False] * 2, [True, False], [True, False]
    ]  # fmt: skip
    assert [line[0]["score"] for line in lines] == [None, 80.0, None, 80.0, 80.0, 80.0]
    assert [line[0]["segmented"] for line in lines] == [True, False, True, False, True, True]
    assert [line[1]["segmented"] for line in lines] == [True, False, True, False, True, False]
    void = [(read_labels(path) == 255).mean() for path in sorted((tmp_path / "out" / "labels").iterdir())]
    assert void == [0, 0, 0, 0, 0.5, 0]


@pytest.mark.slow
def test_the_originals_own_run(goldens, tmp_path):
    """The frames of the original's script through ours, with its weights and palette: its masks, its routes."""
    run = "e2e_ov32_dyn"
    routes = goldens.arrays(f"{run}/e2e")["routes_seg"]
    frames = sorted(goldens.path("frames/e2e").glob("frame_*.png"))[:8]
    config = DVSNetConfig.cityscapes(overlap=32, input_size=(256, 512), policy=DynamicTarget(85.0))
    output = OutputFolder(tmp_path, palette=label_palette(colors="original"), frame_rate=25)
    segment_source(ImageSequence("e2e", frames), Segmenter(checkpoints.seeded_params(config), config), output)
    masks = np.stack([read_image(goldens.path(f"{run}/mask{index}.png")) for index in range(8)])
    got = np.stack([read_image(tmp_path / "color" / f"{frame.stem}.png") for frame in frames])
    assert (got != masks).any(-1).mean() < 1e-4
    lines = [json.loads(line) for line in (tmp_path / "routes.jsonl").read_text().splitlines()]
    segmented = [[region["segmented"] for region in line["regions"]] for line in lines]
    np.testing.assert_array_equal(segmented, [[True] * 4, *routes.astype(bool)])
