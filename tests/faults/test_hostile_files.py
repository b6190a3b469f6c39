"""Files that are damaged, or made to do harm, of every kind that a campaign (`eval/faults.py`) found a hole in: one
line that names the file, before memory is taken for what they claim."""

from __future__ import annotations

import hashlib
import json
import struct
import warnings
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
from made_videos import encode, frames_of
from PIL import Image
from tiny_files import clip

from dvsnet_jax.checkpoints import checksums
from dvsnet_jax.checkpoints.record import recorded_shapes
from dvsnet_jax.cli.running import run_command
from dvsnet_jax.datasets.label_sets import read_map
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.log import ClipLog
from dvsnet_jax.evaluation.policies.promise import read_table
from dvsnet_jax.media import most_pixels
from dvsnet_jax.media.durable.records import NOTE, Part, read_record
from dvsnet_jax.media.flow_files import read_flow
from dvsnet_jax.media.images import UnreadableFrame, read_image
from dvsnet_jax.media.reading import opened
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.program.container import read_container
from dvsnet_jax.training.run_folder import SETTINGS, claim

DEEP = "[" * 100_000


def test_an_image_of_absurd_size(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6\n8200 8200\n255\n" + bytes(100))
    with pytest.raises(UnreadableFrame, match=r"a\.ppm: cannot be read \(has 8200×8200 pixels, and 67 million are"):
        read_image(tmp_path / "a.ppm")


def test_a_video_of_absurd_size(tmp_path, monkeypatch):
    """By its header, or by its pictures where the header is smaller."""
    path = encode(tmp_path / "a.mkv", clip(3))
    with monkeypatch.context() as small:
        small.setattr(most_pixels, "MOST_PIXELS", 64 * 96 - 1)
        with pytest.raises(InputError, match=r"a\.mkv: its header says that it has 96×64 pixels"):
            frames_of(path)
    monkeypatch.setattr(opened, "MOST_PIXELS", 64 * 96 - 1)
    frames = frames_of(path)
    assert len(frames) == 3 and all("cannot be decoded" in str(frame.error) for frame in frames)


@pytest.mark.parametrize("scale", [b"e-", b"--1", b"1.2.3", b"-"])
def test_a_pfm_whose_scale_is_no_number(tmp_path, scale):
    (tmp_path / "a.pfm").write_bytes(b"PF\n1 1\n" + scale + b"\n" + bytes(12))
    with pytest.raises(InputError, match=r"but a \.pfm starts with PF and its size"):
        read_flow(tmp_path / "a.pfm")


def test_flow_that_is_packed_small(tmp_path):
    """288 GB by its header, and by the zip's own directory more than any flow has."""
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (600000, 60000, 2), }".ljust(117) + b"\n"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("flow.npy", head + bytes(32))
    with pytest.raises(InputError, match=r"a\.npz: is no file of numpy's arrays, or damaged"):
        read_flow(tmp_path / "a.npz")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 2**31)  # the size that it says it has when unpacked
    (tmp_path / "b.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.npz: holds 2,147,483,648 bytes when unpacked, more than any flow"):
        read_flow(tmp_path / "b.npz")


def test_flow_of_absurd_size(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.flo5", "w") as file:
        file.create_dataset("flow", (100_000, 100_000, 2), np.float32, chunks=(64, 64, 2))  # of nothing but its size
    with pytest.raises(InputError, match=r"a\.flo5: has 100000×100000 pixels"):
        read_flow(tmp_path / "a.flo5")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    monkeypatch.setattr(most_pixels, "MOST_PIXELS", 10)
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 2), np.float32))
    with pytest.raises(InputError, match=r"a\.npy: has 4×4 pixels"):
        read_flow(tmp_path / "a.npy")


def test_an_exported_program_with_a_packed_part(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.dvsnet", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(100_000))
    with pytest.raises(InputError, match=r"a\.dvsnet: its part manifest\.json is packed"):
        read_container(tmp_path / "a.dvsnet")


def test_an_exported_program_whose_directory_is_damaged(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.dvsnet", "w") as archive:
        archive.writestr("manifest.json", "{}")
    content = bytearray((tmp_path / "a.dvsnet").read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # locked, it says
    (tmp_path / "a.dvsnet").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.dvsnet: is no exported program, or is damaged"):
        read_container(tmp_path / "a.dvsnet")


def test_what_is_no_text_is_not_in_the_message(tmp_path):
    """A manifest whose sum fits, of which one byte is none of UTF-8."""
    manifest = b'{"format": "' + b"x" * 5000 + b'\xe7"}'
    with zipfile.ZipFile(tmp_path / "a.dvsnet", "w") as archive:
        archive.writestr("manifest.json", manifest)
        archive.writestr("manifest.sha256", hashlib.sha256(manifest).hexdigest())
    with pytest.raises(InputError, match=r"is none of a dvsnet_jax program \(UnicodeDecodeError") as raised:
        read_container(tmp_path / "a.dvsnet")
    assert len(str(raised.value)) < 600 and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "line",
    [
        '{"file": "a\\u0000b.png"}',
        '{"done": "a", "files": Infinity, "input": null}',
        DEEP,
        "3",
        '{"file": 7}',
        '{"file": "../a.png"}',
    ],
)
def test_a_record_of_a_run(tmp_path, line):
    path = tmp_path / "dvsnet-files.jsonl"
    path.write_text(json.dumps({"writer": "x", "note": NOTE}) + f"\n{line}\n")
    with pytest.raises(InputError, match="is no record of the files that dvsnet wrote, or damaged"):
        read_record(path, Part())


@pytest.mark.parametrize("content", [DEEP, "[1, 2]", "null"])
def test_settings_of_a_run(tmp_path, content):
    (tmp_path / SETTINGS).write_text(content)
    if content == "null":
        assert not claim(tmp_path, {"a": 1})  # as where there are none
        return
    with pytest.raises(InputError, match=f"{SETTINGS}: is damaged"):
        claim(tmp_path, {"a": 1})


def test_the_log_of_an_evaluation(tmp_path):
    for line in (DEEP, "[]", '{"clip": []}'):
        (tmp_path / "clips.jsonl").write_text(line + "\n")
        with pytest.raises(InputError, match="has a line that is no record of a clip"):
            ClipLog(tmp_path)


def test_a_map_of_classes(tmp_path):
    for name, content in (("a.json", DEEP), ("a.csv", '0,"' + "x" * 200_000)):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=f"{name}: cannot be read as"):
            read_map(tmp_path / name, None, 3)


def test_a_table_of_what_limits_keep(tmp_path):
    for content in (DEEP, '{"rows": [], "confidence": null, "frames": Infinity}'):
        (tmp_path / "keep.json").write_text(content)
        with pytest.raises(InputError, match=r"keep\.json: is damaged"):
            read_table(tmp_path)


def test_sums_and_shapes_of_a_checkpoint(tmp_path):
    (tmp_path / checksums.NAME).write_text('{"a": [Infinity, 3]}')
    with pytest.raises(InputError, match="cannot be read"):
        checksums.verify(tmp_path)
    with pytest.raises(InputError, match="its list of parameters is damaged"):
        recorded_shapes(tmp_path, {"params": {"a": {"shape": [float("inf")], "dtype": "float32"}}})


def test_a_list_with_what_no_file_can_be_called(tmp_path):
    Image.fromarray(clip(1)[0]).save(tmp_path / "a.png")
    (tmp_path / "val.txt").write_text("a.png\n" + "b" * 5000 + "\nc\0d\n")
    first, *others = open_source(tmp_path / "val.txt").frames()
    assert first.image is not None and [frame.image for frame in others] == [None, None]
    assert "line 2 of" in str(others[0].error) and "line 3 of" in str(others[1].error)


@dataclass
class Warns:
    """A command in which a library says something."""

    def run(self) -> int:
        warnings.warn_explicit("Truncated File Read", UserWarning, "/lib/PIL/TiffImagePlugin.py", 1)
        warnings.warn_explicit("of something else", UserWarning, "/lib/other/module.py", 1)
        return 0


def test_pillows_words_on_a_damaged_picture_are_not_shown():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert run_command(Warns, [], name="dvsnet") == 0
    assert [str(each.message) for each in said] == ["of something else"]
