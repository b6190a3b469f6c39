"""What the command shows of its progress: bars where stderr is a terminal, nothing elsewhere."""

from __future__ import annotations

import pytest
from rich.console import Console

from dvsnet_jax.cli import screen
from dvsnet_jax.cli.screen import closing_table, progress_bar, step_progress, tell, tell_pace
from dvsnet_jax.inference.delivery import Summary
from dvsnet_jax.inference.pacing import Pace


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def shown(request, monkeypatch, capsys):
    """A function for what stands on the screen; nothing where stderr is a file."""
    monkeypatch.setattr(
        screen, "Console", lambda **options: Console(**options, width=100, force_terminal=request.param)
    )

    def shown(*texts):
        told = capsys.readouterr()
        assert told.out == ""
        assert all(text in told.err for text in texts) if request.param else told.err == ""

    return shown


def test_the_bar_over_a_source(shown):
    with progress_bar("[b]drive", 8) as on_progress:
        on_progress("compiling", 0)
        on_progress("step", 6)
    shown("[b]drive", " 75%", "6/8")  # a file's name is no markup


def test_the_stage_is_told_while_nothing_else_moves(shown):
    with progress_bar("drive", None) as on_progress:
        on_progress("compiling", 0)
    shown("drive", "compiling …", "0/?")


def test_the_bar_over_the_steps_of_a_training(shown):
    with step_progress("flow network", 40) as show:
        show(30, "loss 1.5")
    shown("flow network", "30/40", "loss 1.5")


def test_one_process_of_several_shows_it(monkeypatch, capsys):
    monkeypatch.setattr(screen, "Console", lambda **options: Console(**options, force_terminal=True))
    monkeypatch.setattr(screen, "_is_first", lambda: False)
    with step_progress("flow network", 40) as show:
        show(30, "loss 1.5")
    assert capsys.readouterr().err == ""


def test_a_rate_that_was_missed_is_told_apart_from_one_out_of_reach(capsys):
    tell_pace("drive", Summary(frames=30, pace=Pace(asked=25.0, reached=20.0, share=0.2, light=0.01)))
    told = capsys.readouterr().err
    assert "--fps 25 was missed: the frame step kept 20.00 frames/s with 20.0% of regions" in told
    assert "with reading and writing" not in told  # no time was taken


@pytest.mark.parametrize("columns", ["0", "3", "80"])
def test_results_come_whatever_size_the_terminal_says_to_have(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    closing_table([("drive", Summary(frames=8, regions=32, segmented=8, seconds=1.0))])
    tell("written to here")
    told = capsys.readouterr()
    assert "25.0%" in told.out and "compiling took" in told.out and told.err == "written to here\n"


def test_frames_of_an_earlier_run_are_not_in_the_rate_of_this_one(capsys):
    """One that goes on after 500 frames and does eight more in a second."""
    gone_on = Summary(frames=508, before=500, regions=2032, segmented=508, seconds=1.0, device_seconds=0.5)
    closing_table([("drive", gone_on)], together=gone_on)
    rows = [line for line in capsys.readouterr().out.splitlines() if "508" in line]
    assert len(rows) == 2 and all({"25.0%", "8.00", "16.00"} <= {*row.split()} for row in rows)
    gone_on.pace = Pace(asked=100.0, reached=120.0, share=0.2, light=0.001)
    tell_pace("drive", gone_on)
    assert "with reading and writing it was 8.00 frames/s" in capsys.readouterr().err
