"""`dvsnet segment --together`: one budget or rate for all inputs at once, gone on with as a whole."""

from __future__ import annotations

import json

import pytest
from killed_runs import killed
from test_cli_resume import clips, command, contents, same  # noqa: F401
from tiny_files import compile_once, weights  # noqa: F401

from dvsnet_jax.cli import main
from dvsnet_jax.media.written_files import RECORD

pytestmark = pytest.mark.usefixtures("compile_once")
TOGETHER = ("--together", "on", "--streams", "2")


def share(out, names) -> float:
    """Of all regions past first frames, segmented."""
    lines = [json.loads(line) for name in names for line in (out / name / "routes.jsonl").read_text().splitlines()]
    regions = [region["segmented"] for line in lines if line["frame"] for region in line["regions"]]
    return sum(regions) / len(regions)


def test_a_killed_run_goes_on_with_all_that_share_a_budget(clips, command, tmp_path, capsys):  # noqa: F811
    """Pairs of clips; of the first pair one is done and the other not when the run is killed."""
    expected, out = tmp_path / "expected", tmp_path / "out"
    words = [*command([clips[0], clips[1], clips[4]], out, *TOGETHER), "--budget", "0.3"]
    assert main([*words, "--out", str(expected)]) == 0
    assert killed(words, out, 140)
    record = (out / RECORD).read_text()
    assert '"done": "a"' in record and '"done": "b"' not in record
    assert main([*words, "--resume", "--streams", "3"]) == 1  # of other company
    assert "together was 2 and is now 3" in capsys.readouterr().err
    assert killed([*words, "--resume"], out, 60)  # in the middle of a, which is not done any more
    assert main([*words, "--resume"]) == 0
    done = [line for line in contents(out)[RECORD] if '"done"' in line]
    assert len([line for line in done if '"files": -1' not in line]) == 3
    (out / RECORD).write_bytes((expected / RECORD).read_bytes())
    assert same(out, expected)
    assert main([*words, "--resume"]) == 0
    assert "3 of 3 inputs were done before" in capsys.readouterr().err


def test_a_rate_for_several_files(clips, command, tmp_path, capsys):  # noqa: F811
    words = [word for word in command(clips[:2], tmp_path / "out") if word not in ("--budget", "0.5")]
    assert main([*words, "--fps", "0.01", *TOGETHER]) == 0
    told = capsys.readouterr().err
    assert "a: --fps 0.01 was reached" in told and "b: --fps 0.01 was reached" in told
    assert share(tmp_path / "out", "ab") > 0.3  # there is time for everything, which is found out region by region


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--together", "on", "--interval", "3"], "--together on shares out --budget or --fps, and there is neither"),
        (["--together", "on", "--budget", "0.2", "--worker", "0/2"], "--together on is for the inputs of one process"),
        (["--streams", "2", "--fps", "5"], "--together on: for all at once"),
    ],
)
def test_what_it_does_not_go_with(clips, weights, tmp_path, capsys, words, told):  # noqa: F811
    arguments = ["segment", *clips[:2], "--weights", weights, "--out", str(tmp_path / "out"), *words]
    assert main(arguments) == 2
    assert told in " ".join(capsys.readouterr().err.split())
