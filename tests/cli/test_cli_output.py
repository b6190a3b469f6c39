"""`dvsnet segment` into a folder that was used before, and with inputs of which some fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_files import check_whole, clip, compile_once, cut, weights, write_images  # noqa: F401

from dvsnet_jax.cli import main
from dvsnet_jax.errors import InputError
from dvsnet_jax.inference import segment_source as segmenting
from dvsnet_jax.media import output_folder

pytestmark = pytest.mark.usefixtures("compile_once")


@pytest.fixture
def run(tmp_path, weights, capsys):  # noqa: F811
    """`dvsnet segment` into out/, returning its status and what it told."""

    def run(*arguments, out: str = "out") -> tuple[int, str, str]:
        status = main(["segment", *map(str, arguments), "--weights", weights, "--out", str(tmp_path / out)])
        return status, *capsys.readouterr()

    return run


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_second_shorter_run_does_not_lie_among_the_first(run, tmp_path):
    write_images(tmp_path / "drive", clip(4))
    write_images(tmp_path / "short", clip(2))
    assert run(tmp_path / "drive")[0] == 0
    before = files(tmp_path / "out")
    status, _, told = run(tmp_path / "short")
    assert status == 1 and told == (
        f"dvsnet: {tmp_path / 'out'}: holds what an earlier run of dvsnet segment wrote (10 files); "
        "pass --resume to go on where it was, --overwrite to write in its place, or choose another folder with --out\n"
    )
    assert files(tmp_path / "out") == before
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert run(tmp_path / "short", "--overwrite", "--no-overlay")[0] == 0
    assert check_whole(tmp_path / "out", overlay=False) == ["street_000", "street_001"]
    own = {"notes.txt", "dvsnet-files.jsonl", "routes.jsonl"}
    assert {name for name in files(tmp_path / "out") if "/" not in name} == own


def test_what_was_there_stands_until_something_takes_its_place(run, tmp_path):
    write_images(tmp_path / "drive", clip(2))
    assert run(tmp_path / "drive")[0] == 0
    before = {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")}
    cut(write_images(tmp_path / "bad", clip(1))[0], 0.5)
    assert run(tmp_path / "bad", "--overwrite")[0] == 1
    assert run(tmp_path / "drive", "--overwrite", "--overlap", "200")[0] == 1
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")} == before


def test_of_several_inputs_all_go_with_the_folder(run, tmp_path):
    for name in "abc":
        write_images(tmp_path / name, clip(1))
    assert run(*(tmp_path / name for name in "abc"))[0] == 0
    assert run(tmp_path / "a", tmp_path / "b")[0] == 1
    assert run(tmp_path / "a", tmp_path / "b", "--overwrite")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b", "dvsnet-files.jsonl"]
    assert check_whole(tmp_path / "out" / "b") == ["street_000"]


def test_an_input_in_the_folder_is_not_removed(run, tmp_path):
    write_images(tmp_path / "drive", clip(1))
    assert run(tmp_path / "drive")[0] == 0
    before = files(tmp_path / "out")
    for given in ("out/overlay.mp4", "out/color"):
        status, _, told = run(tmp_path / given, "--overwrite")
        assert status == 1 and "is an input, but an earlier run wrote it and --overwrite would remove it" in told
        assert files(tmp_path / "out") == before


@pytest.fixture
def inputs(tmp_path) -> list[Path]:
    """a good, b damaged, c good."""
    places = [tmp_path / name for name in "abc"]
    for place in places:
        write_images(place, clip(2))
    cut(places[1] / "street_001.png", 0.5)
    return places


def test_a_bad_input_does_not_end_those_after_it(run, inputs, tmp_path):
    status, table, told = run(*inputs)
    assert status == 1 and " a " in table and " c " in table and " b " not in table
    assert [len(check_whole(tmp_path / "out" / name)) for name in "abc"] == [2, 1, 2]
    first, *_, last = told.splitlines()
    wrong = f"{inputs[1] / 'street_001.png'}: cannot be read"
    assert first.startswith(f"dvsnet: b failed, going on with the others: {wrong}")
    assert last.startswith(f"dvsnet: 1 of 3 inputs failed: b: {wrong}") and "--skip-unreadable" in last


def test_an_input_that_is_not_there_or_fails_unexpectedly_is_one_of_them(run, inputs, tmp_path, monkeypatch):
    segment = segmenting.segment_source

    def broken(source, *arguments, **options):
        if source.name == "a":
            raise ArithmeticError("not enough\nby far")
        return segment(source, *arguments, **options)

    monkeypatch.setattr(segmenting, "segment_source", broken)
    status, _, told = run("--streams", "1", inputs[0], tmp_path / "gone.mp4", inputs[2])
    assert status == 1 and len(check_whole(tmp_path / "out" / "c")) == 2
    assert told.splitlines()[-3:] == [
        "dvsnet: 2 of 3 inputs failed:",
        "  a: unexpected ArithmeticError: not enough; --debug shows where it came from",
        f"  gone: {tmp_path / 'gone.mp4'}: no such file or folder; check the path",
    ]
    with pytest.raises(ExceptionGroup, match="2 of 3 inputs failed"):
        run("--streams", "1", inputs[0], tmp_path / "gone.mp4", inputs[2], "--debug", "--overwrite")


def test_inputs_of_which_none_is_there_end_it_at_once(run, tmp_path):
    status, _, told = run(tmp_path / "x.mp4", tmp_path / "y.mp4")
    assert status == 1 and not (tmp_path / "out").exists()
    assert told.splitlines() == [
        "dvsnet: no input can be opened:",
        *(f"  {tmp_path / name}: no such file or folder; check the path" for name in ("x.mp4", "y.mp4")),
    ]


def test_an_interrupt_ends_all_and_what_failed_before_is_told(run, inputs, tmp_path, monkeypatch):
    segment = segmenting.segment_source

    def interrupted(source, *arguments, **options):
        if source.name == "c":
            raise KeyboardInterrupt
        return segment(source, *arguments, **options)

    monkeypatch.setattr(segmenting, "segment_source", interrupted)
    write_images(tmp_path / "d", clip(1))
    status, table, told = run("--streams", "1", inputs[0], inputs[1], inputs[2], tmp_path / "d")
    assert status == 130 and " a " in table and not (tmp_path / "out" / "d").exists()
    assert "dvsnet: 1 of 4 inputs failed: b: " in told and told.endswith("dvsnet: interrupted\n")


def test_a_kind_interrupt_ends_all_too(run, inputs, tmp_path, monkeypatch):
    segment = segmenting.segment_source

    def stopped(source, *arguments, stop, **options):
        if source.name == "c":
            stop.set()
        return segment(source, *arguments, stop=stop, **options)

    monkeypatch.setattr(segmenting, "segment_source", stopped)
    write_images(tmp_path / "d", clip(1))
    status, _, told = run("--streams", "1", *inputs, tmp_path / "d")
    assert status == 130 and not (tmp_path / "out" / "d").exists()
    assert "dvsnet: 1 of 4 inputs failed: b: " in told and "everything until here is written" in told


def test_all_that_failed_in_one_input_is_told(run, inputs, monkeypatch):
    write = output_folder.write_png

    def full(path, *arguments):
        if path.parent.name == "labels":
            raise InputError(f"{path.name}: cannot be written")
        write(path, *arguments)

    def unfilmed(self, *arguments):
        raise InputError("overlay.mp4: cannot be written")

    monkeypatch.setattr(output_folder, "write_png", full)
    status, _, told = run(inputs[1])  # whose second frame cannot be read
    assert status == 1 and told.splitlines() == [
        "dvsnet: b:",
        f"  {told.splitlines()[1].strip()}",
        "  street_000.png: cannot be written",
    ]
    assert "street_001.png: cannot be read" in told.splitlines()[1]
    monkeypatch.setattr(output_folder.OverlayVideo, "write", unfilmed)
    status, _, told = run(inputs[0], "--overwrite")
    assert status == 1 and told.splitlines() == [
        "dvsnet: a:",
        "  street_000.png: cannot be written",
        "  overlay.mp4: cannot be written",
    ]
