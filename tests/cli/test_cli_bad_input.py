"""Bad input: one line that names the file and what to do, a non-zero exit, everything before it whole."""

from __future__ import annotations

import json
import re
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_files import check_whole, clip, compile_once, cut, weights, write_images, write_video  # noqa: F401

from dvsnet_jax.cli import main
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.segmenting.outputs import Opening, Outputs
from dvsnet_jax.media.images import read_labels, write_png

pytestmark = pytest.mark.usefixtures("compile_once")


@pytest.fixture
def run(tmp_path, weights, capsys):  # noqa: F811
    """Runs `dvsnet segment`, checks how it fails; returns the frames written and what was told."""

    def run(*arguments, status: int = 1, given: str | Path = weights) -> tuple[list[str], str]:
        out = tmp_path / "out"
        code = main(["segment", *map(str, arguments), "--weights", str(given), "--out", str(out)])
        told = capsys.readouterr().err
        assert code == status, told
        lines = [line for line in told.splitlines() if not line.startswith("written to")]
        if status:
            assert len(lines) == 1 and lines[0].startswith("dvsnet: "), told
        return check_whole(out) if out.is_dir() else [], told

    return run


@pytest.fixture
def listed(tmp_path):
    """A list of eight images, and their paths."""
    paths = write_images(tmp_path / "drive", clip(8))
    (tmp_path / "val.txt").write_text("".join(f"drive/{path.name}\n" for path in paths))
    return tmp_path / "val.txt", paths


def test_missing_file(run, tmp_path):
    _, told = run(tmp_path / "gone.mp4")
    assert "gone.mp4: no such file or folder; check the path" in told


@pytest.mark.parametrize("damage", ["truncated", "corrupt", "missing", "another size"])
def test_a_bad_image_in_the_middle_of_a_list(run, listed, damage):
    path, images = listed
    if damage == "truncated":
        cut(images[4], 0.5)
    elif damage == "corrupt":
        images[4].write_bytes(b"no image")
    elif damage == "missing":
        images[4].unlink()
    else:
        write_png(images[4], clip(1, 80, 96)[0])
    names, told = run(path)
    assert names == [image.stem for image in images[:4]]
    assert "street_004.png" in told and "frames written before it: 4" in told and "--skip-unreadable" in told
    if damage == "another size":
        assert "is 80×96, but the frames before it are 64×96" in told
    names, told = run(path, "--skip-unreadable", "--overwrite", status=0)
    assert names == [image.stem for image in images if image != images[4]]
    assert f"dvsnet: skipped {images[4]}: " in told


def test_many_bad_images_are_not_all_told(run, listed):
    path, images = listed
    for image in images[1:]:
        cut(image, 0.5)
    names, told = run(path, "--skip-unreadable", "--overwrite", status=0)
    assert names == ["street_000"] and told.count("skipped") == 6 and "skipped 2 more" in told


def test_all_bad(run, listed):
    path, images = listed
    for image in images:
        cut(image, 0.5)
    names, told = run(path, "--skip-unreadable")
    assert names == [] and "val: has no frame that can be read" in told


def test_grey_palette_sixteen_bit_and_rgba_images_are_converted(run, tmp_path):
    frames = clip(5)
    (tmp_path / "mixed").mkdir()
    grey = frames[..., 1]
    pictures = {
        "0_rgb": Image.fromarray(frames[0]),
        "1_grey": Image.fromarray(grey[1]),
        "2_palette": Image.fromarray(frames[2]).quantize(64),
        "3_sixteen": Image.fromarray(grey[3].astype(np.uint16) << 8),
        "4_rgba": Image.fromarray(np.concatenate([frames[4], grey[4][..., None]], -1)),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / "mixed" / f"{name}.png")
    assert run(tmp_path / "mixed", status=0)[0] == list(pictures)


def test_a_truncated_video(run, tmp_path):
    video = cut(write_video(tmp_path / "drive.mp4", clip(40), options={"movflags": "faststart"}), 0.6)
    names, told = run(video)
    assert 10 < len(names) < 40 and "drive.mp4: frame" in told and "cut off" in told
    more, told = run(video, "--skip-unreadable", "--overwrite", status=0)
    assert len(more) >= len(names) and "of 40 frames" in told


def test_a_video_that_silently_stops(run, tmp_path):
    video = cut(write_video(tmp_path / "drive.mkv", clip(40)), 0.6)
    names, told = run(video)
    assert 10 < len(names) < 40 and "drive.mkv: " in told


def test_an_empty_list(run, tmp_path):
    (tmp_path / "val.txt").write_text("\n")
    assert "val.txt: the list is empty; expected one image path a line" in run(tmp_path / "val.txt")[1]


@pytest.mark.parametrize("edit", [lambda text: text.replace("\n", "\r\n"), lambda text: text.rstrip("\n")])
def test_crlf_and_no_last_newline(run, listed, edit):
    path, images = listed
    path.write_bytes(edit(path.read_text()).encode())
    assert run("--data-list", path, status=0)[0] == [image.stem for image in images]


def test_an_overlap_that_the_geometry_cannot_take(run, listed):
    names, told = run(listed[0], "--overlap", "200")
    assert names == [] and "street_000.png: overlap 200 is too large for 64×96 frames" in told and "at most" in told


def test_regions_of_nothing_but_padding(run, tmp_path):
    write_images(tmp_path / "odd", clip(1, 112, 96))
    names, told = run(tmp_path / "odd", "--regions", "6x2", "--overlap", "0")
    assert names == [] and "street_000.png: 112×96 frames in 6×2 regions are too many at overlap 0: 4 of 12" in told
    assert "use 4×2, the largest grid" in told


@pytest.mark.parametrize("target", ["nan", "inf", "-inf"])
def test_a_target_that_is_not_finite(run, listed, target):
    assert "must be a finite number" in run(listed[0], f"--target={target}", status=2)[1]


def test_weights_for_another_configuration(listed, tmp_path, weights, capsys):  # noqa: F811
    shutil.copytree(weights, tmp_path / "other")
    record = tmp_path / "other" / "config" / "dvsnet.json"
    text = record.read_text()
    record.write_text(re.sub(r'"num_classes": *5', '"num_classes": 7', text))
    assert record.read_text() != text
    out = tmp_path / "out"
    assert main(["segment", str(listed[0]), "--weights", str(tmp_path / "other"), "--out", str(out)]) == 1
    told = capsys.readouterr().err  # one line; a list of what does not fit may follow
    assert told.startswith(f"dvsnet: {tmp_path / 'other'}") and "Traceback" not in told
    assert check_whole(out) == []


def test_no_weights_there(run, listed, tmp_path):
    assert "gone: there is no such checkpoint" in run(listed[0], given=tmp_path / "gone")[1]


@pytest.mark.parametrize("rate", [0, -1, 1e-12, 1e12, float("nan"), float("inf")])
def test_a_frame_rate_that_no_video_has(rate):
    with pytest.raises(UsageError, match=r"--frame-rate is .*, but it counts frames per second: 0.001 to 10000"):
        Opening(Outputs(frame_rate=rate), None, None)


@pytest.mark.parametrize("place", ["out", "out/color"])
def test_an_output_folder_that_cannot_be_written(listed, tmp_path, weights, capsys, place):  # noqa: F811
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file")
    assert main(["segment", str(listed[0]), "--weights", weights, "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == (
        f"dvsnet: {path}: cannot be the output folder (a file is in its place); choose another with --out\n"
    )
    assert path.read_text() == "a file"


@pytest.mark.parametrize(
    ("limit", "file"), [(800, "dvsnet-files.jsonl"), (1800, "routes.jsonl"), (4500, "overlay.mp4")]
)
def test_a_full_disk(listed, tmp_path, weights, capsys, limit, file):  # noqa: F811
    """No file may grow past the limit: what does is given up, what does not is whole."""
    out = tmp_path / "out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    arguments = ["segment", str(listed[0]), "--weights", weights, "--out", str(out)]
    if file != "overlay.mp4":
        arguments.append("--no-overlay")
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        assert main(arguments) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"{out / file}: cannot be written (File too large)" in told
    assert not [path for path in out.rglob("*") if "partial" in path.name]
    assert not (out / "overlay.mp4").exists()
    for path in out.rglob("*.png"):
        read_labels(path)
    routes = out / "routes.jsonl"
    lines = [json.loads(line) for line in routes.read_text().splitlines()] if routes.exists() else []
    assert bool(lines) == (file != "dvsnet-files.jsonl")
    for line in lines:
        assert (out / "labels" / f"{line['name']}.png").exists()
