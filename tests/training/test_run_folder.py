"""The folder of a run: another run, a damaged record and processes that differ are refused, by name."""

from __future__ import annotations

import json

import pytest

from dvsnet_jax.errors import InputError
from dvsnet_jax.training import run_folder
from dvsnet_jax.training.run_folder import SETTINGS, append_line, claim, claim_together

RUN = {"kind": "a test", "training": {"seed": 1, "crop": (64, 96)}}


def test_the_same_run_goes_on_and_another_does_not(tmp_path):
    assert not claim(tmp_path / "run", RUN) and claim(tmp_path / "run", RUN)
    for other, says in (
        ({**RUN, "training": {"seed": 2, "crop": (64, 96)}}, "training: seed was 1 and is now 2"),
        ({"kind": "a test"}, "training: seed was 1 and is now null"),
        ({**RUN, "new": "x" * 100}, 'new was null and is now "' + "x" * 76 + "…"),
    ):
        with pytest.raises(InputError, match=says):
            claim(tmp_path / "run", other)
    assert claim(tmp_path / "run", RUN)


def test_what_cannot_be_read_is_no_run(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file: cannot be made or read \(File exists\); choose another folder"):
        claim(tmp_path / "file", RUN)
    (tmp_path / SETTINGS).write_text('{"kind": ')
    with pytest.raises(InputError, match=f"{SETTINGS}: is damaged, it is not JSON .*; choose another folder"):
        claim(tmp_path, RUN)
    assert (tmp_path / SETTINGS).read_text() == '{"kind": '


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({**RUN, "kind": "another"}, 'kind is "another" in process 1 and "a test" in process 0'),
        ({**RUN, "more": 3}, "more is 3 in process 1 and null in process 0"),
    ],
)
def test_processes_of_other_settings_make_no_folder(second, says, tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "told_by_all", lambda settings: [settings, json.loads(json.dumps(second))])
    with pytest.raises(InputError, match=says):
        claim_together(tmp_path / "run", RUN)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(run_folder, "told_by_all", lambda settings: [settings, settings])
    claim_together(tmp_path / "run", RUN)
    assert claim(tmp_path / "run", RUN)


def test_temporary_files_of_a_killed_run_go_where_it_goes_on(tmp_path):
    left = [tmp_path / ".partial-0123456789ab.json", tmp_path / "best" / ".partial-0123456789ab.npy"]
    (tmp_path / "best").mkdir()
    for there in ([left[1]], []):  # a folder that was nobody's so far is left alone below
        for path in left:
            path.write_bytes(b"")
        claim_together(tmp_path, RUN)
        assert [path for path in left if path.exists()] == there


def test_a_line_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    file = tmp_path / "metrics.jsonl"
    append_line(file, {"step": 1})

    def full(file, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder, "write_all_or_nothing", full)
    with pytest.raises(InputError, match=r"metrics.jsonl: cannot be written \(No space left on device\)"):
        append_line(file, {"step": 2})
    assert file.read_text() == '{"step": 1}\n'
