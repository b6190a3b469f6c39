"""A run's files are on record: the next run removes these and no others, and nothing before it writes itself."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from dvsnet_jax.errors import InputError, do_all
from dvsnet_jax.media import written_files
from dvsnet_jax.media.images import read_labels
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.written_files import RECORD, WrittenFiles
from dvsnet_jax.visualize import label_palette

LABELS = np.zeros((4, 6), np.uint8)


def write(folder: Path, *names: str, overwrite: bool = False, closed: bool = True) -> None:
    """The images and routes of a run; one that is not closed stands for one that was killed before its first line."""
    output = OutputFolder(
        folder, palette=label_palette(), frame_rate=25, products={"labels", "color", "routes"}, overwrite=overwrite
    )
    for name in names:
        output.write_images(name, LABELS)
        if closed:
            output.log({"name": name})
    output.close()


def files(folder: Path) -> set[str]:
    """All of them but the record."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {RECORD}


def recorded(folder: Path) -> set[str]:
    lines = (folder / RECORD).read_text().splitlines()
    return {json.loads(line)["file"] for line in lines[1:]}


def test_labels_are_greys_for_every_reader(tmp_path):
    """Of a palette PNG, as those in `color/` are, OpenCV gives colours or their brightness (findings)."""
    cv2 = pytest.importorskip("cv2")
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    output = OutputFolder(tmp_path, palette=label_palette(), frame_rate=25, products={"labels", "color"})
    output.write_images("a", labels)
    output.close()
    for how in (cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE):
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / "labels" / "a.png"), how), labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "color" / "a.png"), labels)


def test_a_used_folder_is_refused_and_stays_as_it_is(tmp_path):
    write(tmp_path, "a", "b")
    before = files(tmp_path)
    assert (
        before == recorded(tmp_path) == {"labels/a.png", "labels/b.png", "color/a.png", "color/b.png", "routes.jsonl"}
    )
    with pytest.raises(
        InputError, match=r"holds what an earlier run of dvsnet_jax wrote \(5 files\); pass --overwrite"
    ):
        write(tmp_path, "a")
    assert files(tmp_path) == before


@pytest.mark.parametrize("closed", [True, False])
def test_overwriting_removes_what_the_other_run_wrote_and_nothing_else(tmp_path, closed):
    write(tmp_path, "a", "b", "line\nbreak", closed=closed)
    for own in ("notes.txt", "labels/notes.txt", "other/a.png"):
        (tmp_path / own).parent.mkdir(exist_ok=True)
        (tmp_path / own).write_text("mine")
    write(tmp_path, "c", overwrite=True)
    assert files(tmp_path) == {
        "labels/c.png", "color/c.png", "routes.jsonl", "notes.txt", "labels/notes.txt", "other/a.png"
    }  # fmt: skip
    assert recorded(tmp_path) == {"labels/c.png", "color/c.png", "routes.jsonl"}
    write(tmp_path, overwrite=True)  # a run that comes to nothing
    assert "labels/c.png" in files(tmp_path)


def test_folders_that_are_left_empty_go_with_their_files(tmp_path):
    write(tmp_path, "a")
    written = WrittenFiles(tmp_path, overwrite=True)
    written.add(tmp_path / "routes.jsonl")
    assert {path.name for path in tmp_path.iterdir()} == {RECORD}


def test_files_that_are_gone_make_a_folder_free_again(tmp_path):
    write(tmp_path, "a")
    for name in files(tmp_path):
        (tmp_path / name).unlink()
    write(tmp_path, "b")
    assert recorded(tmp_path) == files(tmp_path)


@pytest.mark.parametrize("name", ["labels/own.png", "routes.jsonl", "color/own.png"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_files_on_no_record_are_never_written_over(tmp_path, name, overwrite):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"{name}: is there, and .*does not say that dvsnet wrote it"):
        write(tmp_path, "own", overwrite=overwrite)
    assert files(tmp_path) == {name} and (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["../victim", "/{tmp}/victim", "labels/../../victim", "", "."])
def test_a_record_never_leads_out_of_its_folder(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    write(tmp_path / "out", "a")
    with (tmp_path / "out" / RECORD).open("a") as file:
        file.write(json.dumps({"file": name.format(tmp=tmp_path)}) + "\n")
    with pytest.raises(InputError, match="is no record of the files that dvsnet wrote, or damaged"):
        write(tmp_path / "out", "b", overwrite=True)
    assert victim.exists() and "labels/a.png" in files(tmp_path / "out")


@pytest.mark.parametrize("content", ["mine\n", '{"file": "notes.txt"}\n', "[1]\n", '{"note": 1}\n'])
def test_somebody_elses_file_of_that_name_is_no_record(tmp_path, content):
    (tmp_path / RECORD).write_text(content)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=f"{RECORD}: is no record"):
        write(tmp_path, "a", overwrite=True)
    assert (tmp_path / RECORD).read_text() == content and (tmp_path / "notes.txt").exists()


def test_half_a_last_line_does_not_count(tmp_path):
    write(tmp_path, "a")
    with (tmp_path / RECORD).open("a") as file:
        file.write('{"file": "labels/a')
    write(tmp_path, "b", overwrite=True)
    assert files(tmp_path) == recorded(tmp_path) == {"labels/b.png", "color/b.png", "routes.jsonl"}


def test_two_runs_do_not_begin_in_one_folder(tmp_path):
    first, second = WrittenFiles(tmp_path), WrittenFiles(tmp_path)
    first.add(tmp_path / "a")
    with pytest.raises(InputError, match="another run has begun to write here meanwhile"):
        second.add(tmp_path / "b")
    assert recorded(tmp_path) == {"a"}


def test_threads_note_every_file_once(tmp_path):
    written = WrittenFiles(tmp_path)
    threads = [
        threading.Thread(target=lambda: [written.add(tmp_path / f"{number}") for number in range(50)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [json.loads(line)["file"] for line in (tmp_path / RECORD).read_text().splitlines()[1:]]
    assert sorted(names, key=int) == [f"{number}" for number in range(50)]


def test_an_input_that_would_be_removed_is_told(tmp_path):
    write(tmp_path, "a")
    written = WrittenFiles(tmp_path, overwrite=True)
    written.check_kept([tmp_path / "mine.png"])
    (tmp_path / "link.png").symlink_to(tmp_path / "labels" / "a.png")
    for path in (os.path.relpath(tmp_path / "color" / "a.png"), tmp_path / "link.png"):
        with pytest.raises(InputError, match="is an input, but an earlier run wrote it"):
            written.check_kept([path])


def test_the_earlier_files_are_looked_at_once_however_many_inputs_there_are(tmp_path, monkeypatch):
    write(tmp_path, *(f"{number}" for number in range(50)))
    written, looked, real = WrittenFiles(tmp_path, overwrite=True), [], os.path.realpath

    def counted(path, **options):
        looked.append(path)
        return real(path, **options)

    monkeypatch.setattr(written_files.os.path, "realpath", counted)
    for number in range(20):
        written.check_kept([tmp_path / f"{number}.mp4"])
    assert len(looked) <= 150 + 20  # labels, colours and what else there is


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(InputError, match=r"cannot be the output folder \(no permission to write in it\)"):
        WrittenFiles(tmp_path)
    monkeypatch.undo()
    (tmp_path / RECORD).mkdir()
    with pytest.raises(InputError, match=f"{RECORD}: cannot be read .*; choose another folder with --out"):
        WrittenFiles(tmp_path)


def test_what_cannot_be_removed_stops_the_run_before_it_writes(tmp_path):
    write(tmp_path, "a")
    before = (tmp_path / RECORD).read_bytes()
    (tmp_path / "labels" / "a.png").unlink()
    (tmp_path / "labels" / "a.png" / "own").mkdir(parents=True)
    record = WrittenFiles(tmp_path, overwrite=True)
    with pytest.raises(InputError, match=r"a\.png: cannot be removed .*; remove it by hand"):
        record.add(tmp_path / "labels" / "b.png")
    assert (tmp_path / RECORD).read_bytes() == before


def test_a_full_disk_is_told_and_what_was_noted_stays(tmp_path, monkeypatch):
    record = WrittenFiles(tmp_path)
    record.add(tmp_path / "a.png")

    def full(file, lines):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(written_files, "write_all_or_nothing", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); check that its folder"):
        record.add(tmp_path / "b.png")
    assert recorded(tmp_path) == {"a.png"}


def failing(error: BaseException):
    def part():
        raise error

    return part


def test_everything_is_done_and_all_failures_are_raised():
    done, first, second = [], ValueError("first"), OSError("second")
    do_all("both", lambda: done.append(1))
    with pytest.raises(ValueError) as alone:
        do_all("both", failing(first), failing(first), lambda: done.append(2))
    assert alone.value is first
    with pytest.raises(ExceptionGroup) as both:
        do_all(
            "both", failing(ExceptionGroup("inner", [first])), failing(second), failing(first), lambda: done.append(3)
        )
    assert both.value.exceptions == (first, second) and done == [1, 2, 3]
    stop = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as interrupted:
        do_all("both", failing(first), failing(stop), lambda: done.append(4))
    assert interrupted.value is stop and interrupted.value.__cause__.exceptions == (first,) and done[-1] == 4


def test_a_camera_that_runs_for_weeks_does_not_have_its_files_remembered(tmp_path, monkeypatch):
    """They are on the disk, counted, and forgotten; those that grow are brought there at the end."""
    brought: list[str] = []
    monkeypatch.setattr(written_files, "_MOST", 8)
    monkeypatch.setattr(written_files, "_UNDER_WAY", 2)
    monkeypatch.setattr(written_files, "sync_files", lambda paths: brought.extend(path.name for path in paths))
    written, place = WrittenFiles(tmp_path, resume=True), tmp_path / "camera"
    written.settle({})
    for number in range(20):
        written.add(place / f"{number}.png", place=place, once=True)
        written.add(place / "routes.jsonl", place=place)
    held = [place / f"{number}.png" for number in range(14, 20)]
    assert written._written_once[place] == held and written._added == {place / "routes.jsonl"}
    assert brought == [f"{number}.png" for number in range(14)]
    written.finish(place, "came")
    assert sorted(brought) == sorted([*(f"{number}.png" for number in range(20)), "routes.jsonl", RECORD])
    assert json.loads((tmp_path / RECORD).read_text().splitlines()[-1])["files"] == 21


def test_going_on_removes_the_earlier_files_of_an_input_once(tmp_path):
    for _ in range(2):
        written, place = WrittenFiles(tmp_path, resume=True), tmp_path / "a"
        written.settle({})
        for number in range(2):
            written.add(place / f"{number}.png", place=place, once=True)
            place.mkdir(exist_ok=True)
            (place / f"{number}.png").write_bytes(b"")
        written.close()
    assert files(tmp_path) == {"a/0.png", "a/1.png"}
