"""`dvsnet segment --resume`: whatever ended a run, the resumed folder is that of an undisturbed one, file by file."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from killed_runs import killed
from tiny import TINY, tiny_params
from tiny_files import clip, compile_once, weights, write_images  # noqa: F401

from dvsnet_jax import checkpoints
from dvsnet_jax.cli import main
from dvsnet_jax.cli.segmenting.going_on import left_to_do
from dvsnet_jax.errors import InputError
from dvsnet_jax.media import output_folder
from dvsnet_jax.media.sources import Video
from dvsnet_jax.media.video_reader import decode_video
from dvsnet_jax.media.written_files import RECORD, WrittenFiles

pytestmark = pytest.mark.usefixtures("compile_once")


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[str]:
    """Folders of 2 to 6 frames, of two sizes."""
    folder = tmp_path_factory.mktemp("clips")
    for index, frames in enumerate((4, 6, 2, 5, 3)):
        write_images(folder / f"{'abcde'[index]}", clip(frames, width=96 if index != 2 else 128))
    return [str(folder / name) for name in "abcde"]


@pytest.fixture(scope="module")
def command(weights):  # noqa: F811
    """The words of a run over some clips."""

    def command(inputs, out, *more: str) -> list[str]:
        return ["segment", *map(str, inputs), "--weights", weights, "--out", str(out), "--budget", "0.5", *more]

    return command


@pytest.fixture(scope="module")
def undisturbed(clips, command, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert main(command(clips[:3], out, "--streams", "1")) == 0
    return out


def contents(out: Path) -> dict[str, object]:
    """Every file in a folder, hidden ones too: bytes, but of records what is in them all."""
    found: dict[str, object] = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.name.startswith("dvsnet-files"):
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[RECORD] = found.get(RECORD, set()) | {json.dumps(line, sort_keys=True) for line in lines}
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def same(out: Path, undisturbed: Path) -> bool:
    """Whether two folders hold the same. Of videos nearly, frame by frame: now and then the encoder's bytes differ."""
    got, expected = contents(out), contents(undisturbed)
    assert got.keys() == expected.keys()
    videos = [name for name in got if name.endswith(".mp4")]
    assert [name for name in got if name not in videos and got[name] != expected[name]] == []
    for name in videos:
        for ours, theirs in zip(decode_video(str(out / name)), decode_video(str(undisturbed / name)), strict=True):
            assert np.abs(ours.astype(int) - theirs.astype(int)).mean() < 5
    return True


@pytest.mark.parametrize("streams", ["1", "2"])
def test_killed_runs_go_on(clips, command, undisturbed, tmp_path, streams):
    """In the first clip, and at a later moment once more, when the resumed run is killed too."""
    out = tmp_path / "out"
    words = command(clips[:3], out, "--streams", streams)
    # Not earlier: there may be temporary files only, and what left nothing may be begun anew.
    assert killed(words, out, 40)
    assert (out / RECORD).exists()
    assert main(words) == 1  # refused
    assert killed([*words, "--resume"], out, 45)
    assert main([*words, "--resume"]) == 0
    assert same(out, undisturbed)
    assert main([*words, "--resume"]) == 0  # nothing is left


@pytest.mark.slow
@pytest.mark.parametrize("quarter", range(4))
def test_killed_at_twenty_moments(clips, command, tmp_path, quarter):
    expected = tmp_path / "expected"
    assert main(command(clips, expected, "--streams", "1")) == 0
    kills = 0
    for index in range(quarter, 20, 4):
        out = tmp_path / f"out{index}"
        words = command(clips, out, "--streams", "12"[index // 4 % 2])
        kills += killed(words, out, touches=1 + 159 * index // 19)
        assert main([*words, "--resume"]) == 0
        assert same(out, expected)
    assert kills == 5


@pytest.fixture
def drives(tmp_path, monkeypatch) -> list[str]:
    """Of 33 and 14 frames, in parts of five; an overlay of the first has whole fragments half way."""
    monkeypatch.setattr(output_folder, "PART", 5)
    for name, frames in (("long", 33), ("short", 14)):
        write_images(tmp_path / name, clip(frames))
    return [str(tmp_path / "long"), str(tmp_path / "short")]


def test_a_killed_run_goes_on_within_an_input(drives, command, tmp_path, capsys):
    """Once of an input alone, once of one of two streams, with the same files, the overlay's times too."""
    for inputs in (drives[:1], drives):
        out, expected = tmp_path / f"out{len(inputs)}", tmp_path / f"expected{len(inputs)}"
        words = command(inputs, out, "--streams", str(len(inputs)))
        assert main([*words, "--out", str(expected)]) == 0
        assert killed(words, out, {1: 290, 2: 590}[len(inputs)], part=5)
        capsys.readouterr()
        assert main([*words, "--resume"]) == 0
        assert "long: goes on after" in capsys.readouterr().err
        assert same(out, expected)
        assert not list(out.rglob("dvsnet-bookmark*"))


@pytest.mark.slow
@pytest.mark.parametrize("streams", ["1", "2"])
def test_killed_within_an_input_at_many_moments(drives, command, tmp_path, capsys, streams):
    """Each time somewhere else, every other time again while it goes on, which may take it back to the beginning."""
    expected, gone_on = tmp_path / "expected", 0
    assert main(command(drives, expected, "--streams", "1")) == 0
    for index in range(10):
        out = tmp_path / f"out{index}"
        words = [*command(drives, out, "--streams", streams), "--resume"]
        assert killed(words, out, 40 + 60 * index, part=5)
        if index % 2:
            killed(words, out, 30 + 17 * index, part=5)
        capsys.readouterr()
        assert main(words) == 0
        gone_on += "goes on after" in capsys.readouterr().err
        assert same(out, expected)
    assert gone_on >= 1


def test_a_full_disk_and_then_room_again(clips, command, undisturbed, tmp_path, monkeypatch, capsys):
    """In the second of three clips, for labels, then for the log, then for the record."""
    out = tmp_path / "out"
    words = command(clips[:3], out, "--streams", "1", "--resume")
    write = output_folder.write_png

    def full(path, *arguments):
        if path.parts[-3] == "b" and path.stem >= "street_002":
            raise InputError(f"{path}: cannot be written (No space left on device)")
        write(path, *arguments)

    monkeypatch.setattr(output_folder, "write_png", full)
    assert main(words) == 1
    lines = (out / "b" / "routes.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1]
    assert len(list(decode_video(str(out / "b" / "overlay.mp4")))) >= 2
    monkeypatch.undo()

    def no_room(self, *arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dvsnet_jax.media.json_lines.write_all_or_nothing", no_room)
    assert main(words) == 1
    monkeypatch.undo()
    monkeypatch.setattr("dvsnet_jax.media.written_files.write_all_or_nothing", no_room)
    assert main(words) == 1
    monkeypatch.undo()
    capsys.readouterr()
    assert main(words) == 0
    assert "2 of 3 inputs were done before" in capsys.readouterr().err
    assert same(out, undisturbed)


def test_ten_as_streams_are_as_one_after_the_other(clips, command, tmp_path):
    """Of two sizes and all lengths; `--audit` has one number more in the routes."""
    inputs = [*clips, *clips]
    assert main(command(inputs, tmp_path / "one", "--streams", "1", "--audit", "--no-overlay")) == 0
    assert main(command(inputs, tmp_path / "four", "--streams", "4", "--audit", "--no-overlay")) == 0
    one, four = contents(tmp_path / "one"), contents(tmp_path / "four")
    assert len(one) == 1 + 2 * (5 + 2 * 20) and one == four


def test_workers_share_the_inputs(clips, command, undisturbed, tmp_path, capsys):
    out = tmp_path / "out"
    for worker in ("1/2", "0/2"):
        assert main(command(clips[:3], out, "--worker", worker)) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "a", "b", "c", "dvsnet-files-0-of-2.jsonl", "dvsnet-files-1-of-2.jsonl"
    ]  # fmt: skip
    assert same(out, undisturbed)
    capsys.readouterr()
    assert main(command(clips[:3], out, "--worker", "1/2")) == 1
    assert "pass --resume to go on" in capsys.readouterr().err
    assert main(command(clips[:3], out, "--resume")) == 0
    assert "3 of 3 inputs were done before" in capsys.readouterr().err
    shutil.rmtree(out / "b")  # of another number of workers
    assert main(command(clips[:3], out, "--worker", "1/3", "--resume")) == 0
    assert same(out, undisturbed)
    assert main(command(clips[:2], out, "--overwrite")) == 0  # all records' files go
    assert sorted(path.name for path in out.iterdir()) == ["a", "b", RECORD]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--worker", "2/2"], 2, "expected a number from 0 on and how many there are"),
        (["--worker", "0/2", "--distributed"], 2, "both deal out the inputs"),
        (["--worker", "0/2", "--overwrite"], 2, "--overwrite does not go with --worker"),
        (["--resume", "--overwrite"], 2, "--overwrite removes what --resume would go on with"),
    ],
)
def test_options_that_do_not_go_together(clips, command, tmp_path, capsys, words, status, told):
    assert main(command(clips[:2], tmp_path / "out", *words)) == status
    assert told in " ".join(capsys.readouterr().err.split())


def test_other_settings_and_weights_are_refused(clips, command, undisturbed, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    before = contents(out)
    other = tiny_params() | {"decision": checkpoints.seeded_params(TINY)["decision"]}
    checkpoints.save(tmp_path / "other", other, TINY)
    for words, told in (
        (["--weights", str(tmp_path / "other")], "weights was"),
        (["--budget", "0.25"], "config: policy was"),
        (["--overlap", "8"], 'config: overlap was "16" and is now "8"'),
        (["--no-color"], 'products was ["color", "labels", "overlay", "routes"] and is now'),
        (["--num-steps", "2"], "num_steps was null and is now 2"),
    ):
        capsys.readouterr()
        assert main([*command(clips[:3], out, "--resume"), *words]) == 1
        assert told in (message := " ".join(capsys.readouterr().err.split())) and "--overwrite" in message
    assert main(command(clips[:1], out, "--resume")) == 1
    assert "several inputs was true and is now false" in capsys.readouterr().err
    assert contents(out) == before


def test_what_has_changed_is_segmented_again_and_what_is_new_too(clips, command, tmp_path, capsys):
    out, inputs = tmp_path / "out", [tmp_path / name for name in "abcd"]
    for index, place in enumerate(inputs):
        shutil.copytree(clips[index], place)
    assert main(command(inputs[:3], out)) == 0
    (out / "b" / "labels" / "street_001.png").unlink()
    write_images(inputs[2], clip(1))
    (inputs[2] / "street_001.png").unlink()
    capsys.readouterr()
    assert main(command(inputs, out, "--resume")) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "c: has changed since it was segmented" in told and "1 of 4 inputs were done before" in told
    assert main(command(inputs, out, "--resume")) == 0
    assert "4 of 4 inputs were done before" in capsys.readouterr().err
    assert main(command(inputs, tmp_path / "fresh")) == 0
    for folder in (out, tmp_path / "fresh"):
        (folder / RECORD).unlink()  # the settings and inputs are the same, the order is not
    assert same(out, tmp_path / "fresh")


def test_another_input_does_not_take_the_place_of_one_that_is_done(clips, command, tmp_path, capsys):
    """As in a loop over files with one folder for all of them."""
    out, moved = tmp_path / "out", tmp_path / "renamed"
    assert main(command(clips[:1], out, "--resume")) == 0
    before = contents(out)
    assert main(command(clips[1:2], out, "--resume")) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "out: holds what came of a, in whose place b would be written; choose another folder with --out" in told
    assert contents(out) == before
    shutil.copytree(clips[0], moved)  # the same files by another name
    assert main(command([moved], out, "--resume")) == 0
    assert "1 of 1 inputs were done before" in capsys.readouterr().err
    assert contents(out) == before


def test_two_runs_in_one_folder(clips, command, undisturbed, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    first = WrittenFiles(out, resume=True)
    for words in ("--resume", "--overwrite"):
        assert main(command(clips[:3], out, words)) == 1
        assert "another run is writing here" in " ".join(capsys.readouterr().err.split())
    first.close()
    assert main(command(clips[:3], out, "--resume")) == 0


def test_a_camera_cannot_be_begun_again(tmp_path):
    place = tmp_path / "camera"
    written = WrittenFiles(tmp_path)
    written.add(place / "routes.jsonl", place=place)
    written.close()
    written = WrittenFiles(tmp_path, resume=True)
    with pytest.raises(InputError, match="camera: is a stream or camera, and what it showed"):
        left_to_do([(Video("camera", "rtsp://host/camera"), place)], written)


def test_a_record_without_settings_is_not_gone_on_with(tmp_path):
    written = WrittenFiles(tmp_path)
    written.add(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(b"")
    written.close()
    with pytest.raises(InputError, match="does not say with which settings"):
        WrittenFiles(tmp_path, resume=True).settle({"weights": "1"})


def test_half_a_last_line_is_cut_before_more_are_written(tmp_path):
    first = WrittenFiles(tmp_path, resume=True)
    first.settle({"weights": "1"})
    first.add(tmp_path / "a" / "1.png", place=tmp_path / "a")
    first.close()
    with (tmp_path / RECORD).open("ab") as file:
        file.write(b'{"file": "a/2' + 20 * b"\0")
    again = WrittenFiles(tmp_path, resume=True)
    again.settle({"weights": "1"})
    again.add(tmp_path / "a" / "1.png", place=tmp_path / "a")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"")
    again.finish(tmp_path / "a", [7])
    again.close()
    assert WrittenFiles(tmp_path, resume=True).done(tmp_path / "a") == [7]
    lines = [json.loads(line) for line in (tmp_path / RECORD).read_text().splitlines()]
    assert lines[1:] == [{"file": "a/1.png"}, {"file": "a/1.png"}, {"done": "a", "files": 1, "input": [7]}]


@pytest.mark.slow
def test_two_processes_of_a_job_share_the_inputs(clips, command, undisturbed, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    out = tmp_path / "out"
    # What srun sets, but for the port.
    job = {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    call = [sys.executable, "-m", "dvsnet_jax", *command(clips[:3], out, "--distributed")]
    processes = [
        subprocess.Popen(
            call, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **job, "SLURM_PROCID": each, "SLURM_LOCALID": each, "JAX_COORDINATOR_ADDRESS": address},
        )
        for each in ("0", "1")
    ]  # fmt: skip
    for process in processes:
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told
    assert (out / "dvsnet-files-1-of-2.jsonl").exists()
    assert same(out, undisturbed)
