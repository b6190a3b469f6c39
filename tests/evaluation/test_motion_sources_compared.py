"""Sources of motion side by side: how well labels are carried along each."""

from __future__ import annotations

import re

import numpy as np
import pytest
from motion_files import moving, with_a_cut, write
from tiny import SIMPLE, simple_params
from tiny_files import write_images

from dvsnet_jax import checkpoints
from dvsnet_jax.cli import main


@pytest.fixture(autouse=True)
def weights(monkeypatch):
    monkeypatch.setattr(checkpoints, "load_bundled", lambda *_: (simple_params(), SIMPLE))


def tables(out: str) -> list[dict[str, list[float]]]:
    """Numbers of each table's rows, by the row's name."""
    found: list[dict[str, list[float]]] = []
    for line in out.splitlines():
        if line.startswith("| motion |"):
            found.append({})
        elif match := re.match(r"\| (\w[^|]*) \|(.*)\|", line):
            cells = match[2].replace("–", "nan").split("|")
            found[-1][match[1]] = [float(cell) for cell in cells]
    return found


def test_found_motion_carries_labels_and_none_does_not(tmp_path, capsys):
    write_images(tmp_path / "drive", moving(8))
    run = ["measure", "motion", str(tmp_path / "drive"), "--gaps", "1", "4", "--encoded", "as-is", "no-b-frames"]
    assert main(run) == 0
    images, coded = tables(capsys.readouterr().out)
    assert [*images] == ["copied", "dis (auto)", "encoder", "network", "paper"] and "codec" in coded
    for table in (images, coded):
        for way, (near, far, host, unknown) in table.items():
            still = way in ("copied", "paper")  # the tiny flow network says that nothing moves
            assert unknown == 0 and np.isnan(host) == (still or way == "network")
            assert far < 80 < near < 91 if still else near > 93 and far > 89
        assert table["copied"][:2] == table["paper"][:2]


def test_a_video_with_a_cut_has_a_frame_that_is_not_known(tmp_path, capsys):
    frames = with_a_cut()
    place = write(tmp_path / "cut.mp4", frames, bf=0, refs=1, g=100)
    assert main(["measure", "motion", place, "--gaps", "1", "--most", "8"]) == 0
    (table,) = tables(capsys.readouterr().out)
    assert table["dis (auto)"][-1] == table["network"][-1] == 1 and table["copied"][-1] == 0


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ([], 2, "nothing to measure on"),
        (["{drive}", "--scale", "0.5"], 2, "leave as-is out"),
        (["{drive}"], 1, "3 frames, but 10 or more"),
        (["{drive}", "--only", "night"], 1, "0 frames"),
    ],
)
def test_wrong_use(words, status, told, tmp_path, capsys):
    write_images(tmp_path / "drive", moving(3))
    assert main(["measure", "motion", *(word.format(drive=tmp_path / "drive") for word in words)]) == status
    assert told in " ".join(capsys.readouterr().err.split())
