"""`eval/faults.py` and `eval/soak.py` at their smallest: what they make is valid, what they count is there to be seen,
and what they do is done."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from killed_runs import PRELOADED
from recipes import recipe

EVAL = Path(__file__).parents[2] / "eval"
sys.path.insert(0, str(EVAL))  # as where a recipe is run

from campaign import damaged, processes, rooms, samples, scene, soaking, streams, trying  # noqa: E402
from campaign.book import Book, kind_of  # noqa: E402
from campaign.damage import DAMAGES, damage  # noqa: E402
from campaign.hostile import HOSTILE  # noqa: E402
from campaign.kinds import FAMILIES, FLOWS, IMAGES, VIDEOS, missing  # noqa: E402
from campaign.reading import read  # noqa: E402

QUICK = ("mp4", "png", "labels", "flo", "npz", "bundle", "decision set", "list", "record", "clips.jsonl")


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """Processes are forked from the one that other tests have too; what more they need they load themselves."""
    monkeypatch.setattr(processes, "_PRELOADED", PRELOADED)


def test_damage_is_drawn_by_its_seed_and_changes_the_file(tmp_path):
    content = bytes(range(1, 200))
    for number in range(40):
        made = []
        for name in ("a", "b"):
            (tmp_path / name).write_bytes(content)
            made.append((damage(tmp_path / name, random.Random(number)), (tmp_path / name).read_bytes()))
        assert made[0] == made[1] and made[0][0] in {how.__name__ for how in DAMAGES}
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(content)
    assert {damage(folder, random.Random(number)) for number in range(1)} <= {how.__name__ for how in DAMAGES}


@pytest.mark.parametrize("kind", QUICK)
def test_a_valid_file_of_each_kind_and_three_damaged_ones(tmp_path, kind):
    made = trying._ready(kind, tmp_path / "valid-0")
    for seed in range(3):
        came = trying._try(kind, seed, made, tmp_path / "tried")
        assert came["problems"] == [], came
        assert came["outcome"] in ("whole", "in part", "refused") and came["mib"] < damaged.MOST


def test_every_kind_has_a_maker():
    kinds = [kind for family in FAMILIES.values() for kind in family]
    assert len(set(kinds)) == len(kinds) == 50
    assert not set(kinds) - {*VIDEOS, *IMAGES, *FLOWS, *samples._MAKERS}
    assert missing("png") is None and missing("mp4") is None


@pytest.mark.parametrize(
    "name", ["bmp of 3.6 gigapixels", "npz of 288 GB", "pfm of 10¹⁶ pixels", "program with 1 GB in 1 MB"]
)
def test_hostile_files_are_refused(tmp_path, name, monkeypatch):
    kind, make = HOSTILE[name]
    place = make(tmp_path)
    came = trying.judged(lambda: read(kind, place, tmp_path / "out"), str(tmp_path))
    assert came["outcome"] == "refused" and came["problems"] == [] and came["mib"] < damaged.MOST


def test_what_is_counted(tmp_path):
    def fails():
        raise KeyError("of a library")

    def keeps():
        held.append((tmp_path / "a").open("wb"))
        return "whole", ["frames: one is lost"]

    held: list = []
    assert trying.judged(fails, "a")["problems"] == ["traceback: KeyError"]
    assert trying.judged(keeps, "a")["problems"] == ["frames: one is lost", "handles: 1 more"]
    held[0].close()
    book = Book(tmp_path / "book")
    book.note("damaged", "flo", 3, trying.judged(fails, "a"))
    again = Book(tmp_path / "book")
    assert again.has("damaged", "flo", 3) and not again.has("damaged", "flo", 4) and again.faults() == 1
    head, _, row, everything = again.table(FAMILIES).splitlines()
    assert [cell.strip() for cell in row.split("|")][1:5] == [
        "flow",
        "1",
        "1 refused",
        "1",
    ] and "| all | 1 " in everything
    assert head.count("|") == row.count("|") and kind_of("handles: 1 more") == "other"


def dies(pipe):
    pipe.recv()
    os.kill(os.getpid(), signal.SIGSEGV)


def sleeps(pipe):
    pipe.recv()
    time.sleep(60)


@pytest.mark.parametrize(
    ("serve", "longest", "told"), [(dies, 60.0, "died: SIGSEGV"), (sleeps, 0.5, "hang: over 0.5 s")]
)
def test_a_process_that_dies_or_hangs_is_counted_and_replaced(monkeypatch, serve, longest, told):
    monkeypatch.setattr(trying, "serve", serve)
    trier = damaged.Trier()
    trier._known.add("flo")
    assert trier.tried("flo", 0, longest)["problems"] == [told]
    assert trier._process is None


def test_the_campaign_of_damaged_inputs_goes_on_where_it_was(tmp_path, capsys):
    main = recipe("faults", EVAL)
    words = ["--parts", "damaged", "--kinds", "flo", "--out", str(tmp_path / "out")]
    assert main([*words, "--each", "2"]) == 0
    assert main([*words, "--each", "3"]) == 0
    assert [line["number"] for line in Book(tmp_path / "out").lines] == [0, 1, 2]
    assert "| flow | 3 |" in capsys.readouterr().out


def test_a_kill_and_a_full_disk(tmp_path, monkeypatch):
    for module in (scene, rooms):
        monkeypatch.setattr(module, "COMMANDS", ("segment",))
    here, book = scene.Scene(tmp_path / "scene", frames=(3, 2)), Book(tmp_path / "book")
    here.kill_all(book, 1, 0, print)
    rooms.full(book, here, 1, 0, print)
    assert book.faults() == 0, "; ".join(map(str, book.lines))
    assert [line["part"] for line in book.lines] == ["kills", "full disk"]
    whole, _ = here.undisturbed("segment")
    label = next((whole / "a" / "labels").iterdir())
    label.write_bytes(label.read_bytes()[:-20])
    assert here.half("segment", whole) == [f"half-written: labels/{label.name} (a)"]
    assert scene.differences("segment", whole, tmp_path / "scene" / "killed") == [f"differs: a/labels/{label.name}"]


@pytest.mark.slow
def test_no_rights_a_silent_camera_and_a_worker_that_dies(tmp_path):
    here, book = scene.Scene(tmp_path / "scene", frames=(3, 4, 2)), Book(tmp_path / "book")
    rooms.without_rights(book, here, print)
    streams.stalling(book, here, print)
    streams.dying_worker(book, here, 0, print)
    assert book.faults() == 0, "; ".join(map(str, book.lines))


def sample(seconds, mib=400.0, handles=20, threads=30):
    return soaking.Sample(seconds, mib, handles, threads)


def test_what_a_soak_holds_to_be_steady():
    flat = [sample(number, 300 if number < 10 else 400 + number / 20) for number in range(100)]
    assert soaking.steady(flat) == []
    grown = [sample(number, 400 + number / 4, 20 + number // 90, 30 + number // 80) for number in range(100)]
    assert [line.split()[0] for line in soaking.steady(grown)] == ["memory", "handles", "threads"]
    assert "100 frames, connected again 3 times: memory 401.7 MiB" in soaking.told(flat, 100, 3)


def test_a_soak_of_seconds(tmp_path):
    """Its labels are a fresh run's; how flat so short a run is says nothing."""
    samples, problems = soaking.soak(tmp_path / "soak", 0.03, 60.0, 0.2, print)
    assert len(samples) >= 2 and not [line for line in problems if "grew" not in line], problems
    text = (tmp_path / "soak" / "log.txt").read_text()
    assert "the stream ended; trying again" in text
